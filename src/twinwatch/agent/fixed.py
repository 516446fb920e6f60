"""A configuration that is what it is, for an agent that has no file: what runs by default."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from twinwatch.agent.configuration import Settings
from twinwatch.agent.plan import Plan
from twinwatch.protocol.checks import ConfigurationStanding
from twinwatch.protocol.configuration import Configuration


class FixedConfiguration:
    """A configuration that stays as it is but for ``become``: what ``agent.configuration`` is to the agent."""

    def __init__(self, settings: Settings, plan: Plan) -> None:
        self.settings = settings
        self.plan = plan
        self.standing = ConfigurationStanding()
        self.version = 0
        self.taken: list[Configuration] = []
        self.reloads = 0
        self._callbacks: list[Callable[[], None]] = []

    def become(self, plan: Plan) -> None:
        """Let this be the plan from now on."""
        self.plan = plan
        self._tell()

    def on_change(self, callback: Callable[[], None]) -> None:
        """See ``agent.daemon.Configuring``."""
        self._callbacks.append(callback)

    async def reload(self) -> None:
        """Counts."""
        self.reloads += 1

    async def watch(self) -> None:
        """Waits."""
        await asyncio.Event().wait()

    async def take(self, configuration: Configuration) -> None:
        """Remembers the bundle, and says that its version is in force."""
        self.taken.append(configuration)
        self.version = configuration.version
        self.standing = ConfigurationStanding(version=configuration.version)
        self._tell()

    def _tell(self) -> None:
        for callback in self._callbacks:
            callback()
