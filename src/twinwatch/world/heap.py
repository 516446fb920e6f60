"""The door to the C library's heap: a daemon that is to stay small gives back what only its start needed.

Source: mallopt(3), malloc_trim(3). Other C libraries than glibc have neither, and need neither: nothing happens there.
"""

from __future__ import annotations

import ctypes
from typing import Any

_ARENA_MAX, _MMAP_THRESHOLD = -8, -3
MMAP_BYTES = 128 << 10


def keep_small() -> None:
    """Before threads are started: one heap for all of them, and large buffers apart from it, so that no holes stay."""
    mallopt = _function("mallopt")
    if mallopt is not None:
        mallopt(_ARENA_MAX, 1)
        mallopt(_MMAP_THRESHOLD, MMAP_BYTES)


def give_back() -> None:
    """Give back to the system what is free. Cost: a few milliseconds."""
    trim = _function("malloc_trim")
    if trim is not None:
        trim(0)


def _function(name: str) -> Any:
    try:
        return getattr(ctypes.CDLL(None), name)
    except (OSError, AttributeError):
        return None
