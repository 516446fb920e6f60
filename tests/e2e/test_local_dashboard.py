"""The agent's own page in a real browser: a day of samples, light and dark, wide and narrow, and an agent that dies."""

from __future__ import annotations

import asyncio
import json
import random
import re
import threading
import urllib.request
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import Eyes, wait
from twinwatch.agent.buffer import Buffer, Page, Place, Tick
from twinwatch.agent.local.custom import Custom
from twinwatch.agent.local.server import LocalServer
from twinwatch.agent.local.settings import LocalSettings
from twinwatch.agent.status import BufferStatus, LinkStatus, Status
from twinwatch.agent.worker import Worker
from twinwatch.monitors.system import System
from twinwatch.protocol.checks import CheckStanding, ConfigurationStanding, MonitorStanding
from twinwatch.protocol.heartbeat import Delivery
from twinwatch.protocol.metrics import Catalogue, MonitorFacts
from twinwatch.protocol.samples import SeriesKey, shape_of
from twinwatch.testing.ports import free_port
from twinwatch.world.clock import SystemClock
from twinwatch.world.secret import Secret

TICK_MS = 15_000
DAY_MS = 86_400_000
TOKEN = "a-token-of-thirty-two-characters"
CHECKS = [
    ("systemd:nginx.service", "down", "It was killed by SIGKILL after running for 3 h 5 min", 620),
    ("http:https://shop.example.org/health", "degraded", "It answers in 2.4 s, above its limit of 1 s", 4_000),
    ("systemd:backup.timer", "unknown", "systemd did not answer", 30),
    *((f"systemd:worker-{number}.service", "up", "", 90_000) for number in range(8)),
]


def system_facts() -> MonitorFacts:
    return MonitorFacts("system", "System", 15.0, System.metrics, System.charts, System.headlines)


LABELS: dict[str, list[str]] = {
    "disk.io.direction": ["read", "write"],
    "network.io.direction": ["receive", "transmit"],
    "cpu.mode": ["user", "system", "iowait", "nice", "idle"],
    "system.memory.state": ["used", "free", "cached", "buffers"],
    "system.device": ["sda", "nvme0n1"],
    "network.interface.name": ["eth0"],
    "system.filesystem.mountpoint": ["/", "/srv"],
}


def series() -> list[SeriesKey]:
    """For each chart a few series that its labels may have."""
    found: dict[tuple[str, str], SeriesKey] = {}
    for chart in System.charts:
        for metric in chart.metrics:
            combinations: list[dict[str, str]] = [{}]
            for label in chart.by:
                values = LABELS.get(label, ["a", "b"])
                combinations = [{**one, label: value} for one in combinations for value in values]
            for labels in combinations[:10]:
                found[metric, repr(sorted(labels.items()))] = SeriesKey(metric, labels)
    return list(found.values())


def a_day(now: int) -> list[Tick]:
    """Ticks of 24 hours; the agent was off for 40 minutes, ten hours ago."""
    noise = random.Random(7)
    keys = series()
    units = {metric.name: metric.unit for metric in System.metrics}
    size = {"1": 0.6, "By": 4e9, "By/s": 3e6, "s": 40_000.0}
    levels = [size.get(units.get(key.metric, ""), 30.0) * noise.random() for key in keys]
    shape = shape_of("system", tuple(keys))
    ticks = []
    values = levels
    for time in range(now - DAY_MS, now, TICK_MS):
        values = [
            max(0.0, value + (level - value) * 0.01 + noise.gauss(0, level * 0.04))
            for value, level in zip(values, levels, strict=True)
        ]
        if not 34_000_000 < now - time < 36_400_000:
            ticks.append(Tick(shape, time, values))
    return ticks


