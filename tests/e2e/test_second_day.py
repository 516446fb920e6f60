"""The second day: what a server's checks say, and what it is told to watch.

A puppet says what this machine cannot be made to say; this machine's own agent, a real process, takes what was typed.
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e.conftest import EMAIL, PASSWORD, Eyes, Stack, sign_in
from tests.e2e.puppet import Puppet, ask, enrolment_key, now, person
from twinwatch.protocol.checks import CheckStanding, ConfigurationStanding, MonitorStanding
from twinwatch.protocol.heartbeat import Delivery
from twinwatch.protocol.metrics import Catalogue, Chart, Metric, MonitorFacts, MonitorKind
from twinwatch.protocol.samples import SeriesKey

ME = socket.gethostname()
NGINX = CheckStanding("systemd:nginx.service", "systemd", "up")
UNITS = tuple(CheckStanding(f"systemd:unit-{number}.service", "systemd", "up") for number in range(30))
SYSTEMD = MonitorStanding("systemd", "systemd", "file", "ok", "", 60.0)
SYSTEM = MonitorStanding("system", "system", "default", "ok", "", 15.0)
PAGES = MonitorKind(
    "pages",
    "Pages",
    "Asks web pages how they are.",
    30.0,
    {
        "type": "object",
        "properties": {
            "endpoints": {"type": "array", "title": "Pages", "items": {"$ref": "#/$defs/Page"}, "minItems": 1},
            "strict": {"type": "boolean", "default": True, "title": "Strict"},
        },
        "required": ["endpoints"],
        "additionalProperties": False,
        "$defs": {
            "Page": {
                "type": "object",
                "properties": {
                    "url": {"type": "string", "title": "Address", "pattern": "^https?://"},
                    "timeout": {"type": "string", "format": "duration", "title": "Patience", "default": "10s"},
                    "method": {"enum": ["GET", "HEAD"], "default": "GET", "title": "Method"},
                    "token": {
                        "anyOf": [{"type": "string", "format": "password"}, {"type": "null"}],
                        "default": None,
                        "title": "Token",
                    },
                    "status": {"type": "array", "items": {"type": "integer"}, "default": [200], "title": "Status"},
                    "headers": {
                        "type": "object",
                        "additionalProperties": {"type": "string"},
                        "default": {},
                        "title": "Headers",
                    },
                },
                "required": ["url"],
            }
        },
    },
)


def metrics(name: str, title: str, count: int) -> MonitorFacts:
    """A monitor with a chart for each of its metrics."""
    names = [f"{name}.figure_{number}" for number in range(count)]
    return MonitorFacts(
        name,
        title,
        15.0,
        tuple(Metric(one, "1", f"What {one} says") for one in names),
        tuple(Chart(one, (one,), ("twinwatch.monitor.name",)) for one in names),
    )


CATALOGUE = Catalogue("0.2.0", (metrics("app", "Apps", 40),), {"os.description": "Debian GNU/Linux 13"}, (PAGES,))


@dataclass
class Told:
    """What the puppet was told to watch, and the page that tells it."""

    puppet: Puppet
    token: str


@pytest.fixture(scope="module")
def told(stack: Stack) -> Told:
    """A puppet among the servers of an owner."""
    if ask(stack.url, "GET", "/api/v1/status")["needs_setup"]:
        token = stack.setup_url.partition("token=")[2]
        owner = {"token": token, "email": EMAIL, "password": PASSWORD, "organization": "Example"}
        ask(stack.url, "POST", "/api/v1/setup", owner)
    token = person(stack.url, EMAIL, PASSWORD)
    puppet = Puppet(stack.url, "puppet", enrolment_key(stack.url, token))
    puppet.register()
    puppet.declare(CATALOGUE)
    return Told(puppet, token)


@pytest.fixture
def puppet(told: Told) -> Puppet:
    """Alive, and all is well with it."""
    told.puppet.heartbeat(Delivery(100, 100, 0, 0, 4096, None))
    told.puppet.report(monitors=(SYSTEM, SYSTEMD), checks=(NGINX, *UNITS))
    return told.puppet


def opened(stack: Stack, eyes: Eyes, path: str, *, width: int = 1440, dark: bool = False) -> Page:
    """A page of the signed-in owner; live."""
    page = eyes.page(width=width, dark=dark)
    sign_in(page, stack)
    page.goto(stack.url + path)
    page.locator('[data-testid="live"][data-live="open"]').wait_for()
    return page


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
    puppet.measure(
        "app",
        [
            (SeriesKey(f"app.figure_{number}", {"twinwatch.monitor.name": name}), 0.25)
            for number in range(40)
            for name in ("shop", "blog")
        ],
        runs=20,
    )
    puppet.measure("gone", [(SeriesKey("gone.figure"), 1.0)], runs=20)
    page = opened(stack, eyes, f"/server/?id={puppet.uuid}")
    charts = page.get_by_test_id("chart")
    expect(charts).to_have_count(24)
    page.get_by_label("Filter charts").fill("figure_39")
    expect(charts).to_have_count(1)
    expect(charts.first).to_have_attribute("data-lines", "2")
    page.get_by_role("radio", name="blog").click()
    expect(charts.first).to_have_attribute("data-lines", "1")
    page.get_by_label("Filter charts").fill("")
    page.get_by_role("button", name="Show all 40 charts").click()
    expect(charts).to_have_count(40)
    page.get_by_role("region", name="No longer watched").get_by_role("button", name="Show").click()
    expect(charts).to_have_count(41)
    eyes.shoot(page, "charts-many")


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
