"""Says what is to be said, on each channel apart from the others: one message at a time, what comes meanwhile together
in the next, tried again until it is taken, refused or a day old.

Invariants: a message is marked as under way on the disk before it is tried again, and as delivered after it was; a
channel that hangs holds up no other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from hashlib import blake2b

from twinwatch.agent.alerting.addressing import Addressing
from twinwatch.agent.alerting.alert import Alert, Telling
from twinwatch.agent.alerting.channels import Directory
from twinwatch.agent.alerting.desk import Desk
from twinwatch.alerts.wording import figures_of
from twinwatch.notify import Delivered, Note, Outcome, Refused, Subject
from twinwatch.notify.grouping import note_about
from twinwatch.protocol.bundle import acknowledge_token
from twinwatch.world import backoff
from twinwatch.world.clock import Clock

FIRST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 300.0
SUBJECTS = 100
IN_DOUBT = "no answer within"
"""How reasons begin of tries that may have arrived for all that."""

Due = tuple[Alert, Telling]


class Teller:
    """The loop. ``flush`` brings the desk's decisions to the disk, ``key_of`` names an episode as the hub does."""

    def __init__(
        self,
        desk: Desk,
        directory: Directory,
        addressing: Addressing,
        *,
        clock: Clock,
        server: str,
        key_of: Callable[[Alert], str],
        flush: Callable[[], Awaitable[None]],
    ) -> None:
        self._desk = desk
        self._directory = directory
        self._addressing = addressing
        self._clock = clock
        self._server = server
        self._key_of = key_of
        self._flush = flush
        self._woken = asyncio.Event()
        self._sending: dict[str, asyncio.Task[None]] = {}
        self._ready: dict[str, float] = {}

    def wake(self) -> None:
        """There may be something to say."""
        self._woken.set()

    async def run(self) -> None:
        """Say what is due until cancelled; what is under way then is cut off."""
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    self._woken.clear()
                    wait = self._begin(group)
                    with suppress(TimeoutError):
                        async with asyncio.timeout(wait):
                            await self._woken.wait()
        finally:
            self._sending.clear()

    async def drain(self, timeout_seconds: float) -> None:
        """Let what is being said come to its end."""
        if self._sending:
            await asyncio.wait(self._sending.values(), timeout=timeout_seconds)

    async def finish(self, timeout_seconds: float) -> None:
        """At the end: say what was never tried."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                due = self._due(self._clock.now())
                fresh = {name: [one for one in group if not one[1].attempts] for name, group in due.items()}
                await asyncio.gather(*(self._say(name, group) for name, group in fresh.items() if group))

    async def say(self, channels: Collection[str], subject: Subject, *, note_id: str) -> dict[str, Outcome]:
        """Send one message about this subject on each of these channels, once: a drill, a test, a word to people about
        something that is no alert. Nothing of it is remembered; the outcomes are the result."""
        note = self._note(note_id, [subject], first=True, reference="")

        async def one(name: str) -> tuple[str, Outcome]:
            return name, await self._directory.send(name, note, self._clock.now())

        return dict(await asyncio.gather(*(one(name) for name in channels)))

    def _begin(self, group: asyncio.TaskGroup) -> float | None:
        """Begin to say what is due on channels that are free; the result is when to look again, in seconds."""
        now, monotonic = self._clock.now(), self._clock.monotonic()
        waits: list[float] = []
        for name, due in self._due(now).items():
            if name in self._sending:
                continue
            pause = self._ready.get(name, 0.0) - monotonic
            if pause > 0:
                waits.append(pause)
                continue
            task = group.create_task(self._say(name, due), name=f"tell {name}")
            self._sending[name] = task
            task.add_done_callback(lambda _, name=name: self._said(name))  # type: ignore[misc]
        waits += [
            max((telling.due - now) / 1000, 0.05)
            for alert in self._desk.alerts
            for telling in alert.tellings
            if not telling.over and telling.due > now
        ]
        return min(waits, default=None)

    def _due(self, now: int) -> dict[str, list[Due]]:
        found: dict[str, list[Due]] = {}
        for alert in self._desk.alerts:
            for telling in alert.tellings:
                # What is left to the hub is not in the way of what else is to be said there.
                if not telling.over and telling.due <= now and not alert.is_left(telling):
                    found.setdefault(telling.channel, []).append((alert, telling))
        return {name: _together(due) for name, due in found.items()}

    def _said(self, name: str) -> None:
        self._sending.pop(name, None)
        self._ready[name] = self._clock.monotonic() + self._directory.gap_seconds(name)
        self.wake()

    async def _say(self, name: str, due: Sequence[Due]) -> None:
        await self._flush()
        now = self._clock.now()
        group = [(alert, telling) for alert, telling in due if self._desk.may_try(alert, telling, now)]
        if not group:
            await self._flush()
            return
        note_id = next((telling.note for _, telling in group if telling.note), "") or self._id_of(group)
        for alert, telling in group:
            alert.thread = alert.thread or self._key_of(alert)
            self._desk.trying(alert, telling, note_id)
        await self._flush()
        outcome = await self._directory.send(name, self._about(note_id, name, group), now)
        self._came_to(group, outcome)
        await self._flush()

    def _came_to(self, group: Sequence[Due], outcome: Outcome) -> None:
        now = self._clock.now()
        for alert, telling in group:
            if isinstance(outcome, Delivered):
                self._desk.delivered(alert, telling, now, outcome.reference)
            elif isinstance(outcome, Refused):
                self._desk.refused(alert, telling, now, outcome.reason)
            else:
                pause = backoff.delay(
                    telling.attempts - 1,
                    f"{alert.thread}:{telling.channel}",
                    first_seconds=FIRST_PAUSE_SECONDS,
                    most_seconds=LONGEST_PAUSE_SECONDS,
                )
                pause = max(pause, outcome.after_seconds or 0.0)
                doubtful = outcome.reason.startswith(IN_DOUBT)
                self._desk.failed(alert, telling, now + round(pause * 1000), outcome.reason, doubtful=doubtful)

    def _about(self, note_id: str, name: str, group: Sequence[Due]) -> Note:
        alone = group[0] if len(group) == 1 else None
        before = [one for one in alone[0].tellings if one.channel == name and one.state == "delivered"] if alone else []
        reference = next((one.reference for one in before if one.reference), "")
        subjects = [self._subject(alert, telling) for alert, telling in group]
        return self._note(note_id, subjects, first=not before, reference=reference)

    def _note(self, note_id: str, subjects: Sequence[Subject], *, first: bool, reference: str) -> Note:
        bundle = self._addressing.bundle
        return note_about(
            note_id,
            subjects,
            self._clock.now(),
            teller="agent",
            first=first,
            reference=reference,
            organization=bundle.organization,
            link=f"{bundle.link}/alerts/" if bundle.link else "",
            sender=self._server,
        )

    def _subject(self, alert: Alert, telling: Telling) -> Subject:
        bundle, key = self._addressing.bundle, alert.thread
        over = telling.occasion == "resolved"
        url = acknowledge = ""
        if bundle.link:
            url = f"{bundle.link}/alerts/"
        if bundle.link and bundle.link_key and not over:
            acknowledge = f"{bundle.link}/acknowledge/?key={key}&token={acknowledge_token(bundle.link_key, key)}"
        return Subject(
            key=key,
            server=self._server,
            title=alert.title,
            message=alert.message,
            severity=alert.rule.severity,
            since=alert.since,
            occasion=telling.occasion,
            resolved_at=alert.resolved_at if over else None,
            cause="" if alert.why in ("", "recovered") else _CAUSES.get(alert.why, alert.why),
            facts=(*figures_of(alert.rule, alert.value, alert.unit), *alert.labels.items()),
            evidence=() if over else alert.evidence,
            url=url,
            acknowledge_url=acknowledge,
        )

    def _id_of(self, group: Sequence[Due]) -> str:
        alert, telling = group[0]
        content = f"{self._key_of(alert)}:{telling.channel}:{telling.occasion}:{telling.began}"
        return blake2b(content.encode(), digest_size=16).hexdigest()


_CAUSES = {"gone": "there is nothing to judge any more", "changed": "its rule was changed or taken away"}


def _together(due: Sequence[Due]) -> list[Due]:
    """Those of the first message: one that is tried again stays as it was."""
    notes = [telling.note for _, telling in due if telling.note]
    if notes:
        return [(alert, telling) for alert, telling in due if telling.note == notes[0]]
    return list(due[:SUBJECTS])
