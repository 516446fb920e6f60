"""What benches measure with: real processes, the public API, /proc, and a load that does not wait for answers."""

from __future__ import annotations


class Failed(Exception):
    """Nothing could be measured, or what was measured is not right. The message says why.

    ``has_logs`` is whether it ends with what the processes said last.
    """

    def __init__(self, reason: str, *, has_logs: bool = False) -> None:
        super().__init__(reason)
        self.has_logs = has_logs
