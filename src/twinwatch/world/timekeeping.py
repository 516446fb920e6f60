"""What the kernel says of its clock: adjtimex(2) without a change.

Source: adjtimex(2), <linux/timex.h>. Python has no call for it, hence ctypes.
"""

from __future__ import annotations

import ctypes
import os
from functools import cache
from typing import NamedTuple

STA_UNSYNC = 0x0040
STA_NANO = 0x2000


class Timekeeping(NamedTuple):
    """How well the clock is kept."""

    synchronized: bool
    """Whether a time service steers the clock (and the kernel believes it)."""
    offset_seconds: float
    """What the time service still wants to correct; positive: the clock is behind."""
    error_seconds: float
    """The most by which the clock may be off, by the kernel's own reckoning."""


class _Timex(ctypes.Structure):
    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("constant", ctypes.c_long),
        ("precision", ctypes.c_long),
        ("tolerance", ctypes.c_long),
        ("time_seconds", ctypes.c_long),
        ("time_fraction", ctypes.c_long),
        ("tick", ctypes.c_long),
        ("rest", ctypes.c_byte * 128),
    )


@cache
def _library() -> ctypes.CDLL:
    """The C library. Each opening makes classes, which only a garbage collection would end."""
    return ctypes.CDLL(None, use_errno=True)


def kernel_timekeeping() -> Timekeeping:
    """The kernel's answer.

    Raises: OSError where the call is forbidden or there is none.
    """
    library = _library()
    answer = _Timex()
    if not hasattr(library, "adjtimex") or library.adjtimex(ctypes.byref(answer)) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    per_second = 1e9 if answer.status & STA_NANO else 1e6
    return Timekeeping(
        synchronized=not answer.status & STA_UNSYNC,
        offset_seconds=answer.offset / per_second,
        error_seconds=answer.maxerror / 1e6,
    )
