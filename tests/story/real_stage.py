"""Incidents with real processes: a hub, agents, and receiving ends that keep what they got.

Each ``House`` is an organization of its own with a mailbox, a Slack and a phone; its agent judges files that the test
writes. Silences are short here: late after 6 s, down after 10 s.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from tests.story.served import AgentProcess, agent
from twinwatch.testing.channels.mailbox import MailBox
from twinwatch.testing.channels.services import Service
from twinwatch.testing.channels.slack import FakeSlack
from twinwatch.testing.channels.twilio import FakeTwilio
from twinwatch.testing.hub_stage import HubStage
from twinwatch.testing.ports import free_port
from twinwatch.testing.postgres import SECRET
from twinwatch.world.clock import SystemClock

PATIENCE_SECONDS = 60.0
LOOK_SECONDS = 0.1
HUB = {
    "TWINWATCH_SECRET": SECRET.reveal(),
    "TWINWATCH_LATE_AFTER": "6",
    "TWINWATCH_DOWN_AFTER": "10",
    "TWINWATCH_ALLOW_PRIVATE_NETWORKS": "1",
}
POLICIES = {"critical": ("slack",), "warning": ("email",), "down": ("email", "sms")}
"""Which kinds of channels a house is told on, by severity."""
STATES = {"up": 0, "degraded": 1, "down": 2}

Told = Counter[tuple[str, str]]
"""How often a channel, by name, was told something."""


async def until(claim: Callable[[], object], what: str, *logs: Path, within_seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until the claim is true; says what it was about, and what processes said, if it never is."""
    loop = asyncio.get_running_loop()
    end = loop.time() + within_seconds
    while not claim():
        said = "\n".join(log.read_text(errors="replace")[-2_000:] for log in logs) if loop.time() > end else ""
        assert loop.time() < end, f"not within {within_seconds:g} s: {what}\n{said}"
        await asyncio.sleep(LOOK_SECONDS)


