"""The tcp, ping and dns monitors, and the door to the network, against real sockets."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from twinwatch.monitors import Check, Finding, Unreadable
from twinwatch.monitors.dns import Dns
from twinwatch.monitors.ping import Ping
from twinwatch.monitors.tcp import Tcp
from twinwatch.testing.paper import PaperHost, paper_world
from twinwatch.world.clock import SystemClock
from twinwatch.world.net import HostNet, NetFailed
from twinwatch.world.net.naming import THREADS, Names

from .pages import Authority, check, descriptors, run, serving, values

Answer = Callable[[bytes], bytes | None]


async def connect(port: int, **options: Any) -> Check:
    target = {"host": "127.0.0.1", "port": port, "name": "port", "timeout": "2s", **options}
    return check(await run(Tcp, {"targets": [target]}))


async def test_a_port_that_answers_is_up() -> None:
    async def polite(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        if (await reader.read(6)) == b"EHLO\r\n":
            writer.write(b"250 OK\r\n")
        await reader.read()

    async with serving(polite) as port:
        assert await connect(port) == Check("port", "up")
        assert (await connect(port, expect="ESMTP")).state == "up"
        assert (await connect(port, send="EHLO\r\n", expect="250 OK")).state == "up"
        wrong = await connect(port, expect="SSH-2.0", timeout="200ms")
    assert (wrong.state, wrong.reason) == ("down", "banner-mismatch")
    assert wrong.message == "expected 'SSH-2.0' within 0.2 s, seen '220 mail.example ESMTP  '"


async def test_a_port_that_accepts_and_says_nothing_is_told_from_one_that_refuses() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(silent) as port:
        assert (await connect(port)).state == "up", "nothing was expected of it"
        assert (await connect(port, expect="hello", timeout="100ms")).reason == "timeout"
        assert (await connect(port, tls=True, timeout="100ms")).reason == "timeout"
    assert (await connect(port)).reason == "connection-refused"


async def test_tls_on_any_port(tmp_path: Path) -> None:
    authority = Authority(tmp_path)

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"* OK ready\r\n")
        await reader.read()

    async with serving(greet, tls=authority.context("imap.example", days=10)) as port:
        options = {"tls": True, "ca_file": str(authority.file), "expect": "* OK"}
        soon = await connect(port, **options, server_name="imap.example")
        wrong = await connect(port, **options)
    assert (soon.state, soon.reason) == ("degraded", "tls-expires-soon")
    assert (wrong.state, wrong.reason) == ("down", "tls-invalid")


async def test_a_server_that_never_stops_talking_is_bounded() -> None:
    async def chatter(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(bytes(65536))
            await writer.drain()

    async with serving(chatter) as port:
        assert (await connect(port, expect="x")).reason == "banner-mismatch"


async def ping(world: Any = None, **options: Any) -> list[Finding]:
    host = {"host": "127.0.0.1", "name": "host", "pause": "1ms", **options}
    return await run(Ping, {"hosts": [host]}, world)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
async def test_this_host_answers_a_ping(host: str) -> None:
    try:
        found = await ping(host=host, count=5)
    except Unreadable as err:
        pytest.skip(f"may not ping: {err}")
    if host == "::1" and check(found).state == "unknown":
        pytest.skip("no IPv6 here")
    assert check(found) == Check("host", "up")
    (least,), (mean,), (most,) = (values(found, f"ping.rtt.{name}").values() for name in ("min", "average", "max"))
    assert 0 < least <= mean <= most < 1
    assert values(found, "ping.loss") == {"": 0}


async def test_a_host_that_is_silent_is_down_and_costs_its_timeout_only() -> None:
    try:
        found = await ping(host="192.0.2.1", count=2, timeout="50ms")
    except Unreadable as err:
        pytest.skip(f"may not ping: {err}")
    if check(found).state == "up":
        pytest.skip("something here answers for addresses that nobody has")
    assert check(found).state in ("down", "unknown"), "unknown where there is no route at all"


async def test_many_pings_at_once_get_their_own_answers() -> None:
    net = HostNet()
    try:
        took = await asyncio.gather(*(net.ping("127.0.0.1", 7, timeout_seconds=5) for _ in range(50)))
    except NetFailed as err:
        pytest.skip(f"may not ping: {err}")
    assert all(took)


@asynccontextmanager
async def name_server(answer: Answer) -> AsyncIterator[int]:
    """A name server for datagrams, and for connections on the same port."""

    class Server(asyncio.DatagramProtocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: Any) -> None:
            if (said := answer(data)) is not None:
                self.transport.sendto(b"xx" + said[2:], addr)  # somebody else's answer first
                self.transport.sendto(said, addr)

    async def by_stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = int.from_bytes(await reader.readexactly(2), "big")
        said = whole(await reader.readexactly(length), 40)
        writer.write(len(said).to_bytes(2, "big") + said)

    async with serving(by_stream) as port:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(Server, local_addr=("127.0.0.1", port))
        try:
            yield port
        finally:
            transport.close()


def whole(question: bytes, count: int = 2) -> bytes:
    """A lawful answer with so many addresses."""
    asked = dns.message.from_wire(question)
    answer = dns.message.make_response(asked)
    addresses = [f"192.0.2.{number}" for number in range(1, count + 1)]
    answer.answer.append(dns.rrset.from_text_list(asked.question[0].name, 300, "IN", "A", addresses))
    return answer.to_wire()


def cut_off(question: bytes) -> bytes:
    answer = dns.message.make_response(dns.message.from_wire(question))
    answer.flags |= dns.flags.TC
    return answer.to_wire()


def refusing(question: bytes) -> bytes:
    answer = dns.message.make_response(dns.message.from_wire(question))
    answer.set_rcode(dns.rcode.REFUSED)
    return answer.to_wire()


async def look_up(port: int, **options: Any) -> list[Finding]:
    query = {"name": "shop.example", "server": "127.0.0.1", "port": port, "timeout": "2s", **options}
    return await run(Dns, {"queries": [query]})


async def test_a_name_server_that_answers_is_up() -> None:
    async with name_server(whole) as port:
        found = await look_up(port, expected=["192.0.2.2"])
        assert check(found) == Check("shop.example A at 127.0.0.1", "up")
        assert values(found, "dns.check.answers") == {"": 2}
        assert 0 < values(found, "dns.check.duration")[""] < 2
        assert check(await look_up(port, expected=["192.0.2.9"])).reason == "answer-missing"
        assert check(await look_up(port, expected=["192.0.2.1"], exact=True)).reason == "answer-unexpected"
        assert check(await look_up(port, rcode="NXDOMAIN")).reason == "wrong-rcode"
        assert check(await look_up(port, type="MX")).reason == "no-answer"


async def test_an_answer_that_does_not_fit_is_asked_for_again_over_a_connection() -> None:
    async with name_server(cut_off) as port:
        assert values(await look_up(port), "dns.check.answers") == {"": 40}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (refusing, "wrong-rcode"),
        (lambda _: None, "timeout"),
        (lambda question: question[:2] + b"\xf1" * 40, "bad-answer"),
        (lambda question: question[:2], "bad-answer"),
        (lambda question: question, "bad-answer"),
        (lambda question: question[:2] + whole(question)[2:-3], "bad-answer"),
        (lambda question: whole(question).replace(b"\x04shop", b"\x04evil"), "bad-answer"),
    ],
)
async def test_name_servers_of_every_kind(answer: Answer, reason: str) -> None:
    async with name_server(answer) as port:
        found = check(await look_up(port, timeout="200ms"))
    assert (found.state, found.reason) == ("down", reason)


async def test_this_hosts_own_name_server_is_asked_where_none_is_named() -> None:
    options = {"queries": [{"name": "shop.example", "timeout": "200ms"}]}
    nowhere = paper_world(PaperHost({}), net=HostNet(), clock=SystemClock())
    assert check(await run(Dns, options, nowhere)).reason == "no-server"
    async with name_server(whole) as port:
        files = {"/etc/resolv.conf": "nameserver 127.0.0.1\n"}
        world = paper_world(PaperHost(files), net=HostNet(), clock=SystemClock())
        query = {"name": "shop.example", "port": port}
        assert check(await run(Dns, {"queries": [query]}, world)).state == "up"


async def test_nothing_stays_open() -> None:
    async with name_server(lambda _: None) as port:
        before = descriptors()
        for _ in range(20):
            await look_up(port, timeout="5ms")
        assert descriptors() == before


async def test_names_that_hang_are_asked_once_and_hold_up_nobody() -> None:
    let_go = threading.Event()
    asked: list[str] = []

    def hang(host: str, *_: object) -> list[Any]:
        asked.append(host)
        let_go.wait()
        return [(0, 0, 0, "", ("192.0.2.1", 0))]

    net = HostNet(Names(hang))
    try:
        for _ in range(2):
            for number in range(THREADS + 3):
                with pytest.raises(NetFailed, match="name service") as failed:
                    await net.resolve(f"h{number}.example", timeout_seconds=0.01)
                assert failed.value.ours
        assert len(asked) == THREADS
        assert await net.resolve("192.0.2.7", timeout_seconds=0.01) == ("192.0.2.7",)
    finally:
        let_go.set()
    async with asyncio.timeout(5):
        while True:
            try:
                assert await net.resolve("h0.example", timeout_seconds=1) == ("192.0.2.1",)
                break
            except NetFailed:
                await asyncio.sleep(0.01)
