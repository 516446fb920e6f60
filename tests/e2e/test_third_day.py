"""The third day: what a server is told to watch.

A puppet refuses and follows at will; this machine's own agent, a real process, takes what was typed. The tests of this
file tell one story in order.
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable

from playwright.sync_api import Page, Route, expect

from tests.e2e.cast import NGINX, SYSTEM, SYSTEMD, UNITS, Told
from tests.e2e.conftest import EMAIL, Eyes, Stack, opened, sign_in
from tests.e2e.puppet import Puppet, ask, now
from twinwatch.protocol.checks import CheckStanding, ConfigurationStanding, MonitorStanding

ME = socket.gethostname()


def test_a_monitor_is_added_with_a_form_made_from_its_schema(stack: Stack, eyes: Eyes, puppet: Puppet) -> None:
    page = opened(stack, eyes, f"/server/configuration/?id={puppet.uuid}")
    expect(page.locator('[data-entry="systemd"]')).to_contain_text("Set in the file on the server.")
    expect(page.locator('[data-entry="systemd"]').get_by_role("button")).to_have_count(0)
    page.get_by_test_id("add-monitor").click()
    page.locator('[data-kind="pages"]').click()
    page.get_by_test_id("save").click()
    expect(page.get_by_test_id("fault")).to_have_text(["Needed"])
    address = page.get_by_label("Address")
    expect(address).to_be_focused()
    address.fill("ftp://example.org")
    expect(page.get_by_test_id("fault")).to_have_text(["Must match ^https?://"])
    address.fill("https://example.org/")
    page.get_by_label("Token").fill("hush")
    page.get_by_label("Patience").fill("soon")
    expect(page.get_by_test_id("fault")).to_contain_text(["A duration"])
    page.get_by_label("Patience").fill("3s")
    page.get_by_label("Method").select_option("HEAD")
    page.get_by_role("button", name=re.compile("Set other ones.*Status")).click()
    page.get_by_label("Status 1", exact=True).fill("204")
    page.get_by_role("button", name=re.compile("Add.*Headers")).click()
    page.get_by_label("Name of Headers 1").fill("Accept")
    page.get_by_label("Value of Accept", exact=True).fill("text/html")
    eyes.shoot(page, "configuration-form")
    page.get_by_test_id("save").click()

    force = page.get_by_test_id("force")
    expect(force).to_have_attribute("data-force", "awaited")
    row = page.locator('[data-entry="pages"]')
    expect(row).to_have_attribute("data-fare", "Waiting")
    wanted = puppet.configuration()
    assert wanted.monitors[0].type == "pages"
    assert wanted.monitors[0].options == {
        "endpoints": [
            {
                "url": "https://example.org/",
                "timeout": "3s",
                "method": "HEAD",
                "token": "hush",
                "status": [204],
                "headers": {"Accept": "text/html"},
            }
        ]
    }
    running = MonitorStanding("pages", "pages", "hub", "ok", "", 30.0, now())
    in_force = ConfigurationStanding(wanted.version)
    puppet.report(monitors=(SYSTEM, SYSTEMD, running), checks=(NGINX,), configuration=in_force)
    expect(force).to_have_attribute("data-force", "in force")
    expect(row).to_have_attribute("data-fare", "Works")
    eyes.shoot(page, "configuration-in-force")


def test_a_secret_is_never_shown_and_stays_as_it_is(stack: Stack, eyes: Eyes, puppet: Puppet) -> None:
    page = opened(stack, eyes, f"/server/configuration/?id={puppet.uuid}&edit=of:pages")
    token = page.get_by_label("Token optional")
    expect(token).to_have_value("")
    expect(token).to_have_attribute("placeholder", "unchanged")
    page.get_by_label("Patience").fill("4s")
    page.get_by_test_id("save").click()
    page.locator('[data-entry="pages"]').wait_for()
    page_of = puppet.configuration().monitors[0].options["endpoints"][0]
    assert (page_of["timeout"], page_of["token"]) == ("4s", "hush")
    assert "hush" not in page.content()

    # Another address is not handed the secret of this one.
    page.get_by_role("button", name="Change pages").click()
    page.get_by_label("Address").fill("https://example.com/")
    page.get_by_test_id("save").click()
    expect(page.get_by_test_id("fault")).to_contain_text(["Enter it again"])
    page.get_by_label("Token optional").fill("whisper")
    page.get_by_test_id("save").click()
    page.locator('[data-entry="pages"]').wait_for()
    assert puppet.configuration().monitors[0].options["endpoints"][0]["token"] == "whisper"
    eyes.complaints[:] = [one for one in eyes.complaints if "status of 422" not in one]


def test_what_the_agent_refuses_stands_beside_the_entry_and_the_field(stack: Stack, eyes: Eyes, puppet: Puppet) -> None:
    version = puppet.configuration().version
    page = opened(stack, eyes, f"/server/configuration/?id={puppet.uuid}")
    refused = ConfigurationStanding(
        version - 1, version, ("hub: monitors[0].endpoints[0].url: this host is not known here",)
    )
    puppet.report(monitors=(SYSTEM, SYSTEMD), checks=(NGINX,), configuration=refused)
    expect(page.get_by_test_id("force")).to_have_attribute("data-force", "refused")
    row = page.locator('[data-entry="pages"]')
    expect(row.get_by_test_id("entry-problem")).to_contain_text("this host is not known here")
    eyes.shoot(page, "configuration-refused")
    row.get_by_role("button", name="Change pages").click()
    expect(page.get_by_label("Address")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_test_id("fault")).to_have_text(["this host is not known here"])


def test_who_saves_second_is_told_who_was_first_and_loses_nothing(
    stack: Stack, eyes: Eyes, told: Told, puppet: Puppet
) -> None:
    page = opened(stack, eyes, f"/server/configuration/?id={puppet.uuid}&edit=of:pages")
    page.get_by_label("Patience").fill("7s")
    path = f"/api/v1/servers/{puppet.uuid}/configuration"
    before = ask(stack.url, "GET", path, token=told.token)
    saved = False

    def slowly(route: Route) -> None:
        """The page does not hear of what they saved before it saves itself."""
        nonlocal saved
        saved |= route.request.method == "PUT"
        if saved:
            route.continue_()
        else:
            route.fulfill(json=before)

    page.route(f"**{path}", slowly)
    theirs = ask(stack.url, "GET", path, token=told.token)
    theirs["monitors"].append({"type": "pages", "name": "second", "enabled": False, "options": {}})
    body = {key: theirs[key] for key in ("version", "monitors", "rules")}
    ask(stack.url, "PUT", path, body, token=told.token)
    page.get_by_test_id("save").click()
    changed = page.get_by_test_id("changed")
    expect(changed).to_contain_text(f"{EMAIL} changed the configuration")
    expect(page.get_by_label("Patience")).to_have_value("7s")
    eyes.shoot(page, "configuration-conflict")
    changed.get_by_role("button", name="Keep mine on top of it").click()
    page.get_by_test_id("save").click()
    page.locator('[data-entry="second"]').wait_for()
    wanted = {one.name or one.type: one for one in puppet.configuration().monitors}
    assert set(wanted) == {"pages", "second"}
    assert wanted["pages"].options["endpoints"][0]["timeout"] == "7s"
    eyes.complaints[:] = [one for one in eyes.complaints if "status of 409" not in one]


def test_a_monitor_is_switched_off_and_removed(stack: Stack, eyes: Eyes, puppet: Puppet) -> None:
    page = opened(stack, eyes, f"/server/configuration/?id={puppet.uuid}")
    page.get_by_role("button", name="More for pages").click()
    page.get_by_role("menuitem", name="Switch off").click()
    expect(page.locator('[data-entry="pages"]')).to_have_attribute("data-fare", "Off")
    page.get_by_role("button", name="More for second").click()
    page.get_by_role("menuitem", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove the monitor").click()
    expect(page.locator('[data-entry="second"]')).to_have_count(0)
    assert [one.enabled for one in puppet.configuration().monitors] == [False]


def test_a_viewer_may_look_but_not_change(stack: Stack, eyes: Eyes, puppet: Puppet) -> None:
    page = eyes.page()
    page.route("**/api/v1/me", as_viewer)
    sign_in(page, stack)
    page.goto(f"{stack.url}/server/configuration/?id={puppet.uuid}&edit=of:pages")
    page.get_by_test_id("read-only").wait_for()
    expect(page.locator('[data-entry="pages"]')).to_be_visible()
    expect(page.get_by_test_id("add-monitor")).to_have_count(0)
    expect(page.get_by_role("button", name="Change pages")).to_have_count(0)
    eyes.shoot(page, "configuration-viewer")


def as_viewer(route: Route) -> None:
    """The person's own answer, with the least of roles."""
    answer = route.fetch()
    me = answer.json()
    for organization in me["organizations"]:
        organization["role"] = "viewer"
    route.fulfill(response=answer, body=json.dumps(me))


