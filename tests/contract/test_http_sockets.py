"""The door to HTTP through sockets of this machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest
from aiohttp import web

from twinwatch.world.http import AiohttpHttp, NotAllowed, Unreachable


class Daemon:
    """Answers with what it was asked; ``/hang`` never."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"http+unix://{quote(str(path), safe='')}"

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/hang":
            await asyncio.Event().wait()
        return web.Response(text=f"{request.method} {request.host} {request.path_qs}", headers={"X-Y": "z"})


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    daemon = Daemon(tmp_path / "a daemon.sock")
    runner = web.ServerRunner(web.Server(daemon), shutdown_timeout=0.1)
    await runner.setup()
    await web.UnixSite(runner, daemon.path).start()
    yield daemon
    await runner.cleanup()


@pytest.fixture
async def http() -> AsyncIterator[AiohttpHttp]:
    door = AiohttpHttp(sockets=True)
    yield door
    await door.close()


async def test_a_socket_is_asked_as_a_host_is(daemon: Daemon, http: AiohttpHttp) -> None:
    answer = await http.request(
        "POST", f"{daemon.url}/v0/ping?ip=1", headers={"Host": "local-daemon.sock"}, timeout_seconds=5
    )
    assert answer.body == b"POST local-daemon.sock /v0/ping?ip=1"
    assert answer.headers["x-y"] == "z"
    assert (await http.request("GET", daemon.url, timeout_seconds=5)).body == b"GET localhost /"


async def test_what_fails_says_why(daemon: Daemon, http: AiohttpHttp, tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match=r"no answer within 0\.1 s"):
        await http.request("GET", f"{daemon.url}/hang", timeout_seconds=0.1)
    missing = quote(str(tmp_path / "missing.sock"), safe="")
    with pytest.raises(Unreachable, match=r"^no such file or directory$"):
        await http.request("GET", f"http+unix://{missing}/", timeout_seconds=5)
    for odd in ("http+unix:///", "http+unix://relative.sock/"):
        with pytest.raises(Unreachable, match="expected the path of a socket"):
            await http.request("GET", odd, timeout_seconds=5)


async def test_a_door_that_was_not_told_so_leads_to_no_socket(daemon: Daemon) -> None:
    http = AiohttpHttp()
    with pytest.raises(NotAllowed):
        await http.request("GET", daemon.url, timeout_seconds=5)
    await http.close()
