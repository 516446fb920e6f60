"""What benches measure with: real processes, the public API, /proc, and a load that does not wait for answers."""

from __future__ import annotations


class Failed(Exception):
    """Nothing could be measured, or what was measured is not right. The message says why, with the logs' ends."""