def failing(path: str) -> Callable[[Route], None]:
    """An answer of a hub that is in trouble."""

    def answer(route: Route) -> None:
        problem = {
            "type": "urn:twinwatch:problem:internal",
            "title": "Something broke",
            "status": 500,
            "detail": f"{path} could not be read.",
            "request_id": "req-e2e",
        }
        route.fulfill(status=500, content_type="application/problem+json", body=json.dumps(problem))

    return answer


def test_what_cannot_be_loaded_says_so_with_the_request(stack: Stack, eyes: Eyes, puppet: Puppet) -> None:
    page = eyes.page()
    page.route(re.compile("/api/v1/servers/[^/]+/configuration"), failing("The configuration"))
    sign_in(page, stack)
    page.goto(f"{stack.url}/server/configuration/?id={puppet.uuid}")
    error = page.get_by_test_id("error")
    expect(error).to_contain_text("The configuration could not be read.")
    expect(error).to_contain_text("req-e2e")
    eyes.shoot(page, "configuration-error")
    page.unroute(re.compile("/api/v1/servers/[^/]+/configuration"))
    error.get_by_role("button", name="Try again").click()
    page.get_by_test_id("configuration").wait_for()
    eyes.complaints[:] = [one for one in eyes.complaints if "status of 500" not in one]


