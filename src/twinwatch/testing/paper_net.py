"""A network made of text.

- ``name HOST``: its addresses, a line each; or ``error REASON words`` (``error our-dns-failed try again``). Without it
  a host that another source names has an address, and any other does not exist.
- ``tcp HOST:PORT``: what the server says once it was spoken to, whatever was said; or ``error REASON words``, which is
  how connecting fails. A server without this source refuses.
- ``tls HOST:PORT``: the facts that TLS comes to, JSON as in ``TlsFacts``, with ``error`` and ``reason`` where the
  certificate is not valid. Without it TLS fails, as it does with a server that speaks none.
- ``dns NAME TYPE``: the answer, in dnspython's text form; text that is none of it is sent as it is.
- ``ping HOST``: seconds of each answer, a word each; anything that is no number did not come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from math import isfinite
from typing import Any

import dns.exception
import dns.message
import dns.rdatatype
import msgspec

from twinwatch.world.net import Family, NetFailed, Step, Stream, TlsFacts, TlsWanted
from twinwatch.world.net.naming import literal

KINDS = ("name ", "tcp ", "tls ", "dns ", "ping ")
FIRST_INSTANT, LAST_INSTANT = -62_135_596_800_000, 253_402_300_799_000
"""Of the years 1 to 9999, ms UTC."""
OURS = ("our-dns-failed", "no-route", "not-permitted", "our-socket-failed")


class PaperNet:
    """Answers from ``sources`` whose names begin with one of ``KINDS``. ``hangs``: nobody ever answers."""

    def __init__(self, sources: Mapping[str, str], *, hangs: bool = False) -> None:
        self.sources = {name: text for name, text in sources.items() if name.startswith(KINDS)}
        self.hangs = hangs
        self.sent: list[tuple[str, bytes]] = []
        """What servers were sent: where, and a piece."""
        self._hosts: dict[str, str] = {}

    async def resolve(self, host: str, *, family: Family = "any", timeout_seconds: float) -> tuple[str, ...]:
        """See ``Net``. A host without a source for its name gets an address of a network kept for documentation."""
        await self._pause()
        if found := literal(host, family):
            return found
        text = self.sources.get(f"name {host}")
        if text is None:
            places = (f"tcp {host}:", f"tls {host}:", f"ping {host}")
            if not any(name.startswith(places) for name in self.sources):
                raise NetFailed("resolve", "dns-error", f"the name {host} does not exist, or has no address")
            address = next((one for one, known in self._hosts.items() if known == host), "")
            addresses: tuple[str, ...] = (address or f"192.0.2.{len(self._hosts) + 1}",)
        else:
            _raise_error("resolve", text)
            addresses = tuple(word for word in text.split() if _is_address(word))
            if not addresses:
                raise NetFailed("resolve", "dns-error", f"the name {host} does not exist, or has no address")
        self._hosts.update(dict.fromkeys(addresses, host))
        return addresses

    async def prepare(self, wanted: TlsWanted) -> None:
        """See ``Net``. Paper needs nothing."""

    async def connect(self, address: str, port: int, *, timeout_seconds: float) -> Stream:
        """See ``Net``."""
        await self._pause()
        place = f"{self._hosts.get(address, address)}:{port}"
        text = self.sources.get(f"tcp {place}")
        if text is None:
            raise NetFailed("connect", "connection-refused", f"{place}: connection refused")
        _raise_error("connect", text)
        return PaperStream(place, text, self.sources.get(f"tls {place}"), self.sent)

    async def query(self, address: str, port: int, content: bytes, *, timeout_seconds: float) -> bytes:
        """See ``Net``."""
        await self._pause()
        asked = dns.message.from_wire(content)
        (question,) = asked.question
        kind = dns.rdatatype.to_text(question.rdtype)
        text = self.sources.get(f"dns {question.name.to_text(omit_final_dot=True)} {kind}")
        if text is None:
            raise NetFailed("query", "timeout", f"{address}:{port}: nothing came within {timeout_seconds:.3g} s")
        _raise_error("query", text)
        try:
            answer = dns.message.from_text(text)
            answer.id = asked.id
            return answer.to_wire()
        except (dns.exception.DNSException, ValueError, OverflowError, LookupError, TypeError):
            return content[:2] + octets(text)

    async def ping(self, address: str, sequence: int, *, timeout_seconds: float) -> float | None:
        """See ``Net``."""
        await self._pause()
        text = self.sources.get(f"ping {self._hosts.get(address, address)}", "")
        _raise_error("ping", text)
        words = text.split()
        try:
            took = float(words[sequence % len(words)]) if words else -1.0
        except ValueError:
            return None
        return took if isfinite(took) and 0 <= took <= timeout_seconds else None

    async def _pause(self) -> None:
        if self.hangs:
            await asyncio.Event().wait()


class PaperStream:
    """A connection to a server that says its text once it was spoken to."""

    def __init__(self, place: str, text: str, facts: str | None, sent: list[tuple[str, bytes]]) -> None:
        self._place = place
        self._left = octets(text)
        self._facts = facts
        self._sent = sent

    async def tls(self, wanted: TlsWanted, *, timeout_seconds: float) -> TlsFacts:
        """See ``Stream``."""
        try:
            said: Any = msgspec.json.decode(self._facts or "")
            error, reason = str(said.pop("error", "")), str(said.pop("reason", "tls-invalid"))
            facts = msgspec.convert(said, TlsFacts)
            if facts.not_after is not None and not FIRST_INSTANT <= facts.not_after <= LAST_INSTANT:
                raise TypeError("no time of a certificate")
        except (msgspec.MsgspecError, AttributeError, TypeError, RecursionError) as err:
            raise NetFailed("tls", "tls-failed", f"{self._place}: TLS failed: wrong version number") from err
        if error and wanted.verify:
            raise NetFailed("tls", _slug(reason), f"{self._place}: the certificate is not valid: {error}")
        return facts

    async def send(self, content: bytes, *, timeout_seconds: float) -> None:
        """See ``Stream``."""
        self._sent.append((self._place, content))

    async def receive(self, *, timeout_seconds: float) -> bytes:
        """See ``Stream``."""
        content, self._left = self._left[:1000], self._left[1000:]
        return content

    def close(self) -> None:
        """See ``Stream``."""


def octets(text: str) -> bytes:
    """The bytes that a source stands for; bytes that are no text are those that ``surrogateescape`` keeps."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def _raise_error(step: Step, text: str) -> None:
    if text.startswith("error "):
        _, reason, words = [*text.strip().split(" ", 2), "", ""][:3]
        raise NetFailed(step, _slug(reason), words or reason or "failed", ours=reason in OURS)


def _slug(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter in "abcdefghijklmnopqrstuvwxyz0123456789-")[:40]


def _is_address(text: str) -> bool:
    try:
        return bool(literal(text, "any"))
    except NetFailed:
        return False
