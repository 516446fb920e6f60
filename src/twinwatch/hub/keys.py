"""Keys that machines speak with: 256 random bits behind a prefix that says what they are for.

Invariant: the key itself is returned once and never stored; what is kept is its SHA-256. A plain hash is right here,
unlike for passwords: there is nothing to guess in 256 random bits.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Literal, NamedTuple

Kind = Literal["twe", "tws", "twi"]
"""``twe`` enrols servers, ``tws`` is one server's own, ``twi`` is the one-time set-up link's."""

SHOWN = 12


class NewKey(NamedTuple):
    """``key`` is for its holder's eyes, ``prefix`` for lists, ``digest`` for the database."""

    key: str
    prefix: str
    digest: bytes


def new_key(kind: Kind) -> NewKey:
    """A fresh key."""
    key = f"{kind}_{secrets.token_urlsafe(32)}"
    return NewKey(key, key[:SHOWN], digest_of(key))


def digest_of(key: str) -> bytes:
    """SHA-256 of the key, 32 bytes."""
    return hashlib.sha256(key.encode()).digest()
