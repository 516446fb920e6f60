"""MinIO as recorded, and what is said where it fails."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.unit.monitors.conftest import checks, values
from twinwatch.monitors import Check, Finding, Moment
from twinwatch.monitors.minio import Minio
from twinwatch.monitors.minio.figures import Figures
from twinwatch.monitors.minio.judging import judged
from twinwatch.monitors.options import options_of
from twinwatch.testing.cases import AT_SECONDS, EPOCH, cases_in
from twinwatch.testing.paper import PaperHttp, paper_world

CAPTURES = Path(__file__).parents[2] / "captures"
CASES = {case.name: case for case in cases_in(CAPTURES, {"minio": Minio})}
URL = "http://minio-1.example.org:9000"


async def both(name: str) -> list[list[Finding]]:
    """The findings of both moments of a capture."""
    case = CASES[name]
    monitor = case.made()
    moments = zip(case.snapshots(), case.moments(), strict=True)
    return [list(await monitor.read(snapshot.world(moment), moment)) for snapshot, moment in moments]


async def ask(sources: Mapping[str, str], **options: Any) -> list[Finding]:
    world = paper_world(http=PaperHttp(sources))
    monitor = Minio(options_of(Minio, {"url": URL, **options}))
    return list(await monitor.read(world, Moment(EPOCH, AT_SECONDS)))


def message(found: list[Finding], name: str) -> str:
    (check,) = (one for one in found if isinstance(one, Check) and one.name == name)
    return check.message


async def test_a_drive_is_lost() -> None:
    before, after = await both("minio-drive-lost")
    well = {"live", "write-quorum", "read-quorum", "healing", "metrics", "nodes", "canary"}
    assert {name for name, (state, _) in checks(before).items() if state == "up"} == well | {
        "drives",
        "erasure",
        "fresh:backups/shop/",
    }
    told = checks(after)
    assert {name for name, (state, _) in told.items() if state == "up"} == well | {"fresh:backups/shop/"}
    assert told["drives"] == ("degraded", "offline")
    assert told["erasure"] == ("down", "no-tolerance")
    assert message(after, "drives").startswith("1 of 4 drives offline; see which, and why: mc admin info ALIAS")
    readings = values(after)
    assert readings["minio.drive.count", "offline"] == 1
    assert readings["minio.erasure.tolerance", "0", "0", "write"] == 0
    assert readings["minio.erasure.tolerance", "0", "0", "read"] == 1
    assert readings["minio.bucket.size", "photos"] == 6_000_000
    assert readings["minio.request.errors", "5xx"] == 0.1333
    assert readings["minio.canary.duration", "put"] == 0.01201
    assert readings["minio.object.age", "backups/shop/"] == 30


async def test_write_quorum_is_lost_and_reading_goes_on() -> None:
    before, after = await both("minio-quorum-lost")
    assert checks(before)["write-quorum"] == ("up", "")
    assert checks(before)["canary"] == ("degraded", "slow")
    assert checks(before)["fresh:backups/"] == ("unknown", "refused")
    told = checks(after)
    assert told["write-quorum"] == ("down", "lost")
    assert told["read-quorum"] == ("up", "")
    assert told["canary"] == ("down", "quorum")
    assert told["fresh:backups/"] == ("down", "too-old")
    assert "3 drives of a set have to be online" in message(after, "write-quorum")
    assert message(after, "canary").startswith(f"PUT in bucket logs of {URL}: SlowDownWrite: ")
    assert values(after)["minio.quorum", "write"] == 0


async def test_version_2_says_the_same_under_other_names() -> None:
    _, after = await both("minio-v2")
    told = checks(after)
    assert told["drives"] == told["nodes"] == told["erasure"] == told["metrics"] == ("up", "")
    assert told["replication"] == ("degraded", "target-away")
    assert told["healing"] == ("up", "healing")
    readings = values(after)
    assert readings["minio.drive.count", "online"] == 4
    assert readings["minio.replication.link", "backup.example.org:9000"] == 0
    assert readings["minio.replication.failed", "photos"] == 3
    assert readings["minio.bucket.quota.utilization", "photos"] == 0.6
    assert readings[("minio.bucket.left_out",)] == 1
    assert ("minio.bucket.size", "backups") not in readings
    assert readings[("minio.request.error_ratio",)] == 0
    assert 0 < readings[("minio.capacity.full_in",)] < 30 * 86_400


LIVE = {
    f"GET {URL}/minio/health/live": "200\n\n",
    f"GET {URL}/minio/health/cluster": "200\nx-minio-write-quorum: 3\n\n",
    f"GET {URL}/minio/health/cluster/read": "200\nx-minio-read-quorum: 2\n\n",
}
TOKEN = "the-token-of-the-metrics"


@pytest.mark.parametrize(
    ("sources", "name", "expected"),
    [
        ({}, "live", ("down", "unreachable")),
        ({}, "write-quorum", ("unknown", "unreachable")),
        ({**LIVE, f"GET {URL}/minio/health/live": "503\n\n"}, "live", ("down", "busy")),
        ({**LIVE, f"GET {URL}/minio/health/live": "404\n\n"}, "live", ("down", "no-minio")),
        (
            {**LIVE, f"GET {URL}/minio/health/live": "200\nx-minio-server-status: offline\n\n"},
            "live",
            ("down", "not-ready"),
        ),
        (
            {**LIVE, f"GET {URL}/minio/health/cluster": "503\nx-minio-server-status: iam-offline\n\n"},
            "write-quorum",
            ("down", "not-ready"),
        ),
        ({**LIVE, f"GET {URL}/minio/health/cluster/read": "503\n\n"}, "read-quorum", ("down", "lost")),
        ({**LIVE, f"GET {URL}/minio/health/cluster/read": "500\n\n"}, "read-quorum", ("unknown", "wrong-status")),
        (LIVE, "live", ("up", "")),
    ],
)
async def test_health_is_told_apart(sources: Mapping[str, str], name: str, expected: tuple[str, str]) -> None:
    assert checks(await ask(sources, metrics="none"))[name] == expected


@pytest.mark.parametrize(
    ("page", "token", "expected"),
    [
        ("403\n\n{}", None, ("unknown", "no-token")),
        ("403\n\n{}", TOKEN, ("degraded", "bad-token")),
        ("500\n\n", TOKEN, ("degraded", "wrong-status")),
        ("200\n\nthis is no exposition", TOKEN, ("degraded", "not-understood")),
        (None, TOKEN, ("unknown", "unreachable")),
    ],
)
async def test_metrics_that_cannot_be_had_leave_their_checks_unjudged(
    page: str | None, token: str | None, expected: tuple[str, str]
) -> None:
    paths = ("/minio/metrics/v3/cluster/health", "/minio/v2/metrics/cluster")
    sources = {} if page is None else {f"GET {URL}{path}": page for path in paths}
    found = await ask({**LIVE, **sources}, **({"metrics_token": token} if token else {}))
    told = checks(found)
    assert told["metrics"] == expected
    assert {told[name][0] for name in ("drives", "nodes", "erasure")} == {"unknown"}
    assert TOKEN not in repr(found)


async def test_where_no_token_is_set_the_server_is_not_asked_every_time() -> None:
    http = PaperHttp({f"GET {URL}/minio/metrics/v3/cluster/health": "403\n\n"})
    monitor = Minio(options_of(Minio, {"url": URL, "health": False}))
    for seconds in (0.0, 30.0, 60.0, 700.0):
        found = await monitor.read(paper_world(http=http), Moment(EPOCH, seconds))
        assert checks(found)["metrics"][0] == "unknown"
    assert http.asked.count(f"GET {URL}/minio/metrics/v3/cluster/health") == 2


async def test_healing_that_goes_on_for_a_day_is_told() -> None:
    healing = {**LIVE, f"GET {URL}/minio/health/cluster": "200\nx-minio-healing-drives: 2\n\n"}
    monitor = Minio(options_of(Minio, {"url": URL, "metrics": "none"}))
    told = []
    for hour, sources in ((0, healing), (23, healing), (25, healing), (26, LIVE)):
        moment = Moment(EPOCH, hour * 3600.0)
        told.append(checks(await monitor.read(paper_world(http=PaperHttp(sources)), moment))["healing"])
    assert told == [("up", "healing"), ("up", "healing"), ("degraded", "slow"), ("up", "")]


def sets(online: int, write: int, healing: int = 0, total: int = 16) -> str:
    """An erasure set as version 3 has it: what is zero is left out."""
    labels = '{pool_id="0",set_id="1"}'
    lines = [
        f"minio_cluster_erasure_set_online_drives_count{labels} {online}",
        f"minio_cluster_erasure_set_write_quorum{labels} {write}",
        f"minio_cluster_erasure_set_read_quorum{labels} {write - 1}",
        f"minio_cluster_health_drives_count {total}",
        f"minio_cluster_health_drives_online_count {total}",
    ]
    if healing:
        lines.append(f"minio_cluster_erasure_set_healing_drives_count{labels} {healing}")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (sets(16, 13), ("up", "")),
        (sets(1, 1, total=1), ("up", "")),
        (sets(15, 13), ("up", "")),
        (sets(14, 13), ("degraded", "one-left")),
        (sets(13, 13), ("down", "no-tolerance")),
        (sets(13, 13, healing=1), ("degraded", "one-left")),
        (sets(12, 13), ("down", "read-only")),
        (sets(11, 13), ("down", "lost")),
        ("minio_cluster_health_drives_online_count 4", ("unknown", "not-told")),
    ],
)
def test_a_set_is_judged_by_what_it_may_still_lose(page: str, expected: tuple[str, str]) -> None:
    assert checks(judged(Figures().take([page], 0.0)))["erasure"] == expected


def test_a_counter_that_appears_began_at_zero_and_one_of_another_server_did_not() -> None:
    figures = Figures()
    total = 'minio_api_requests_total{name="GetObject",server="a"} %d'
    failed = 'minio_api_requests_5xx_errors_total{name="GetObject",server="%s"} %d'
    figures.take([total % 100], 0.0)
    found = figures.take([f"{total % 200}\n{failed % ('a', 10)}\n{failed % ('b', 1000)}"], 10.0)
    assert found["minio.requests"] == {(): 10.0}
    assert found["minio.request.errors"][(("error.type", "5xx"),)] == 1.0
    assert found["minio.request.error_ratio"] == {(): 0.1}


def test_a_few_requests_say_nothing_about_the_share_that_fails() -> None:
    figures = Figures()
    page = 'minio_s3_requests_total{api="a"} %d\nminio_s3_requests_5xx_errors_total{api="a"} %d'
    figures.take([page % (100, 0)], 0.0)
    assert "minio.request.error_ratio" not in figures.take([page % (103, 3)], 10.0)


def test_a_scanner_that_never_ran_is_not_292_years_silent() -> None:
    assert Figures().take(["minio_scanner_last_activity_seconds 9.223372036854776e+09"], 0.0) == {}


def test_the_parts_run_apart() -> None:
    options = {
        "url": URL + "/",
        "access_key": "a",
        "secret_key": "b",
        "canary": {"bucket": "canary", "check_interval": "2m"},
        "expected": [{"bucket": "backups", "within": "26h"}, {"bucket": "logs", "prefix": "a/", "within": "1h"}],
    }
    parts = Minio.split(options_of(Minio, options))
    assert [(part.name, part.interval_seconds) for part in parts] == [
        ("", None),
        ("canary", 120),
        ("expected backups/", 300),
        ("expected logs/a/", 300),
    ]
    anywhere = options_of(Minio, {**options, "health": False, "metrics": "none"})
    assert [part.name for part in Minio.split(anywhere)] == ["canary", "expected backups/", "expected logs/a/"]


def test_what_is_expected_is_named_once() -> None:
    twice = [{"bucket": "backups", "within": "1h"}, {"bucket": "backups", "within": "2h"}]
    with pytest.raises(msgspec.ValidationError, match="twice"):
        options_of(Minio, {"url": URL, "access_key": "a", "secret_key": "b", "expected": twice})


def test_a_canary_without_keys_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="access_key and secret_key"):
        options_of(Minio, {"url": URL, "canary": {"bucket": "canary"}})
