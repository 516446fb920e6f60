"""The HTTP monitor against real servers: good ones, slow ones, broken ones and hostile ones."""

from __future__ import annotations

import asyncio
import gc
import gzip
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from twinwatch.monitors import Check, Finding
from twinwatch.monitors.http import Http
from twinwatch.monitors.options import options_of
from twinwatch.world.net import HostNet
from twinwatch.world.net.naming import Names

from .pages import Asked, Authority, again, check, descriptors, net_world, page, run, serving, values

DAY = 86_400.0
QUIET = 0.3
"""Seconds that a server may be silent in these tests."""


async def ask(url: str, **options: Any) -> list[Finding]:
    return await run(Http, {"endpoints": [{"url": url, "name": "page", "timeout": "5s", **options}]})


async def test_a_page_is_up_and_its_phases_add_up() -> None:
    async with serving(page(b'{"status": "ok"}', headers=("Content-Type: application/json",))) as port:
        found = await ask(f"http://localhost:{port}/health", family="ipv4", json=['$.status == "ok"'])
    assert check(found) == Check("page", "up")
    phases = values(found, "http.check.phase.duration", "http.phase")
    assert set(phases) == {"resolve", "connect", "processing", "transfer"}
    (total,) = values(found, "http.check.duration").values()
    assert total == pytest.approx(sum(phases.values()), abs=1e-5)
    assert values(found, "http.check.status_code") == {"": 200}
    assert values(found, "http.check.body.size") == {"": 16}


async def test_the_example_of_the_specification_works_as_it_stands() -> None:
    async with serving(page()) as port:
        options = {
            "endpoints": [{"url": f"http://127.0.0.1:{port}/health", "expected_status": 200, "check_interval": "30s"}]
        }
        found = await run(Http, options)
        (part,) = Http.split(options_of(Http, options))
    assert check(found) == Check(f"http://127.0.0.1:{port}/health", "up")
    assert part.interval_seconds == 30


async def test_a_phase_is_as_long_as_its_server_takes() -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(QUIET)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
        await writer.drain()
        await asyncio.sleep(QUIET)
        writer.write(b"cd")

    async with serving(slow) as port:
        found = await ask(f"http://127.0.0.1:{port}/", slow="100ms")
    phases = values(found, "http.check.phase.duration", "http.phase")
    assert phases["processing"] >= QUIET * 0.9
    assert phases["transfer"] >= QUIET * 0.9
    assert phases["connect"] < QUIET
    assert (check(found).state, check(found).reason) == ("degraded", "slow")


