"""Addresses of pages: taken apart, made whole, and shown without what is secret in them. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, urljoin, urlsplit

PORTS = {"http": 80, "https": 443}
URL_CHARACTERS = 2048
SHOWN_CHARACTERS = 200
EXPECTED = "url: expected an address such as https://example.org/health"
UNQUOTED = "/%:@!$&'()*+,;=~-._?[]|{}^"
"""Sent as a person wrote it; anything else is quoted."""

_HOST = re.compile(r"[A-Za-z0-9_.-]{1,253}|[0-9A-Fa-f:.]{2,45}(?:%[\w.-]{1,20})?")


class Target(NamedTuple):
    """Where a request goes."""

    scheme: str
    host: str
    port: int
    path: str
    """With the query, as it is sent."""

    @property
    def authority(self) -> str:
        """The ``Host`` header."""
        host = f"[{self.host.partition('%')[0]}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> tuple[str, str, int]:
        """Who is trusted with what was meant for it."""
        return self.scheme, self.host, self.port

    @property
    def shown(self) -> str:
        """The address for people: of the query only the names."""
        path, mark, query = self.path.partition("?")
        names = "&".join(f"{quote(name)}=***" for name, _ in parse_qsl(query, keep_blank_values=True)[:20])
        return f"{self.scheme}://{self.authority}{path}{mark}{names}"[:SHOWN_CHARACTERS]


def target_of(url: str) -> Target:
    """The parts of an absolute http or https URL.

    Raises: ValueError that says what is wrong, without the URL's secrets.
    """
    if len(url) > URL_CHARACTERS:
        raise ValueError(f"url: longer than {URL_CHARACTERS} characters")
    if any(letter.isspace() or not letter.isprintable() for letter in url):
        raise ValueError("url: expected no blanks and no control characters")
    try:
        parts = urlsplit(url)
        port, name = parts.port, parts.hostname
    except ValueError as err:
        raise ValueError(EXPECTED) from err
    if parts.scheme not in PORTS or not name:
        raise ValueError(EXPECTED)
    if parts.username is not None or parts.password is not None:
        raise ValueError("url: expected no user and password; put them into username and password")
    if port == 0:
        raise ValueError("url: expected a port of 1 to 65535")
    try:
        path = quote(parts.path or "/", safe=UNQUOTED)
        query = "?" + quote(parts.query, safe=UNQUOTED) if parts.query else ""
    except UnicodeError as err:
        raise ValueError(EXPECTED) from err
    return Target(parts.scheme, _host(name), port or PORTS[parts.scheme], path + query)


def next_target(target: Target, location: str) -> Target:
    """Where a redirect leads.

    Raises: ValueError.
    """
    try:
        joined = urljoin(f"{target.scheme}://{target.authority}{target.path}", location.strip())
    except ValueError as err:
        raise ValueError(EXPECTED) from err
    return target_of(joined.partition("#")[0].replace(" ", "%20"))


def _host(name: str) -> str:
    if not name.isascii():
        try:
            name = name.encode("idna").decode("ascii")
        except UnicodeError as err:
            raise ValueError("url: the host's name is not lawful") from err
    if not _HOST.fullmatch(name):
        raise ValueError("url: the host's name is not lawful")
    return name
