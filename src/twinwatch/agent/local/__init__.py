"""The agent's own small server: what it knows as JSON and as a page, and the door for custom metrics.

It answers on the local address and on a unix socket in the state directory, without the hub and without the internet.
``aiohttp.web`` is imported when it runs, not before.
"""

from __future__ import annotations

from twinwatch.agent.local.custom import Custom
from twinwatch.agent.local.server import LocalServer
from twinwatch.agent.local.settings import LocalSettings

__all__ = ["Custom", "LocalServer", "LocalSettings"]
