"""What an application of .NET says, whichever way, and what is made of it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.monitors.hikvision_stage import checks_of as checks
from tests.unit.monitors.hikvision_stage import values_of as values
from twinwatch.alerts.conditions import matcher
from twinwatch.alerts.wording import message_of
from twinwatch.monitors import Absent, Moment, Unreadable
from twinwatch.monitors.distributions import Distribution, Exponential
from twinwatch.monitors.dotnet import Dotnet, figures
from twinwatch.monitors.dotnet.figures import Fact, Figures
from twinwatch.monitors.dotnet.health import NoHealth, health_of, veiled
from twinwatch.monitors.options import options_of
from twinwatch.testing.paper import PaperHost, PaperHttp, PaperPushes, paper_world

URL = "http://127.0.0.1:5000/health"


@pytest.mark.parametrize(
    ("body", "state", "entries"),
    [
        ("Healthy", "up", {}),
        ("\ufeffDegraded\n", "degraded", {}),
        ('"Unhealthy"', "down", {}),
        ('{"status": "Healthy", "entries": {"db": {"status": "Healthy"}}}', "up", {"db": "up"}),
        ('{"Status": "Unhealthy", "Results": {"db": {"Status": "Unhealthy"}}}', "down", {"db": "down"}),
        ('{"status": 0, "entries": {"a": {"status": 2}, "b": {"status": 1}}}', "down", {"a": "up", "b": "degraded"}),
        ('{"status": "Degraded", "checks": [{"name": "q", "status": "Degraded"}, 7]}', "degraded", {"q": "degraded"}),
        ('{"status": "Healthy", "entries": {"x": {"status": "odd"}}}', "up", {"x": "unknown"}),
        ('{"status": "Healthy", "entries": {"x": "Unhealthy", "y": 9}}', "up", {"x": "down"}),
    ],
)
def test_health_is_understood_in_the_ways_that_are_in_use(body: str, state: str, entries: dict[str, str]) -> None:
    health = health_of(body.encode())
    assert health.state == state
    assert {one.name: one.state for one in health.entries} == entries


@pytest.mark.parametrize("body", ["", "OK", "[]", "{}", '{"status": "great"}', "<html>", "[" * 5000])
def test_what_is_no_health_says_so(body: str) -> None:
    with pytest.raises(NoHealth):
        health_of(body.encode())


@given(st.binary(max_size=200))
def test_noise_is_no_health_or_health(content: bytes) -> None:
    try:
        health_of(content)
    except NoHealth:
        return


def test_credentials_in_a_description_are_veiled() -> None:
    said = veiled("Server=db;User Id=shop;Password=hunter2; amqp://shop:hunter2@mq/ token: hunter2")
    assert "hunter2" not in said
    assert "Server=db" in said


NEW = {
    "dotnet.gc.last_collection.heap.size": figures.HEAP,
    "dotnet.gc.pause.time": figures.PAUSE,
    "dotnet.gc.heap.total_allocated": figures.ALLOCATED,
    "dotnet.thread_pool.thread.count": figures.THREADS,
    "dotnet.thread_pool.queue.length": figures.QUEUE,
    "dotnet.thread_pool.work_item.count": figures.COMPLETED,
    "dotnet.exceptions": figures.EXCEPTIONS,
    "dotnet.monitor.lock_contentions": figures.CONTENTIONS,
}
OLD = {
    "process.runtime.dotnet.gc.heap.size": figures.HEAP,
    "process.runtime.dotnet.gc.duration": figures.PAUSE,
    "process.runtime.dotnet.gc.allocations.size": figures.ALLOCATED,
    "process.runtime.dotnet.thread_pool.threads.count": figures.THREADS,
    "process.runtime.dotnet.thread_pool.queue.length": figures.QUEUE,
    "process.runtime.dotnet.thread_pool.completed_items.count": figures.COMPLETED,
    "process.runtime.dotnet.exceptions.count": figures.EXCEPTIONS,
    "process.runtime.dotnet.monitor.lock_contention.count": figures.CONTENTIONS,
}
EXPORTED = {
    "dotnet_gc_pause_time_seconds_total": figures.PAUSE,
    "dotnet_gc_last_collection_heap_size_bytes": figures.HEAP,
    "process_runtime_dotnet_gc_duration_nanoseconds_total": figures.PAUSE,
    "process_runtime_dotnet_gc_heap_size_bytes": figures.HEAP,
    "system_runtime_threadpool_queue_length": figures.QUEUE,
    "system_runtime_exception_count_total": figures.EXCEPTIONS,
    "microsoft_aspnetcore_hosting_current_requests": figures.ACTIVE,
}


@pytest.mark.parametrize(("name", "metric"), [*NEW.items(), *OLD.items(), *EXPORTED.items()])
def test_every_name_stands_for_its_figure(name: str, metric: str) -> None:
    meant = figures.meaning_of(name)
    assert meant is not None
    assert meant[0] == metric


@pytest.mark.parametrize("name", ["dotnet", "gc_heap_size", "orders.open", "system_cpu", "", "dotnet_thing_total"])
def test_other_names_stand_for_nothing(name: str) -> None:
    assert figures.meaning_of(name) is None


def test_counters_become_rates_and_shares_in_base_units() -> None:
    source = Figures()
    first = [Fact("dotnet.gc.pause.time", {}, 2.0, True), Fact("process.runtime.dotnet.exceptions.count", {}, 10, True)]
    assert source.of(first, 100.0) == {}
    second = [
        Fact("dotnet.gc.pause.time", {}, 3.5, True),
        Fact("process.runtime.dotnet.exceptions.count", {}, 40, True),
    ]
    found = {metric: one.value for (metric, _), one in source.of(second, 110.0).items()}
    assert found == {figures.PAUSE: 0.15, figures.EXCEPTIONS: 3}
    reset = source.of([Fact("dotnet.gc.pause.time", {}, 0.1, True)], 120.0)
    assert reset == {}, "a counter that fell was reset"


def test_series_of_one_figure_are_added_and_generations_kept_apart() -> None:
    source = Figures()
    heap = [
        Fact("dotnet.gc.last_collection.heap.size", {"gc.heap.generation": one}, 5.0, False) for one in ("gen0", "loh")
    ]
    collections = [
        Fact("dotnet_collection_count_total", {"generation": "2"}, 4, True),
        Fact("gen-0-gc-count", {}, 2, False),
    ]
    source.of([*heap, *collections], 0.0)
    later = [Fact("dotnet_collection_count_total", {"generation": "2"}, 8, True), Fact("gen-0-gc-count", {}, 2, False)]
    found = {key: one.value for key, one in source.of([*heap, *later], 2.0).items()}
    assert found == {(figures.HEAP, ""): 10, (figures.COLLECTIONS, "gen2"): 2, (figures.COLLECTIONS, "gen0"): 2}


def test_requests_come_from_the_histogram_where_a_counter_counts_the_same() -> None:
    def facts(times: int) -> list[Fact]:
        good = Distribution((0.1, 1.0), (90.0 * times, 0.0, 0.0), 4.5 * times)
        bad = Distribution((0.1, 1.0), (0.0, 10.0 * times, 0.0), 5.0 * times)
        return [
            Fact("http_requests_received_total", {"code": "200"}, 90.0 * times, True),
            Fact("http_request_duration_seconds", {"code": "200"}, good, True),
            Fact("http_request_duration_seconds", {"code": "503"}, bad, True),
        ]

    source = Figures()
    source.of(facts(1), 0.0)
    found = {metric: one.value for (metric, _), one in source.of(facts(2), 10.0).items()}
    assert found[figures.REQUESTS] == 10
    assert found[figures.FAILED] == 0.1
    assert found[figures.DURATION] == 0.095
    assert 0.1 < found[figures.P95] <= 1


def test_an_exponential_histogram_of_otlp_is_one_too() -> None:
    source = Figures()
    for times in (1, 2):
        value = Exponential(0, {0: 20.0 * times}, {}, 0.0, 30.0 * times)
        labels = {"http.response.status_code": "200"}
        found = source.of([Fact("http.server.request.duration", labels, value, True)], 10.0 * times)
    assert found[figures.REQUESTS, ""].value == 2
    assert found[figures.DURATION, ""].value == 1.5


def test_few_requests_say_nothing_of_the_share_that_failed() -> None:
    source = Figures()
    source.of([Fact("http_requests_received_total", {"code": "500"}, 1, True)], 0.0)
    found = source.of([Fact("http_requests_received_total", {"code": "500"}, 3, True)], 1.0)
    assert (figures.FAILED, "") not in found
    assert (figures.REQUESTS, "") in found


def process(pid: int, started: int = 500) -> str:
    return f"{pid} (dotnet) S 1 1 1 0 -1 0 0 0 0 0 10 0 0 0 20 0 9 0 {started} 9999 10 0 0 0\n"


def machine(pid: int = 77, started: int = 500, version: str = "1.0.0") -> PaperHost:
    return PaperHost(
        {
            "/proc/1/stat": process(1).replace("dotnet", "init"),
            f"/proc/{pid}/stat": process(pid, started),
            f"/proc/{pid}/cmdline": "dotnet\0Shop.dll\0",
            f"/proc/{pid}/cwd/Shop.deps.json": json.dumps({"libraries": {f"Shop/{version}": {"type": "project"}}}),
            "/proc/uptime": "100.00 1.0\n",
            "/proc/sys/kernel/random/boot_id": "boot\n",
        }
    )


async def test_a_new_version_is_told_also_after_a_restart_of_the_agent() -> None:
    options = options_of(Dotnet, {"command": "Shop.dll"})
    world = paper_world(machine())
    found = await Dotnet(options).read(world, Moment(0, 0.0))
    assert checks(found)["version"].message == "1.0.0"
    newer = paper_world(machine(78, 900, "1.1.0"), shelf=world.shelf)
    monitor = Dotnet(options)
    told = checks(await monitor.read(newer, Moment(0, 0.0)))
    assert told["restart"].reason == "restarted"
    assert told["version"].reason == "version-changed"
    assert "from 1.0.0 to 1.1.0" in told["version"].message
    later = checks(await monitor.read(newer, Moment(0, 4000.0)))
    assert (later["restart"].state, later["version"].state) == ("up", "up")


async def test_what_is_not_said_is_unreadable_and_without_proc_it_is_absent() -> None:
    with pytest.raises(Unreadable, match="which application"):
        await Dotnet(options_of(Dotnet, {})).read(paper_world(), Moment(0, 0.0))
    with pytest.raises(Absent):
        await Dotnet(options_of(Dotnet, {"process": "x"})).read(paper_world(), Moment(0, 0.0))


async def test_between_two_pushes_what_was_judged_stands_and_after_silence_nobody_knows() -> None:
    board = Slow()
    world = paper_world(pushed=board)
    monitor = Dotnet(options_of(Dotnet, {"service": "shop"}))
    board.queue, board.at = 5.0, 0.0
    found = await board.read(monitor, world, 0.0)
    assert values(found)["dotnet.app.thread_pool.queue"] == 5
    assert checks(found)["thread-pool"].state == "up"
    between = await board.read(monitor, world, 15.0)
    assert values(between) == {}
    assert checks(between)["thread-pool"].state == "up"
    silent = await board.read(monitor, world, 400.0)
    assert checks(silent)["thread-pool"].state == "unknown"


class Slow(PaperPushes):
    """A service that pushed at ``at``."""

    def __init__(self) -> None:
        super().__init__({})
        self.queue = 0.0
        self.at = 0.0
        self.now = 0.0

    def newest(self, service: str):  # type: ignore[no-untyped-def]
        from twinwatch.world.pushed import Heard

        names = {"dotnet.thread_pool.queue.length": self.queue, "dotnet.thread_pool.thread.count": 4.0}
        return [Heard(name, {}, value, False, self.now - self.at) for name, value in names.items()]

    async def read(self, monitor: Dotnet, world, now: float):  # type: ignore[no-untyped-def]
        self.now = now
        return await monitor.read(world, Moment(round(now * 1000), now))


@pytest.mark.parametrize(
    ("page", "state", "reason"),
    [
        ("200\n\nHealthy", "up", ""),
        ("503\n\nUnhealthy", "down", "unhealthy"),
        ("200\n\nDegraded", "degraded", "degraded"),
        ("200\n\n<html>", "unknown", "not-understood"),
        ("404\n\n", "down", "wrong-status"),
        ("", "down", "unreachable"),
    ],
)
async def test_the_check_health_says_what_is_wrong(page: str, state: str, reason: str) -> None:
    http = PaperHttp({f"GET {URL}?key=geheim": page} if page else {})
    found = await Dotnet(options_of(Dotnet, {"health": [f"{URL}?key=geheim"]})).read(
        paper_world(http=http), Moment(0, 0.0)
    )
    check = checks(found)["health"]
    assert (check.state, check.reason) == (state, reason)
    assert "geheim" not in repr(found)


async def test_an_entry_that_several_addresses_tell_of_is_one_check_and_makes_one_alert() -> None:
    both = "http://127.0.0.1/ready", "http://127.0.0.1/live"
    page = '503\n\n{"status": "Unhealthy", "entries": {"db": {"status": "Unhealthy"}, "mq": {"status": "Healthy"}}}'
    http = PaperHttp(
        {f"GET {both[0]}": page, f"GET {both[1]}": page.replace("Unhealthy", "Healthy").replace("503", "200")}
    )
    found = checks(await Dotnet(options_of(Dotnet, {"health": both})).read(paper_world(http=http), Moment(0, 0.0)))
    assert {name: one.state for name, one in found.items()} == {
        "endpoint:/ready": "degraded",
        "endpoint:/live": "up",
        "health:db": "down",
        "health:mq": "up",
    }
    alerts = {
        rule.name
        for rule in Dotnet.rules
        for check in found.values()
        if rule.check and matcher(rule.check)(check.name) and check.state in rule.states
    }
    assert alerts == {"unhealthy"}


def test_every_default_rule_says_where_and_what_to_do() -> None:
    for rule in Dotnet.rules:
        said = message_of(rule, "shop:x", {}, server="web-1", value=0.5, unit="1", message="do this")
        assert "web-1" in said
        assert "{" not in said, said
