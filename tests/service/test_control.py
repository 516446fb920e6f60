"""The control connection: a real WebSocket client on a real port, and a hub that says what has changed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import uvicorn
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from twinwatch.hub.connections import HEARD_BYTES, SERVING
from twinwatch.protocol.control import PING_SECONDS, REPLACED_CODE, REVOKED_CODE, SILENCE_SECONDS
from twinwatch.protocol.problem import PROBLEM_TYPE
from twinwatch.protocol.version import AGENT_ROUTES
from twinwatch.testing.hub_stage import Cast, HubStage, Player, Voice
from twinwatch.testing.ports import free_port
from twinwatch.testing.postgres import SECRET

PATIENCE_SECONDS = 20.0


@pytest.fixture
async def url(stage: HubStage) -> AsyncIterator[str]:
    """The hub on a real port."""
    async with stage.served() as url:
        yield f"{url.replace('http', 'ws', 1)}{AGENT_ROUTES}/control"


@asynccontextmanager
async def control(url: str, key: str) -> AsyncIterator[ClientConnection]:
    """An open control connection."""
    async with connect(url, additional_headers={"authorization": f"Bearer {key}"}) as socket:
        yield socket


async def told(socket: ClientConnection) -> str | bytes:
    async with asyncio.timeout(PATIENCE_SECONDS):
        return await socket.recv()


async def closed(socket: ClientConnection) -> int | None:
    """The code that the hub closes with."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        await socket.wait_closed()
    return socket.close_code


async def connected(player: Player, voice: Voice) -> bool:
    view: dict[str, Any] = (await player.client.get(f"/api/v1/servers/{voice.server_id}")).json()
    return bool(view["control"])


async def save(player: Player, voice: Voice, version: int) -> None:
    wanted = {"version": version, "monitors": [{"type": f"kind-{version}"}], "rules": []}
    reply = await player.client.put(f"/api/v1/servers/{voice.server_id}/configuration", wanted)
    assert reply.status == 200, reply


async def test_a_change_reaches_the_agent_within_a_second(cast: Cast, url: str) -> None:
    async with control(url, cast.agent.client.token) as socket:
        for version in range(3):
            began = time.monotonic()
            await save(cast.owner, cast.agent, version)
            assert await told(socket) == f'{{"kind":"configuration","version":{version + 1}}}'
            assert time.monotonic() - began < 1
            assert (await cast.agent.configuration()).version == version + 1, "it can be fetched by then"


async def test_what_is_there_already_is_told_once_when_it_opens(cast: Cast, url: str) -> None:
    await save(cast.owner, cast.agent, 0)
    async with control(url, cast.agent.client.token) as socket:
        assert await told(socket) == '{"kind":"configuration","version":1}'
        await save(cast.owner, cast.agent, 1)
        assert await told(socket) == '{"kind":"configuration","version":2}'


async def test_nothing_is_told_of_other_servers(cast: Cast, url: str) -> None:
    async with control(url, cast.agent.client.token) as mine, control(url, cast.other_agent.client.token) as other:
        await save(cast.stranger, cast.other_agent, 0)
        assert await told(other) == '{"kind":"configuration","version":1}'
        await save(cast.owner, cast.agent, 0)
        await save(cast.owner, cast.agent, 1)
        assert [await told(mine), await told(mine)] == [
            '{"kind":"configuration","version":1}',
            '{"kind":"configuration","version":2}',
        ]


async def test_whether_it_is_open_is_seen_in_the_view_and_told_live(stage: HubStage, cast: Cast, url: str) -> None:
    assert not await connected(cast.viewer, cast.agent)
    async with cast.viewer.client.stream("/api/v1/live") as stream:
        await stream.next("hello")
        async with control(url, cast.agent.client.token):
            _, server = await stream.next("server")
            assert (server["id"], server["control"]) == (str(cast.agent.server_id), True)
            assert await connected(cast.viewer, cast.agent)
            assert not await connected(cast.stranger, cast.other_agent)
        while (await stream.next("server"))[1]["control"]:
            pass
    assert not await connected(cast.viewer, cast.agent)


