"""The door to the network step by step, for monitors that say which step took how long or failed."""

from __future__ import annotations

from twinwatch.world.net.host import HostNet
from twinwatch.world.net.steps import Family, Net, NetFailed, Step, Stream, TlsFacts, TlsWanted

__all__ = ["Family", "HostNet", "Net", "NetFailed", "Step", "Stream", "TlsFacts", "TlsWanted"]
