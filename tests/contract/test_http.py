"""What an ``Http`` door promises, held to the real one over real sockets and to the fake one in this process."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import WSMsgType, web

from twinwatch.testing.fakes import AsgiHttp, Message
from twinwatch.testing.ports import free_port
from twinwatch.world.http import FRAME_BYTES, AiohttpHttp, Answer, Closed, Http, NotOpened, Unreachable


class RawServer:
    """A server that answers each request with the bytes it is told to, or hangs up, or hangs."""

    def __init__(self) -> None:
        self.answer: bytes | None = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
        self.hang = False
        self.requests: list[bytes] = []
        self.asked = asyncio.Event()
        self.connections = 0
        self.url = ""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await self._head(reader):
                length = next(
                    (
                        int(line.split(b":")[1])
                        for line in head.split(b"\r\n")
                        if b"ontent-" in line and b"ength:" in line
                    ),
                    0,
                )
                self.requests.append(head + await reader.readexactly(length))
                self.asked.set()
                if self.hang:
                    await asyncio.sleep(60)
                if self.answer is None:
                    return
                writer.write(self.answer)
                await writer.drain()
                if b"content-length: 99" in self.answer:
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _head(self, reader: asyncio.StreamReader) -> bytes:
        try:
            return await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return b""


@pytest.fixture
async def server() -> AsyncIterator[RawServer]:
    raw = RawServer()
    listening = await asyncio.start_server(raw, "127.0.0.1", 0)
    raw_port = listening.sockets[0].getsockname()[1]
    raw.url = f"http://127.0.0.1:{raw_port}/x"
    yield raw
    listening.close()


@pytest.fixture
async def http() -> AsyncIterator[AiohttpHttp]:
    door = AiohttpHttp(answer_bytes=1_000)
    yield door
    await door.close()


async def test_an_answer_comes_whole_with_lower_case_headers(server: RawServer, http: AiohttpHttp) -> None:
    server.answer = b"HTTP/1.1 503 Away\r\nRetry-After: 7\r\nContent-Length: 3\r\n\r\nbad"
    answer = await http.request("POST", server.url, headers={"X-Y": "z"}, body=b"hello", timeout_seconds=5)
    assert (answer.status, answer.body, answer.headers["retry-after"]) == (503, b"bad", "7")
    assert server.requests[0].startswith(b"POST /x HTTP/1.1\r\n")
    assert b"X-Y: z" in server.requests[0]
    assert server.requests[0].endswith(b"hello")


async def test_a_connection_is_used_again(server: RawServer, http: AiohttpHttp) -> None:
    for _ in range(3):
        await http.request("POST", server.url, body=b"x", timeout_seconds=5)
    assert server.connections == 1


async def test_a_redirect_comes_back_as_it_is(server: RawServer, http: AiohttpHttp) -> None:
    server.answer = b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
    answer = await http.request("GET", server.url, timeout_seconds=5)
    assert (answer.status, answer.headers["location"]) == (302, "http://127.0.0.1:1/")


async def test_a_hang_ends_at_the_deadline(server: RawServer, http: AiohttpHttp) -> None:
    server.hang = True
    with pytest.raises(Unreachable, match=r"no answer within 0\.2 s"):
        await http.request("GET", server.url, timeout_seconds=0.2)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (None, "closed before the answer"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nhalf", "cut within the answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "Bad"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2000\r\n\r\n" + b"x" * 2_000, "longer than 1000 bytes"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n7d0\r\n" + b"x" * 2_000, "longer than 1000 bytes"),
    ],
)
async def test_no_complete_answer_is_unreachable(
    server: RawServer, http: AiohttpHttp, answer: bytes | None, why: str
) -> None:
    server.answer = answer
    with pytest.raises(Unreachable, match=why) as caught:
        await http.request("GET", server.url, headers={"authorization": "Bearer tws_secret"}, timeout_seconds=5)
    assert "tws_secret" not in str(caught.value)


async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.example ESMTP\r\n")
    await writer.drain()
    writer.close()


async def test_reasons_are_short_and_plain(http: AiohttpHttp) -> None:
    babbling = await asyncio.start_server(babble, "127.0.0.1", 0)
    babbling_port = babbling.sockets[0].getsockname()[1]
    port = free_port()
    for url, why in (
        (f"http://127.0.0.1:{port}/", "^connection refused$"),
        ("http://name.invalid/", "^the name 'name.invalid' does not resolve$"),
        (f"https://127.0.0.1:{babbling_port}/", "^TLS: "),
        ("http://", "not a lawful URL"),
    ):
        with pytest.raises(Unreachable, match=why):
            await http.request("GET", url, timeout_seconds=10)
    babbling.close()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
async def test_certificates_and_names_are_verified(tmp_path: Path, http: AiohttpHttp) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=localhost"
    made = await asyncio.create_subprocess_exec(
        *make.split(),
        "-addext",
        "subjectAltName=DNS:localhost",
        "-keyout",
        str(key),
        "-out",
        str(certificate),
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert await made.wait() == 0
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    server = await asyncio.start_server(RawServer(), "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(Unreachable, match=r"^TLS: .*self.signed"):
        await http.request("GET", f"https://localhost:{port}/", timeout_seconds=5)
    trusting = AiohttpHttp(ca_file=certificate)
    assert (await trusting.request("GET", f"https://localhost:{port}/", timeout_seconds=5)).body == b"ok"
    with pytest.raises(Unreachable, match=r"^TLS: .*127.0.0.1"):
        await trusting.request("GET", f"https://127.0.0.1:{port}/", timeout_seconds=5)
    await trusting.close()
    server.close()


async def test_cancelling_a_request_is_not_swallowed(server: RawServer, http: AiohttpHttp) -> None:
    server.hang = True
    asking = asyncio.create_task(http.request("GET", server.url, timeout_seconds=60))
    await server.asked.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def echo(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    body = (await receive())["body"]
    headers = dict(scope["headers"])
    fields = [(b"X-Path", scope["path"].encode()), (b"x-asked", headers.get(b"x-ask", b""))]
    await send({"type": "http.response.start", "status": 201, "headers": fields})
    await send({"type": "http.response.body", "body": body[:1], "more_body": True})
    await send({"type": "http.response.body", "body": body[1:]})


async def test_the_fake_door_calls_the_application() -> None:
    http: Http = AsgiHttp(echo)
    answer = await http.request("POST", "http://hub/a/b?c=d", headers={"X-Ask": "1"}, body=b"hello", timeout_seconds=1)
    assert answer == Answer(201, b"hello", {"x-path": "/a/b", "x-asked": "1"})


async def test_the_fake_door_fails_as_it_is_told_to() -> None:
    http = AsgiHttp(echo)
    http.cut()
    with pytest.raises(Unreachable, match="network"):
        await http.request("GET", "http://hub/", timeout_seconds=1)
    http.mend()
    http.lose_answers(1)
    with pytest.raises(Unreachable, match="closed"):
        await http.request("GET", "http://hub/", timeout_seconds=1)
    http.refuse(503, headers={"retry-after": "1"}, route="/x")
    assert (await http.request("GET", "http://hub/y", timeout_seconds=1)).status == 201
    assert (await http.request("GET", "http://hub/x", timeout_seconds=1)).status == 503
    http.delay_seconds = 5
    with pytest.raises(Unreachable, match="within"):
        await http.request("GET", "http://hub/", timeout_seconds=0.01)
    assert [exchange.status for exchange in http.exchanges] == [0, 0, 201, 503, 0]


async def test_a_dead_connection_ends_at_the_deadline_and_the_next_request_takes_a_fresh_one(
    server: RawServer, http: AiohttpHttp
) -> None:
    await http.request("GET", server.url, timeout_seconds=5)
    server.hang = True  # the connection that was kept is dead: whatever is written on it gets no answer
    with pytest.raises(Unreachable, match="no answer within"):
        await http.request("GET", server.url, timeout_seconds=0.2)
    server.hang = False
    assert (await http.request("GET", server.url, timeout_seconds=5)).body == b"ok"
    assert server.connections == 2


class Proxy:
    """An HTTP proxy that remembers what it was asked, and answers by itself."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.answer = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nproxy"
        self.address = ""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(self.answer)
        await writer.drain()
        writer.close()


