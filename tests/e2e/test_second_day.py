"""The second day: what a server's checks, monitors and deliveries say, and what its charts do when there are many.

A puppet says what this machine cannot be made to say.
"""

from __future__ import annotations

import re

from playwright.sync_api import Locator, expect

from tests.e2e.cast import NGINX, SYSTEM, SYSTEMD, UNITS
from tests.e2e.conftest import Eyes, Stack, opened, wait
from tests.e2e.puppet import Puppet, now
from twinwatch.protocol.checks import CheckStanding, ConfigurationStanding, MonitorStanding
from twinwatch.protocol.heartbeat import Delivery
from twinwatch.protocol.samples import SeriesKey

STROKES = """
(card, lines) => {
  const canvas = card.querySelector("canvas");
  const { data, width, height } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const style = getComputedStyle(document.documentElement);
  return Array.from({ length: lines }, (_, line) => {
    const colour = style.getPropertyValue(`--chart-${line + 1}`).trim();
    const wanted = [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16));
    const drawn = (at) => data[at + 3] > 99 && wanted.every((part, of) => Math.abs(data[at + of] - part) < 9);
    let run = 0;
    let longest = 0;
    for (let x = 0; x < width; x += 1) {
      let found = false;
      for (let y = 0; y < height && !found; y += 1) found = drawn(4 * (y * width + x));
      run = found ? run + 1 : 0;
      longest = Math.max(longest, run);
    }
    return longest / width;
  });
}
"""
"""Of each of a chart's first lines: the part of the picture's width that its longest unbroken stroke takes."""


def strokes(card: Locator, lines: int) -> list[float]:
    """How far the lines of a chart are drawn without a break, by the colours of its pixels."""
    parts: list[float] = card.evaluate(STROKES, lines)
    return parts


def test_a_check_that_goes_down_appears_by_itself(stack: Stack, eyes: Eyes, puppet: Puppet) -> None:
    page = opened(stack, eyes, f"/server/?id={puppet.uuid}")
    summary = page.get_by_test_id("checks-summary")
    expect(summary).to_have_text("31 checks, all up")
    expect(page.get_by_test_id("check")).to_have_count(0)
    eyes.shoot(page, "checks-well")

    broken = CheckStanding("systemd:nginx.service", "systemd", "down", "Exited with code 1.", "failed", now())
    puppet.report(monitors=(SYSTEM, SYSTEMD), checks=(*UNITS, broken))
    expect(summary).to_have_text("1 down, 30 up")
    row = page.get_by_test_id("check").first
    expect(row).to_have_attribute("data-state", "down")
    for words in ("Down", "systemd:nginx.service", "Exited with code 1.", "failed"):
        expect(row).to_contain_text(words)
    expect(page.get_by_test_id("check")).to_have_count(1)
    page.get_by_role("button", name="Show the 30 that are up, too").click()
    expect(page.get_by_test_id("check")).to_have_count(31)
    page.get_by_label("Filter checks", exact=True).fill("unit-7")
    expect(page.get_by_test_id("check")).to_have_count(1)
    page.get_by_label("Filter checks", exact=True).fill("")
    eyes.shoot(page, "checks-down")

    page.goto(stack.url)
    rows = page.get_by_test_id("server-row")
    expect(rows.first).to_have_attribute("data-server-id", puppet.uuid)
    expect(rows.first.locator('[data-checks="down"]')).to_have_text("1 down")
    eyes.shoot(page, "overview-checks")
    puppet.report(monitors=(SYSTEM, SYSTEMD), checks=(NGINX, *UNITS))
    expect(page.locator('[data-checks="down"]')).to_have_count(0)


def test_a_failing_monitor_a_backlog_and_a_wrong_file_are_said_in_plain_words(
    stack: Stack, eyes: Eyes, puppet: Puppet
) -> None:
    page = opened(stack, eyes, f"/server/?id={puppet.uuid}")
    expect(page.get_by_test_id("delivery-summary")).to_have_text("all delivered")
    failing = MonitorStanding("systemd", "systemd", "file", "failing", "No permission on the bus.", 60.0, now())
    wrong = ConfigurationStanding(0, 0, ("/etc/twinwatch/agent.yaml:3:1: unknown key intervall",))
    puppet.report(monitors=(SYSTEM, failing), checks=(NGINX,), configuration=wrong)
    puppet.heartbeat(Delivery(5000, 3730, 1240, 30, 9 << 20, now() - 12 * 60_000))
    expect(page.get_by_test_id("delivery-summary")).to_have_text("1,240 ticks wait, oldest 12 min; 30 lost")
    row = page.locator('[data-monitor="systemd"]')
    for words in ("Failing", "No permission on the bus.", "file"):
        expect(row).to_contain_text(words)
    expect(page.get_by_test_id("configuration-problems")).to_contain_text("unknown key intervall")
    page.get_by_role("button", name=re.compile("^Delivery")).click()
    expect(page.locator('[data-fact="Lost"]')).to_have_text("30")
    expect(page.locator('[data-fact="Buffer"]')).to_have_text("9 MiB")
    eyes.shoot(page, "standing-trouble")


def test_many_charts_are_found_by_words_and_old_ones_are_out_of_the_way(
    stack: Stack, eyes: Eyes, puppet: Puppet
) -> None:
    for name, value, ago_ms in (("shop", 0.25, 0), ("blog", 0.75, 7000)):
        labels = {"twinwatch.monitor.name": name}
        figures = [(SeriesKey(f"app.figure_{number}", labels), value) for number in range(40)]
        puppet.measure("app", figures, runs=40, ago_ms=ago_ms)
    puppet.measure("gone", [(SeriesKey("gone.figure"), 1.0)], runs=20)
    page = opened(stack, eyes, f"/server/?id={puppet.uuid}")
    charts = page.get_by_test_id("chart")
    expect(charts).to_have_count(24)
    page.get_by_label("Filter charts").fill("figure_39")
    expect(charts).to_have_count(1)
    expect(charts.first).to_have_attribute("data-lines", "2")
    # Ten of fifteen minutes. The two were measured at different times.
    wait(lambda: all(part > 0.5 for part in strokes(charts.first, 2)), 20, lambda: str(strokes(charts.first, 2)))
    charts.first.locator(".u-over").hover()
    for words in ("shop", "25.0%", "blog", "75.0%"):
        expect(charts.first.get_by_role("status")).to_contain_text(words)
    eyes.shoot(page, "charts-of-two")
    page.get_by_role("radio", name="blog").click()
    expect(charts.first).to_have_attribute("data-lines", "1")
    wait(lambda: strokes(charts.first, 1)[0] > 0.5, 20, lambda: str(strokes(charts.first, 1)))
    page.get_by_label("Filter charts").fill("")
    page.get_by_role("button", name="Show all 40 charts").click()
    expect(charts).to_have_count(40)
    page.get_by_role("region", name="No longer watched").get_by_role("button", name="Show").click()
    expect(charts).to_have_count(41)
    eyes.shoot(page, "charts-many")
