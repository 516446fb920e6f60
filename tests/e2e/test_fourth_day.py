"""The fourth day: something breaks. Alerts appear by themselves, are taken on, and end; people hear of them.

A puppet fires what a test wants fired; the far end of a webhook keeps what was said. The tests of this file tell one
story in order.
"""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Callable

from playwright.sync_api import Locator, Page, Route, expect

from tests.e2e.cast import Told
from tests.e2e.conftest import EMAIL, Eyes, Stack, opened, wait
from tests.e2e.puppet import Puppet, ask
from tests.e2e.receiver import Receiver
from tests.e2e.test_third_day import failing
from twinwatch.protocol.alerts import AlertEvent, Evidence
from twinwatch.protocol.rules import Rule

EVIDENCE = Evidence(
    0,
    {
        "Last lines of nginx.service": [f"Nov 25 23:0{number} nginx[411]: bind() to 0.0.0.0:80" for number in range(9)],
        "Top processes by memory": ["postgres 1.2 GiB", "python 300 MiB"],
    },
)
DISK = Rule("disk: fills", metric="system.filesystem.utilization", above=0.9)


def phone_fits(page: Page, eyes: Eyes, name: str) -> None:
    """The page as it stands, at the width of a phone and in the dark too."""
    for width, dark in ((1440, False), (360, False), (360, True)):
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme="dark" if dark else "light")
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, f"{page.url} is {wide} px wide on a screen of {width}"
        eyes.shoot(page, f"{name}-{width}-{'dark' if dark else 'light'}")
    page.set_viewport_size({"width": 1440, "height": 900})
    page.emulate_media(color_scheme="light")


def test_an_alert_appears_by_itself_and_what_one_person_does_another_sees(
    stack: Stack, eyes: Eyes, alive: Puppet, receiver: Receiver
) -> None:
    seen = opened(stack, eyes, "/alerts/")
    other = opened(stack, eyes, "/", width=360)
    before = alive.fires("systemd:cron.service", "cron.service failed", rule="systemd: cron")
    expect(line(seen, "cron.service failed")).to_be_visible()
    expect(other.get_by_test_id("server-alerts").first).to_be_visible()
    fired = alive.fires(
        "systemd:nginx.service",
        "nginx.service failed",
        message="nginx.service failed: exit code 1. It was restarted five times before.",
        labels={"unit": "nginx.service"},
        evidence=EVIDENCE,
    )
    found = line(seen, fired.title)
    expect(found).to_have_attribute("data-state", "firing")
    full = {"rule": DISK.name, "severity": "warning", "value": 0.93, "unit": "1", "definition": DISK}
    alive.fires("system.filesystem.utilization{mountpoint=/var}", "/var is 93% full", **full)
    expect(line(seen, "/var is 93% full")).to_be_visible()
    expect(seen.get_by_test_id("open-count").first).to_have_attribute("data-firing", re.compile("[1-9]"))
    phone_fits(seen, eyes, "alerts-open")

    found.get_by_role("link").click()
    page = seen.get_by_test_id("alert")
    expect(page).to_have_attribute("data-state", "firing")
    delivery = seen.get_by_test_id("delivery").filter(has_text="Hook")
    expect(delivery).to_have_attribute("data-state", "delivered")
    expect(seen.get_by_test_id("timeline")).to_contain_text("Hook was told by the hub")
    expect(seen.get_by_test_id("evidence")).to_contain_text("bind() to 0.0.0.0:80")
    expect(seen.get_by_test_id("told-after")).to_be_visible()

    other.goto(seen.url)
    other.get_by_role("button", name="Acknowledge").click()
    dialog = other.get_by_role("dialog")
    dialog.get_by_label(re.compile("^What you are")).fill("I restart it.")
    eyes.shoot(other, "alert-acknowledge-360")
    dialog.get_by_role("button", name="Acknowledge").click()
    expect(page).to_have_attribute("data-state", "acknowledged")
    expect(seen.get_by_test_id("timeline")).to_contain_text(f"Acknowledged by {EMAIL}")
    expect(seen.get_by_test_id("timeline")).to_contain_text("I restart it.")

    seen.get_by_role("button", name="Comment").click()
    seen.get_by_role("dialog").get_by_label("Comment").fill("The port was taken.")
    seen.get_by_role("dialog").get_by_role("button", name="Comment").click()
    expect(other.get_by_test_id("timeline")).to_contain_text("The port was taken.")
    phone_fits(seen, eyes, "alert")

    alive.recovers(fired)
    expect(other.get_by_test_id("alert")).to_have_attribute("data-state", "resolved")
    expect(seen.get_by_test_id("timeline")).to_contain_text("It is well again")
    assert receiver.alerts(fired.title)[0]["occasion"] == "firing"

    line_of(other, stack, before).get_by_role("link").click()
    other.get_by_role("button", name="Resolve").click()
    other.get_by_role("dialog").get_by_label(re.compile("^Why")).fill("Removed on purpose.")
    other.get_by_role("dialog").get_by_role("button", name="Resolve").click()
    expect(other.get_by_test_id("alert")).to_have_attribute("data-state", "resolved")
    expect(other.get_by_test_id("timeline")).to_contain_text(f"Closed by {EMAIL}")
    expect(other.get_by_role("button", name="Resolve")).to_have_count(0)


