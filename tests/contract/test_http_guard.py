"""The real door to HTTP behind a guard: whoever is connected to was judged, whatever names and proxies say."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from twinwatch.testing.certificates import Certificate, certificate_for, lacking
from twinwatch.world.guard import Guard
from twinwatch.world.http import AiohttpHttp, NotAllowed, Unreachable
from twinwatch.world.net.naming import Names

SOMEWHERE, ELSEWHERE, LOOPBACK = "9.9.9.9", "9.9.9.10", "127.0.0.1"


@dataclass
class Internet:
    """Addresses of the internet, all of which are this server: connections are led here, and written down. Loopback is
    led nowhere: whoever gets there was let through."""

    port: int = 0
    answer: bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
    connected: list[str] = field(default_factory=list)
    requests: list[bytes] = field(default_factory=list)
    answers: dict[str, list[str]] = field(default_factory=dict)
    """What each name leads to, one answer after another; the last stays."""
    questions: list[str] = field(default_factory=list)

    def names(self) -> Names:
        return Names(self._look_up)

    def url(self, host: str, scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}/x"

    def _look_up(self, host: str, *_: object) -> list[object]:
        self.questions.append(host)
        answers = self.answers.get(host)
        if not answers:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in addresses.split()]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.requests.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(self.answer)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()

    def lead_here(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()
        connect = loop.sock_connect

        async def led(connection: socket.socket, address: Any) -> None:
            self.connected.append(address[0])
            inside = address[0] in (SOMEWHERE, ELSEWHERE)
            await connect(connection, (LOOPBACK, self.port) if inside else address)

        monkeypatch.setattr(loop, "sock_connect", led)


@pytest.fixture
async def internet(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Internet]:
    internet = Internet()
    server = await asyncio.start_server(internet.serve, LOOPBACK, 0)
    internet.port = server.sockets[0].getsockname()[1]
    internet.lead_here(monkeypatch)
    yield internet
    server.close()


@pytest.fixture
async def http(internet: Internet) -> AsyncIterator[AiohttpHttp]:
    door = AiohttpHttp(guard=Guard(names=internet.names()))
    yield door
    await door.close()


async def test_a_name_that_changes_its_answer_gains_nothing(internet: Internet, http: AiohttpHttp) -> None:
    internet.answers["rebinding.example"] = [SOMEWHERE, LOOPBACK]
    assert (await http.request("GET", internet.url("rebinding.example"), timeout_seconds=5)).body == b"ok"
    assert (internet.connected, internet.questions) == ([SOMEWHERE], ["rebinding.example"])
    with pytest.raises(NotAllowed, match=r"rebinding.example has the address 127.0.0.1, which is this machine itself"):
        await http.request("GET", internet.url("rebinding.example"), timeout_seconds=5)
    assert internet.connected == [SOMEWHERE], "what was judged is what was connected to"


async def test_of_several_addresses_only_judged_ones_are_tried(internet: Internet, http: AiohttpHttp) -> None:
    internet.answers["mixed.example"] = [f"{LOOPBACK} 10.0.0.5 169.254.169.254 {ELSEWHERE}"]
    assert (await http.request("GET", internet.url("mixed.example"), timeout_seconds=5)).body == b"ok"
    assert internet.connected == [ELSEWHERE]


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "10.0.0.5",
        "169.254.169.254",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::a9fe:a9fe]",
        "[2002:7f00:1::1]",
        "[fd00:ec2::254]",
        "[fe80::1%25lo]",
        "[::]",
        "0.0.0.0",
        "127.1",
        "2130706433",
        "0",
        "127.0.0.1.",
    ],
)
async def test_addresses_in_the_url_are_judged_though_nobody_resolves_them(
    internet: Internet, http: AiohttpHttp, host: str
) -> None:
    with pytest.raises(NotAllowed):
        await http.request("GET", internet.url(host), timeout_seconds=5)
    with pytest.raises(NotAllowed):
        await http.websocket(internet.url(host), timeout_seconds=5)
    assert internet.connected == []


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "localhost.", "127.0.0.1.nip.example", "0x7f.1"])
async def test_names_of_this_machine_are_names_like_others(internet: Internet, http: AiohttpHttp, host: str) -> None:
    internet.answers = {name: [LOOPBACK] for name in (host, host.lower(), host.rstrip("."))}
    with pytest.raises(NotAllowed, match="this machine itself"):
        await http.request("GET", internet.url(host), timeout_seconds=5)
    assert internet.connected == []


async def test_redirects_are_not_followed(internet: Internet, http: AiohttpHttp) -> None:
    internet.answers["moved.example"] = [SOMEWHERE]
    internet.answer = b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1/\r\ncontent-length: 0\r\n\r\n"
    answer = await http.request("GET", internet.url("moved.example"), timeout_seconds=5)
    assert (answer.status, internet.connected) == (302, [SOMEWHERE])


async def test_the_operator_may_allow_private_networks_but_not_metadata(internet: Internet) -> None:
    http = AiohttpHttp(guard=Guard(private=True, names=internet.names()))
    internet.answers["inner.example"] = [LOOPBACK]
    for host in ("inner.example", LOOPBACK):
        assert (await http.request("GET", internet.url(host), timeout_seconds=5)).body == b"ok"
    internet.answers["metadata.example"] = ["169.254.169.254"]
    for host in ("metadata.example", "169.254.169.254", "[::ffff:169.254.169.254]"):
        with pytest.raises(NotAllowed, match="metadata"):
            await http.request("GET", internet.url(host), timeout_seconds=5)
    await http.close()


async def test_a_name_that_does_not_exist_may_exist_later(internet: Internet, http: AiohttpHttp) -> None:
    with pytest.raises(Unreachable, match="does not resolve") as caught:
        await http.request("GET", internet.url("gone.example"), timeout_seconds=5)
    assert not isinstance(caught.value, NotAllowed)


async def test_a_resolver_that_hangs_ends_at_the_deadline() -> None:
    let_go = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hang(*_: object) -> list[Any]:
        asyncio.run_coroutine_threadsafe(let_go.wait(), loop).result()
        return []

    http = AiohttpHttp(guard=Guard(names=Names(hang)))
    with pytest.raises(Unreachable, match="no answer within"):
        await http.request("GET", "http://slow.example/", timeout_seconds=0.1)
    let_go.set()
    await http.close()


async def test_certificates_are_held_against_the_name_and_not_the_address(internet: Internet, tmp_path: Path) -> None:
    if lacking():
        pytest.skip(lacking())
    certificate: Certificate = certificate_for(tmp_path, "shop.example")
    server = await asyncio.start_server(internet.serve, LOOPBACK, 0, ssl=certificate.server())
    internet.port = server.sockets[0].getsockname()[1]
    internet.answers = {"shop.example": [SOMEWHERE], "other.example": [SOMEWHERE]}
    http = AiohttpHttp(ca_file=certificate.file, guard=Guard(names=internet.names()))
    assert (await http.request("GET", internet.url("shop.example", "https"), timeout_seconds=5)).body == b"ok"
    with pytest.raises(Unreachable, match=r"^TLS: .*other\.example"):
        await http.request("GET", internet.url("other.example", "https"), timeout_seconds=5)
    await http.close()
    server.close()


async def test_the_proxy_of_the_environment_is_left_alone_unless_told(
    internet: Internet, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", f"http://{LOOPBACK}:{internet.port}")
    internet.answers["shop.example"] = [SOMEWHERE]
    plain = AiohttpHttp(guard=Guard(names=internet.names()))
    await plain.request("GET", internet.url("shop.example"), timeout_seconds=5)
    assert internet.connected == [SOMEWHERE]
    assert internet.requests[-1].startswith(b"GET /x ")
    told = AiohttpHttp(guard=Guard(names=internet.names()), proxies=True)
    await told.request("GET", "http://unknown.example/x", timeout_seconds=5)
    assert internet.connected == [SOMEWHERE, LOOPBACK], "the proxy is the operator's"
    assert internet.requests[-1].startswith(b"GET http://unknown.example/x ")
    with pytest.raises(NotAllowed):
        await told.request("GET", "http://10.0.0.5/x", timeout_seconds=5)
    with pytest.raises(NotAllowed):
        await told.request("GET", internet.url(LOOPBACK), timeout_seconds=5)
    await plain.close()
    await told.close()
