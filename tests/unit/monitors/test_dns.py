"""The dns monitor on answers of paper: lawful ones, and any bytes at all."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from twinwatch.monitors import Check, Finding, Moment
from twinwatch.monitors.dns import Dns
from twinwatch.monitors.options import options_of
from twinwatch.testing.paper import paper_world
from twinwatch.testing.paper_net import PaperNet

ANSWER = "id 1\nopcode QUERY\nrcode {rcode}\nflags QR RD RA\n;QUESTION\nh.example. IN {type}\n;ANSWER\n{records}\n"


def look_up(text: str, **options: Any) -> list[Finding]:
    query = {"name": "h.example", "server": "192.0.2.53", "label": "h", **options}
    monitor = Dns(options_of(Dns, {"queries": [query]}))
    net = PaperNet({f"dns h.example {query.get('type', 'A')}": text})
    return asyncio.run(monitor.read(paper_world(net=net), Moment(0, 0.0)))


def check(found: list[Finding]) -> Check:
    (one,) = [one for one in found if isinstance(one, Check)]
    return one


@pytest.mark.parametrize(
    ("kind", "record", "expected"),
    [
        ("A", "192.0.2.1", "192.0.2.1"),
        ("AAAA", "2001:db8::1", "2001:DB8::1"),
        ("MX", "10 Mail.h.example.", "10 mail.h.example"),
        ("CNAME", "other.example.", "other.example."),
        ("TXT", '"v=spf1 -all"', "v=spf1 -all"),
        ("NS", "ns1.h.example.", "ns1.h.example"),
        ("CAA", '0 issue "ca.example"', '0 issue "ca.example"'),
    ],
)
def test_records_are_compared_as_people_write_them(kind: str, record: str, expected: str) -> None:
    text = ANSWER.format(rcode="NOERROR", type=kind, records=f"h.example. 300 IN {kind} {record}")
    assert check(look_up(text, type=kind, expected=[expected], exact=True)) == Check("h", "up")


def test_a_name_that_shall_not_exist_is_up_while_it_does_not() -> None:
    text = ANSWER.format(rcode="NXDOMAIN", type="A", records="")
    assert check(look_up(text, rcode="NXDOMAIN")).state == "up"
    assert check(look_up(text)).message == "expected NOERROR, seen NXDOMAIN"


@given(st.binary(max_size=200))
@example(b"\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00\x01h\x07example\x00\x00\x01\x00\x01\xc0\x0c\x00\x01\x00\x01")
@example(b"\x81\x80" + b"\xff" * 8 + b"\xc0\x0c" * 40)
def test_any_bytes_are_judged(noise: bytes) -> None:
    found = check(look_up(noise.decode("utf-8", "surrogateescape")))
    assert found.state == "down"
    assert found.message.isprintable()


@pytest.mark.parametrize("wrong", [{"name": "a b"}, {"name": ""}, {"type": "ANY"}, {"rcode": "WHAT"}, {"port": 0}])
def test_unlawful_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError, match=r"queries\[0\]"):
        options_of(Dns, {"queries": [{"name": "h.example", **wrong}]})


def test_a_name_that_no_dns_can_hold_is_told() -> None:
    assert check(look_up("", name="a" * 80 + ".example")).reason == "name-unlawful"