@pytest.mark.parametrize("key", ["", "tws_unknown", "of a person"])
async def test_who_has_no_servers_key_gets_a_problem(cast: Cast, url: str, key: str) -> None:
    shown = cast.owner.client.token if key == "of a person" else key
    with pytest.raises(InvalidStatus) as refused:
        async with control(url, shown):
            pass
    response = refused.value.response
    assert response.status_code == 401
    assert response.headers["content-type"] == PROBLEM_TYPE
    assert response.headers["www-authenticate"] == "Bearer"
    assert b"unauthorized" in response.body


async def test_the_newest_connection_of_a_server_stays(cast: Cast, url: str) -> None:
    async with control(url, cast.agent.client.token) as old, control(url, cast.agent.client.token) as new:
        assert await closed(old) == REPLACED_CODE
        assert await connected(cast.viewer, cast.agent)
        await save(cast.owner, cast.agent, 0)
        assert await told(new) == '{"kind":"configuration","version":1}'


async def test_it_ends_with_the_server(cast: Cast, url: str) -> None:
    async with control(url, cast.agent.client.token) as socket:
        await cast.owner.client.delete(f"/api/v1/servers/{cast.agent.server_id}")
        assert await closed(socket) == REVOKED_CODE
    with pytest.raises(InvalidStatus):
        async with control(url, cast.agent.client.token):
            pass


async def test_it_ends_with_the_key(stage: HubStage, cast: Cast, url: str) -> None:
    install = uuid4()
    first = await stage.agent(cast.organization_id, "web-2", install_id=install)
    async with control(url, first.client.token) as socket:
        second = await stage.agent(cast.organization_id, "web-2", install_id=install)
        assert await closed(socket) == REVOKED_CODE
        async with control(url, second.client.token) as again:
            await save(cast.owner, second, 0)
            assert await told(again) == '{"kind":"configuration","version":1}'


async def test_a_server_that_another_process_deleted_is_let_go_at_its_next_word(
    stage: HubStage, cast: Cast, url: str
) -> None:
    async with control(url, cast.agent.client.token) as socket:
        await stage.execute("delete from public.servers where id = %s", cast.agent.server_id)
        assert (await cast.agent.heartbeat()).problem.slug == "unauthorized"
        assert await closed(socket) == REVOKED_CODE


async def test_what_an_agent_says_there_is_passed_over_and_bounded(cast: Cast, url: str) -> None:
    async with control(url, cast.agent.client.token) as socket:
        for said in ("", "hello", b"\xff\xfe", '{"kind":"configuration","version":9}'):
            await socket.send(said)
        await save(cast.owner, cast.agent, 0)
        assert await told(socket) == '{"kind":"configuration","version":1}'
        await socket.send("x" * (HEARD_BYTES + 1))
        assert await closed(socket) == 1009
    async with control(url, cast.agent.client.token) as socket:
        assert await told(socket) == '{"kind":"configuration","version":1}'


def _frame(first_byte: int, content: bytes) -> bytes:
    """A client's frame, with a mask that changes nothing."""
    return bytes((first_byte, 0x80 | len(content))) + bytes(4) + content


@pytest.mark.parametrize(
    ("first", "flood"),
    [(b"", _frame(0x89, b"x" * 125)), (_frame(0x01, b""), _frame(0x00, b""))],
    ids=["pings whose answers are not read", "a message without an end"],
)
async def test_who_makes_the_hub_hold_ever_more_is_cut_off(cast: Cast, url: str, first: bytes, flood: bytes) -> None:
    """An agent that floods may not fill the memory of the hub that others share."""
    async with control(url, cast.agent.client.token) as socket:
        socket.transport.pause_reading()
        socket.transport.write(first)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await connected(cast.viewer, cast.agent):
                if socket.transport.get_write_buffer_size() < 1 << 20:
                    socket.transport.write(flood * 10_000)
        socket.transport.abort()


async def test_a_hub_that_stops_ends_them_at_once(stage: HubStage, cast: Cast, url: str) -> None:
    async with control(url, cast.agent.client.token) as socket:
        await stage.stop()
        assert await closed(socket) == 1012
    await stage.start()


