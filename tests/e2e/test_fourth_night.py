"""The night of the fourth day: what the hub checks from outside, added, tried, paused and looked at in the browser."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.e2e.conftest import Eyes, Stack, opened
from tests.e2e.puppet import Puppet
from tests.e2e.receiver import Receiver
from tests.e2e.test_fourth_day import phone_fits
from tests.e2e.test_third_day import failing


def test_a_probe_is_tried_before_it_is_saved_and_its_tries_are_shown(
    stack: Stack, eyes: Eyes, alive: Puppet, receiver: Receiver
) -> None:
    page = opened(stack, eyes, "/probes/")
    expect(page.get_by_test_id("empty")).to_contain_text("Nothing is checked from outside yet")
    eyes.shoot(page, "probes-empty")
    page.get_by_test_id("add-probe").click()
    page.get_by_label("Name", exact=True).fill("Shop")
    page.get_by_label("Kind", exact=True).select_option("http")
    page.get_by_label(re.compile("^(URL|Address)$")).fill(receiver.url)
    receiver.status = 500
    page.get_by_role("button", name="Try it").click()
    outcome = page.get_by_test_id("probe-outcome")
    expect(outcome).to_have_attribute("data-state", "down")
    receiver.status = 200
    page.get_by_role("button", name="Try it").click()
    expect(outcome).to_have_attribute("data-state", "up")
    phone_fits(page, eyes, "probe-edit")
    page.get_by_test_id("save").click()
    row = page.locator('[data-probe="Shop"]')
    expect(row).to_have_attribute("data-state", "up", timeout=30_000)
    expect(row).to_contain_text("100%")
    phone_fits(page, eyes, "probes")

    row.get_by_role("link").click()
    expect(page.get_by_test_id("probe-page")).to_have_attribute("data-state", "up")
    expect(page.get_by_text("Up, 24 hours")).to_be_visible()
    receiver.status = 503
    page.get_by_role("button", name=re.compile("^Test now")).click()
    expect(outcome).to_have_attribute("data-state", "down")
    receiver.status = 200
    phone_fits(page, eyes, "probe")
    page.get_by_role("button", name="More for Shop").click()
    page.get_by_role("menuitem", name="Pause").click()
    expect(page.get_by_test_id("probe-page")).to_have_attribute("data-state", "paused")
    page.get_by_role("button", name="More for Shop").click()
    page.get_by_role("menuitem", name="Change").click()
    page.get_by_label("Name", exact=True).fill("Shop front")
    page.get_by_test_id("save").click()
    renamed = page.locator('[data-probe="Shop front"]')
    expect(renamed).to_have_attribute("data-state", "paused")
    renamed.get_by_role("button", name="More for Shop front").click()
    page.get_by_role("menuitem", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete the probe").click()
    expect(page.get_by_test_id("empty")).to_be_visible()

    page.route(re.compile(r"/api/v1/probes\?"), failing("The list of probes"))
    page.goto(f"{stack.url}/probes/")
    expect(page.get_by_test_id("error")).to_contain_text("req-e2e", timeout=15_000)
    page.goto(f"{stack.url}/probe/?id=00000000-0000-4000-8000-000000000000")
    expect(page.get_by_test_id("empty")).to_contain_text("There is no such probe")
    eyes.complaints[:] = [one for one in eyes.complaints if not re.search("status of (500|404)", one)]