def test_the_new_pages_fit_a_phone_and_the_dark(stack: Stack, eyes: Eyes, puppet: Puppet) -> None:
    broken = CheckStanding("systemd:nginx.service", "systemd", "down", "Exited with code 1.", "failed", now())
    puppet.report(monitors=(SYSTEM, SYSTEMD), checks=(broken, *UNITS))
    paths = {
        "standing": f"/server/?id={puppet.uuid}",
        "configuration": f"/server/configuration/?id={puppet.uuid}",
        "configuration-kinds": f"/server/configuration/?id={puppet.uuid}&edit=new",
        "configuration-edit": f"/server/configuration/?id={puppet.uuid}&edit=of:pages",
    }
    for width, dark in ((390, False), (390, True), (1440, True)):
        page = opened(stack, eyes, "/", width=width, dark=dark)
        for name, path in paths.items():
            page.goto(stack.url + path)
            page.get_by_role("heading").first.wait_for()
            expect(page.get_by_test_id("loading")).to_have_count(0)
            page.locator("[data-state], [data-kind], form").first.wait_for()
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, f"{path} is {wide} px wide on a screen of {width}"
            eyes.shoot(page, f"{name}-{width}-{'dark' if dark else 'light'}")


def test_a_monitor_added_in_the_browser_runs_at_the_real_agent_and_its_check_goes_down_live(
    stack: Stack, eyes: Eyes, told: Told
) -> None:
    # A process that can be told from all others of this machine by its command line.
    marker = f"twinwatch-e2e-{uuid.uuid4().hex}"
    watched = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", marker])
    try:
        page = opened(stack, eyes, "/")
        page.get_by_test_id("server-row").filter(has_text=ME).get_by_role("link").first.click()
        page.get_by_test_id("to-configuration").click()
        page.get_by_test_id("add-monitor").click()
        page.locator('[data-kind="process"]').click()
        page.get_by_label("Label").fill("sleeper")
        page.get_by_label("Interval").last.fill("5s")
        page.get_by_test_id("save").click()

        # Lawful for the form, but the agent knows that a label alone names no process.
        row = page.locator('[data-entry="process"]')
        problem = row.get_by_test_id("entry-problem")
        expect(problem.first).to_contain_text("expected at least one of", timeout=15_000)
        eyes.shoot(page, "real-refused")

        row.get_by_role("button", name="Change process").click()
        page.get_by_label("Command").fill(marker)
        page.get_by_test_id("save").click()
        expect(page.get_by_test_id("force")).to_have_attribute("data-force", "in force", timeout=15_000)
        expect(row).to_have_attribute("data-fare", "Works", timeout=15_000)
        expect(problem).to_have_count(0)
        eyes.shoot(page, "real-in-force")

        page.get_by_role("navigation", name="Breadcrumb").get_by_role("link", name=ME).click()
        show_all_checks(page)
        check = page.locator('[data-check="process:sleeper"]')
        expect(check).to_have_attribute("data-state", "up", timeout=15_000)
        charts = page.get_by_role("region", name="Processes", exact=True).get_by_test_id("chart")
        expect(charts.first).to_be_visible(timeout=45_000)
        watched.kill()
        watched.wait()
        expect(check).to_have_attribute("data-state", "down", timeout=20_000)
        eyes.shoot(page, "real-down")
    finally:
        watched.kill()
        watched.wait()

    page.get_by_test_id("to-configuration").click()
    page.get_by_role("button", name="More for process").click()
    page.get_by_role("menuitem", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove the monitor").click()
    expect(page.locator('[data-entry="process"]')).to_have_count(0)
    expect(page.get_by_test_id("force")).to_have_attribute("data-force", "in force", timeout=15_000)


def show_all_checks(page: Page) -> None:
    """Opens the panel, whatever this machine's own checks say at the moment."""
    panel = page.get_by_test_id("checks")
    expect(panel.get_by_test_id("checks-summary")).to_contain_text("up")
    if panel.get_attribute("data-open") == "false":
        panel.get_by_role("button").first.click()
    more = panel.get_by_role("button", name=re.compile("^Show (the|all)"))
    if more.count():
        more.click()
