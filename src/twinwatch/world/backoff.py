"""The pause between two tries, as a pure function: exponential, with jitter, bounded.

Jitter is drawn over the whole range ("full jitter"), so that a thousand agents that lost the same hub in the same
second do not come back in the same second.
Source: Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
"""

from __future__ import annotations

from hashlib import blake2b


def delay(attempt: int, seed: int | str, *, first_seconds: float = 1.0, most_seconds: float = 60.0) -> float:
    """Seconds to wait after failure number ``attempt`` (0 is the first one).

    Bounds: at least half of ``first_seconds``, at most ``min(most_seconds, first_seconds * 2**attempt)``; the same
    arguments give the same pause.
    """
    cap = min(most_seconds, first_seconds * 2.0 ** min(max(attempt, 0), 64))
    floor = min(first_seconds / 2, cap)
    return floor + (cap - floor) * fraction(seed, attempt)


def fraction(seed: int | str, number: int) -> float:
    """A number in 0..1 that is the same for the same arguments and looks random otherwise."""
    digest = blake2b(f"{seed}:{number}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2.0**64
