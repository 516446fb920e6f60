"""What custom metrics were called, over a restart of the agent: else the hub would lose the chart of a metric that is
pushed once a day.

Invariants: the file is whole or as it was before; one that cannot be read or written costs the memory only.
"""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path

import msgspec

from twinwatch.agent.local.pushed import POINTS, fault_of
from twinwatch.protocol import limits

FILE = "custom-metrics.json"
_MOST_BYTES = limits.DECODED_BYTES

_log = logging.getLogger(__name__)


class Remembered(msgspec.Struct, frozen=True):
    """One metric. ``heard`` is when it was last pushed, ms UTC."""

    name: str
    kind: str
    heard: int
    unit: str = ""
    help: str = ""
    labels: list[str] = []

    @property
    def lawful(self) -> bool:
        """Whether it could have been pushed; the file may have been edited."""
        return not fault_of(self.name, dict.fromkeys(self.labels, ""), self.unit)


def recall(path: Path) -> list[Remembered]:
    """The metrics of the file; none if there is none or it is damaged."""
    try:
        with path.open("rb") as file:
            found = msgspec.json.decode(file.read(_MOST_BYTES), type=list[Remembered])
    except FileNotFoundError:
        return []
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as err:
        _log.warning("%s cannot be read (%s): custom metrics are unknown until they are pushed again", path, err)
        return []
    return [each for each in found[:POINTS] if each.lawful]


def remember(path: Path, metrics: list[Remembered]) -> None:
    """Put these in place of what the file held. A disk that fails is told elsewhere, by the buffer."""
    fresh = path.with_suffix(".new")
    with contextlib.suppress(OSError):
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(metrics))
        fresh.replace(path)
