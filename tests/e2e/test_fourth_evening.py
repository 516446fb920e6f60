"""The evening of the fourth day: channels, policies, rules and silences, made and proven in the browser.

The tests of this file tell one story in order.
"""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.e2e.cast import CATALOGUE, Told
from tests.e2e.conftest import Eyes, Stack, opened, wait
from tests.e2e.puppet import Puppet, ask
from tests.e2e.receiver import Receiver
from tests.e2e.test_fourth_day import ask_list, line, phone_fits
from tests.e2e.test_third_day import as_viewer, failing


def test_a_channel_is_added_by_its_form_tested_and_changed_without_its_secret_being_shown(
    stack: Stack, eyes: Eyes, alive: Puppet, told: Told, receiver: Receiver
) -> None:
    page = opened(stack, eyes, "/channels/")
    hook = page.locator('[data-channel="Hook"]')
    expect(hook).to_be_visible()
    page.get_by_test_id("add-channel").click()
    eyes.shoot(page, "channel-kinds")
    page.locator('[data-kind="webhook"]').click()
    page.get_by_label("Name", exact=True).fill("Second hook")
    page.get_by_test_id("save").click()
    expect(page.get_by_test_id("fault")).to_have_text(["Needed"])
    page.get_by_label("Address", exact=True).or_(page.get_by_label("URL", exact=True)).fill(receiver.url + "?key=hush")
    phone_fits(page, eyes, "channel-edit")
    page.get_by_test_id("save").click()
    row = page.locator('[data-channel="Second hook"]')
    expect(row.get_by_test_id("proof")).to_have_text("never proven")

    row.get_by_role("button", name=re.compile("^Test")).click()
    expect(row.get_by_test_id("test-outcome")).to_contain_text("The test arrived")
    expect(row).to_have_attribute("data-proof", "proven")
    assert receiver.got[-1]["occasion"] == "test"
    receiver.status = 404
    row.get_by_role("button", name=re.compile("^Test")).click()
    expect(row.get_by_test_id("test-outcome")).to_contain_text("did not arrive")
    expect(row.get_by_test_id("test-outcome")).to_contain_text("404")
    receiver.status = 200
    phone_fits(page, eyes, "channels")

    row.get_by_role("button", name="More for Second hook").click()
    page.get_by_role("menuitem", name="Change").click()
    assert "hush" not in page.content()
    page.get_by_label("Name", exact=True).fill("Other hook")
    page.get_by_label("Fallback").check()
    page.get_by_test_id("save").click()
    other = page.locator('[data-channel="Other hook"]')
    expect(other).to_contain_text("fallback")
    other.get_by_role("button", name=re.compile("^Test")).click()
    expect(other.get_by_test_id("test-outcome")).to_contain_text("The test arrived")

    count = len(receiver.got)
    page.get_by_role("button", name="Drill").click()
    page.get_by_role("dialog").get_by_role("button", name="Hold the drill").click()
    expect(page.get_by_test_id("drill-begun")).to_contain_text("being tried")
    wait(lambda: [one["occasion"] for one in receiver.got[count:]].count("drill") >= 2, 20)
    page.get_by_role("dialog").get_by_role("button", name="Close").click()
    other.get_by_role("button", name="More for Other hook").click()
    page.get_by_role("menuitem", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete the channel").click()
    expect(other).to_have_count(0)


def test_a_policy_with_steps_is_made_moved_and_obeyed(
    stack: Stack, eyes: Eyes, alive: Puppet, told: Told, receiver: Receiver
) -> None:
    page = opened(stack, eyes, "/policies/")
    policies = page.get_by_test_id("policy")
    policies.first.wait_for()
    before = policies.count()
    page.get_by_test_id("add-policy").click()
    page.get_by_label("Name", exact=True).fill("Shop")
    page.get_by_label("Critical").check()
    page.get_by_label("Rule", exact=True).fill("shop*")
    page.get_by_role("group", name="At once").get_by_label("Hook", exact=True).check()
    page.get_by_role("button", name="Add a step").click()
    second = page.get_by_role("group", name="Step 2")
    second.get_by_label("Minutes after the alert").fill("0")
    second.get_by_label("every Email channel").check()
    page.get_by_label(re.compile("^Tell again")).fill("30")
    page.get_by_label("Hold messages back at some hours").check()
    page.get_by_label("From", exact=True).fill("23:30")
    page.get_by_test_id("save").click()
    expect(second.get_by_label("Minutes after the alert")).to_have_attribute("aria-invalid", "true")
    second.get_by_label("Minutes after the alert").fill("15")
    phone_fits(page, eyes, "policy-edit")
    # At any hour, for the test's sake.
    page.get_by_label("Hold messages back at some hours").uncheck()
    page.get_by_test_id("save").click()
    expect(policies).to_have_count(before + 1)
    shop = page.locator('[data-policy="Shop"]')
    for words in ("at once", "Hook", "after 15 min", "every Email channel", "again every 30 min"):
        expect(shop).to_contain_text(words)
    for place in reversed(range(before)):
        shop.get_by_role("button", name="Move Shop up").click()
        expect(policies.nth(place)).to_have_attribute("data-policy", "Shop")
    phone_fits(page, eyes, "policies")

    fired = alive.fires("http:shop", "The shop is away", rule="shop: away")
    page.goto(f"{stack.url}/alerts/")
    line(page, fired.title).get_by_role("link").click()
    expect(page.get_by_test_id("delivery")).to_have_count(1)
    expect(page.get_by_test_id("alert")).to_contain_text("Shop")
    alive.recovers(fired)
    page.goto(f"{stack.url}/policies/")
    shop.get_by_role("button", name="Delete Shop").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete the policy").click()
    expect(shop).to_have_count(0)


def test_a_rule_is_written_from_the_catalogue_and_one_that_comes_along_is_switched_off_and_on(
    stack: Stack, eyes: Eyes, alive: Puppet, told: Told
) -> None:
    alive.declare(CATALOGUE)
    page = opened(stack, eyes, "/rules/")
    expect(page.get_by_test_id("default-rule").first).to_be_visible()
    page.get_by_test_id("add-rule").click()
    page.get_by_label("Name", exact=True).fill("app: figure is high")
    metric = page.get_by_label("Metric", exact=True)
    metric.fill("app.figure_7")
    expect(page.get_by_text("What app.figure_7 says (%)")).to_be_visible()
    page.get_by_label("Above", exact=True).fill("90%")
    page.get_by_label("What is judged").select_option("mean")
    page.get_by_test_id("save").click()
    expect(page.get_by_label("Of the last")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Of the last").fill("5m")
    page.get_by_label("For", exact=True).select_option("server")
    page.get_by_label("Server", exact=True).select_option(alive.uuid)
    expect(page.get_by_test_id("in-words")).to_have_text("mean of app.figure_7 over 5 min above 90.0%")
    phone_fits(page, eyes, "rule-edit")
    page.get_by_test_id("save").click()
    own = page.locator('[data-testid="rule"][data-rule="app: figure is high"]')
    expect(own).to_contain_text("mean of app.figure_7 over 5 min above 90.0%")
    expect(own).to_contain_text("puppet")
    rules = ask(stack.url, "GET", f"/api/v1/rules?organization_id={told.organization}", token=told.token)
    (saved,) = rules["rules"]
    assert (saved["rule"]["above"], saved["rule"]["window"], saved["server_id"]) == (0.9, "5m", alive.uuid)

    given = page.locator('[data-testid="default-rule"][data-rule="app: first figure is high"]')
    given.get_by_role("button", name=re.compile("^Switch off")).click()
    expect(given).to_have_attribute("data-on", "false")
    phone_fits(page, eyes, "rules")
    given.get_by_role("button", name=re.compile("^Switch on")).click()
    expect(given).to_have_attribute("data-on", "true")
    silent = page.locator('[data-testid="default-rule"][data-rule="Server late"]')
    silent.get_by_role("button", name=re.compile("^Adapt")).click()
    page.get_by_label("For so long").fill("10m")
    page.get_by_test_id("save").click()
    expect(silent).to_contain_text("adapted above")
    for name in ("app: figure is high", str(silent.get_attribute("data-rule"))):
        row = page.locator(f'[data-testid="rule"][data-rule="{name}"]')
        row.get_by_role("button", name=f"More for {name}").click()
        page.get_by_role("menuitem", name="Delete").click()
        page.get_by_role("dialog").get_by_role("button", name="Delete the rule").click()
        expect(row).to_have_count(0)


def test_a_silence_is_made_once_and_recurring_and_ended(stack: Stack, eyes: Eyes, alive: Puppet, told: Told) -> None:
    page = opened(stack, eyes, "/silences/")
    page.get_by_role("button", name="New silence").click()
    page.get_by_label("Servers").get_by_label("puppet").or_(page.get_by_label("puppet", exact=True)).first.check()
    page.get_by_label("Ends (optional)").fill("2020-01-01T00:00")
    page.get_by_test_id("save").click()
    expect(page.get_by_label("Ends (optional)")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Ends (optional)").fill("2099-01-01T00:00")
    page.get_by_label("Comment (optional)").fill("Being rebuilt.")
    page.get_by_test_id("save").click()
    first = page.get_by_test_id("silence").filter(has_text="Being rebuilt.")
    expect(first).to_have_attribute("data-standing", "holds")
    expect(first).to_contain_text("everything on puppet")

    page.get_by_role("button", name="New silence").click()
    page.get_by_label("Tags").fill("night")
    page.get_by_label("Tags").press("Enter")
    page.get_by_role("radio", name="Again and again").click()
    page.get_by_label("Time zone").fill("Europe/Zurich")
    page.get_by_label("Sat").uncheck()
    page.get_by_label("Sun").uncheck()
    phone_fits(page, eyes, "silence-edit")
    page.get_by_test_id("save").click()
    second = page.get_by_test_id("silence").filter(has_text="night")
    expect(second).to_contain_text("22:00 to 06:00, Mon to Fri, Europe/Zurich")
    phone_fits(page, eyes, "silences")

    first.get_by_role("button", name=re.compile("^End the silence")).click()
    page.get_by_role("dialog").get_by_role("button", name="End it now").click()
    expect(first).to_have_attribute("data-standing", "over")
    second.get_by_role("button", name=re.compile("^End the silence")).click()
    page.get_by_role("dialog").get_by_role("button", name="End it now").click()
    expect(second).to_have_attribute("data-standing", "over")
    assert all(one["ends_at"] for one in ask_list(stack, told, "silences"))


def test_a_server_is_tagged_and_watched_fast_and_its_silence_adapted_for_it_alone(
    stack: Stack, eyes: Eyes, alive: Puppet, told: Told
) -> None:
    page = opened(stack, eyes, f"/server/?id={alive.uuid}")
    page.get_by_test_id("server-menu").click()
    page.get_by_role("menuitem", name="Tags and watching").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Tags", exact=True).fill("prod, zurich,")
    dialog.get_by_label("Watch it fast").check()
    eyes.shoot(page, "server-settings")
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_test_id("tags")).to_contain_text("zurich")
    expect(page.get_by_test_id("tags")).to_contain_text("watched fast")
    saved = ask(stack.url, "GET", f"/api/v1/servers/{alive.uuid}", token=told.token)
    assert (saved["tags"], saved["fast"]) == (["prod", "zurich"], True)

    page.get_by_test_id("server-menu").click()
    page.get_by_role("menuitem", name="Tags and watching").click()
    page.get_by_role("link", name="Adapt Server down to this server").click()
    expect(page.get_by_label("Server", exact=True)).to_have_value(alive.uuid)
    page.get_by_label("For so long").fill("7m")
    page.get_by_test_id("save").click()
    row = page.locator('[data-testid="rule"][data-rule="Server down"]')
    expect(row).to_contain_text("no sign of life for 7 min")
    (rule,) = ask(stack.url, "GET", f"/api/v1/rules?organization_id={told.organization}", token=told.token)["rules"]
    ask(stack.url, "DELETE", f"/api/v1/rules/{rule['id']}", token=told.token)
    expect(row).to_have_count(0)
    settings = {"tags": [], "fast": False}
    ask(stack.url, "PUT", f"/api/v1/servers/{alive.uuid}/settings", settings, token=told.token)


def test_a_viewer_may_look_at_all_this_and_change_nothing_and_what_fails_is_told(
    stack: Stack, eyes: Eyes, alive: Puppet, receiver: Receiver
) -> None:
    page = opened(stack, eyes, "/")
    page.route("**/api/v1/me", as_viewer)
    page.goto(f"{stack.url}/channels/?edit=new")
    expect(page.locator('[data-channel="Hook"]')).to_be_visible()
    for path in ("channels", "policies", "rules", "silences"):
        page.goto(f"{stack.url}/{path}/")
        expect(page.get_by_test_id("loading")).to_have_count(0)
        expect(
            page.get_by_role("button", name=re.compile("^(Add|New|Delete|Switch|Adapt|End|More|Move)"))
        ).to_have_count(0)
        page.route(f"**/api/v1/{path}?*", failing(f"The list of {path}"))
        page.goto(f"{stack.url}/{path}/")
        expect(page.get_by_test_id("error")).to_contain_text("req-e2e", timeout=15_000)
        page.unroute(f"**/api/v1/{path}?*")
    eyes.shoot(page, "silences-error")
    eyes.complaints[:] = [one for one in eyes.complaints if "status of 500" not in one]
