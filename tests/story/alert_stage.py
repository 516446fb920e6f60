"""An agent with a gauge and channels of paper, before a hub that is a fake or a real one, in virtual time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from twinwatch.protocol.bundle import Bundle, DirectChannel
from twinwatch.protocol.policies import Policy, Step
from twinwatch.testing.fake_hub import FakeHub
from twinwatch.testing.fakes import VirtualClock
from twinwatch.testing.gauge import Gauge
from twinwatch.testing.post_office import PostOffice
from twinwatch.testing.story import StagedAgent, until

BUNDLE = Bundle(
    organization="Acme",
    channels=(
        DirectChannel("c-ops", "email", "ops", {"to": "ops"}),
        DirectChannel("c-chat", "slack", "chat", {"to": "chat"}),
    ),
    policies=(
        Policy("p1", "Critical", ("critical",), steps=(Step(0, ("c-ops", "c-chat")),)),
        Policy("p2", "Warning", ("warning",), steps=(Step(0, ("c-ops",)),)),
    ),
    link="https://hub.example",
    link_key="k",
)


class Scene:
    """The agent, what it watches, its hub, and what people hear."""

    def __init__(self, tmp_path: Path, **settings: Any) -> None:
        self.clock = VirtualClock()
        self.hub = FakeHub(self.clock)
        self.office = PostOffice(self.clock)
        self.gauge = Gauge()
        self.agent = StagedAgent(
            tmp_path, self.hub, self.clock, monitors=[self.gauge], post_office=self.office, **settings
        )

    async def begin(self, bundle: Bundle = BUNDLE, **changes: Any) -> None:
        """Everything runs, all is well, and the agent has its bundle."""
        await self.agent.start()
        await until(lambda: self.hub.servers and self.hub.server.heartbeats, 30)
        self.hub.give(msgspec.structs.replace(bundle, **changes))
        await until(lambda: self.alerting.held() == self.hub.server.bundle.digest, 70)

    @property
    def alerting(self) -> Any:
        return self.agent.alerting

    @property
    def watchers(self) -> Any:
        life = self.agent.agent.life
        assert life is not None
        return life._watchers

    def told(self, to: str) -> list[tuple[str, str]]:
        """Occasion and title of each alert that one has heard of from the agent."""
        return [(occasion, subject.title) for occasion, subject in self.office.subjects(to)]

    def events(self) -> list[str]:
        """The kinds of events that the hub has counted."""
        return [event.kind for event in self.hub.server.events]

    def states(self, place: int) -> Sequence[tuple[str, str]]:
        """Channel and state of what one event says was told."""
        return [(told.channel, told.state) for told in self.hub.server.events[place].told]
