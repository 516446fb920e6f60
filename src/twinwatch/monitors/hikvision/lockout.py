"""The guard before a device that locks whoever signs in wrongly: what was tried, and whether to try now. Pure.

A device counts wrong logins, and locks the user's or the address's way in (its cameras, its recordings, its owner)
when there were too many: usually 5 or 7, for 30 minutes.

Invariants:
- A user and password that the device has refused are never tried again: only others are, or the same with another
  ``retry`` number. What it answered while it was locked is no refusal: that is tried again when the lock has ended.
- A try is written down before it is made: one whose outcome is lost (a cut, a kill) counts as made.
- Where the device says how many tries are left, one that would leave fewer than ``KEPT`` is not made. Where it does
  not, at most ``TRIES`` that did not succeed are made within ``MEMORY_SECONDS``, so that a limit of 5 is not met.
- A password is never kept, only a slow hash with a salt of its own.

Assumption: a device that does not say what is left forgets wrong logins after ``MEMORY_SECONDS``, as it ends locks.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import Literal

import msgspec

KEPT = 2
"""Tries that are left to people, always."""
TRIES = 3
MEMORY_SECONDS = 30 * 60
LEFT_SECONDS = 24 * 3600
"""How long it is believed what a device last said is left, if it does not say it anew."""
LOCK_SECONDS = 30 * 60
"""How long a lock lasts where the device does not say it."""
LONGEST_LOCK_SECONDS = 24 * 3600
MARGIN_SECONDS = 10
PENDING_SECONDS = 60
"""So long a try may be under way before the next: another entry of the configuration may be making it."""
REMEMBERED = 50
ROUNDS = 2_000

HeldReason = Literal["refused", "locked", "few-tries-left", "tries-spent", "being-tried"]


class Told(msgspec.Struct, frozen=True):
    """What ``userCheck`` says of tries. None: nothing."""

    left: int | None = None
    locked: bool = False
    unlock_seconds: int | None = None


class Ledger(msgspec.Struct):
    """What is known of one device. Instants are ms UTC."""

    salt: str = ""
    refused: dict[str, int] = {}
    """Credentials that it refused, and when."""
    tries: list[int] = []
    """Those since the last success that were refused or whose outcome is unknown."""
    pending: str = ""
    """The credential whose outcome is unknown."""
    left: int | None = None
    left_at: int = 0
    locked_until: int = 0
    nonce_once: bool = False
    """Whether the device takes a nonce for one request only."""


@dataclass(frozen=True, slots=True)
class Held:
    """Why no try is made, and until when (ms UTC; 0: until somebody changes something)."""

    reason: HeldReason
    until: int = 0
    left: int = 0


def ledger_of(content: bytes) -> Ledger:
    """The ledger that was kept; a new one where there is none.

    Raises: ValueError if the content is damaged: then nobody knows what was tried.
    """
    if not content:
        return Ledger(salt=secrets.token_hex(16))
    try:
        ledger = msgspec.json.decode(content, type=Ledger)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as err:
        raise ValueError(f"what was kept is damaged: {err}") from err
    if not ledger.salt:
        raise ValueError("what was kept is damaged: it has no salt")
    return ledger


def content_of(ledger: Ledger) -> bytes:
    """What is to be kept."""
    return msgspec.json.encode(ledger)


def fingerprint(ledger: Ledger, username: str, password: str, retry: int) -> str:
    """What the credential is known by. Cost: some milliseconds, on purpose."""
    text = f"{username}\0{retry}\0{password}".encode("utf-8", "surrogatepass")
    return hashlib.pbkdf2_hmac("sha256", text, ledger.salt.encode(), ROUNDS, 16).hex()


def held(ledger: Ledger, credential: str, now: int, told: Told) -> Held | None:
    """Why this credential must not be tried now; None if it may."""
    if credential in ledger.refused:
        return Held("refused")
    until = min(ledger.locked_until, now + LONGEST_LOCK_SECONDS * 1000)
    if now < until:
        return Held("locked", until)
    if told.locked:
        return Held("locked", now + _lock_milliseconds(told))
    left = told.left
    if left is None and 0 <= now - ledger.left_at < LEFT_SECONDS * 1000:
        left = ledger.left
    if left is not None and left <= KEPT:
        return Held("few-tries-left", left=left)
    recent = [one for one in ledger.tries if -MARGIN_SECONDS * 1000 <= now - one < MEMORY_SECONDS * 1000]
    if told.left is None and len(recent) >= TRIES:
        return Held("tries-spent", recent[-TRIES] + MEMORY_SECONDS * 1000)
    if ledger.pending and recent and now - recent[-1] < PENDING_SECONDS * 1000:
        return Held("being-tried", recent[-1] + PENDING_SECONDS * 1000)
    return None


def begun(ledger: Ledger, credential: str, now: int) -> None:
    """A try is about to be made."""
    ledger.pending = credential
    ledger.tries = [*ledger.tries, now][-REMEMBERED:]


def succeeded(ledger: Ledger, credential: str) -> None:
    """The device took it, and has forgotten what was wrong before."""
    ledger.refused.pop(credential, None)
    ledger.tries, ledger.pending = [], ""
    ledger.left, ledger.left_at, ledger.locked_until = None, 0, 0


def refused(ledger: Ledger, credential: str, now: int, told: Told) -> None:
    """The device did not take it."""
    ledger.pending = ""
    if told.left is not None:
        ledger.left, ledger.left_at = told.left, now
    if told.locked:
        ledger.locked_until = now + _lock_milliseconds(told)
        # When the lock ends, the device counts anew.
        ledger.left, ledger.left_at = None, 0
        return
    ledger.refused[credential] = now
    while len(ledger.refused) > REMEMBERED:
        del ledger.refused[min(ledger.refused, key=lambda one: ledger.refused[one])]


def unjudged(ledger: Ledger, now: int) -> None:
    """The device answered, but neither took nor refused it: that try cost nothing."""
    ledger.pending = ""
    ledger.tries = [one for one in ledger.tries if one != now]


def lock_seen(ledger: Ledger, now: int, told: Told) -> None:
    """The device said unasked that it is locked."""
    ledger.locked_until = now + _lock_milliseconds(told)


def _lock_milliseconds(told: Told) -> int:
    seconds = LOCK_SECONDS if not told.unlock_seconds or told.unlock_seconds < 0 else told.unlock_seconds
    return (min(seconds, LONGEST_LOCK_SECONDS) + MARGIN_SECONDS) * 1000