class RealHub:
    """A hub's process on a database, which ends with the block and may be killed and started again within it."""

    def __init__(self, database_url: str, folder: Path) -> None:
        clock: Any = SystemClock()
        self.stage = HubStage(database_url, folder / "data", clock=clock)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "hub.log"
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> RealHub:
        self._folder.mkdir(parents=True)
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()

    async def start(self) -> None:
        """Start it, and wait until it answers."""
        command = ("hub", "run", "--listen", f"127.0.0.1:{self.port}", "--data-dir", str(self._folder / "data"))
        clean = {name: value for name, value in os.environ.items() if not name.startswith("TWINWATCH_")}
        environment = {**clean, **HUB, "TWINWATCH_DATABASE_URL": self.stage.owner_url}
        with self.log.open("ab") as out:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "twinwatch.cli", *command, env=environment, stdout=out, stderr=out
            )
        async with asyncio.timeout(PATIENCE_SECONDS), aiohttp.ClientSession() as session:
            while not await self._answers(session):  # noqa: ASYNC110 - another process
                await asyncio.sleep(LOOK_SECONDS)

    async def _answers(self, session: aiohttp.ClientSession) -> bool:
        try:
            async with session.get(f"{self.url}/api/v1/status") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def kill(self) -> None:
        """``kill -9``."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
            await process.wait()


class House:
    """An organization, from ``house``."""

    def __init__(self, hub: RealHub, folder: Path, name: str) -> None:
        folder.mkdir(parents=True)
        self.hub = hub
        self.name = name
        self.folder = folder
        self.mail = MailBox()
        self.slack = FakeSlack()
        self.phone = FakeTwilio()
        self.log = folder / "agent.log"
        self._session: aiohttp.ClientSession
        self._organization = ""
        self._key = ""
        self.channels: dict[str, str] = {}
        """Ids by name."""

    async def begin(self, session: aiohttp.ClientSession) -> None:
        """Becomes known to the hub."""
        stage = self.hub.stage
        organization = await stage.organization(self.name)
        owner = await stage.person(organization, "owner")
        self._key = await stage.enrolment_key(organization)
        self._organization = str(organization)
        self._session = session
        session.headers["Authorization"] = f"Bearer {owner.client.token}"

    async def channel(self, name: str, kind: str, settings: dict[str, Any], **more: Any) -> None:
        """A channel more."""
        body = {"organization_id": self._organization, "name": name, "kind": kind, "settings": settings, **more}
        self.channels[name] = (await self._ask("POST", "channels", body))["id"]

    async def own_channels(self) -> None:
        """Its mailbox, Slack and phone."""
        await self.channel("email", "email", mail_settings(self.mail))
        await self.channel("slack", "slack", {"webhook_url": self.slack.webhook_url})
        twilio = {"account_sid": self.phone.account_sid, "auth_token": self.phone.auth_token}
        more = {"to": "+41791234567", "sender": self.phone.sender, "api_url": self.phone.url}
        await self.channel("sms", "sms", {**twilio, **more})

    async def policies(self, told: Mapping[str, Sequence[str]]) -> None:
        """Which channels are told of which severity."""
        found = [
            {"name": name, "severities": [name], "steps": [{"channels": [self.channels[one] for one in names]}]}
            for name, names in told.items()
        ]
        await self._ask("PUT", f"policies?organization_id={self._organization}", {"policies": found})

    @asynccontextmanager
    async def agent(self, *checks: str, url: str = "", within: Sequence[str] = (), **more: str) -> AsyncIterator[Any]:
        """Its agent, once it watches these checks and holds the channels. ``within`` is what starts it."""
        for check in checks:
            if not self._file(check).exists():
                self.becomes(check, "up")
        script = 'read -r code words <"$0"; echo "$words"; exit "$code"'
        commands = [{"name": one, "command": ["/bin/sh", "-c", script, str(self._file(one))]} for one in checks]
        monitors = [{"type": "system", "enabled": False}]
        monitors += [{"type": "exec", "commands": commands}] if commands else []
        configuration = self.folder / "agent.yaml"
        configuration.write_bytes(msgspec.json.encode({"server_name": self.name, "monitors": monitors}))
        configuration.chmod(0o600)
        environment = {
            "TWINWATCH_CONFIG": str(configuration),
            "TWINWATCH_ENROLMENT_KEY": self._key,
            "TWINWATCH_MONITOR_INTERVAL": "1s",
            **more,
        }
        target = url or self.hub.url
        async with agent(self.folder / "state", target, self.log, within=within, **environment) as running:
            await self._knows(running, len(self.channels))
            yield running

    async def _knows(self, running: AgentProcess, channels: int) -> None:
        connector = aiohttp.UnixConnector(str(self.folder / "state" / "agent.sock"))
        async with asyncio.timeout(PATIENCE_SECONDS), aiohttp.ClientSession(connector=connector) as session:
            while True:
                with suppress(aiohttp.ClientError, OSError):
                    async with session.get("http://agent/api/v1/status") as answer:
                        status = await answer.json()
                    settled = all(check["state"] == "up" for check in status.get("checks", ()))
                    if settled and len(status.get("alerting", {}).get("channels", ())) == channels:
                        return
                assert running.running, running.said()[-2_000:]
                await asyncio.sleep(LOOK_SECONDS)

    def becomes(self, check: str, state: str) -> None:
        """What the agent sees of a check from now on."""
        fresh = self._file(check).with_suffix(".new")
        fresh.write_text(f"{STATES[state]} the {check} is {state}\n")
        fresh.rename(self._file(check))

    def told(self) -> Told:
        """What came, by channel: the subject, the first line, or of an SMS the first word."""
        found: Told = Counter()
        found.update(("email", letter.subject.partition(", no heartbeat")[0]) for letter in self.mail.letters)
        found.update(("slack", post.title) for post in self.slack.messages)
        found.update(("sms", text.body.split()[0]) for text in self.phone.texts)
        return found

    async def hears(self, channel: str, words: str) -> None:
        """Wait until this channel has been told something with these words."""
        said = self.told
        await until(
            lambda: any(name == channel and words in one for name, one in said()),
            f"{channel} of {self.name} is told {words!r}",
            self.log,
            self.hub.log,
        )

    async def recorded(self, channel: str) -> None:
        """Wait until the hub has written down that it told this channel: a hub that dies before tells it again."""
        asked = "select state from public.notifications where channel_id = %s"
        async with asyncio.timeout(PATIENCE_SECONDS):
            while ("delivered",) not in await self.hub.stage.execute(asked, self.channels[channel]):  # noqa: ASYNC110
                await asyncio.sleep(LOOK_SECONDS)

    def _file(self, check: str) -> Path:
        return self.folder / f"{check}.state"

    async def _ask(self, method: str, path: str, body: dict[str, Any]) -> Any:
        async with self._session.request(method, f"{self.hub.url}/api/v1/{path}", json=body) as answer:
            assert answer.status < 300, await answer.text()
            return await answer.json()


def mail_settings(box: MailBox) -> dict[str, Any]:
    """An email channel's, for a mailbox here."""
    relay = {"smtp_host": box.host, "smtp_port": box.port, "smtp_security": "none"}
    return {"recipients": ["ops@example.org"], "sender": "alerts@example.org", **relay}


@asynccontextmanager
async def house(hub: RealHub, folder: Path, name: str) -> AsyncIterator[House]:
    """An organization with its receiving ends."""
    made = House(hub, folder, name)
    async with AsyncExitStack() as stack:
        ends: tuple[MailBox | Service, ...] = (made.mail, made.slack, made.phone)
        for end in ends:
            await stack.enter_async_context(end)
        await made.begin(await stack.enter_async_context(aiohttp.ClientSession()))
        yield made