@pytest.mark.parametrize(
    ("answer", "options", "reason", "said"),
    [
        (page(status="503 Busy"), {"expected_status": "2xx"}, "wrong-status", "expected status 2xx, seen 503"),
        (page(b"hello"), {"keyword": "Welcome"}, "keyword-missing", "expected the text 'Welcome', not seen in 5 bytes"),
        (page(b"a stack trace"), {"keyword_absent": "trace"}, "keyword-present", "expected no text 'trace'"),
        (page(b"v1.2"), {"regex": r"v2\.\d"}, "regex-mismatch", "expected a match of"),
        (page(b'{"a": [1]}'), {"json": ["$.a length > 1"]}, "json-mismatch", "expected $.a length > 1; seen 1"),
        (page(b"<html>"), {"json": ["$.a exists"]}, "json-mismatch", "expected JSON"),
        (page(headers=("X-Age: 90",)), {"header_conditions": ["x-age < 60"]}, "header-mismatch", "x-age < 60; seen"),
        (page(b"x" * 5000), {"keyword": "y", "max_body": 1024}, "body-too-large", "at most 1024 bytes"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", {}, "bad-answer", "no lawful HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", {}, "bad-answer", "no lawful HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000, {}, "bad-answer", "no lawful HTTP"),
        (b"", {}, "bad-answer", ""),
        (page(b"no gzip", headers=("Content-Encoding: gzip",)), {}, "bad-answer", "decompressed"),
        (page(gzip.compress(b"x" * 9000)[:-9], headers=("Content-Encoding: gzip",)), {}, "bad-answer", "ends before"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_told(answer: bytes, options: dict[str, Any], reason: str, said: str) -> None:
    async with serving(answer) as port:
        found = check(await ask(f"http://127.0.0.1:{port}/", **options))
    assert (found.state, found.reason) == ("down", reason)
    assert said in found.message


async def test_bodies_in_pieces_and_compressed_ones_are_read() -> None:
    packed = gzip.compress(b"Welcome, everybody")
    pieces = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nWelcome\r\n3\r\n, y\r\n0\r\n\r\n"
    without_length = b"HTTP/1.0 200 OK\r\n\r\nWelcome"
    for answer in (page(packed, headers=("Content-Encoding: gzip",)), pieces, without_length):
        async with serving(answer) as port:
            assert check(await ask(f"http://127.0.0.1:{port}/", keyword="Welcome")).state == "up"


async def test_a_bomb_of_compressed_nothing_is_cut() -> None:
    bomb = gzip.compress(bytes(50 << 20))
    async with serving(page(bomb, headers=("Content-Encoding: gzip",))) as port:
        found = check(await ask(f"http://127.0.0.1:{port}/", keyword="x"))
    assert found.reason == "body-too-large"


async def test_a_huge_body_is_not_read_to_its_end() -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n")
        while True:
            writer.write(bytes(65536))
            await writer.drain()

    async with serving(endless) as port:
        found = await ask(f"http://127.0.0.1:{port}/")
    assert check(found).state == "up"
    assert values(found, "http.check.body.size")[""] <= 1 << 20


async def test_a_body_that_drips_ends_at_the_deadline() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with serving(drip) as port:
        found = check(await ask(f"http://127.0.0.1:{port}/", timeout="300ms"))
    assert (found.state, found.reason) == ("down", "timeout")
    assert "within 0.3 s" in found.message


async def test_a_server_that_says_nothing_ends_at_the_deadline() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(silent) as port:
        for url in (f"http://127.0.0.1:{port}/", f"https://127.0.0.1:{port}/"):
            found = check(await ask(url, timeout="200ms"))
            assert (found.state, found.reason) == ("down", "timeout")


async def test_a_reset_within_the_answer_is_told() -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
        await writer.drain()
        connection = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async with serving(reset) as port:
        found = check(await ask(f"http://127.0.0.1:{port}/"))
    assert (found.state, found.reason) == ("down", "connection-reset")


async def test_nobody_there_and_no_such_name_are_told_apart() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        refused = check(await ask(f"http://127.0.0.1:{taken.getsockname()[1]}/"))
    assert (refused.state, refused.reason) == ("down", "connection-refused")
    for error, state, reason in (
        (socket.EAI_NONAME, "down", "dns-error"),
        (socket.EAI_AGAIN, "unknown", "our-dns-failed"),
    ):
        found = check(await run(Http, PAGE, net_world(HostNet(Names(_failing(error))))))
        assert (found.state, found.reason) == (state, reason)


PAGE = {"endpoints": [{"url": "http://shop.example/", "name": "page"}]}


def _failing(error: int) -> Callable[..., list[Any]]:
    def resolve(*_: object) -> list[Any]:
        raise socket.gaierror(error, "told by the test")

    return resolve


async def test_the_next_address_is_tried_and_ipv6_is_spoken() -> None:
    async with serving(page(), host="::1") as port:
        assert check(await ask(f"http://[::1]:{port}/")).state == "up"

        def two(*_: object) -> list[Any]:
            return [(0, 0, 0, "", ("127.0.0.1", 0)), (0, 0, 0, "", ("::1", 0, 0, 0))]

        options = {"endpoints": [{"url": f"http://two.example:{port}/", "name": "page"}]}
        assert check(await run(Http, options, net_world(HostNet(Names(two))))).state == "up"


async def test_redirects_are_followed_with_what_was_meant_for_that_host_only() -> None:
    mine, other = Asked(), Asked()
    async with serving(page(b"there"), asked=other) as away:

        def lead(path: str) -> bytes:
            places = {"/": "/second", "/second": f"http://127.0.0.1:{away}/third?x=geheim"}
            return page(status="302 Found", headers=(f"Location: {places[path]}",))

        async with serving(lead, asked=mine) as port:
            found = await ask(
                f"http://127.0.0.1:{port}/", bearer_token="tkn-geheim", headers={"X-Key": "key-geheim"}, method="POST",
                body="secret", keyword="there",
            )  # fmt: skip
    assert check(found).state == "up"
    assert [head.split(" ")[0] for head in mine.requests] == ["POST", "GET"]
    assert all("tkn-geheim" in head and "key-geheim" in head for head in mine.requests)
    assert len(other.requests) == 1
    assert "geheim" not in other.requests[0].replace("x=geheim", "")
    assert "secret" not in other.requests[0]


async def test_redirects_end() -> None:
    async with serving(page(status="301 Moved", headers=("Location: /",))) as port:
        url = f"http://127.0.0.1:{port}/"
        loop = check(await ask(url, max_redirects=3))
        assert (loop.state, loop.reason) == ("down", "too-many-redirects")
        assert check(await ask(url, expected_status=[301, 308])).state == "up"
        assert check(await ask(url, follow_redirects=False)).reason == "wrong-status"
    async with serving(page(status="302 Found", headers=("Location: file:///etc/passwd",))) as port:
        assert check(await ask(f"http://127.0.0.1:{port}/")).reason == "bad-redirect"


async def test_basic_authentication_and_a_host_of_ones_own() -> None:
    asked = Asked()
    async with serving(page(), asked=asked) as port:
        options = {"username": "probe", "password": "wört", "headers": {"Host": "shop.example", "User-Agent": "me"}}
        assert check(await ask(f"http://127.0.0.1:{port}/a b".replace(" ", "%20") + "?q=ä", **options)).state == "up"
    (head,) = asked.requests
    assert head.startswith("GET /a%20b?q=%C3%A4 HTTP/1.1\r\n")
    assert "authorization: Basic cHJvYmU6d8O2cnQ=" in head
    assert "host: shop.example" in head
    assert "user-agent: me" in head


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


async def test_tls_is_verified_and_its_end_foreseen(authority: Authority) -> None:
    async with serving(page(), tls=authority.context()) as port:
        found = await ask(f"https://localhost:{port}/", family="ipv4", ca_file=str(authority.file))
    assert check(found).state == "up"
    assert "tls" in values(found, "http.check.phase.duration", "http.phase")
    assert values(found, "tls.certificate.expires_in")[""] == pytest.approx(90 * DAY, abs=DAY)


@pytest.mark.parametrize(
    ("made", "options", "state", "reason", "said"),
    [
        ({"days": 5}, {}, "degraded", "tls-expires-soon", "the certificate of localhost expires in 5 days"),
        ({"days": 5}, {"certificate_warning": "3d"}, "up", "", ""),
        ({"days": -3}, {}, "down", "tls-expired", "the certificate of localhost expired 3 days ago"),
        ({"days": -3}, {"verify": False}, "degraded", "tls-expired", "expired 3 days ago"),
        ({"name": "other.example"}, {}, "down", "tls-invalid", "not valid for 'localhost'"),
        ({"name": "other.example"}, {"verify": False}, "up", "", ""),
        ({"self_signed": True}, {}, "down", "tls-invalid", "self-signed certificate"),
        ({"began": 3}, {}, "down", "tls-invalid", "not yet valid"),
    ],
)
async def test_certificates_of_every_kind(
    authority: Authority, made: dict[str, Any], options: dict[str, Any], state: str, reason: str, said: str
) -> None:
    async with serving(page(), tls=authority.context(**made)) as port:
        url = f"https://localhost:{port}/"
        found = await ask(url, family="ipv4", ca_file=str(authority.file), **options)
    assert (check(found).state, check(found).reason) == (state, reason)
    assert said in check(found).message
    assert values(found, "tls.certificate.expires_in"), "the date is known whether it is valid or not"


async def test_a_server_that_asks_for_a_certificate_gets_it(authority: Authority) -> None:
    certificate, key = authority.files("agent")
    async with serving(page(), tls=authority.context(asks=True)) as port:
        url = f"https://localhost:{port}/"
        options = {"family": "ipv4", "ca_file": str(authority.file)}
        found = await ask(url, **options, certificate_file=str(certificate), key_file=str(key))
        assert check(found).state == "up"
        assert check(await ask(url, **options)).state == "down"
        missing = check(await ask(url, **options, certificate_file="/nowhere.pem"))
        assert (missing.state, missing.reason) == ("unknown", "tls-settings")


async def test_noise_in_place_of_tls_and_plain_http_are_told(authority: Authority) -> None:
    for answer in (b"\x15\x03\x01\x00\x02\x02\x28", bytes(range(256)) * 50, page(), b""):

        async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: bytes = answer) -> None:
            await reader.read(1)
            writer.write(answer)

        async with serving(say) as port:
            found = check(await ask(f"https://127.0.0.1:{port}/"))
        assert found.state == "down"
        assert found.reason in ("tls-failed", "connection-reset")


async def test_failures_are_counted_before_it_is_down_and_successes_before_it_is_up() -> None:
    answers = iter([200, 500, 500, 500, 200, 500, 200, 200])
    options = {"failures_before_down": 3, "successes_before_up": 2}
    async with serving(lambda _: page(status=f"{next(answers)} So")) as port:
        endpoint = {"url": f"http://127.0.0.1:{port}/", "name": "page", **options}
        monitor = Http(options_of(Http, {"endpoints": [endpoint]}))
        states = [check(await again(monitor)).state for _ in range(8)]
    assert states == ["up", "degraded", "degraded", "down", "down", "down", "down", "up"]


async def test_nothing_stays_open(authority: Authority) -> None:
    """Two hundred runs, every way they can end, leave no descriptor and no task."""

    async def noisy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"noise")

    refused = "http://127.0.0.1:1/"
    async with (
        serving(page()) as good,
        serving(page(), tls=authority.context(days=-1)) as expired,
        serving(noisy) as noise,
        serving(page(status="302 So", headers=("Location: /",))) as loop,
    ):
        urls = [f"http://127.0.0.1:{port}/" for port in (good, noise, loop)]
        urls += [refused, f"https://127.0.0.1:{expired}/", f"https://127.0.0.1:{noise}/"]
        endpoints = [{"url": url, "name": str(number), "timeout": "2s"} for number, url in enumerate(urls)]
        world, monitor = net_world(), Http(options_of(Http, {"endpoints": endpoints}))
        await again(monitor, world)
        gc.collect()
        await _settled()
        before = descriptors()
        for _ in range(200 // len(urls) + 1):
            await again(monitor, world)
        await _settled()
        assert descriptors() <= before + 2, "of the servers' own, the last of which may not have closed yet"


async def test_a_run_that_is_cut_off_closes_what_it_opened() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(silent) as port:
        before = descriptors()
        for _ in range(20):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await ask(f"http://127.0.0.1:{port}/")
        await _settled()
        assert descriptors() <= before


async def _settled() -> None:
    """Waits until the servers have noticed that their clients have gone."""
    last = -1
    for _ in range(200):
        await asyncio.sleep(0.01)
        if descriptors() == last:
            return
        last = descriptors()


def test_a_page_is_known_by_no_secret(tmp_path: Path) -> None:
    """What names the parts and checks is shown to everybody."""
    options = options_of(Http, {"endpoints": [{"url": "https://shop.example/x?token=geheim&page=2"}]})
    (part,) = Http.split(options)
    assert part.name == "https://shop.example/x?token=***&page=***"
