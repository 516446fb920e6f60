from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinwatch.testing.paper_net import PaperNet
from twinwatch.world.guard import METADATA, Guard, Kind, NotAllowed, is_own, is_public, kind_of
from twinwatch.world.net.guarded import GuardedNet
from twinwatch.world.net.naming import Names
from twinwatch.world.net.steps import NetFailed

SOMEWHERE = "9.9.9.9"


class Asked:
    """A resolver whose answer changes with each question."""

    def __init__(self, *answers: tuple[str, ...]) -> None:
        self.answers = list(answers)
        self.questions = 0

    def __call__(self, host: str, *_: object) -> list[object]:
        self.questions += 1
        addresses = self.answers[min(self.questions, len(self.answers)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in addresses]


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("9.9.9.9", "public"),
        ("172.15.255.255", "public"),
        ("172.32.0.1", "public"),
        ("100.63.255.255", "public"),
        ("100.128.0.0", "public"),
        ("223.255.255.255", "public"),
        ("2606:4700:4700::1111", "public"),
        ("2a00:1450::1", "public"),
        ("0.0.0.0", "unspecified"),
        ("0.1.2.3", "unspecified"),
        ("10.0.0.1", "private"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.168.1.1", "private"),
        ("100.64.0.1", "private"),
        ("198.18.0.1", "private"),
        ("203.0.113.9", "private"),
        ("127.0.0.1", "loopback"),
        ("127.255.255.254", "loopback"),
        ("169.254.1.1", "link-local"),
        ("192.0.0.8", "reserved"),
        ("192.88.99.1", "reserved"),
        ("224.0.0.1", "multicast"),
        ("239.255.255.255", "multicast"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "reserved"),
        ("169.254.169.254", "metadata"),
        ("169.254.170.2", "metadata"),
        ("168.63.129.16", "metadata"),
        ("100.100.100.200", "metadata"),
        ("192.0.0.192", "metadata"),
        ("fd00:ec2::254", "metadata"),
        ("fd20:ce::254", "metadata"),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("fe80::1", "link-local"),
        ("fc00::1", "private"),
        ("fd12::1", "private"),
        ("fec0::1", "private"),
        ("2001:db8::1", "private"),
        ("3fff::1", "private"),
        ("ff02::1", "multicast"),
        ("2001::1", "reserved"),
        ("2001:2::1", "reserved"),
        ("64:ff9b:1::1", "reserved"),
        ("::ffff:0:7f00:1", "reserved"),
        ("::7f00:1", "reserved"),
        ("4000::1", "reserved"),
        ("100::1", "reserved"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:10.0.0.1", "private"),
        ("::ffff:a9fe:a9fe", "metadata"),
        ("::ffff:9.9.9.9", "public"),
        ("64:ff9b::10.0.0.1", "private"),
        ("64:ff9b::a9fe:a9fe", "metadata"),
        ("64:ff9b::9.9.9.9", "public"),
        ("2002:7f00:1::1", "loopback"),
        ("2002:a9fe:a9fe::", "metadata"),
        ("2002:909:909::1", "public"),
        ("fe80::1%eth0", "none"),
        ("2606:4700::1%1", "none"),
        ("localhost", "none"),
        ("127.1", "none"),
        ("2130706433", "none"),
        ("0x7f.0.0.1", "none"),
        ("0177.0.0.1", "none"),
        ("", "none"),
    ],
)
def test_each_kind_of_address_is_known(address: str, kind: Kind) -> None:
    assert kind_of(address) == kind
    assert is_public(address) == (kind == "public")


@given(st.ip_addresses(v=4))
def test_an_address_is_judged_alike_in_whatever_it_is_wrapped(address: IPv4Address) -> None:
    number, kind = int(address), kind_of(str(address))
    for wrapped in (0xFFFF << 32 | number, 0x64FF9B << 96 | number, 0x2002 << 112 | number << 80 | 1):
        assert kind_of(str(IPv6Address(wrapped))) == kind


@given(st.ip_addresses())
def test_nothing_is_public_that_is_not_global(address: IPv4Address | IPv6Address) -> None:
    """The standard library has its own tables, which this is to be no laxer than."""
    wrapped = isinstance(address, IPv6Address) and (address.ipv4_mapped or address.sixtofour)
    if is_public(str(address)) and not wrapped:
        assert address.is_global
        assert not address.is_multicast


@given(st.one_of(st.text(), st.ip_addresses().map(str)))
def test_whatever_is_allowed_metadata_is_not(text: str) -> None:
    guard = Guard(private=True, is_own=lambda _: True)
    assert guard.refusal(text) or ip_address(text) not in METADATA


def test_private_networks_are_refused_unless_the_operator_allows_them() -> None:
    strict, lenient = Guard(is_own=lambda _: False), Guard(private=True)
    for address in ("10.1.2.3", "127.0.0.1", "fe80::1", "fd12::1", "100.64.0.9"):
        assert strict.refusal(address)
        assert not lenient.refusal(address)
    for address in ("169.254.169.254", "::ffff:169.254.169.254", "224.0.0.1", "0.0.0.0", "::", "localhost", "127.1"):
        assert strict.refusal(address)
        assert lenient.refusal(address)
    assert not strict.refusal(SOMEWHERE)
    with pytest.raises(NotAllowed, match=r"^10\.1\.2\.3 is a private address: .* unless its operator allows it$"):
        strict.check("10.1.2.3")
    with pytest.raises(NotAllowed, match=r"the metadata service of a cloud: the hub does not connect to it$"):
        lenient.check("169.254.169.254")


def test_addresses_of_ours_are_refused_though_they_are_public() -> None:
    assert Guard(own=["9.9.9.9"]).refusal("9.9.9.9") == "an address of ours"
    assert Guard(is_own=lambda address: address == "9.9.9.10").refusal("9.9.9.10") == "an address of ours"
    assert is_own("127.0.0.1")
    assert not is_own("192.0.2.1")
    assert not is_own("2001:db8::1")


async def test_a_name_leads_to_judged_addresses_only() -> None:
    guard = Guard(names=Names(Asked(("10.0.0.5", SOMEWHERE, "127.0.0.1"))))
    assert await guard.resolve("mixed.example", timeout_seconds=5) == (SOMEWHERE,)
    inner = Guard(names=Names(Asked(("10.0.0.5",))))
    with pytest.raises(NotAllowed, match=r"^db\.example has the address 10\.0\.0\.5, which is a private address"):
        await inner.resolve("db.example", timeout_seconds=5)
    with pytest.raises(NotAllowed, match=r"^127\.0\.0\.1 is this machine itself"):
        await inner.resolve("127.0.0.1", timeout_seconds=5)


async def test_a_name_is_looked_up_once() -> None:
    """What it would answer the second time is nobody's business."""
    asked = Asked((SOMEWHERE,), ("127.0.0.1",))
    guard = Guard(names=Names(asked))
    assert await guard.resolve("rebinding.example", timeout_seconds=5) == (SOMEWHERE,)
    assert asked.questions == 1


async def test_the_network_door_behind_a_guard_opens_to_judged_addresses_only() -> None:
    sources = {
        "name shop.example": f"10.0.0.5\n{SOMEWHERE}\n",
        "name db.example": "10.0.0.5",
        "tcp shop.example:80": "",
        "tcp db.example:80": "",
        "ping db.example": "0.001",
    }
    net = GuardedNet(PaperNet(sources), Guard(is_own=lambda _: False))
    assert await net.resolve("shop.example", timeout_seconds=1) == (SOMEWHERE,)
    (await net.connect(SOMEWHERE, 80, timeout_seconds=1)).close()
    with pytest.raises(NetFailed, match="a private address") as refused:
        await net.resolve("db.example", timeout_seconds=1)
    assert (refused.value.reason, refused.value.ours) == ("not-permitted", True)
    for reaching in (
        net.connect("10.0.0.5", 80, timeout_seconds=1),
        net.query("10.0.0.5", 53, b"x", timeout_seconds=1),
        net.ping("10.0.0.5", 1, timeout_seconds=1),
    ):
        with pytest.raises(NetFailed, match="a private address") as refused:
            await reaching
        assert refused.value.reason == "not-permitted"
