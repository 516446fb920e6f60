"""MinIO's health endpoints: no credentials, no load, and the one truth about quorum.

Source: cmd/healthcheck-handler.go of MinIO; https://min.io/docs/minio/linux/operations/monitoring/healthcheck-probe.html.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from twinwatch.monitors import Check, Finding, Moment, Reading
from twinwatch.protocol.metrics import Metric
from twinwatch.world.clock import Clock
from twinwatch.world.http import Answer, Http, Unreachable

TIMEOUT_SECONDS = 12.0
"""MinIO itself gives a hanging drive 10 s before it answers."""
HEALING_SECONDS = 24 * 3600.0
STATUS = "x-minio-server-status"
HEALING = "x-minio-healing-drives"
QUORUM = "minio.quorum"
ACCESS = "minio.access"

METRICS = (
    Metric("minio.up", "1", "Whether the server answers that it lives: 1 it does, 0 it does not.", good="high"),
    Metric("minio.health.duration", "s", "How long the server took to say that it lives.", good="low"),
    Metric(QUORUM, "1", "Whether enough drives are online to read, and to write: 1 yes, 0 no.", good="high"),
    Metric("minio.quorum.drives", "{drive}", "So many drives of an erasure set must be online to read, or to write."),
    Metric("minio.drive.healing", "{drive}", "Drives that are being healed.", good="low"),
    Metric("minio.maintenance.safe", "1", "Whether this node can be taken down without losing quorum.", good="high"),
)

STARTING = {
    "offline": "its drives are not there yet, or it is starting",
    "bucket-metadata-offline": "the buckets' metadata cannot be loaded",
    "iam-offline": "users and policies cannot be loaded",
}


class _Way(NamedTuple):
    access: str
    path: str
    header: str
    loss: str


WAYS = (
    _Way("write", "/minio/health/cluster", "x-minio-write-quorum", "nothing can be written"),
    _Way("read", "/minio/health/cluster/read", "x-minio-read-quorum", "objects cannot be read"),
)


class Answers(NamedTuple):
    """What the endpoints said. ``healing`` is None where nothing was said of it."""

    findings: list[Finding]
    healing: int | None


class Healing:
    """Since when drives are being healed."""

    def __init__(self) -> None:
        self._since: float | None = None

    def findings(self, drives: int | None, moment: Moment) -> list[Finding]:
        """The reading and the check; ``drives`` None: not known."""
        if drives is None:
            return [Check("healing", "unknown", "Not known: the cluster does not say", "not-told")]
        found: list[Finding] = [Reading("minio.drive.healing", drives)]
        if not drives:
            self._since = None
            return [*found, Check("healing", "up")]
        now = moment.monotonic_seconds
        self._since = now if self._since is None or self._since > now else self._since
        if now - self._since < HEALING_SECONDS:
            return [*found, Check("healing", "up", f"{drives} drives are being healed", "healing")]
        hours = (now - self._since) / 3600
        message = (
            f"{drives} drives are being healed for {hours:.0f} h; see how far it is: mc admin heal ALIAS --verbose"
        )
        return [*found, Check("healing", "degraded", message, "slow")]


async def findings(http: Http, clock: Clock, base: str) -> Answers:
    """Four requests side by side. Whatever does not answer is told; nothing is raised."""
    began = clock.monotonic()
    live, *ways, maintenance = await asyncio.gather(
        _ask(http, f"{base}/minio/health/live"),
        *(_ask(http, base + way.path) for way in WAYS),
        _ask(http, f"{base}/minio/health/cluster?maintenance=true"),
    )
    took = max(clock.monotonic() - began, 0.0)
    if isinstance(live, str):
        check = Check("live", "down", f"{base} does not answer: {live}", "unreachable")
        return Answers([Reading("minio.up", 0), check, *_unknown("the server does not answer")], None)
    state = live.headers.get(STATUS, "")
    if live.status not in (200, 503):
        message = f"{base}/minio/health/live answers {live.status}: this is no MinIO; with another S3 set health: false"
        check = Check("live", "down", message, "no-minio")
        return Answers([Reading("minio.up", 0), check, *_unknown("this is no MinIO")], None)
    found: list[Finding] = [Reading("minio.health.duration", round(took, 4))]
    if live.status == 503:
        message = "The server refuses requests: its queue is full"
        found += [Reading("minio.up", 0), Check("live", "down", message, "busy")]
    elif state:
        message = f"The server runs but serves nothing: {STARTING.get(state, state)}; see its log"
        found += [Reading("minio.up", 0), Check("live", "down", message, "not-ready")]
    else:
        found += [Reading("minio.up", 1), Check("live", "up")]
    for way, answer in zip(WAYS, ways, strict=True):
        found += _quorum(way, answer)
    if isinstance(maintenance, Answer) and maintenance.status in (200, 412):
        found.append(Reading("minio.maintenance.safe", int(maintenance.status == 200)))
    return Answers(found, _healing(ways[0]))


async def _ask(http: Http, url: str) -> Answer | str:
    try:
        return await http.request("GET", url, timeout_seconds=TIMEOUT_SECONDS)
    except Unreachable as err:
        return str(err)


def _quorum(way: _Way, answer: Answer | str) -> list[Finding]:
    name = f"{way.access}-quorum"
    labels = {ACCESS: way.access}
    if isinstance(answer, str):
        return [Check(name, "unknown", f"{way.path}: {answer}", "unreachable")]
    needed = answer.headers.get(way.header, "")
    found: list[Finding] = []
    if (least := _whole(needed)) is not None:
        found.append(Reading("minio.quorum.drives", least, labels))
    match answer.status:
        case 200:
            return [*found, Reading(QUORUM, 1, labels), Check(name, "up")]
        case 503 if state := answer.headers.get(STATUS, ""):
            message = f"The cluster is not ready, so {way.loss}: {STARTING.get(state, state)}; see the servers' logs"
            return [*found, Reading(QUORUM, 0, labels), Check(name, "down", message, "not-ready")]
        case 503:
            drives = f"; {needed} drives of a set have to be online" if needed else ""
            message = f"Too few drives are online: {way.loss}{drives}; bring drives and nodes back: mc admin info ALIAS"
            return [*found, Reading(QUORUM, 0, labels), Check(name, "down", message, "lost")]
    return [*found, Check(name, "unknown", f"{way.path} answers {answer.status}, expected 200 or 503", "wrong-status")]


def _healing(cluster: Answer | str) -> int | None:
    """Drives that are being healed; the header is there only if there are some."""
    if isinstance(cluster, str) or cluster.headers.get(STATUS) or cluster.status not in (200, 503):
        return None
    return _whole(cluster.headers.get(HEALING, "0"))


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else None


def _unknown(why: str) -> list[Finding]:
    return [Check(f"{way.access}-quorum", "unknown", f"Not known: {why}", "unreachable") for way in WAYS]
