"""Digest authentication of HTTP: what a server asks for, and what it is answered. Pure but for the client's nonce.

Invariants: the password is in no answer and no message, only in the hash; a challenge that asks for what is not known
here is none; what a server says is quoted before it is said back.
Source: RFC 7616, and RFC 2617 for servers that name no algorithm or no qop.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from twinwatch.world.secret import Secret

CHALLENGE_CHARACTERS = 4096
_ALGORITHMS = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}
_STRENGTH = ("MD5", "SHA-512-256", "SHA-256")
_FIELD = re.compile(r'([A-Za-z][\w-]*)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_SCHEME = re.compile(r"(?:^|,)\s*([A-Za-z][A-Za-z0-9-]*)\s+(?=[A-Za-z][\w-]*\s*=)")


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a server asks for. ``stale``: the answer was right, but to a nonce that is too old."""

    realm: str
    nonce: str
    opaque: str = ""
    algorithm: str = "MD5"
    """As the server spells it; empty: it named none."""
    qop: str = ""
    stale: bool = False


def challenge_of(header: str) -> Challenge | None:
    """The strongest challenge of a ``WWW-Authenticate`` header that can be answered; None if there is none."""
    found = [one for part in _parts(header[:CHALLENGE_CHARACTERS]) if (one := _challenge(part)) is not None]
    return max(found, key=lambda one: _STRENGTH.index(_family(one.algorithm)), default=None)


@dataclass
class Digest:
    """The answers to one challenge, each with the next count. ``cnonce`` makes the client's nonces."""

    challenge: Challenge
    username: str
    password: Secret
    cnonce: Callable[[], str] = field(default=lambda: secrets.token_hex(8), repr=False)
    count: int = 0

    def answer(self, method: str, target: str) -> str:
        """The ``Authorization`` header for a request to this path and query."""
        asked = self.challenge
        name = _ALGORITHMS[_family(asked.algorithm)]
        self.count += 1
        cnonce, count = self.cnonce(), f"{self.count:08x}"

        def hashed(text: str) -> str:
            return hashlib.new(name, text.encode(), usedforsecurity=False).hexdigest()

        first = hashed(f"{self.username}:{asked.realm}:{self.password.reveal()}")
        if asked.algorithm.upper().endswith("-SESS"):
            first = hashed(f"{first}:{asked.nonce}:{cnonce}")
        second = hashed(f"{method}:{target}")
        middle = f"{asked.nonce}:{count}:{cnonce}:auth" if asked.qop else asked.nonce
        fields = [
            f"username={_quoted(self.username)}",
            f"realm={_quoted(asked.realm)}",
            f"nonce={_quoted(asked.nonce)}",
            f"uri={_quoted(target)}",
            f'response="{hashed(f"{first}:{middle}:{second}")}"',
        ]
        if asked.algorithm:
            fields.append(f"algorithm={asked.algorithm}")
        if asked.opaque:
            fields.append(f"opaque={_quoted(asked.opaque)}")
        if asked.qop:
            fields += ["qop=auth", f"nc={count}", f'cnonce="{cnonce}"']
        elif asked.algorithm.upper().endswith("-SESS"):
            fields.append(f'cnonce="{cnonce}"')
        return "Digest " + ", ".join(fields)


def _parts(header: str) -> list[dict[str, str]]:
    """The fields of each ``Digest`` challenge; a header may hold several, of several schemes."""
    starts = [(match[1], match.end(), match.start()) for match in _SCHEME.finditer(header)]
    ends = [*(start for _, _, start in starts[1:]), len(header)][: len(starts)]
    return [
        {match[1].lower(): _plain(match[2]) if match[2] is not None else match[3] for match in fields}
        for (scheme, begin, _), end in zip(starts, ends, strict=True)
        if scheme.lower() == "digest" and (fields := list(_FIELD.finditer(header, begin, end)))
    ]


def _challenge(fields: dict[str, str]) -> Challenge | None:
    realm, nonce, algorithm = fields.get("realm", ""), fields.get("nonce", ""), fields.get("algorithm", "")
    offered = [word.strip().lower() for word in fields.get("qop", "").split(",") if word.strip()]
    if not nonce or _family(algorithm) not in _ALGORITHMS or (offered and "auth" not in offered):
        return None
    if not all(text.isprintable() for text in (realm, nonce, fields.get("opaque", ""))):
        return None
    return Challenge(
        realm,
        nonce,
        fields.get("opaque", ""),
        algorithm,
        "auth" if offered else "",
        fields.get("stale", "").lower() == "true",
    )


def _family(algorithm: str) -> str:
    return (algorithm or "MD5").upper().removesuffix("-SESS")


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
