"""From what was committed to what live streams are told: samples as they are, servers and checks at most once a second
each.

What this process makes happen is told to the others of the same database, and what they tell is passed on to those who
watch here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from uuid import UUID

import msgspec

from twinwatch.hub.db import Database, DatabaseAway
from twinwatch.hub.fleet import Fleet
from twinwatch.hub.live import Event, Live
from twinwatch.hub.relay import News, Relay
from twinwatch.hub.reports import Reports
from twinwatch.hub.statements import Statements
from twinwatch.hub.stores import Arrival, SampleStore, Window
from twinwatch.hub.views_alerts import Alert

SQL = Statements("servers")
log = logging.getLogger(__name__)

PAUSE_SECONDS = 1.0
EVERY_POINT = 1 << 40

SeenAlert = Callable[[UUID], Awaitable[tuple[UUID, UUID | None, Alert] | None]]


class Herald:
    """Turns commits and changes of state into events, and does nothing for organizations that nobody watches."""

    def __init__(
        self,
        database: Database,
        fleet: Fleet,
        reports: Reports,
        live: Live,
        alert: SeenAlert,
        store: SampleStore,
        relay: Relay,
    ) -> None:
        """``alert`` reads an alert as its members see it."""
        self._store = store
        self._relay = relay
        relay.hear(("samples", "server", "checks", "alert", "gone"), self._heard)
        self._alert = alert
        self._database = database
        self._fleet = fleet
        self._reports = reports
        self._live = live
        self._changed: set[UUID] = set()
        self._reported: set[UUID] = set()
        self._alerts: set[UUID] = set()
        self._samples: list[Arrival] = []
        self._elsewhere: list[tuple[UUID, UUID, int, int]] = []
        self._wake = asyncio.Event()

    def committed(self, news: Arrival) -> None:
        """A batch is durable."""
        self._relay.tell("samples", news.organization_id, news.server_id, news.first, news.last)
        if not self._live.watched(news.organization_id):
            return
        if self._live.wants(news.server_id):
            self._samples.append(news)
        self._changed.add(news.server_id)
        self._wake.set()

    async def changed(self, organization_id: UUID, server_id: UUID) -> None:
        """A server's state or name is another now."""
        self._relay.tell("server", organization_id, server_id)
        self._change(organization_id, server_id)

    def _change(self, organization_id: UUID | None, server_id: UUID) -> None:
        if self._live.watched(organization_id):
            self._changed.add(server_id)
            self._wake.set()

    async def reported(self, organization_id: UUID, server_id: UUID) -> None:
        """A server's checks or monitors stand differently now."""
        self._relay.tell("checks", organization_id, server_id)
        if self._live.wants(server_id):
            self._reported.add(server_id)
        await self.changed(organization_id, server_id)

    def alerted(self, organization_id: UUID, alert_id: UUID) -> None:
        """An alert is about to be another; told once it is committed, with what else changes in that second."""
        self._relay.tell("alert", organization_id, alert_id)
        self._alert_changed(organization_id, alert_id)

    def _alert_changed(self, organization_id: UUID | None, alert_id: UUID) -> None:
        if self._live.watched(organization_id):
            self._alerts.add(alert_id)
            self._wake.set()

    def gone(self, organization_id: UUID, server_id: UUID) -> None:
        """A server was deleted."""
        self._relay.tell("gone", organization_id, server_id)
        self._end(organization_id, server_id)

    def _end(self, organization_id: UUID, server_id: UUID) -> None:
        body = msgspec.json.encode({"server_id": server_id})
        self._live.publish(Event("gone", organization_id, server_id, body))

    def _heard(self, news: News) -> None:
        """What happened at another process. One of an earlier version does not say whose server or alert it is."""
        if not self._live.watched():
            return
        match news.kind, news.about:
            case "samples", (organization_id, server_id, first, last):
                if self._live.wants(UUID(server_id)):
                    self._elsewhere.append((UUID(organization_id), UUID(server_id), int(first), int(last)))
                self._change(UUID(organization_id), UUID(server_id))
            case "server" | "checks" | "alert", (about,):
                self._heard_of(news.kind, None, UUID(about))
            case "server" | "checks" | "alert", (organization_id, about):
                self._heard_of(news.kind, UUID(organization_id), UUID(about))
            case "gone", (organization_id, server_id):
                self._end(UUID(organization_id), UUID(server_id))

    def _heard_of(self, kind: str, organization_id: UUID | None, about: UUID) -> None:
        if kind == "alert":
            self._alert_changed(organization_id, about)
            return
        if kind == "checks" and self._live.wants(about):
            self._reported.add(about)
        self._change(organization_id, about)

    async def run(self) -> None:
        """Tells until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            samples, self._samples = self._samples, []
            elsewhere, self._elsewhere = self._elsewhere, []
            reported, self._reported = self._reported, set()
            alerts, self._alerts = self._alerts, set()
            changed, self._changed = self._changed, set()
            try:
                for news in samples:
                    await self._tell_samples(news)
                for committed in elsewhere:
                    await self._tell_range(*committed)
                for server_id in reported:
                    await self._tell_checks(server_id)
                for alert_id in alerts:
                    await self._tell_alert(alert_id)
                for server in await self._fleet.seen_by_worker(changed) if changed else ():
                    body = server.model_dump_json().encode()
                    self._live.publish(Event("server", server.organization_id, server.id, body))
            except DatabaseAway as err:
                log.warning("live streams miss news: database away (%s)", err)
            await asyncio.sleep(PAUSE_SECONDS)

    async def _tell_alert(self, alert_id: UUID) -> None:
        found = await self._alert(alert_id)
        if found is not None:
            organization_id, server_id, alert = found
            self._live.publish(Event("alert", organization_id, server_id, alert.model_dump_json().encode()))

    async def _tell_checks(self, server_id: UUID) -> None:
        found = await self._reports.seen_by_worker(server_id)
        if found is not None:
            organization_id, checks = found
            self._live.publish(Event("checks", organization_id, server_id, checks.model_dump_json().encode()))

    async def _tell_samples(self, news: Arrival) -> None:
        numbers = sorted({number for series in news.series.values() for number in series})
        async with self._database.as_worker() as connection:
            cursor = await connection.execute(SQL["series_of_ids"], {"server": news.server_id, "ids": numbers})
            named = {row["id"]: row for row in await cursor.fetchall()}
        for frame in news.frames():
            series = [
                {"id": number, "metric": named[number]["metric"], "labels": named[number]["labels"], "values": column}
                for number, column in zip(news.series[frame.shape], frame.columns, strict=True)
                if number in named
            ]
            body = msgspec.json.encode({"server_id": news.server_id, "times": frame.times, "series": series})
            self._live.publish(Event("samples", news.organization_id, news.server_id, body))

    async def _tell_range(self, organization_id: UUID, server_id: UUID, first: int, last: int) -> None:
        """What another process committed is in the store: all that this one gets to see of it."""
        async with self._database.as_worker() as connection:
            rows = await (await connection.execute(SQL["series_of_server"], {"server": server_id})).fetchall()
        points = await self._store.read(server_id, [row["id"] for row in rows], Window(first, last + 1, EVERY_POINT))
        series = [
            {"id": row["id"], "metric": row["metric"], "labels": row["labels"], "values": values}
            for row, values, there in zip(
                rows, points.values.tolist(), (points.values == points.values).any(axis=1), strict=True
            )
            if there
        ]
        # msgspec writes NaN as null, which is what a gap is on the wire.
        body = msgspec.json.encode({"server_id": server_id, "times": points.times.tolist(), "series": series})
        self._live.publish(Event("samples", organization_id, server_id, body))
