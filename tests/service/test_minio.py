"""The minio monitor before a server on a real port: drives, quorum, tokens, and an object's way there and back."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.unit.monitors.conftest import checks, values
from twinwatch.monitors import Check, Finding, Moment, Unreadable
from twinwatch.monitors.minio import Minio
from twinwatch.monitors.minio.canary import LEFT
from twinwatch.monitors.options import options_of
from twinwatch.testing.certificates import certificate_for, lacking
from twinwatch.testing.minio import ACCESS_KEY, SECRET_KEY, TOKEN, MinioServer, Object
from twinwatch.world.clock import SystemClock
from twinwatch.world.doors import World
from twinwatch.world.host import Host
from twinwatch.world.http import AiohttpHttp

pytest.importorskip("minio", reason="needs pip install 'twinwatch[s3]'")

KEYS = {"access_key": ACCESS_KEY, "secret_key": SECRET_KEY}
CANARY = {"bucket": "canary", "timeout": "1s"}
ALONE = {**KEYS, "health": False, "metrics": "none"}
Watch = Callable[..., Minio]
Run = Callable[[Minio], Awaitable[list[Finding]]]


@pytest.fixture
async def server() -> AsyncIterator[MinioServer]:
    async with MinioServer(buckets={"canary": {}, "backups": {}}).serving() as server:
        yield server


@pytest.fixture
def watch(server: MinioServer) -> Watch:
    return lambda **options: Minio(options_of(Minio, {"url": server.url, **options}))


@pytest.fixture
async def run() -> AsyncIterator[Run]:
    world = World(clock=SystemClock(), http=AiohttpHttp(), host=Host())

    async def once(monitor: Minio) -> list[Finding]:
        return list(await monitor.read(world, Moment(world.clock.now(), world.clock.monotonic())))

    yield once
    await world.close()


def process_list() -> str:
    """The arguments of every process."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # ended meanwhile
            found.append(path.read_text(errors="replace"))
    return "\n".join(found)


def message(found: list[Finding], name: str) -> str:
    (check,) = (one for one in found if isinstance(one, Check) and one.name == name)
    return check.message


async def test_drives_are_lost_until_quorum_is(server: MinioServer, watch: Watch, run: Run) -> None:
    monitor = watch(metrics_token=TOKEN, canary=CANARY, **KEYS)
    told = []
    for server.offline in (0, 1, 2, 3, 0):
        found = checks(await run(monitor))
        told.append([found[name][0] for name in ("drives", "erasure", "write-quorum", "read-quorum", "canary")])
    assert told == [
        ["up", "up", "up", "up", "up"],
        ["degraded", "down", "up", "up", "up"],
        ["degraded", "down", "down", "up", "down"],
        ["degraded", "down", "down", "down", "down"],
        ["up", "up", "up", "up", "up"],
    ]


async def test_a_token_that_is_refused_leaves_unjudged_what_it_would_tell(
    server: MinioServer, watch: Watch, run: Run
) -> None:
    monitor = watch(metrics_token=TOKEN)
    assert checks(await run(monitor))["drives"] == ("up", "")
    server.token = "another"
    found = await run(monitor)
    assert checks(found)["metrics"] == ("degraded", "bad-token")
    assert checks(found)["drives"] == ("unknown", "bad-token")
    assert checks(found)["live"] == ("up", "")
    assert "mc admin prometheus generate" in message(found, "metrics")
    server.token = TOKEN
    assert checks(await run(monitor))["metrics"] == ("up", "")


async def test_an_older_server_is_read_by_its_older_metrics(server: MinioServer, watch: Watch, run: Run) -> None:
    server.has_version_3, server.offline = False, 1
    found = checks(await run(watch(metrics_token=TOKEN)))
    assert found["metrics"] == ("up", "")
    assert found["drives"] == ("degraded", "offline")
    assert found["erasure"] == ("down", "no-tolerance")


async def test_metrics_that_are_cut_are_half_a_truth_and_said(server: MinioServer, watch: Watch, run: Run) -> None:
    server.cuts.add("/minio/metrics/v3/cluster/erasure-set")
    found = checks(await run(watch(metrics_token=TOKEN)))
    assert found["metrics"] == ("degraded", "incomplete")
    assert found["erasure"] == ("unknown", "not-told")
    assert found["drives"] == ("up", "")


