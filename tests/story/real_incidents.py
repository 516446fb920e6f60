"""What goes wrong in the real incidents, and who is told of it: each returns what arrived, counted, once it is over."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from tests.story.netns import cable
from tests.story.real_stage import PATIENCE_SECONDS, POLICIES, RealHub, Told, house, mail_settings
from tests.story.served import Line
from twinwatch.testing.channels.mailbox import MailBox
from twinwatch.testing.channels.slack import FakeSlack
from twinwatch.testing.ports import free_port

QUIET_SECONDS = 4.0
"""After the last message: longer than a second one would take where nothing fails."""
RETRY_AFTER_SECONDS = 3.0
AWAY_SECONDS = 6.0

DISK, FAN, PUMP = "between: check warning: disk", "between: check warning: fan", "between: check critical: pump"

Trouble = Callable[[], Awaitable[object]]


async def agent_killed(hub: RealHub, folder: Path) -> Told:
    """``kill -9``, and a new start once everybody knows."""
    async with house(hub, folder, "crashing") as it:
        await it.own_channels()
        await it.policies(POLICIES)
        async with it.agent() as running:
            await running.end(signal.SIGKILL)
            await asyncio.gather(it.hears("email", "crashing: down"), it.hears("sms", "DOWN"))
        async with it.agent():
            await asyncio.gather(it.hears("email", "Resolved"), it.hears("sms", "RESOLVED"))
            await asyncio.sleep(QUIET_SECONDS)
            return it.told()


@asynccontextmanager
async def _line(port: int, host: str) -> AsyncIterator[Line]:
    line = Line(port, host=host)
    await line.up()
    try:
        yield line
    finally:
        await line.down()


async def network_cut(hub: RealHub, folder: Path) -> dict[str, list[str]]:
    """The agent's cable is cut, a check of its server fails meanwhile, and the cable is mended. What is critical goes
    to a mailbox that the agent reaches through the cable."""
    with cable() as wire:
        boxes = {"late": MailBox(), "down": MailBox(), "urgent": MailBox(host=wire.host)}
        async with (
            house(hub, folder, "remote") as it,
            _line(hub.port, wire.host) as line,
            boxes["late"],
            boxes["down"],
            boxes["urgent"],
        ):
            for name, box in boxes.items():
                await it.channel(name, "email", mail_settings(box))
            await it.policies({"warning": ("late",), "down": ("down",), "critical": ("urgent",)})
            plain = {"TWINWATCH_ALLOW_PLAIN_HTTP": "1"}
            async with it.agent("disk", url=line.url, within=wire.within, **plain):
                wire.cut()
                it.becomes("disk", "down")
                await boxes["down"].wait(lambda letters: len(letters) == 1)
                wire.mend()
                await boxes["urgent"].wait(lambda letters: len(letters) == 1, timeout_seconds=PATIENCE_SECONDS)
                it.becomes("disk", "up")
                for box in boxes.values():
                    await box.wait(lambda letters: len(letters) == 2)
                await asyncio.sleep(QUIET_SECONDS)
        return {
            name: [letter.subject.partition(", no heartbeat")[0] for letter in box.letters]
            for name, box in boxes.items()
        }


async def mail_refused(hub: RealHub, folder: Path) -> dict[str, list[str]]:
    """Three mailboxes: one is not ready yet, one refuses for good, of one the server is not there at first."""
    busy, strict, late = MailBox(), MailBox(), MailBox(port=free_port())
    busy.refuse("RCPT", "451 4.2.1 try again later", times=1)
    strict.refuse("RCPT", "550 5.1.1 no such user")
    async with house(hub, folder, "letters") as it, busy, strict:
        for name, box in (("busy", busy), ("strict", strict), ("late", late)):
            await it.channel(name, "email", mail_settings(box))
        await it.channel("fallback", "slack", {"webhook_url": it.slack.webhook_url}, fallback=True)
        await it.policies({"warning": ("busy", "strict", "late")})
        async with it.agent("disk"):
            it.becomes("disk", "degraded")
            await it.hears("slack", "Warning")
            async with late:
                await busy.wait(lambda letters: len(letters) == 1)
                await late.wait(lambda letters: len(letters) == 1)
                it.becomes("disk", "up")
                await busy.wait(lambda letters: len(letters) == 2)
                await late.wait(lambda letters: len(letters) == 2)
                await it.hears("slack", "Resolved")
                await asyncio.sleep(QUIET_SECONDS)
        boxes = {"busy": busy, "strict": strict, "late": late}
        found = {name: [letter.subject for letter in box.letters] for name, box in boxes.items()}
        return {**found, "fallback": [post.title for post in it.slack.messages]}


async def slack_in_trouble(hub: RealHub, folder: Path) -> dict[str, list[str]]:
    """Three: one asks for patience, one fails, one takes a request and never answers; each once."""
    hurried, failing, hanging = FakeSlack(), FakeSlack(), FakeSlack()
    ends = {"hurried": hurried, "failing": failing, "hanging": hanging}
    async with house(hub, folder, "chats") as it, hurried, failing, hanging:
        for name, end in ends.items():
            await it.channel(name, "slack", {"webhook_url": end.webhook_url})
        await it.policies({"critical": tuple(ends)})
        async with it.agent("disk"):
            for state in ("down", "up"):
                heard = {name: len(end.messages) + 1 for name, end in ends.items()}
                hurried.refuse(429, times=1, retry_after=RETRY_AFTER_SECONDS)
                failing.refuse(500, times=1)
                hanging.hang(times=1)
                it.becomes("disk", state)
                for name, end in ends.items():
                    await end.wait(
                        lambda end=end, many=heard[name]: len(end.messages) >= many,  # type: ignore[misc]
                        timeout_seconds=60,
                    )
            await asyncio.sleep(QUIET_SECONDS)
        first, second = (got.at_seconds for got in hurried.got[:2])
        assert second - first >= RETRY_AFTER_SECONDS, "what Slack asked for was not kept"
        return {name: [post.title for post in end.messages] for name, end in ends.items()}


async def without_the_middle(hub: RealHub, folder: Path, ends: Trouble, returns: Trouble) -> Told:
    """Hub or database ends while a warning is open; during that it ends, and another one and a critical alert begin,
    which outlast it."""
    async with house(hub, folder, "between") as it:
        await it.own_channels()
        await it.policies(POLICIES)
        async with it.agent("disk", "pump", "fan"):
            it.becomes("disk", "degraded")
            await it.hears("email", f"Warning] {DISK}")
            await it.recorded("email")
            await ends()
            it.becomes("fan", "degraded")
            it.becomes("pump", "down")
            await it.hears("slack", "Critical")
            await it.hears("email", f"Warning] {FAN}")
            it.becomes("disk", "up")
            await asyncio.sleep(AWAY_SECONDS)
            await returns()
            await it.hears("email", f"Resolved] {DISK}")
            it.becomes("pump", "up")
            it.becomes("fan", "up")
            await asyncio.gather(it.hears("slack", "Resolved"), it.hears("email", f"Resolved] {FAN}"))
            await asyncio.sleep(QUIET_SECONDS)
            return it.told()
