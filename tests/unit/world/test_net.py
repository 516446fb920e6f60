"""The network door's own readers of foreign bytes, and how it tells its fault from others'."""

from __future__ import annotations

import errno
import socket
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from twinwatch.world.net.certificate import certificate_of
from twinwatch.world.net.echo import is_answer, packet
from twinwatch.world.net.stream import translated

UNTIL = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)


def made(until: datetime = UNTIL) -> bytes:
    """A certificate."""
    pytest.importorskip("cryptography")
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519
    from cryptography.x509.oid import NameOID

    key = ed25519.Ed25519PrivateKey.generate()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "shop.example")])
    issuer = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Ünter Authority")])
    names: list[Any] = [x509.DNSName("shop.example"), x509.DNSName("*.shop.example")]
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(7).not_valid_before(until - timedelta(days=90)).not_valid_after(until)
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    encoded: bytes = builder.sign(key, None).public_bytes(serialization.Encoding.DER)
    return encoded


@pytest.mark.parametrize("until", [UNTIL, UNTIL.replace(year=2049), UNTIL.replace(year=2150)])
def test_a_certificate_says_whose_it_is_and_until_when(until: datetime) -> None:
    facts = certificate_of(made(until))
    assert facts.subject == "shop.example"
    assert facts.issuer == "Ünter Authority"
    assert facts.names == ("shop.example", "*.shop.example")
    assert facts.not_after == int(until.timestamp() * 1000)


@given(data=st.data())
def test_a_damaged_certificate_is_read_or_refused(data: st.DataObject) -> None:
    content = bytearray(made())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    _read_or_refused(bytes(content[: data.draw(st.integers(0, len(content)))]))


@given(st.binary(max_size=300))
@example(b"")
@example(b"\x30")
@example(b"\x30\x84\xff\xff\xff\xff")
@example(b"\x30\x80" * 100)
def test_noise_is_no_certificate(content: bytes) -> None:
    _read_or_refused(content)


def _read_or_refused(content: bytes) -> None:
    try:
        facts = certificate_of(content)
    except ValueError:
        return
    assert all(text.isprintable() for text in (facts.subject, facts.issuer, *facts.names))


@given(st.binary(max_size=100), st.sampled_from([socket.AF_INET, socket.AF_INET6]), st.booleans())
def test_a_packet_of_noise_is_no_answer(content: bytes, family: int, raw: bool) -> None:
    assert not is_answer(content, family, 7, b"mark" * 10, raw=raw)


def test_an_echo_request_is_not_its_own_answer_but_its_reply_is() -> None:
    mark = b"abcd" * 10
    request = packet(socket.AF_INET, 99, 7, mark)
    words = [int.from_bytes(request[place : place + 2], "big") for place in range(0, len(request), 2)]
    assert sum(words) % 0xFFFF == 0, "the checksum makes the sum of all words nothing (RFC 1071)"
    assert not is_answer(request, socket.AF_INET, 7, mark, raw=False)
    reply = b"\x00" + request[1:]
    assert is_answer(reply, socket.AF_INET, 7, mark, raw=False)
    assert is_answer(b"\x45" + bytes(19) + reply, socket.AF_INET, 7, mark, raw=True)
    assert not is_answer(reply, socket.AF_INET, 8, mark, raw=False)
    assert not is_answer(reply, socket.AF_INET, 7, b"other" * 8, raw=False)


@pytest.mark.parametrize(
    ("number", "reason", "ours"),
    [
        (errno.ENETUNREACH, "no-route", True),
        (errno.EMFILE, "our-socket-failed", True),
        (errno.EACCES, "not-permitted", True),
        (errno.EHOSTUNREACH, "host-unreachable", False),
        (errno.ECONNREFUSED, "connection-refused", False),
        (errno.ECONNRESET, "connection-reset", False),
    ],
)
def test_a_fault_of_ours_is_told_from_theirs(number: int, reason: str, ours: bool) -> None:
    failed = translated("connect", "192.0.2.1:80", OSError(number, "told"))
    assert (failed.reason, failed.ours) == (reason, ours)
    assert str(failed).startswith("192.0.2.1:80: ")
