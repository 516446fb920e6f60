"""What can be set under ``local:``, and how an address to listen on is written."""

from __future__ import annotations

from dataclasses import dataclass

from twinwatch.world.addresses import is_loopback
from twinwatch.world.secret import Secret

LISTEN = "127.0.0.1:3000"
TOKEN_CHARACTERS = 16
"""Shortest token that is taken: it is all that stands between the network and the page."""


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """The local server. ``enabled`` false leaves the unix socket only.

    ``token`` is asked of every client of an address that is not loopback. ``otlp_listen`` is a second address for
    OpenTelemetry alone, such as ``127.0.0.1:4318``.
    """

    enabled: bool = True
    listen: str = LISTEN
    token: Secret | None = None
    otlp_listen: str | None = None
    max_series: int = 1_000


def address_of(listen: str) -> tuple[str, int]:
    """Host and port of ``127.0.0.1:3000``, ``[::1]:3000`` or ``localhost:3000``.

    Raises: ValueError, with what was expected.
    """
    host, colon, port = listen.strip().rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"{listen!r}: expected an address and a port, such as {LISTEN} or [::1]:3000")
    if ":" in host and "[" not in listen:
        raise ValueError(f"{listen!r}: expected an IPv6 address in brackets, such as [::1]:3000")
    return host, int(port)


def problem_of(settings: LocalSettings) -> str:
    """Why the settings cannot be; empty if they can. ``local.…`` is named where it is wrong."""
    for name, listen in (("listen", settings.listen), ("otlp_listen", settings.otlp_listen)):
        if listen is None:
            continue
        try:
            host, _ = address_of(listen)
        except ValueError as err:
            return f"local.{name}: {err}"
        if is_loopback(host):
            continue
        if settings.token is None:
            return (
                f"local.{name}: {listen!r} can be reached from other machines; "
                f"expected local.token (or local.token_file) besides, or a loopback address such as {LISTEN}"
            )
        if len(settings.token.reveal()) < TOKEN_CHARACTERS:
            return f"local.token: expected at least {TOKEN_CHARACTERS} characters, such as of `openssl rand -hex 32`"
    return ""