@pytest.fixture
async def proxy(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Proxy]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    proxy = Proxy()
    listening = await asyncio.start_server(proxy, "127.0.0.1", 0)
    proxy.address = f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    yield proxy
    listening.close()


async def test_the_proxy_of_the_environment_is_asked_but_not_for_what_it_shall_not(
    proxy: Proxy, server: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    http = AiohttpHttp(proxies=True)
    monkeypatch.setenv("HTTP_PROXY", f"http://me:s3cret@{proxy.address}")
    monkeypatch.setenv("HTTPS_PROXY", proxy.address)
    monkeypatch.setenv("NO_PROXY", "intern.invalid,.lan")
    assert (await http.request("GET", "http://hub.invalid/x", timeout_seconds=5)).body == b"proxy"
    assert proxy.asked[0].startswith(b"GET http://hub.invalid/x HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic bWU6czNjcmV0" in proxy.asked[0]
    proxy.answer = b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n"
    with pytest.raises(Unreachable, match=r"^the proxy answered 407$"):
        await http.request("GET", "https://hub.invalid/x", timeout_seconds=5)
    assert proxy.asked[1].startswith(b"CONNECT hub.invalid:443 ")
    with pytest.raises(Unreachable, match="does not resolve"):
        await http.request("GET", "http://intern.invalid/", timeout_seconds=5)
    assert (await http.request("GET", server.url, timeout_seconds=5)).body == b"ok"
    monkeypatch.setenv("HTTP_PROXY", "http://me:s3cret@127.0.0.1:1")
    with pytest.raises(Unreachable, match=r"^the proxy 127\.0\.0\.1:1: connection refused$") as caught:
        await http.request("GET", "http://hub.invalid/x", timeout_seconds=5)
    assert "s3cret" not in str(caught.value)
    monkeypatch.setenv("HTTP_PROXY", "socks5://me:s3cret@127.0.0.1:1")
    with pytest.raises(Unreachable, match="no http or https address") as caught:
        await http.request("GET", "http://hub.invalid/x", timeout_seconds=5)
    assert "s3cret" not in str(caught.value)
    await http.close()
    assert len(proxy.asked) == 2


async def test_a_file_of_certificates_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "noise.pem").write_text("noise")
    for file, why in ((tmp_path / "missing.pem", "no such file"), (tmp_path / "noise.pem", "expected certificates")):
        http = AiohttpHttp(ca_file=file)
        with pytest.raises(Unreachable, match=why):
            await http.request("GET", "https://127.0.0.1:1/", timeout_seconds=5)


class Sockets:
    """A server of WebSockets that does what it is told to: its last handler decides."""

    def __init__(self) -> None:
        self.url = ""
        self.authorization = ""
        self.pongs = 0
        self.does: Callable[[web.WebSocketResponse], Awaitable[object]] = asyncio.sleep  # type: ignore[assignment]

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        self.authorization = request.headers.get("authorization", "")
        if request.path == "/no":
            return web.Response(status=401, headers={"retry-after": "9"})
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        await self.does(socket)
        return socket


@pytest.fixture
async def sockets() -> AsyncIterator[Sockets]:
    sockets = Sockets()
    runner = web.ServerRunner(web.Server(sockets), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sockets.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield sockets
    await runner.cleanup()


async def test_a_websocket_listens_answers_pings_and_hears_the_end(sockets: Sockets, http: AiohttpHttp) -> None:
    async def speak(socket: web.WebSocketResponse) -> None:
        for _ in range(3):
            await socket.ping()
            sockets.pongs += (await socket.receive()).type is WSMsgType.PONG
        await socket.send_str("hello")
        await socket.send_bytes(b"ignored")
        await socket.close(code=4401)

    sockets.does = speak
    socket = await http.websocket(sockets.url, headers={"Authorization": "Bearer k"}, timeout_seconds=5)
    assert await socket.receive(silence_seconds=5) == "hello"
    with pytest.raises(Closed) as caught:
        await socket.receive(silence_seconds=5)
    await socket.close()
    assert (caught.value.code, sockets.pongs, sockets.authorization) == (4401, 3, "Bearer k")


async def test_a_websocket_that_is_silent_cut_or_too_long_is_given_up(sockets: Sockets, http: AiohttpHttp) -> None:
    async def hold(socket: web.WebSocketResponse) -> None:
        await socket.receive()

    async def shout(socket: web.WebSocketResponse) -> None:
        await socket.send_str("x" * (FRAME_BYTES + 1))
        await socket.receive()

    sockets.does = hold
    silent = await http.websocket(sockets.url, timeout_seconds=5)
    with pytest.raises(Unreachable, match=r"nothing was heard for 0\.1 s"):
        await silent.receive(silence_seconds=0.1)
    await silent.close()
    sockets.does = shout
    long = await http.websocket(sockets.url, timeout_seconds=5)
    with pytest.raises(Unreachable):
        await long.receive(silence_seconds=5)
    await long.close()


async def test_a_websocket_that_is_refused_says_with_what(
    sockets: Sockets, server: RawServer, http: AiohttpHttp
) -> None:
    with pytest.raises(NotOpened) as caught:
        await http.websocket(f"{sockets.url}/no", timeout_seconds=5)
    assert (caught.value.status, caught.value.headers["retry-after"]) == (401, "9")
    with pytest.raises(NotOpened, match="200"):
        await http.websocket(server.url, timeout_seconds=5)
    server.hang = True
    with pytest.raises(Unreachable, match="no answer"):
        await http.websocket(server.url, timeout_seconds=0.1)