class RunningAgent(threading.Thread):
    """The local server over a real buffer, on a thread of its own."""

    def __init__(self, folder: Path, settings: LocalSettings) -> None:
        super().__init__(daemon=True)
        self.folder, self.settings = folder, settings
        self.url = f"http://{settings.listen.replace('0.0.0.0', '127.0.0.1')}"
        self.ready, self.stopping = threading.Event(), asyncio.Event()
        self.link = LinkStatus("up", "https://hub.example.org", since=0, clock_ahead_seconds=0.02, control=True)
        self.problems: tuple[str, ...] = ()

    def run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        clock, worker = SystemClock(), Worker()
        buffer = await worker.do(lambda: Buffer(self.folder / "buffer.sqlite3", clock.now()))

        async def keep(ticks: Sequence[Tick]) -> None:
            await worker.do(buffer.keep, ticks)

        async def read(since: int, until: int, *, metrics: Collection[str], after: Place, ticks: int) -> Page:
            return await worker.do(buffer.page, since, until, metrics=metrics, after=after, ticks=ticks)

        ticks = a_day(clock.now())
        for start in range(0, len(ticks), 500):
            await keep(ticks[start : start + 500])
        custom = Custom(clock, keep)
        facts = system_facts()

        def catalogue() -> Catalogue:
            learned = custom.declaration
            return Catalogue(
                "1.4", (facts, MonitorFacts("custom", "Custom metrics", 60.0, learned.metrics, learned.charts))
            )

        server = LocalServer(
            self.settings,
            state_dir=self.folder,
            status=lambda: self.status(clock.now()),
            catalogue=catalogue,
            read=read,
            custom=custom,
            clock=clock,
        )
        tasks = [asyncio.create_task(server.run()), asyncio.create_task(custom.run())]
        self.custom = custom
        while not server.addresses:  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.01)
        self.ready.set()
        await self.stopping.wait()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await worker.do(buffer.close)
        worker.close()

    def status(self, now: int) -> Status:
        """How it stands."""
        return Status(
            version="1.4.0",
            server_name="web-1.example.org",
            time=now,
            uptime_seconds=273_900.0,
            pid=812,
            link=LinkStatus(self.link.state, self.link.hub, now - 7_300_000, self.link.error, 0.02, self.link.control),
            delivery=Delivery(52_340, 52_328, 12, 0, 9_400_000, now - 24_000),
            buffer=BufferStatus("/var/lib/twinwatch-agent/buffer.sqlite3", 9_400_000, 268_435_456),
            monitors=(
                MonitorStanding("system", "system", "default", "ok", "", 15.0, now),
                MonitorStanding("systemd", "systemd", "default", "ok", "", 30.0, now),
                MonitorStanding("shop", "http", "hub", "ok", "", 30.0, now),
                MonitorStanding(
                    "postgres", "postgres", "file", "failing", "connection refused at 127.0.0.1:5432", 60.0, now
                ),
                MonitorStanding("tailscale", "tailscale", "default", "absent", "no tailscaled on this host", 30.0, now),
            ),
            checks=tuple(
                CheckStanding(name, name.partition(":")[0], state, message, "", now - ago * 1000)  # type: ignore[arg-type]
                for name, state, message, ago in CHECKS
            ),
            configuration=ConfigurationStanding(version=7, problems=self.problems),
        )

    def stop(self) -> None:
        """As if it died."""
        if self.is_alive():
            self.loop.call_soon_threadsafe(self.stopping.set)
            self.join(20)


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[RunningAgent]:
    agent = RunningAgent(tmp_path, LocalSettings(listen=f"127.0.0.1:{free_port()}"))
    agent.start()
    assert agent.ready.wait(60)
    yield agent
    agent.stop()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_day_is_shown_without_the_hub(agent: RunningAgent, eyes: Eyes, dark: bool) -> None:
    agent.problems = ("agent.yaml, line 12: 'intervall': no such key; did you mean 'interval'?",)
    page = eyes.page(dark=dark, height=1000)
    page.goto(agent.url)
    expect(page.get_by_role("heading", name="web-1.example.org")).to_be_visible()
    expect(page.locator("#overall")).to_have_text("1 check down")
    expect(page.locator("#notices")).to_contain_text("did you mean 'interval'?")
    expect(page.locator("#tiles")).to_contain_text("hub.example.org")
    rows = page.locator("#checks tbody").first.locator("tr")
    expect(rows.first).to_contain_text("systemd:nginx.service")
    expect(rows).to_have_count(3)
    expect(page.locator("#checks summary")).to_have_text("8 checks up")
    expect(page.locator("#monitors")).to_contain_text("connection refused at 127.0.0.1:5432")
    page.get_by_role("button", name="24 h").click()
    first = page.locator(".card canvas").first
    expect(first).to_have_attribute("aria-label", re.compile("newest: (?!no samples)"))
    first.scroll_into_view_if_needed()
    first.hover(position={"x": 300, "y": 60})
    expect(page.locator(".tip").first).to_be_visible()
    eyes.shoot(page, f"local-{'dark' if dark else 'light'}")