async def test_the_canary_leaves_nothing_behind(server: MinioServer, watch: Watch, run: Run) -> None:
    server.versioned.add("canary")
    found = await run(watch(canary=CANARY, **ALONE))
    assert checks(found) == {"canary": ("up", "")}
    steps = values(found)
    assert {step for _, step in steps} == {"put", "head", "get", "delete"}
    assert all(0 < seconds < 5 for seconds in steps.values())
    assert server.holds("canary") == []


@pytest.mark.parametrize(
    ("method", "code", "step", "reason"),
    [
        ("PUT", "AccessDenied", "PUT", "no-rights"),
        ("PUT", "XMinioStorageFull", "PUT", "full"),
        ("HEAD", "AccessDenied", "HEAD", "no-rights"),
        ("GET", "SlowDownRead", "GET", "quorum"),
        ("DELETE", "AccessDenied", "DELETE", "no-rights"),
    ],
)
async def test_the_step_that_fails_is_named_with_what_to_do(
    server: MinioServer, watch: Watch, run: Run, method: str, code: str, step: str, reason: str
) -> None:
    monitor = watch(canary=CANARY, **ALONE)
    server.fails[method] = (503 if code == "SlowDownRead" else 403, code)
    found = await run(monitor)
    assert checks(found) == {"canary": ("down", reason)}
    assert message(found, "canary").startswith(f"{step} in bucket canary of {server.url}: ")
    assert len(server.holds("canary")) == (method == "DELETE")
    server.fails.clear()
    assert checks(await run(monitor)) == {"canary": ("up", "")}
    assert server.holds("canary") == []


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"access_key": ACCESS_KEY, "secret_key": "not-the-secret-key"}, "bad-credentials"),
        ({"access_key": "stranger", "secret_key": SECRET_KEY}, "bad-credentials"),
    ],
)
async def test_wrong_keys_are_told_apart_from_missing_rights(
    server: MinioServer, watch: Watch, run: Run, keys: dict[str, str], reason: str
) -> None:
    found = await run(watch(canary=CANARY, health=False, metrics="none", **keys))
    assert checks(found) == {"canary": ("down", reason)}


async def test_an_object_that_comes_back_cut_is_down(server: MinioServer, watch: Watch, run: Run) -> None:
    server.cuts.add("GET")
    found = await run(watch(canary=CANARY, **ALONE))
    assert checks(found)["canary"][0] == "down"
    assert message(found, "canary").startswith("GET in bucket canary")
    assert server.holds("canary") == []


async def test_a_store_that_hangs_holds_up_nobody_and_its_leftover_is_cleaned(
    server: MinioServer, watch: Watch, run: Run
) -> None:
    monitor = watch(canary={**CANARY, "timeout": "500ms"}, **ALONE)
    server.hangs.add("GET")
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0.01)
            beats += 1

    beating = asyncio.create_task(beat())
    found = await run(monitor)
    beating.cancel()
    assert checks(found) == {"canary": ("down", "unreachable")}
    assert beats > 10, "the event loop stood still"
    server.hangs.clear()
    async with asyncio.timeout(10):
        while checks(found := await run(monitor)) != {"canary": ("up", "")}:
            assert "an earlier request has not ended" in message(found, "canary")
    assert server.holds("canary") == []


async def test_a_run_that_was_cut_off_is_cleaned_up_by_the_next(server: MinioServer, watch: Watch, run: Run) -> None:
    monitor = watch(canary={**CANARY, "timeout": "500ms"}, **ALONE)
    server.hangs.add("HEAD")
    running = asyncio.ensure_future(run(monitor))
    async with asyncio.timeout(10):
        while not server.holds("canary"):  # noqa: ASYNC110 - a thread changes what is waited for
            await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    server.hangs.clear()
    async with asyncio.timeout(10):
        while checks(await run(monitor)) != {"canary": ("up", "")}:
            pass
    assert server.holds("canary") == []


async def test_what_a_killed_agent_left_is_swept_and_nothing_else(server: MinioServer, watch: Watch, run: Run) -> None:
    now = datetime.now(UTC)
    old, young = (round((now - timedelta(minutes=age)).timestamp() * 1000) for age in (20, 1))
    stale = f"twinwatch-canary/{old}-{'a' * 16}"
    others = [f"twinwatch-canary/{young}-{'b' * 16}", "twinwatch-canary/notes.txt", f"{old}-{'c' * 16}"]
    for key in (stale, *others):
        server.buckets["canary"][key] = [Object(b"x", now)]
    assert checks(await run(watch(canary=CANARY, **ALONE))) == {"canary": ("up", "")}
    assert server.holds("canary") == sorted(others)


