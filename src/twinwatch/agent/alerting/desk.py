"""Who tells of an alert, when, and what the hub is told of it. Decides; sends nothing and waits for nothing.

Invariants: whoever told that it began tells that it is over, and nobody else; what was told to nobody ends in silence.
An alert that the hub has accepted is told here only if the hub was asked again and has not told, or does not answer.
State, tellings and events of one decision are kept together (``writing``) before any of it leaves.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Sequence

import msgspec

from twinwatch.agent.alerting.addressing import ENDLESS, Addressing
from twinwatch.agent.alerting.alert import FILE, Alert, Telling, event_of, told_of
from twinwatch.agent.alerting.judge import Change
from twinwatch.agent.alerting.memory import Writing
from twinwatch.alerts.tellers import ANSWER_MILLISECONDS, NOTIFY_MILLISECONDS, order_for
from twinwatch.alerts.wording import message_of, title_of
from twinwatch.protocol.alerts import OPEN_ALERTS, AlertAnswer, AlertEvent, Evidence, Told

ASK_MILLISECONDS = (2_000, 5_000, 10_000, 15_000)
"""Between two questions whether the hub has told what it was left."""
KEPT_MILLISECONDS = 24 * 60 * 60 * 1000

_log = logging.getLogger(__name__)


class Desk:
    """All alerts that are not over. ``key`` names an episode as the hub does, ``hub`` says whether there is one."""

    def __init__(
        self,
        addressing: Addressing,
        *,
        server: str,
        unit_of: Callable[[str], str],
        hub: bool,
        alerts: Iterable[Alert] = (),
        number: int = 0,
    ) -> None:
        self._addressing = addressing
        self._server = server
        self._unit_of = unit_of
        self._hub = hub
        self._alerts = {(*alert.place, alert.episode): alert for alert in alerts}
        self._number = number
        self._crowded = 0
        self.writing = Writing()
        """What is to be kept now; whoever keeps it puts a fresh one in its place."""
        self.asking: dict[tuple[str, str, int], Alert] = {}
        """Of which an answer is wanted."""
        self.refresh = False
        """Whether there are events that the hub has not been told."""

    @property
    def alerts(self) -> Sequence[Alert]:
        """All that are not over."""
        return list(self._alerts.values())

    @property
    def open(self) -> list[Alert]:
        """Those that go on."""
        return [alert for alert in self._alerts.values() if alert.open]

    @property
    def number(self) -> int:
        """The highest number of an event so far."""
        return self._number

    def lifted(self, number: int) -> None:
        """Events are numbered on from here."""
        self._number = max(self._number, number)

    def resume(self, now: int) -> None:
        """After a start: what was being told is told now, what the hub was asked it is asked again. What it may have
        told meanwhile, it is asked of first."""
        for alert in list(self._alerts.values()):
            for telling in list(alert.tellings):
                if telling.state == "trying":
                    telling.state, telling.due, telling.doubtful = "waiting", now, True
                    if alert.stance == "theirs" and telling.may_be_theirs:
                        alert.leave(telling)
                        self._keep(alert)
                    elif alert.resolved_at and telling.occasion != "resolved":
                        alert.outlive(telling)
                        self._keep(alert)
            if alert.stance == "asked":
                # Whether the hub has heard of it is not known: it gets its time anew.
                alert.until = now + ANSWER_MILLISECONDS
                self._ask(alert)
            elif alert.stance == "hub":
                alert.asks = 0
                alert.until = max(alert.until, now + ANSWER_MILLISECONDS)
                self._ask(alert)
            elif self._hub and alert.open and any(one.is_late(now) for one in alert.tellings if not one.over):
                self._leave(alert, now)
                alert.until = now + ANSWER_MILLISECONDS

    def happened(self, change: Change, now: int, evidence: Evidence | None = None) -> None:
        """Something fired, came to rest or is over."""
        transition = change.transition
        place = (change.rule.name, change.thing, transition.episode)
        match transition.kind:
            case "fired":
                self._fire(change, now, evidence)
            case "settled":
                if (alert := self._alerts.get(place)) is not None and alert.open:
                    alert.flapping = False
                    self._event(alert, "settled", now)
                    alert.follow("settled", now)
                    self._keep(alert)
            case "resolved":
                if (alert := self._alerts.get(place)) is not None:
                    self._resolve(alert, transition.time, now, transition.why)

    def attach(self, change: Change, evidence: Evidence, now: int) -> None:
        """Evidence that was not ready when the alert was told."""
        alert = self._alerts.get((change.rule.name, change.thing, change.transition.episode))
        if alert is not None and alert.open:
            alert.evidence = _lines(evidence)
            self._event(alert, "told", now, (), evidence)
            self._keep(alert)

    def answered(self, alert: Alert, answer: AlertAnswer, now: int, by: int) -> bool:
        """The hub's answer; ``by`` is ``will_notify_by`` on this machine's clock. Whether the alert was closed there is
        the result."""
        self.asking.pop((*alert.place, alert.episode), None)
        if answer.unknown:
            if not alert.resolved_at:
                told = [told_of(one, now) for one in alert.tellings if one.occasion != "resolved"]
                self._event(alert, "fired", alert.at, told)
                if alert.stance == "hub":
                    alert.stand("asked", now + ANSWER_MILLISECONDS)
                    self._keep(alert)
            return False
        if answer.closed:
            if alert.open:
                self._close(alert)
                return True
            return False
        if not alert.open:
            return False  # its end is said by whoever told its beginning, whatever the hub has heard by now
        alert.known = True
        alert.fence = max(alert.fence, answer.fence)
        self._leave_those(alert, answer.on)
        if alert.stance == "asked":
            if not answer.accepted:
                self._take_over(alert, now)
            else:
                self._event(alert, "yielded", now)
                alert.stand("theirs" if answer.told else "hub", now + ANSWER_MILLISECONDS + NOTIFY_MILLISECONDS)
        elif alert.stance == "hub":
            if answer.told:
                self._left(alert)
            elif not answer.accepted:
                self._take_over(alert, now)
            elif by > now:
                alert.until = min(by, now + ANSWER_MILLISECONDS + NOTIFY_MILLISECONDS)
                alert.asks = min(alert.asks, len(ASK_MILLISECONDS))
            elif alert.asks > len(ASK_MILLISECONDS):
                # Reminded, it says that it has not told. It hears of this at once, so that it does not a moment later.
                self._take_over(alert, now)
        self._keep(alert)
        return False

    def look(self, now: int) -> None:
        """Time has passed, or what is known of silences and channels is another."""
        for alert in list(self._alerts.values()):
            if not alert.open:
                continue
            if alert.stance == "held":
                self._hold(alert, now)
            elif 0 < alert.leaves_at <= now:
                self._leave(alert, now)
            elif alert.until and alert.until <= now:
                if alert.stance == "asked":
                    self._take_over(alert, now)
                elif alert.stance == "hub":
                    self._remind(alert, now)

    def next_look(self) -> int | None:
        """When ``look`` may do something, ms UTC."""
        times = [at for alert in self.open for at in (alert.until, alert.leaves_at) if 0 < at < ENDLESS]
        return min(times, default=None)

    def may_try(self, alert: Alert, telling: Telling, now: int) -> bool:
        """Whether the telling may be tried now. One that failed for so long that the hub tells instead is left to it,
        if it knows of the alert; asked again, it says so, or the agent goes on."""
        if telling.over or alert.is_left(telling):
            return False
        if alert.known and alert.open and telling.is_late(now):
            self._leave(alert, now)
            return False
        if telling.began + KEPT_MILLISECONDS < now:
            telling.drop(f"given up after 24 h: {telling.reason}")
            self._keep(alert)
            return False
        return True

    def trying(self, alert: Alert, telling: Telling, note: str) -> None:
        """It is about to be said, in the message of this id."""
        telling.note = note
        telling.attempts += 1
        if telling.state != "trying":
            telling.state = "trying"
            self._keep(alert)

    def delivered(self, alert: Alert, telling: Telling, now: int, reference: str) -> None:
        """The provider has it."""
        telling.state, telling.at, telling.reference, telling.reason = "delivered", now, reference, ""
        self.writing.delivered_at = now
        self._ended(alert, telling, now)

    def refused(self, alert: Alert, telling: Telling, now: int, reason: str) -> None:
        """It will not be taken: the hub, where there is one, has other ways."""
        telling.state, telling.at, telling.reason = "refused", now, reason
        self._ended(alert, telling, now)

    def failed(self, alert: Alert, telling: Telling, due: int, reason: str, *, doubtful: bool) -> None:
        """It is to be tried again then."""
        telling.state, telling.due, telling.reason = "waiting", due, reason
        telling.doubtful |= doubtful
        if alert.stance == "theirs" and telling.may_be_theirs:
            alert.leave(telling)
        elif alert.resolved_at and telling.occasion != "resolved":
            alert.outlive(telling)
        self._keep(alert)

    def _fire(self, change: Change, now: int, evidence: Evidence | None) -> None:
        rule, transition = change.rule, change.transition
        if len(self.open) >= OPEN_ALERTS:
            self._crowded += 1
            _log.log(
                logging.WARNING if self._crowded == 1 else logging.DEBUG,
                "more than %d alerts are open: the others are neither told nor sent (%d so far)",
                OPEN_ALERTS,
                self._crowded,
            )
            return
        unit = self._unit_of(change.metric) if change.metric else ""
        labels = dict(change.labels)
        alert = Alert(
            rule=rule,
            thing=change.thing,
            episode=transition.episode,
            since=transition.since,
            at=transition.time,
            title=title_of(rule, change.thing, labels),
            message=message_of(
                rule,
                change.thing,
                labels,
                server=self._server,
                value=change.state.value,
                unit=unit,
                message=change.state.message,
            ),
            labels=labels,
            value=change.state.value,
            unit=unit,
            flapping=transition.flapping,
            evidence=_lines(evidence),
        )
        self._alerts[*alert.place, alert.episode] = alert
        _log.warning("alert %s: %s: %s", rule.severity, alert.title, alert.message)
        until, alert.silenced = self._addressing.held_until(rule, now)
        routed = self._addressing.is_routed(rule)
        told: list[Told] = []
        if until:
            alert.stand("held", until)
        elif routed or not self._hub or order_for(rule) == "agent_first":
            told = self._tell(alert, self._addressing.channels_of(rule), now)
        else:
            alert.stand("asked", now + ANSWER_MILLISECONDS)
            alert.tell(self._addressing.files_of(alert.rule), now)
        self._event(alert, "fired", alert.at, told, evidence)
        self._keep(alert)

    def _tell(self, alert: Alert, channels: Sequence[str], now: int) -> list[Told]:
        """Say it on these channels, as far as it was not: what the hub is to know of that."""
        alert.stand("mine" if channels else "nobody", 0)
        return [told_of(one, now) for one in alert.tell(channels, now)]

    def _take_over(self, alert: Alert, now: int) -> None:
        """The hub does not tell, for all that is known: the agent does, and says so with a higher fence."""
        until, silenced = self._addressing.held_until(alert.rule, now)
        if until:
            alert.silenced |= silenced
            alert.stand("held", until)
            self._keep(alert)
            return
        alert.fence = max(alert.fence + 1, 2)
        self.asking.pop((*alert.place, alert.episode), None)
        again = [one for one in alert.tellings if not one.over]
        for one in again:
            one.began, one.due = now, max(one.due, now)
        told = self._tell(alert, self._addressing.channels_of(alert.rule), now)
        told += [told_of(one, now) for one in again if not one.channel.startswith(FILE)]
        if again:
            alert.stance = "mine"
        if told:
            self._event(alert, "told", now, told)
        self._keep(alert)

    def _leave(self, alert: Alert, now: int) -> None:
        """Tries failed for so long that the hub tells instead: asked, it says so, or the agent goes on."""
        alert.asks = 0
        alert.stand("hub", now + ANSWER_MILLISECONDS + NOTIFY_MILLISECONDS)
        self._ask(alert)
        self._keep(alert)

    def _hold(self, alert: Alert, now: int) -> None:
        until, _ = self._addressing.held_until(alert.rule, now)
        if until:
            if until != alert.until:
                alert.until = until
                self._keep(alert)
            return
        if self._hub and alert.known and not self._addressing.is_routed(alert.rule):
            # The hub has the same silences and hours, and tells at their end: the agent sees that it does.
            alert.asks = 0
            alert.stand("hub", now + ANSWER_MILLISECONDS + NOTIFY_MILLISECONDS)
            alert.tell(self._addressing.files_of(alert.rule), now)
            self._ask(alert)
            self._keep(alert)
        else:
            self._take_over(alert, now)

    def _remind(self, alert: Alert, now: int) -> None:
        """The hub has had its time: it is asked once more, and then the agent tells."""
        if alert.asks > len(ASK_MILLISECONDS):
            self._take_over(alert, now)
            return
        alert.asks = len(ASK_MILLISECONDS) + 1
        alert.until = now + ANSWER_MILLISECONDS
        self._ask(alert)

    def questions(self, now: int) -> None:
        """Ask whether the hub has told what it was left, a few times while it may."""
        for alert in self._alerts.values():
            if alert.stance != "hub" or not alert.open or alert.asks >= len(ASK_MILLISECONDS):
                continue
            left = alert.until - now
            if left <= 0:
                continue
            began = alert.until - ANSWER_MILLISECONDS - NOTIFY_MILLISECONDS
            if now >= began + sum(ASK_MILLISECONDS[: alert.asks + 1]):
                alert.asks += 1
                self._ask(alert)

    def _left(self, alert: Alert) -> None:
        """The hub has told: what the agent could not say is no longer its to say."""
        alert.stand("theirs", 0)
        self._leave_those(
            alert, [telling.channel for telling in alert.tellings if not telling.channel.startswith(FILE)]
        )

    @staticmethod
    def _leave_those(alert: Alert, channels: Collection[str]) -> None:
        """The hub has told on these channels. What is under way there comes to its own end: if it arrives, the agent
        says that it is over."""
        for telling in alert.tellings:
            if telling.channel in channels and not telling.over and telling.state != "trying":
                alert.leave(telling)

    def _resolve(self, alert: Alert, at: int, now: int, why: str) -> None:
        alert.resolved_at, alert.why, alert.until = at, why, 0
        _log.info("alert over: %s (%s)", alert.title, why)
        self.asking.pop((*alert.place, alert.episode), None)
        if not alert.closed:
            for telling in alert.tellings:
                if telling.occasion == "resolved" or telling.state == "trying":
                    continue
                if not telling.over:
                    alert.outlive(telling)
            alert.follow("resolved", now)
            ends = [one for one in alert.tellings if one.occasion == "resolved" and not one.channel.startswith(FILE)]
            self._event(alert, "resolved", at, [told_of(one, now) for one in ends])
        self._keep(alert)

    def _ended(self, alert: Alert, telling: Telling, now: int) -> None:
        if alert.resolved_at and not alert.closed and telling.occasion != "resolved":
            alert.follow("resolved", now)
        if not telling.channel.startswith(FILE) or self._hub:
            self._event(alert, "told", now, [told_of(telling, now)])
        self._keep(alert)

    def _close(self, alert: Alert) -> None:
        alert.closed, alert.until = True, 0
        for telling in alert.tellings:
            if telling.state == "waiting":
                telling.drop("closed by hand")
        self._keep(alert)

    def _ask(self, alert: Alert) -> None:
        if self._hub:
            self.asking[*alert.place, alert.episode] = alert

    def _event(
        self, alert: Alert, kind: str, now: int, told: Iterable[Told] = (), evidence: Evidence | None = None
    ) -> None:
        if not self._hub:
            return
        self._number += 1
        event: AlertEvent = event_of(alert, kind, now, told=told, evidence=evidence)  # type: ignore[arg-type]
        self.writing.event(msgspec.structs.replace(event, number=self._number))
        self.refresh = True

    def _keep(self, alert: Alert) -> None:
        self.writing.alert(alert)
        if alert.over:
            self._alerts.pop((*alert.place, alert.episode), None)


def _lines(evidence: Evidence | None) -> tuple[str, ...]:
    """As much of it as a message has room for."""
    if evidence is None:
        return ()
    lines: list[str] = []
    for title, some in evidence.parts.items():
        lines += [f"{title}:", *(f"  {line}" for line in some)]
    return tuple(line[:200] for line in lines[:60])
