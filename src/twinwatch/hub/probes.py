"""Probes of organizations, as people make, read, change, pause, try and remove them.

Invariants: credentials are sealed at rest, bound to the probe and its version; a ``***`` that is written back keeps
what stands there; who removes or pauses a probe ends its alerts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg.rows import DictRow

from twinwatch.hub import masks
from twinwatch.hub.alerting.addressees import ms_or_none
from twinwatch.hub.auth import Person
from twinwatch.hub.db import Connection, Database
from twinwatch.hub.lawful import check_json, check_text
from twinwatch.hub.probing.allowances import ALLOWANCES, INTERVAL_SECONDS
from twinwatch.hub.probing.history import DAY, HOUR, KEPT_DAYS, Point, Totals, hour_of, points_of, summed, unpacked
from twinwatch.hub.probing.keeper import Keeper, Sealed, Unusable
from twinwatch.hub.probing.kinds import KINDS, SCHEMAS, ProbeKind, settings_of, tried
from twinwatch.hub.probing.ledger import Ledger
from twinwatch.hub.refusals import Refused, forbidden, invalid, not_found, over_limit
from twinwatch.hub.statements import Statements
from twinwatch.hub.stores.log import instant, milliseconds
from twinwatch.hub.views_probes import (
    Probe,
    ProbeAllowance,
    ProbeChange,
    ProbeHistory,
    ProbeOutcome,
    ProbePoint,
    ProbeTry,
    SaveProbe,
    Uptime,
)
from twinwatch.hub.views_probes import ProbeKind as KindView
from twinwatch.hub.views_probes import (
    Probes as View,
)
from twinwatch.world.clock import Clock
from twinwatch.world.doors import World
from twinwatch.world.guard import Guard

SQL = Statements("probes")
AUDIT = Statements("servers")["audit"]

VIEWER = "A viewer of the organization may not change its probes."
RECENT = 60
"""So many last tries are shown with a probe."""
CHANGES = 200
STEPS_SECONDS = (10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600, 43_200, 86_400)


@dataclass(frozen=True, slots=True)
class Sought:
    """Which probes of an organization are asked for."""

    organization_id: UUID
    state: str | None = None
    text: str = ""
    after: UUID | None = None
    limit: int = 200


class Probes:
    """The probes of all organizations. ``wake`` hurries the pinger; ``world`` is guarded, as ``guard`` says."""

    def __init__(
        self,
        clock: Clock,
        database: Database,
        keeper: Keeper,
        ledger: Ledger,
        world: World,
        guard: Guard,
        wake: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._database = database
        self._keeper = keeper
        self._ledger = ledger
        self._world = world
        self._guard = guard
        self._wake = wake

    async def of(self, person: Person, sought: Sought) -> View:
        """A page of the organization's probes by name."""
        async with self._database.as_person(person.user_id) as connection:
            asked = {
                "organization": sought.organization_id,
                "after": sought.after,
                "state": sought.state,
                "text": sought.text,
                "limit": sought.limit + 1,
            }
            rows = await (await connection.execute(SQL["list"], asked)).fetchall()
            counted = await (await connection.execute(SQL["count"], asked)).fetchone()
            page = rows[: sought.limit]
            probes = await self._views(connection, page)
        assert counted is not None  # noqa: S101
        least, most = INTERVAL_SECONDS
        return View(
            hub_time=self._clock.now(),
            probes=probes,
            next=page[-1]["id"] if len(rows) > len(page) else None,
            kinds=_kinds(),
            allowance=ProbeAllowance(
                probes=ALLOWANCES[counted["plan"] or "free"].probes,
                used=counted["count"],
                least_interval_seconds=least,
                most_interval_seconds=most,
            ),
        )

    async def one(self, person: Person, probe_id: UUID) -> Probe:
        """One probe.

        Raises: Refused 404 if there is none that the person may see.
        """
        async with self._database.as_person(person.user_id) as connection:
            row = await self._row(connection, probe_id)
            return (await self._views(connection, [row]))[0]

    async def add(self, person: Person, organization_id: UUID, wanted: SaveProbe) -> UUID:
        """A new probe, tried at once.

        Raises: Refused 422 for settings that are not lawful or beyond the plan; 403 for who may not.
        """
        probe_id = uuid4()
        settings = _kept(wanted.kind, wanted.settings, {}, {})
        sealed = self._sealed(probe_id, 1, wanted, settings)
        values = {**self._values(probe_id, wanted, sealed), "organization": organization_id}
        try:
            async with self._database.as_person(person.user_id) as connection:
                counted = await (await connection.execute(SQL["count"], values)).fetchone()
                assert counted is not None  # noqa: S101
                most = ALLOWANCES[counted["plan"] or "free"].probes
                if counted["count"] >= most:
                    raise over_limit(f"the organization's plan allows {most} probes", most)
                await connection.execute(SQL["add"], values)
                await self._audit(connection, person, organization_id, "probe.add", wanted.name)
        except psycopg.errors.InsufficientPrivilege:
            raise forbidden(VIEWER) from None
        except psycopg.errors.UniqueViolation:
            raise _twin(wanted) from None
        except psycopg.errors.ForeignKeyViolation:
            raise not_found("server") from None
        self._wake()
        return probe_id

    async def change(self, person: Person, probe_id: UUID, wanted: SaveProbe) -> None:
        """Changes a probe, and tries it at once.

        Raises: Refused 404, 403; 409 if it was changed meanwhile or its secrets cannot be read; 422 for the unlawful.
        """
        async with self._database.as_person(person.user_id) as connection:
            row = await self._row(connection, probe_id)
        if wanted.version != row["version"]:
            raise _outdated()
        settings = await self._with_kept(probe_id, row, wanted.kind, wanted.settings)
        sealed = self._sealed(probe_id, row["version"] + 1, wanted, settings)
        values = {**self._values(probe_id, wanted, sealed), "version": row["version"]}
        try:
            async with self._database.as_person(person.user_id) as connection:
                if await (await connection.execute(SQL["changeable"], values)).fetchone() is None:
                    raise forbidden(VIEWER)
                if await (await connection.execute(SQL["change"], values)).fetchone() is None:
                    raise _outdated()
                await self._audit(connection, person, row["organization_id"], "probe.change", wanted.name)
                await self._after(connection, person, row["organization_id"], probe_id, rests=not wanted.enabled)
        except psycopg.errors.UniqueViolation:
            raise _twin(wanted) from None
        except psycopg.errors.ForeignKeyViolation:
            raise not_found("server") from None
        self._wake()

    async def pause(self, person: Person, probe_id: UUID, *, paused: bool) -> None:
        """Lets it rest, or goes on. Its alerts end when it rests.

        Raises: Refused 404, 403.
        """
        async with self._database.as_person(person.user_id) as connection:
            row = await self._changeable(connection, probe_id)
            if row["enabled"] is not paused:
                return
            await connection.execute(SQL["pause"], {"probe": probe_id, "enabled": not paused})
            action = "probe.pause" if paused else "probe.resume"
            await self._audit(connection, person, row["organization_id"], action, row["name"])
            await self._after(connection, person, row["organization_id"], probe_id, rests=paused)
        self._wake()

    async def delete(self, person: Person, probe_id: UUID) -> None:
        """Removes it with its history. Its alerts end, and stay as history of their own.

        Raises: Refused 404, 403.
        """
        async with self._database.as_person(person.user_id) as connection:
            row = await self._changeable(connection, probe_id)
            await self._audit(connection, person, row["organization_id"], "probe.delete", row["name"])
            await self._database.become(connection, "service_role")
            why = "The probe was removed."
            await self._ledger.close(connection, row["organization_id"], probe_id, why, person.email)
            await connection.execute(SQL["delete"], {"probe": probe_id})

    async def trial(
        self, person: Person, organization_id: UUID, probe_id: UUID | None, kind: str, settings: Mapping[str, Any]
    ) -> ProbeOutcome:
        """Tries once what is not saved, or not yet.

        Raises: Refused 404, 403, 422.
        """
        async with self._database.as_person(person.user_id) as connection:
            asked = {"organization": organization_id}
            if await (await connection.execute(SQL["may_add"], asked)).fetchone() is None:
                raise forbidden(VIEWER)
            row = None if probe_id is None else await self._row(connection, probe_id)
            if row is not None and row["organization_id"] != organization_id:
                raise not_found("probe")
        if row is None:
            return await self._outcome(self._understood(kind, _kept(kind, settings, {}, {})))
        whole = await self._with_kept(row["id"], row, kind, settings)
        return await self._outcome(self._understood(kind, whole))

    async def test(self, person: Person, probe_id: UUID) -> ProbeOutcome:
        """Tries a saved one now. It is not part of its history.

        Raises: Refused 404, 403; 409 if it cannot be tried as it is.
        """
        async with self._database.as_person(person.user_id) as connection:
            await self._changeable(connection, probe_id)
        try:
            return await self._outcome(self._keeper.opened(await self._secret_row(probe_id)))
        except Unusable as err:
            raise Refused(409, "unusable", "Not usable", str(err)) from None

    async def history(self, person: Person, probe_id: UUID, since: int, to: int, points: int) -> ProbeHistory:
        """What its tries came to from ``since`` until before ``to``, ms UTC, in at most ``points`` steps.

        Raises: Refused 404; 422 for an empty span.
        """
        now = self._clock.now()
        since = max(since, now - KEPT_DAYS * DAY)
        if to <= since:
            raise invalid(f"to: expected after since, and within {KEPT_DAYS} days")
        step = next((one for one in STEPS_SECONDS if (to - since) / 1000 / one <= points), STEPS_SECONDS[-1]) * 1000
        async with self._database.as_person(person.user_id) as connection:
            row = await self._row(connection, probe_id)
            step = max(step, row["interval_seconds"] * 1000)
            asked = {"probes": [probe_id], "probe": probe_id, "since": instant(hour_of(since)), "to": instant(to)}
            if step < HOUR:
                hours = await (await connection.execute(SQL["tries"], asked)).fetchall()
                results = [one for hour in hours for one in unpacked(milliseconds(hour["hour"]), hour["results"])]
                found = points_of([one for one in results if since <= one.time < to], row["interval_seconds"] * 1000)
            else:
                found = [_hour(hour) for hour in await (await connection.execute(SQL["hours"], asked)).fetchall()]
            cursor = await connection.execute(SQL["changes"], {**asked, "limit": CHANGES})
            changes = [change for hour in await cursor.fetchall() for change in reversed(hour["changes"])]
        start = since - since % step
        return ProbeHistory(
            hub_time=now,
            since=since,
            to=to,
            step_seconds=step / 1000,
            points=[_point(one) for one in summed(found, start, step)],
            changes=[
                ProbeChange(at=at, state=state, reason=reason, message=message)
                for at, state, reason, message in changes
                if since <= at < to
            ][:CHANGES],
        )

    async def _outcome(self, probe: ProbeKind) -> ProbeOutcome:
        outcome = await tried(probe, self._world, self._clock.now())
        return ProbeOutcome(
            state=outcome.state,
            reason=outcome.reason,
            message=outcome.message,
            seconds=outcome.seconds,
            phases=dict(outcome.phases),
            expires_at=outcome.expires_at,
        )

    async def _row(self, connection: Connection, probe_id: UUID) -> DictRow:
        row = await (await connection.execute(SQL["one"], {"probe": probe_id})).fetchone()
        if row is None:
            raise not_found("probe")
        return row

    async def _changeable(self, connection: Connection, probe_id: UUID) -> DictRow:
        await self._row(connection, probe_id)
        row = await (await connection.execute(SQL["changeable"], {"probe": probe_id})).fetchone()
        if row is None:
            raise forbidden(VIEWER)
        return row

    async def _secret_row(self, probe_id: UUID) -> DictRow:
        async with self._database.as_worker() as connection:
            row = await (await connection.execute(SQL["secret"], {"probe": probe_id})).fetchone()
        if row is None:
            raise not_found("probe")
        return row

    async def _after(
        self, connection: Connection, person: Person, organization_id: UUID, probe_id: UUID, *, rests: bool
    ) -> None:
        await self._database.become(connection, "service_role")
        asked = {"probe": probe_id, "now": instant(self._clock.now())}
        await connection.execute(SQL["renew"], asked)
        if rests:
            await connection.execute(SQL["rest"], asked)
            await self._ledger.close(connection, organization_id, probe_id, "The probe was paused.", person.email)

    async def _with_kept(
        self, probe_id: UUID, row: DictRow, kind: str, settings: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        if not any(masks.places(dict(settings))):
            return settings
        if kind != row["body"].get("kind"):
            raise invalid("settings: no secret is kept here that *** could stand for; enter it")
        try:
            whole = self._keeper.whole(await self._secret_row(probe_id))
        except Unusable as err:
            raise Refused(409, "secrets-lost", "Secrets lost", str(err)) from None
        kept = _kept(kind, settings, whole, row["body"]["settings"])
        if masks.leads_elsewhere(kept, whole, SCHEMAS.get(kind)):
            raise invalid(masks.ELSEWHERE)
        return kept

    def _understood(self, kind: str, settings: Mapping[str, Any]) -> ProbeKind:
        check_json("settings", dict(settings))
        try:
            probe = settings_of(kind, settings)
        except ValueError as err:
            raise invalid(str(err)) from None
        host = probe.host.partition("%")[0]
        if _is_address(host) and (why := self._guard.refusal(host)):
            raise invalid(f"settings: {host} is {why}; the hub does not probe it")
        return probe

    def _sealed(self, probe_id: UUID, version: int, wanted: SaveProbe, settings: Mapping[str, Any]) -> Sealed:
        check_text("name", wanted.name.strip(), 200)
        probe = self._understood(wanted.kind, settings)
        longest = wanted.interval_seconds * 0.9
        if (timeout := float(probe.timeout)) > longest:
            raise invalid(f"settings: a timeout of {timeout:g} s; at this interval at most {longest:g} s")
        return self._keeper.sealed(probe_id, version, wanted.kind, settings)

    def _values(self, probe_id: UUID, wanted: SaveProbe, sealed: Sealed) -> dict[str, Any]:
        return {
            "probe": probe_id,
            "server": wanted.server_id,
            "name": wanted.name.strip(),
            "body": sealed.body,
            "secret": sealed.secret,
            "key": sealed.key_id,
            "interval": wanted.interval_seconds,
            "enabled": wanted.enabled,
            "now": instant(self._clock.now()),
        }

    async def _audit(
        self, connection: Connection, person: Person, organization_id: UUID, action: str, subject: str
    ) -> None:
        done = {"organization": organization_id, "user": person.user_id, "action": action, "subject": subject.strip()}
        await connection.execute(AUDIT, done)

    async def _views(self, connection: Connection, rows: Sequence[DictRow]) -> list[Probe]:
        ids = [row["id"] for row in rows]
        now = self._clock.now()
        hour = instant(hour_of(now))
        asked = {
            "probes": ids,
            "day": hour - timedelta(days=1),
            "week": hour - timedelta(days=7),
            "month": (hour - timedelta(days=29)).date(),
            "quarter": (hour - timedelta(days=89)).date(),
            "since": hour - timedelta(hours=1),
            "to": instant(now + HOUR),
        }
        hours = await (await connection.execute(SQL["uptime_hours"], asked)).fetchall()
        days = await (await connection.execute(SQL["uptime_days"], asked)).fetchall()
        tries = await (await connection.execute(SQL["tries"], asked)).fetchall()
        of_hours = {row["probe_id"]: row for row in hours}
        of_days = {row["probe_id"]: row for row in days}
        of_tries: dict[UUID, list[DictRow]] = defaultdict(list)
        for row in tries:
            of_tries[row["probe_id"]].append(row)
        return [
            self._view(
                row,
                {**of_hours.get(row["id"], {}), **of_days.get(row["id"], {})},
                of_tries[row["id"]],
            )
            for row in rows
        ]

    def _view(self, row: DictRow, totals: Mapping[str, Any], tries: Sequence[DictRow]) -> Probe:
        settings = self._keeper.shown(row)
        recent = [one for hour in tries for one in unpacked(milliseconds(hour["hour"]), hour["results"])][-RECENT:]
        return Probe(
            id=row["id"],
            organization_id=row["organization_id"],
            server_id=row["server_id"],
            name=row["name"],
            kind=str(row["body"].get("kind", "")),
            settings=settings,
            target=self._keeper.target(row),
            interval_seconds=row["interval_seconds"],
            enabled=row["enabled"],
            version=row["version"],
            secrets_lost=self._keeper.is_lost(row),
            state=row["state"],
            since=ms_or_none(row["since"]),
            last_at=ms_or_none(row["last_at"]),
            last_seconds=row["last_seconds"],
            message=row["message"],
            reason=row["reason"],
            only_here=row["only_here"],
            expires_at=ms_or_none(row["expires_at"]),
            next_at=milliseconds(row["next_at"]),
            created_at=milliseconds(row["created_at"]),
            uptime=Uptime(
                day=_share(totals, "day"),
                week=_share(totals, "week"),
                month=_share(totals, "month"),
                quarter=_share(totals, "quarter"),
            ),
            recent=[ProbeTry(at=one.time, state=one.state, seconds=one.seconds) for one in recent],
        )


def _kinds() -> list[KindView]:
    return [
        KindView(kind=name, title=kind.title, help=(kind.__doc__ or "").strip(), settings=SCHEMAS[name])
        for name, kind in KINDS.items()
    ]


def _share(totals: Mapping[str, Any], span: str) -> float | None:
    return Totals(well_seconds=totals.get(f"{span}_well") or 0.0, down_seconds=totals.get(f"{span}_down") or 0.0).uptime


def _hour(row: DictRow) -> Point:
    totals = Totals(row["tries"], row["well_seconds"], row["down_seconds"], row["answered"], row["seconds_sum"])
    return Point(milliseconds(row["hour"]), totals, row["seconds_min"], row["seconds_max"])


def _point(one: Point) -> ProbePoint:
    return ProbePoint(
        at=one.time,
        tries=one.totals.tries,
        uptime=one.totals.uptime,
        mean=one.mean,
        shortest=one.shortest,
        longest=one.longest,
    )


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _twin(wanted: SaveProbe) -> Refused:
    return invalid(f"name: there is a probe named {wanted.name.strip()!r} already")


def _kept(
    kind: str, settings: Mapping[str, Any], whole: Mapping[str, Any], stored: Mapping[str, Any]
) -> dict[str, Any]:
    try:
        kept: dict[str, Any] = masks.kept(dict(settings), whole, SCHEMAS.get(kind), stored)
    except masks.NothingKept as err:
        raise invalid(f"settings.{err}: no secret is kept here that *** could stand for; enter it") from None
    return kept


def _outdated() -> Refused:
    return Refused(409, "version", "Changed meanwhile", "The probe was changed meanwhile: read it, and change that.")