def test_on_a_phone_nothing_is_cut_off(agent: RunningAgent, eyes: Eyes) -> None:
    page = eyes.page(width=390, height=844)
    page.goto(agent.url)
    expect(page.locator(".card canvas").first).to_have_attribute("aria-label", re.compile("newest: (?!no samples)"))
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    eyes.shoot(page, "local-phone")


def test_it_is_worked_with_the_keyboard(agent: RunningAgent, eyes: Eyes) -> None:
    page = eyes.page()
    page.goto(agent.url)
    page.get_by_role("button", name="6 h").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="6 h")).to_have_attribute("aria-pressed", "true")
    first = page.locator(".card canvas").first
    expect(first).to_have_attribute("aria-label", re.compile("newest: (?!no samples)"))
    first.focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".tip").first).to_contain_text(":")
    page.keyboard.press("Escape")
    expect(page.locator(".tip").first).to_be_hidden()


def test_a_pushed_metric_gets_its_chart(agent: RunningAgent, eyes: Eyes) -> None:
    page = eyes.page()
    page.clock.install()
    page.goto(agent.url)
    pushed = [
        {"name": "orders.open", "value": value, "labels": {"shop": shop}} for shop, value in (("a", 12), ("b", 7))
    ]
    with urllib.request.urlopen(f"{agent.url}/api/v1/metrics", json.dumps(pushed).encode()) as answer:
        assert answer.status == 202
    asyncio.run_coroutine_threadsafe(agent.custom.flush(), agent.loop).result(10)

    def drawn_after_a_while() -> int:
        page.clock.run_for(5_000)
        return page.get_by_text("orders.open").count()

    wait(drawn_after_a_while, 30)
    page.get_by_role("heading", name="orders.open").scroll_into_view_if_needed()
    expect(page.locator(".card", has_text="orders.open").get_by_role("button", name="b")).to_be_visible()


def test_an_agent_that_died_is_told_by_its_own_page(agent: RunningAgent, eyes: Eyes) -> None:
    page = eyes.page()
    page.clock.install()
    page.goto(agent.url)
    expect(page.locator("#overall")).to_have_text("1 check down")
    agent.stop()
    page.clock.run_for(40_000)
    expect(page.locator("#silence")).to_contain_text(re.compile("No answer from the agent for 4[0-9] s"))
    expect(page.locator("#overall")).to_have_text("No answer")
    eyes.shoot(page, "local-silent")
    page.close()
    eyes.complaints.clear()  # the browser says of each question that nobody answered


def test_beyond_loopback_the_page_asks_for_the_token(tmp_path: Path, eyes: Eyes) -> None:
    agent = RunningAgent(tmp_path, LocalSettings(listen=f"0.0.0.0:{free_port()}", token=Secret(TOKEN)))
    agent.start()
    try:
        assert agent.ready.wait(60)
        page = eyes.page(height=500)
        page.goto(agent.url)
        eyes.shoot(page, "local-sign-in")
        page.get_by_label("Token").fill("not it")
        page.get_by_role("button", name="Show this server").click()
        expect(page.get_by_text("That is not the token.")).to_be_visible()
        page.get_by_label("Token").fill(TOKEN)
        page.get_by_role("button", name="Show this server").click()
        expect(page.get_by_role("heading", name="web-1.example.org")).to_be_visible()
        page.close()
        eyes.complaints.clear()  # a page that was answered with 401
    finally:
        agent.stop()
