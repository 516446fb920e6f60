"""``…/range``, ``…/series``, ``…/export``, ``…/uptime``: what people ask about samples and states."""

from __future__ import annotations

import logging
from typing import Annotated
from uuid import UUID

import msgspec
from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse
from starlette.types import Send

from twinwatch.hub.api.doors import Hub, PersonsRoute, SignedIn
from twinwatch.hub.db import DatabaseAway
from twinwatch.hub.exporting import Cut, Format
from twinwatch.hub.history import HISTORY_MILLISECONDS
from twinwatch.hub.lawful import LAST_INSTANT
from twinwatch.hub.measuring import Asked, Combine
from twinwatch.hub.queries import Answer, Question
from twinwatch.hub.refusals import Refused, invalid
from twinwatch.hub.views import Range
from twinwatch.hub.views_queries import Lines, SeriesList, Storage, Uptime

log = logging.getLogger(__name__)

router = APIRouter(prefix="/api/v1", tags=["samples"], route_class=PersonsRoute)

POINTS = 2_000
SERVERS = 50
LONGEST_RANGE = 400 * 24 * 3600 * 1000

Since = Annotated[int, Query(ge=0, le=LAST_INSTANT, description="ms UTC, inclusive")]
To = Annotated[int, Query(ge=0, le=LAST_INSTANT, description="ms UTC, exclusive")]
Metrics = Annotated[list[str], Query(min_length=1, max_length=50)]
AnyMetrics = Annotated[list[str], Query(max_length=50, description="of these metrics only")]
Labels = Annotated[
    list[str], Query(max_length=16, description="only series with this label, as `name:value`", alias="label")
]
PointsWanted = Annotated[int, Query(ge=1, le=POINTS, description="how many points at most")]
MeasureWanted = Annotated[Asked, Query(description="what a point tells of its step; `rate` is a counter's per second")]


class Download(StreamingResponse):
    """A stream that is not taken for whole where it ends early: the body gets no end, and the connection is closed."""

    async def stream_response(self, send: Send) -> None:
        """Sends the pieces, and an end only if all were there."""
        try:
            await super().stream_response(send)
        except (Refused, Cut, DatabaseAway) as err:
            log.warning("an export was cut off: %s", err)


@router.get("/servers/{server_id}/range", response_model=Range)
async def points(
    server_id: UUID,
    hub: Hub,
    person: SignedIn,
    metric: Metrics,
    since: Since,
    to: To,
    points: PointsWanted = 300,
    measure: MeasureWanted = "mean",
    label: Labels = [],  # noqa: B006
) -> Response:
    """Series of these metrics on one axis, coarsened to the points asked for: a point tells of its step as asked.

    What is older than the organization's plan keeps samples is left out.
    """
    question = Question(metric, *_span(since, to), points, _labels(label), measure)
    answer = await hub.queries.range(person, [server_id], question)
    body = _range(question, answer)
    body["series"] = [
        {"id": one.series.id, "metric": one.metric, "labels": one.series.labels, "values": one.values}
        for one in answer.lines
        if one.series is not None
    ]
    return _json(body)


@router.get("/range", response_model=Lines)
async def lines(
    hub: Hub,
    person: SignedIn,
    server: Annotated[list[UUID], Query(min_length=1, max_length=SERVERS)],
    metric: Metrics,
    since: Since,
    to: To,
    points: PointsWanted = 300,
    measure: MeasureWanted = "mean",
    combine: Annotated[Combine, Query(description="make one line of each metric's series")] = "none",
    percentile: Annotated[float, Query(ge=0, le=100, description="with `combine=percentile`")] = 95.0,
    label: Labels = [],  # noqa: B006
) -> Response:
    """Series of several servers on one axis, or what they come to together: mean, min, max, sum or a percentile."""
    question = Question(metric, *_span(since, to), points, _labels(label), measure, combine, percentile)
    answer = await hub.queries.range(person, list(dict.fromkeys(server)), question)
    body = _range(question, answer)
    body["lines"] = [
        {
            "metric": one.metric,
            "server_id": one.series.server_id if one.series else None,
            "id": one.series.id if one.series else None,
            "labels": one.series.labels if one.series else {},
            "series": one.count,
            "values": one.values,
        }
        for one in answer.lines
    ]
    return _json(body)


@router.get("/servers/{server_id}/series", response_model=SeriesList)
async def series(
    server_id: UUID,
    hub: Hub,
    person: SignedIn,
    metric: AnyMetrics = [],  # noqa: B006
    label: Labels = [],  # noqa: B006
) -> Response:
    """Which series a server has, by metric and labels."""
    await hub.fleet.one(person, server_id)
    found = await hub.queries.series(person, server_id, metric, _labels(label))
    return _json({"series": [{"id": one.id, "metric": one.metric, "labels": one.labels} for one in found]})


@router.get("/storage")
async def storage(organization_id: UUID, hub: Hub, person: SignedIn) -> Storage:
    """How many samples of the organization are kept, and for how long."""
    stats, days = await hub.queries.kept(person, organization_id)
    return Storage(samples=stats.samples, size_bytes=stats.size_bytes, oldest=stats.oldest, retention_days=days)


@router.get("/servers/{server_id}/export", response_class=StreamingResponse)
async def export(
    server_id: UUID,
    hub: Hub,
    person: SignedIn,
    since: Since,
    to: To,
    format: Annotated[Format, Query(description="a line for each sample, ascending by time")] = "csv",  # noqa: A002
    metric: AnyMetrics = [],  # noqa: B006
    label: Labels = [],  # noqa: B006
) -> Download:
    """Every sample as it came, streamed: as CSV (time, metric, labels, value) or as an object of JSON a line.

    Where the server is deleted, or its plan keeps less, or the database goes away before the end, the connection is
    closed without the end of the body: a transfer that broke off, not a complete file.
    """
    question = Question(metric, *_span(since, to), labels=_labels(label))
    pieces = await hub.queries.export(person, server_id, question, format)
    media = "text/csv; charset=utf-8" if format == "csv" else "application/x-ndjson"
    headers = {
        "content-disposition": f'attachment; filename="samples-{server_id}.{format}"',
        "cache-control": "no-store",
        "x-accel-buffering": "no",
    }
    return Download(pieces, 200, headers, media)


@router.get("/servers/{server_id}/uptime")
async def uptime(server_id: UUID, hub: Hub, person: SignedIn, since: Since, to: To) -> Uptime:
    """For how long the server and each of its checks were in which state, out of a history of 90 days."""
    span = _span(since, to)
    if span[1] - span[0] > HISTORY_MILLISECONDS:
        raise invalid(f"since {since}, to {to}: expected at most 90 days between")
    return await hub.history.uptime(person, server_id, *span)


def _span(since: int, to: int) -> tuple[int, int]:
    if not 0 < to - since <= LONGEST_RANGE:
        raise invalid(f"since {since}, to {to}: expected since before to, and at most 400 days between")
    return since, to


def _labels(given: list[str]) -> dict[str, str]:
    found = {}
    for one in given:
        name, colon, value = one.partition(":")
        if not name or not colon:
            raise invalid(f"label {one[:80]!r}: expected name:value, such as cpu.logical_number:0")
        found[name] = value
    return found


def _range(question: Question, answer: Answer) -> dict[str, object]:
    return {
        "since": question.since,
        "to": question.to,
        "step_seconds": answer.step / 1000 if answer.step else None,
        "times": answer.times,
    }


def _json(body: object) -> Response:
    # msgspec writes NaN as null, which is what a gap is on the wire.
    return Response(msgspec.json.encode(body), media_type="application/json")