def line(page: Page, title: str) -> Locator:
    """The alert of this title in a list."""
    return page.get_by_test_id("alert-line").filter(has_text=title)


def line_of(page: Page, stack: Stack, fired: AlertEvent) -> Locator:
    """The same among the open ones."""
    page.goto(f"{stack.url}/alerts/")
    return line(page, fired.title)


def test_an_alert_is_silenced_from_its_page(stack: Stack, eyes: Eyes, alive: Puppet, told: Told) -> None:
    fired = alive.fires("systemd:mail.service", "mail.service failed", rule="systemd: mail")
    page = opened(stack, eyes, "/alerts/")
    line(page, fired.title).get_by_role("link").click()
    page.get_by_role("button", name="Silence").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("For how long").select_option("4h")
    dialog.get_by_label(re.compile("^Why")).fill("Being moved.")
    eyes.shoot(page, "alert-silence")
    dialog.get_by_role("button", name="Silence").click()
    expect(page.get_by_test_id("silenced")).to_contain_text("nobody is told")
    expect(page.get_by_test_id("timeline")).to_contain_text("Silenced until")
    (made,) = [one for one in ask_list(stack, told, "silences") if one["comment"] == "Being moved."]
    assert made["what"] == {"servers": [alive.uuid], "tags": [], "rule": "systemd: mail"}
    ask(stack.url, "DELETE", f"/api/v1/silences/{made['id']}", token=told.token)
    expect(page.get_by_test_id("silenced")).to_have_count(0)
    alive.recovers(fired)


def ask_list(stack: Stack, told: Told, what: str) -> list[dict[str, object]]:
    """What the API has of the organization."""
    path = f"/api/v1/{what}?organization_id={told.organization}"
    found: list[dict[str, object]] = ask(stack.url, "GET", path, token=told.token)  # type: ignore[assignment]
    return found


def test_the_history_is_searched_and_its_filters_stand_in_the_address(stack: Stack, eyes: Eyes, alive: Puppet) -> None:
    page = opened(stack, eyes, "/alerts/history/")
    expect(line(page, "nginx.service failed")).to_be_visible()
    page.get_by_label("Search alerts").fill("cron")
    expect(page.get_by_test_id("alert-line")).to_have_count(1)
    page.get_by_label("State", exact=True).select_option("firing")
    expect(page.get_by_test_id("empty")).to_contain_text("No alert matches")
    eyes.shoot(page, "history-nothing")
    page.get_by_role("button", name="Clear the filters").click()
    page.get_by_label("Severity").select_option("warning")
    page.get_by_label("Server", exact=True).select_option(alive.uuid)
    page.get_by_label("Time", exact=True).select_option("24h")
    expect(page.get_by_test_id("alert-line")).to_have_count(1)
    assert re.search(r"severity=warning", page.url)
    assert re.search(rf"server={alive.uuid}", page.url)
    page.reload()
    expect(line(page, "/var is 93% full")).to_be_visible()
    expect(page.get_by_label("Severity")).to_have_value("warning")
    page.get_by_label("Time", exact=True).select_option("between")
    page.get_by_label("From").fill("2020-01-01T00:00")
    page.get_by_label("To", exact=True).fill("2020-01-02T00:00")
    expect(page.get_by_test_id("empty")).to_be_visible()
    page.get_by_role("button", name="Clear the filters").click()
    expect(line(page, "nginx.service failed")).to_be_visible()
    phone_fits(page, eyes, "history")