async def test_without_the_right_to_list_the_canary_lives_all_the_same(
    server: MinioServer, watch: Watch, run: Run
) -> None:
    server.fails["LIST"] = (403, "AccessDenied")
    assert checks(await run(watch(canary=CANARY, **ALONE))) == {"canary": ("up", "")}


async def test_a_store_that_is_away_for_long_does_not_fill_the_memory(run: Run) -> None:
    away = Minio(options_of(Minio, {"url": "http://127.0.0.1:1", "canary": CANARY, **ALONE}))
    for _ in range(LEFT + 20):
        assert checks(await run(away)) == {"canary": ("down", "unreachable")}
    assert away._canary is not None
    assert 0 < len(away._canary._left) <= LEFT + 1


async def test_objects_that_are_expected_are_looked_for_page_by_page(
    server: MinioServer, watch: Watch, run: Run
) -> None:
    now = datetime.now(UTC)
    old = [Object(b"x" * 10, now - timedelta(hours=30))]
    server.buckets["backups"] = {f"shop/{number:06}": old for number in range(10_500)}
    monitor = watch(expected=[{"bucket": "backups", "within": "26h", "at_least_bytes": 5}], **ALONE)
    found = checks(await run(monitor))
    assert found["fresh:backups/"] == ("unknown", "looking"), "10,000 were seen, there are more"
    found_now = await run(monitor)
    assert checks(found_now)["fresh:backups/"] == ("down", "too-old")
    assert "30.0 h old; expected one every 1d2h" in message(found_now, "fresh:backups/")
    server.buckets["backups"]["shop/000001a"] = [Object(b"x", now)]
    assert checks(await run(monitor))["fresh:backups/"] == ("down", "too-old"), "one that is too small does not count"
    server.buckets["backups"]["zoo/1"] = [Object(b"x" * 10, now - timedelta(hours=1))]
    await run(monitor)
    assert checks(await run(monitor))["fresh:backups/"] == ("up", "")


async def test_no_credential_is_shown_anywhere(
    server: MinioServer, watch: Watch, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monitor = watch(metrics_token=TOKEN, canary=CANARY, expected=[{"bucket": "backups", "within": "1h"}], **KEYS)
    said: list[Any] = [await run(monitor)]
    server.fails.update({"PUT": (403, "AccessDenied"), "LIST": (403, SECRET_KEY)})
    server.token = "another"
    said.append(await run(monitor))
    server.fails.clear()
    server.cuts |= {"PUT", "LIST"}
    said.append(await run(monitor))
    listed = process_list()
    for secret in (TOKEN, SECRET_KEY):
        assert secret not in repr(said)
        assert secret not in caplog.text
        assert secret not in listed


@pytest.mark.skipif(bool(lacking()), reason=lacking())
async def test_a_certificate_of_its_own_making_is_taken_only_where_that_is_said(tmp_path: Path, run: Run) -> None:
    certificate = await asyncio.to_thread(certificate_for, tmp_path, "127.0.0.1")
    async with MinioServer(buckets={"canary": {}}).serving(certificate.server()) as server:
        options = {"url": server.url, "metrics_token": TOKEN, "canary": CANARY, **KEYS}
        strict = await run(Minio(options_of(Minio, options)))
        assert checks(strict)["live"] == ("down", "unreachable")
        assert checks(strict)["canary"] == ("down", "unreachable")
        assert "certificate" in message(strict, "live")
        assert "certificate" in message(strict, "canary")
        assert [request for request in server.requests if TOKEN in request or "metrics" in request] == []
        found = checks(await run(Minio(options_of(Minio, {**options, "verify": False}))))
        assert {found[name][0] for name in ("live", "metrics", "drives", "canary")} == {"up"}


async def test_without_the_library_the_canary_says_what_to_install(
    watch: Watch, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "minio", None)
    with pytest.raises(Unreadable, match=r"pip install 'twinwatch\[s3\]'"):
        await run(watch(canary=CANARY, **ALONE))
    assert checks(await run(watch(metrics_token=TOKEN)))["metrics"] == ("up", "")
