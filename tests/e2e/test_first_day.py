"""A stranger's first day: set up, sign in, watch their machine, add a server, lose it.

The tests of this file tell one story in order; each begins where the one before it ended.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import expect

from tests.e2e.conftest import EMAIL, PASSWORD, Eyes, Stack, opened, sign_in, wait

ME = socket.gethostname()


def test_before_setup_every_page_says_where_the_link_is(stack: Stack, eyes: Eyes) -> None:
    page = eyes.page()
    page.goto(stack.url)
    page.get_by_test_id("needs-setup").wait_for()
    expect(page.get_by_test_id("needs-setup")).to_contain_text("twinwatch up")
    eyes.shoot(page, "needs-setup")


def test_the_one_time_link_makes_the_first_owner(stack: Stack, eyes: Eyes) -> None:
    page = eyes.page()
    page.goto(stack.setup_url)
    page.get_by_label("Organization").fill("Example")
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    eyes.shoot(page, "setup")
    page.get_by_role("form", name="Set up").get_by_role("button", name=re.compile("Set up|Create|Finish", re.I)).click()
    row = page.get_by_test_id("server-row").first
    row.wait_for()
    expect(row).to_contain_text(ME)


def test_the_link_works_only_once(stack: Stack, eyes: Eyes) -> None:
    page = eyes.page()
    page.goto(stack.setup_url)
    expect(page.get_by_text(re.compile("already|sign in", re.I)).first).to_be_visible()


def test_a_wrong_password_is_told_and_the_right_one_lets_in(stack: Stack, eyes: Eyes) -> None:
    page = eyes.page()
    page.goto(f"{stack.url}/sign-in/")
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password", exact=True).fill("something else")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_test_id("refusal")).to_be_visible()  # Next's announcer of pages is an alert too, at times
    eyes.shoot(page, "sign-in-refused")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_test_id("server-row").first.wait_for()
    # The refusal itself is a failed request, which the browser logs: expected here, and nothing else.
    eyes.complaints[:] = [one for one in eyes.complaints if "status of 400" not in one]


def test_this_machine_is_up_with_its_real_figures(stack: Stack, eyes: Eyes) -> None:
    page = eyes.page()
    sign_in(page, stack)
    row = page.get_by_test_id("server-row").filter(has_text=ME)
    expect(row).to_have_attribute("data-state", "up")
    memory = row.locator('[data-headline="Memory"]')
    wait(lambda: memory.get_attribute("data-value") is not None, 30)
    facts = {line.split(":")[0]: int(line.split()[1]) for line in Path("/proc/meminfo").read_text().splitlines()}
    real = 1 - facts["MemAvailable"] / facts["MemTotal"]
    assert abs(float(memory.get_attribute("data-value") or "nan") - real) < 0.1
    disk = os.statvfs("/")
    used = (disk.f_blocks - disk.f_bfree) / (disk.f_blocks - disk.f_bfree + disk.f_bavail)
    shown = float(row.locator('[data-headline="Disk"]').get_attribute("data-value") or "nan")
    assert shown > used - 0.05, "the fullest file system is at least as full as the root"
    eyes.shoot(page, "overview")


def test_the_cpu_chart_rises_when_the_cpu_burns(stack: Stack, eyes: Eyes) -> None:
    page = eyes.page()
    sign_in(page, stack)
    page.get_by_test_id("server-row").filter(has_text=ME).get_by_role("link").first.click()
    page.get_by_role("radio", name="15m").or_(page.get_by_role("button", name="15m")).first.click()
    chart = page.locator('[data-testid="chart"][data-chart="CPU cores"]')
    headline = page.locator('[data-headline="CPU"]').first
    chart.wait_for()
    wait(lambda: chart.get_attribute("data-last-value") and headline.get_attribute("data-value"), 30)
    with burning():
        wait(lambda: float(headline.get_attribute("data-value") or 0) > 0.9, 30)
        wait(lambda: float(chart.get_attribute("data-last-value") or 0) > 0.9, 30)
    eyes.shoot(page, "server")


@contextmanager
def burning() -> Iterator[None]:
    """Every core busy, for a minute at most."""
    until = time.monotonic() + 60
    burners = [
        multiprocessing.get_context("spawn").Process(target=burn, args=(until,)) for _ in range(os.cpu_count() or 1)
    ]
    for burner in burners:
        burner.start()
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.join()


def burn(until: float) -> None:
    while time.monotonic() < until:
        pass


def test_the_shown_commands_bring_a_server_that_is_late_then_down_when_it_stops(
    stack: Stack, eyes: Eyes, tmp_path: Path
) -> None:
    page = eyes.page()
    sign_in(page, stack)
    page.get_by_role("link", name="Add a server").first.click()
    page.get_by_label("Name of the key").fill("Web servers")
    page.get_by_role("button", name="Create the key").click()
    page.get_by_test_id("enrolment-key").wait_for()
    commands = [command.strip() for command in page.locator("pre").all_inner_texts()]
    assert len(commands) == 2, commands
    page.get_by_test_id("waiting").wait_for()
    eyes.shoot(page, "add")

    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "TWINWATCH_SERVER_NAME": "web-1",
        "TWINWATCH_STATE_DIR": str(tmp_path / "state"),
        "TWINWATCH_HEARTBEAT_INTERVAL": "1s",
        "TWINWATCH_PUSH_INTERVAL": "1s",
        "TWINWATCH_MONITOR_INTERVAL": "1s",
    }
    subprocess.run(["/bin/bash", "-c", commands[0]], env=environment, check=True, capture_output=True, timeout=300)
    # exec: the signals below are for the agent, not for a shell around it
    variable, _, rest = commands[1].partition(" ")
    agent = subprocess.Popen(["/bin/bash", "-c", f"export {variable}; exec {rest}"], env=environment)
    try:
        arrived = page.get_by_test_id("arrived").filter(has_text="web-1")
        arrived.wait_for(timeout=30_000)
        eyes.shoot(page, "add-arrived")
        page.goto(stack.url)
        row = page.get_by_test_id("server-row").filter(has_text="web-1")
        expect(row).to_have_attribute("data-state", "up")
        agent.send_signal(signal.SIGTERM)
        assert agent.wait(20) == 0
        expect(row).to_have_attribute("data-state", "late", timeout=15_000)
        expect(row).to_have_attribute("data-state", "down", timeout=15_000)
        eyes.shoot(page, "overview-down")
    finally:
        agent.kill()
        agent.wait()

    row.get_by_role("link").first.click()
    page.get_by_test_id("server-menu").click()
    page.get_by_role("menuitem", name=re.compile("Delete|Remove", re.I)).click()
    page.get_by_role("dialog").or_(page.get_by_role("alertdialog")).get_by_role(
        "button", name=re.compile("Delete|Remove", re.I)
    ).click()
    expect(page.get_by_test_id("server-row")).to_have_count(1)


def test_who_signs_out_is_out_in_every_tab_whether_or_not_the_hub_hears_of_it(stack: Stack, eyes: Eyes) -> None:
    page = opened(stack, eyes, "/alerts/")
    other = page.context.new_page()
    other.goto(f"{stack.url}/settings/")
    other.locator('[data-testid="live"][data-live="open"]').wait_for()
    page.context.route("**/auth/v1/logout**", lambda route: route.fulfill(status=503))
    page.get_by_role("button", name=f"Account of {EMAIL}").click()
    page.get_by_role("menuitem", name="Sign out").click()
    for tab in (page, other):
        expect(tab.get_by_role("button", name="Sign in")).to_be_visible()
        tab.goto(f"{stack.url}/settings/")
        expect(tab.get_by_role("button", name="Sign in")).to_be_visible()
    eyes.complaints[:] = [one for one in eyes.complaints if "status of 503" not in one]


def test_a_hub_that_is_away_for_a_moment_signs_nobody_out(stack: Stack, eyes: Eyes) -> None:
    page = opened(stack, eyes, "/settings/")
    page.context.route("**/auth/v1/token**", lambda route: route.fulfill(status=500))
    page.context.route("**/api/v1/me", lambda route: route.fulfill(status=401))
    with page.expect_response("**/auth/v1/token**"):
        page.reload()
    page.context.unroute("**/auth/v1/token**")
    page.context.unroute("**/api/v1/me")
    expect(page.get_by_test_id("kept")).to_contain_text("stay for 400 days")
    eyes.complaints[:] = [one for one in eyes.complaints if "status of 401" not in one and "status of 500" not in one]


def test_every_page_fits_a_phone_and_the_dark(stack: Stack, eyes: Eyes) -> None:
    for width, dark in ((390, False), (390, True), (1440, True)):
        page = eyes.page(width=width, height=844, dark=dark)
        sign_in(page, stack)
        server = page.get_by_test_id("server-row").first.get_attribute("data-server-id")
        for name, path in (
            ("overview", "/"),
            ("server", f"/server/?id={server}"),
            ("add", "/add/"),
            ("settings", "/settings/"),
        ):
            page.goto(stack.url + path)
            page.get_by_role("heading").first.wait_for()
            expect(page.get_by_test_id("loading")).to_have_count(0)
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, f"{path} is {wide} px wide on a screen of {width}"
            if name == "settings":
                expect(page.get_by_test_id("kept")).to_contain_text("stay for 400 days")
            eyes.shoot(page, f"{name}-{width}-{'dark' if dark else 'light'}")


def test_signing_out_ends_the_session(stack: Stack, eyes: Eyes) -> None:
    page = eyes.page()
    sign_in(page, stack)
    page.get_by_test_id("account").click()
    page.get_by_role("menuitem", name=re.compile("Sign out", re.I)).click()
    page.wait_for_url(re.compile("/sign-in/"))
    page.goto(stack.url)
    page.wait_for_url(re.compile("/sign-in/"))
