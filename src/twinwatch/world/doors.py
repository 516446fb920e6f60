"""All doors of one machine together, as they are handed to a monitor; and those that a message leaves through."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from twinwatch.world.bus import Bus, SystemBus
from twinwatch.world.clock import Clock
from twinwatch.world.commands import Commands, HostCommands
from twinwatch.world.guard import Guard
from twinwatch.world.host import Host
from twinwatch.world.http import AiohttpHttp, Http
from twinwatch.world.late import late
from twinwatch.world.net import HostNet, Net
from twinwatch.world.pushed import NothingPushed, PushBoard
from twinwatch.world.shelf import MemoryShelf, Shelf

if TYPE_CHECKING:
    from twinwatch.world.local_stream import LocalStreams
    from twinwatch.world.mail import Mail
    from twinwatch.world.objects import Objects
    from twinwatch.world.postgres import Postgres
    from twinwatch.world.tail import Tails


@dataclass(frozen=True, slots=True)
class World:
    """The doors. Each can be replaced by one made of paper (``twinwatch.testing.paper``)."""

    clock: Clock
    host: Host
    http: Http
    commands: Commands = field(default_factory=HostCommands)
    """Programs of the host."""
    net: Net = field(default_factory=HostNet)
    """Names, connections and packets, step by step."""
    bus: Bus = field(default_factory=SystemBus)
    """The system's D-Bus."""
    postgres: Postgres = field(default_factory=partial(late, "postgres", "HostPostgres"))
    """PostgreSQL servers."""
    unverified_http: Http = field(default_factory=lambda: AiohttpHttp(verify=False))
    """As ``http``, to devices that can show no certificate but one of their own making."""
    tails: Tails = field(default_factory=partial(late, "tail", "HostTails"))
    """Answers that do not end."""
    shelf: Shelf = field(default_factory=MemoryShelf)
    """What has to be known over a restart."""
    objects: Objects = field(default_factory=partial(late, "objects", "HostObjects"))
    """Object stores that speak S3."""

    local: LocalStreams = field(default_factory=partial(late, "local_stream", "HostLocalStreams"))
    """Programs of this host that listen on a socket in the file system."""
    pushed: PushBoard = field(default_factory=NothingPushed)
    """What programs of this host push to the agent."""

    async def close(self) -> None:
        """Closes what the doors hold open, where they hold anything."""
        for door in (self.http, self.unverified_http, self.bus, self.postgres, self.objects):
            close = getattr(door, "close", None)
            if close is not None:
                await close()


@dataclass(frozen=True, slots=True)
class Outside:
    """The doors that a message may leave through. On a hub, ``http`` and ``mail`` have the guard too."""

    http: Http
    mail: Mail
    commands: Commands = field(default_factory=HostCommands)
    guard: Guard | None = None
    """What a program may connect to that a channel runs; None: whatever it likes."""