async def test_other_paths_are_no_websockets(stage: HubStage, cast: Cast, url: str) -> None:
    for path in ("/api/v1/live", "/", "/api/v1/agent/heartbeat"):
        with pytest.raises(InvalidStatus) as refused:
            async with control(url.replace(f"{AGENT_ROUTES}/control", path), cast.agent.client.token):
                pass
        assert refused.value.response.status_code in (403, 404)
    assert (await cast.agent.client.get(f"{AGENT_ROUTES}/control")).status == 404


async def test_a_real_hub_ends_promptly_with_a_connection_open(
    stage: HubStage, cast: Cast, database_url: str, tmp_path: Path
) -> None:
    port = free_port()
    environment = {**os.environ, "TWINWATCH_DATABASE_URL": database_url, "TWINWATCH_SECRET": SECRET.reveal()}
    command = ("hub", "run", "--listen", f"127.0.0.1:{port}", "--data-dir", str(tmp_path))
    hub = await asyncio.create_subprocess_exec(sys.executable, "-P", "-m", "twinwatch.cli", *command, env=environment)
    try:
        url = f"ws://127.0.0.1:{port}{AGENT_ROUTES}/control"
        headers = {"authorization": f"Bearer {cast.agent.client.token}"}
        async with asyncio.timeout(PATIENCE_SECONDS), aclosing(_first_open(url, headers)) as opened:
            agent = await anext(opened)
            await asyncio.wait_for(agent.ping(), PATIENCE_SECONDS)
            began = time.monotonic()
            hub.send_signal(signal.SIGTERM)
            assert await closed(agent) == 1012
            assert await hub.wait() == 0
            assert time.monotonic() - began < 4, "it need not wait for connections to drain"
    finally:
        if hub.returncode is None:
            hub.kill()
            await hub.wait()


async def _first_open(url: str, headers: dict[str, str]) -> AsyncGenerator[ClientConnection]:
    """The connection, as soon as somebody listens."""
    while True:
        try:
            agent = await connect(url, additional_headers=headers)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            break
    try:
        yield agent
    finally:
        await agent.close()


def test_pings_keep_it_open_through_proxies_and_before_the_agent_gives_up() -> None:
    config = uvicorn.Config("x:y", **SERVING)
    assert config.ws_ping_interval == PING_SECONDS < 60
    assert config.ws_ping_timeout is not None
    assert config.ws_ping_timeout < SILENCE_SECONDS
    assert not config.ws_per_message_deflate


async def test_a_dead_connection_is_found_out(stage: HubStage, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SERVING, "ws_ping_interval", 0.05)
    monkeypatch.setitem(SERVING, "ws_ping_timeout", 0.05)
    async with stage.served() as served:
        url = f"{served.replace('http', 'ws', 1)}{AGENT_ROUTES}/control"
        async with control(url, cast.agent.client.token) as socket:
            await asyncio.wait_for(socket.ping(), PATIENCE_SECONDS)
            assert await connected(cast.viewer, cast.agent)
            socket.transport.pause_reading()  # the machine is gone: nothing answers any more
            async with asyncio.timeout(PATIENCE_SECONDS):
                while await connected(cast.viewer, cast.agent):
                    pass
            socket.transport.abort()


async def test_a_crowd_of_idle_connections_costs_little(stage: HubStage, cast: Cast, url: str) -> None:
    voices = await asyncio.gather(*(stage.agent(cast.organization_id, f"web-{number}") for number in range(60)))
    async with AsyncExitStack() as open_ones:
        sockets = [await open_ones.enter_async_context(control(url, voice.client.token)) for voice in voices]
        views = (await cast.viewer.client.get("/api/v1/servers")).json()["servers"]
        assert sum(view["control"] for view in views) == len(voices)
        await asyncio.gather(*(save(cast.owner, voice, 0) for voice in voices))
        assert {await told(socket) for socket in sockets} == {'{"kind":"configuration","version":1}'}
    names = [task.get_name() for task in asyncio.all_tasks()]
    assert len(names) < 60