def test_a_link_in_a_message_acknowledges_only_when_its_button_is_pressed(
    stack: Stack, eyes: Eyes, alive: Puppet, receiver: Receiver
) -> None:
    fired = alive.fires("systemd:db.service", "db.service failed", rule="systemd: db")
    wait(lambda: receiver.alerts(fired.title), 20)
    link = receiver.alerts(fired.title)[0]["acknowledge_url"]
    inside = opened(stack, eyes, "/alerts/")
    expect(line(inside, fired.title)).to_have_attribute("data-state", "firing")
    with urllib.request.urlopen(link, timeout=20) as answer:  # as a program does that looks into mails
        assert answer.status == 200
    page = eyes.page(width=360, height=740)
    page.goto(link)
    expect(page.get_by_test_id("linked")).to_have_attribute("data-state", "firing")
    expect(line(inside, fired.title)).to_have_attribute("data-state", "firing")
    eyes.shoot(page, "acknowledge-360")
    page.get_by_label(re.compile("^Your name")).fill("Ann")
    page.get_by_role("button", name=re.compile("^Acknowledge")).click()
    expect(page.get_by_test_id("linked-done")).to_contain_text("Ann (by link) sees to it.")
    expect(line(inside, fired.title)).to_have_attribute("data-state", "acknowledged")
    eyes.shoot(page, "acknowledged-360")
    page.goto(link[:-3] + "abc")
    expect(page.get_by_test_id("unlawful")).to_be_visible()
    eyes.shoot(page, "acknowledge-unlawful-360")
    alive.recovers(fired)
    eyes.complaints[:] = [one for one in eyes.complaints if "status of 404" not in one]


def none_open(route: Route) -> None:
    """An answer of a hub where all is well."""
    route.fulfill(json={"hub_time": 0, "alerts": [], "next": None})


def test_alerts_say_when_all_is_well_when_they_cannot_be_loaded_and_what_a_viewer_may(
    stack: Stack, eyes: Eyes, alive: Puppet
) -> None:
    alerts = re.compile(r"/api/v1/alerts\?")
    page = opened(stack, eyes, "/")
    page.route(alerts, none_open)
    page.goto(f"{stack.url}/alerts/")
    expect(page.get_by_test_id("empty")).to_contain_text("All is well")
    eyes.shoot(page, "alerts-well")
    answer: Callable[[Route], None] = failing("The list")
    page.unroute(alerts)
    page.route(alerts, answer)
    page.goto(f"{stack.url}/alerts/")
    expect(page.get_by_test_id("error")).to_contain_text("req-e2e")
    eyes.shoot(page, "alerts-error")
    page.unroute(alerts)
    page.get_by_role("button", name="Try again").click()
    expect(line(page, "/var is 93% full")).to_be_visible()
    page.goto(f"{stack.url}/alerts/history/")
    expect(line(page, "/var is 93% full")).to_be_visible()
    page.route(alerts, answer)
    fired = alive.fires("systemd:late.service", "late.service failed", rule="systemd: late")
    expect(page.get_by_test_id("stale")).to_contain_text("req-e2e", timeout=20_000)
    expect(line(page, "/var is 93% full")).to_be_visible()
    eyes.shoot(page, "history-stale")
    page.unroute(alerts)
    alive.recovers(fired)
    page.goto(f"{stack.url}/alert/?id=00000000-0000-4000-8000-000000000000")
    expect(page.get_by_test_id("empty")).to_contain_text("There is no such alert")
    page.goto(f"{stack.url}/server/?id={alive.uuid}")
    expect(page.get_by_test_id("server-open-alerts")).to_contain_text("/var is 93% full")
    phone_fits(page, eyes, "server-alerts")
    eyes.complaints[:] = [one for one in eyes.complaints if not re.search("status of (500|404)", one)]
