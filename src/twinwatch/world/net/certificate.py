"""Reads the few facts of an X.509 certificate that people ask for. It judges nothing: OpenSSL does.

The standard library tells them of a verified certificate only, and it is the others whose dates one wants to know.
Source: RFC 5280 section 4.1; X.690 (DER).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import NamedTuple

SEQUENCE, OID, OCTETS, UTC_TIME, GENERALIZED_TIME = 0x30, 0x06, 0x04, 0x17, 0x18
VERSION, EXTENSIONS, DNS_NAME, IP_ADDRESS = 0xA0, 0xA3, 0x82, 0x87
COMMON_NAME, ORGANIZATION = b"\x55\x04\x03", b"\x55\x04\x0a"
SUBJECT_ALT_NAME = b"\x55\x1d\x11"
NAMES = 100
CHARACTERS = 200


class Certificate(NamedTuple):
    """The facts. ``not_after`` is ms UTC."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    not_after: int


def certificate_of(der: bytes) -> Certificate:
    """What these bytes say.

    Raises: ValueError if they are no certificate.
    """
    try:
        (_, outer), *_ = _items(der)
        (_, signed), *_ = _items(outer)
        fields = list(_items(signed))
        if fields and fields[0][0] == VERSION:
            del fields[0]
        _, _, (_, issuer), (_, validity), (_, subject), *rest = fields
        _, (kind, until) = list(_items(validity))[:2]
        extensions = next((content for tag, content in rest if tag == EXTENSIONS), b"")
        return Certificate(_name(subject), _name(issuer), tuple(_alt_names(extensions)), _time(kind, until))
    except (IndexError, OverflowError, UnicodeError) as err:
        raise ValueError("no certificate") from err


def _items(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each DER value, one after another."""
    place = 0
    while place < len(content):
        tag, length = content[place], content[place + 1]
        place += 2
        if length & 0x80:
            size = length & 0x7F
            if not 0 < size <= 4:
                raise ValueError("no DER length")
            length = int.from_bytes(content[place : place + size], "big")
            place += size
        if place + length > len(content):
            raise ValueError("cut off")
        yield tag, content[place : place + length]
        place += length


def _name(content: bytes) -> str:
    """The common name, else the organization."""
    found: dict[bytes, str] = {}
    for _, part in _items(content):
        for _, pair in _items(part):
            (tag, kind), (_, value), *_ = _items(pair)
            if tag == OID:
                found.setdefault(kind, _text(value))
    return found.get(COMMON_NAME) or found.get(ORGANIZATION, "")


def _alt_names(extensions: bytes) -> Iterator[str]:
    for _, sequence in _items(extensions):
        for _, extension in _items(sequence):
            (_, kind), *values = _items(extension)
            if kind == SUBJECT_ALT_NAME and values and values[-1][0] == OCTETS:
                (_, names), *_ = _items(values[-1][1])
                for tag, value in list(_items(names))[:NAMES]:
                    if tag == DNS_NAME:
                        yield _text(value)
                    elif tag == IP_ADDRESS:
                        with suppress(ValueError):
                            yield str(ipaddress.ip_address(value))


def _text(value: bytes) -> str:
    text = value.decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:CHARACTERS]


def _time(kind: int, value: bytes) -> int:
    text = value.decode("ascii")
    if kind == UTC_TIME:  # a year of two digits; 50 and above are of the last century
        text = ("19" if text[:2] >= "50" else "20") + text
    elif kind != GENERALIZED_TIME:
        raise ValueError("no time")
    return int(datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp() * 1000)
