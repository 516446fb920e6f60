"""The machine that the figures are of: they mean nothing without it."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def describe_machine() -> str:
    """Processors, load and versions in a line."""
    model = next(
        (text.partition(":")[2].strip() for text in _lines("/proc/cpuinfo") if text.startswith("model name")),
        platform.machine(),
    )
    load = os.getloadavg()[0]
    busy = "; others use it now, so times are those of a busy machine" if load > 1.0 else ""
    return (
        f"{os.cpu_count()} × {model}, Linux {platform.release()}, Python {platform.python_version()}, "
        f"load {load:.1f} at the start{busy}"
    )


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(errors="replace").splitlines()
    except OSError:
        return []
