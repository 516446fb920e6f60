"""Two people at one thing: nobody's work is lost, whoever saves second; and a page at fault leaves the rest usable.

One of them sits at the browser; what the other does comes through the API.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Route, expect

from tests.e2e.cast import Told
from tests.e2e.conftest import EMAIL, Eyes, Stack, opened
from tests.e2e.puppet import Puppet, ask
from tests.e2e.receiver import Receiver
from tests.e2e.test_fourth_day import phone_fits

RULE: dict[str, Any] = {"name": "two: busy", "severity": "warning", "metric": "app.figure_1", "above": 0.5}


def rules(stack: Stack, told: Told) -> dict[str, Any]:
    """Those that were saved, by name."""
    found = ask(stack.url, "GET", f"/api/v1/rules?organization_id={told.organization}", token=told.token)
    return {stored["rule"]["name"]: stored for stored in found["rules"]}


def add_rule(stack: Stack, told: Told, **fields: Any) -> dict[str, Any]:
    """A rule of the organization, as it was saved."""
    rule = {**RULE, **fields}
    wanted = {"organization_id": told.organization, "scope": "organization", "rule": rule}
    ask(stack.url, "POST", "/api/v1/rules", wanted, token=told.token)
    found: dict[str, Any] = rules(stack, told)[rule["name"]]
    return found


def change_rule(stack: Stack, told: Told, stored: dict[str, Any], **fields: Any) -> None:
    """Somebody else saves it."""
    wanted = {"scope": "organization", "version": stored["version"], "rule": {**stored["rule"], **fields}}
    ask(stack.url, "PUT", f"/api/v1/rules/{stored['id']}", wanted, token=told.token)


def delete_rule(stack: Stack, told: Told, name: str) -> None:
    """Cleans up."""
    ask(stack.url, "DELETE", f"/api/v1/rules/{rules(stack, told)[name]['id']}", token=told.token)


def test_who_has_a_rule_open_hears_of_anothers_change_and_writes_over_it_only_knowingly(
    stack: Stack, eyes: Eyes, told: Told, puppet: Puppet
) -> None:
    stored = add_rule(stack, told)
    page = opened(stack, eyes, f"/rules/?edit={stored['id']}")
    page.get_by_label("Message (optional)").fill("Mine")
    change_rule(stack, told, stored, above=0.75)
    changed = page.get_by_test_id("changed")
    expect(changed).to_contain_text(f"{EMAIL} changed the rule")
    expect(changed).to_contain_text("app.figure_1 above 75.0%")
    expect(page.get_by_label("Message (optional)")).to_have_value("Mine")
    expect(page.get_by_test_id("save")).to_be_disabled()
    phone_fits(page, eyes, "rule-changed")
    theirs = rules(stack, told)[RULE["name"]]
    assert (theirs["version"], theirs["rule"]["above"]) == (stored["version"] + 1, 0.75)

    changed.get_by_role("button", name="Keep mine on top of it").click()
    expect(changed).to_have_count(0)
    page.get_by_test_id("save").click()
    expect(page.locator(f'[data-rule="{RULE["name"]}"]')).to_be_visible()
    mine = rules(stack, told)[RULE["name"]]
    assert (mine["rule"]["message"], mine["rule"]["above"]) == ("Mine", 0.5)
    delete_rule(stack, told, RULE["name"])


def test_who_saves_a_rule_a_moment_after_another_is_refused_and_told(
    stack: Stack, eyes: Eyes, told: Told, puppet: Puppet
) -> None:
    stored = add_rule(stack, told)
    page = opened(stack, eyes, f"/rules/?edit={stored['id']}")
    page.get_by_label("Message (optional)").fill("Mine")

    def late(route: Route) -> None:
        if route.request.method == "PUT" and rules(stack, told)[RULE["name"]]["version"] == stored["version"]:
            change_rule(stack, told, stored, above=0.75)
        route.continue_()

    page.route("**/api/v1/rules/*", late)
    page.get_by_test_id("save").click()
    changed = page.get_by_test_id("changed")
    expect(changed).to_contain_text(f"{EMAIL} changed the rule")
    assert rules(stack, told)[RULE["name"]]["rule"]["above"] == 0.75
    expect(page.get_by_label("Message (optional)")).to_have_value("Mine")
    changed.get_by_role("button", name="Drop mine and reload").click()
    expect(page.locator(f'[data-rule="{RULE["name"]}"]')).to_contain_text("above 75.0%")
    delete_rule(stack, told, RULE["name"])
    forgive(eyes, 409)


def test_a_policy_that_somebody_adds_outlives_a_move_and_a_save_of_who_has_not_seen_it(
    stack: Stack, eyes: Eyes, told: Told, puppet: Puppet, receiver: Receiver
) -> None:
    path = f"/api/v1/policies?organization_id={told.organization}"
    before = ask(stack.url, "GET", path, token=told.token)["policies"]
    page = opened(stack, eyes, "/policies/")
    policies = page.get_by_test_id("policy")
    expect(policies).to_have_count(len(before))
    theirs = ["Theirs", "Theirs too"]

    def late(route: Route) -> None:
        if route.request.method == "PUT" and theirs:
            now = ask(stack.url, "GET", path, token=told.token)
            now["policies"].append({"name": theirs.pop(0), "steps": [{"channels": ["kind:email"]}]})
            ask(stack.url, "PUT", path, now, token=told.token)
        route.continue_()

    page.route("**/api/v1/policies?*", late)
    first = before[0]["name"]
    page.get_by_role("button", name=f"Move {first} down").click()
    expect(page.get_by_test_id("refusal")).to_contain_text("changed meanwhile")
    expect(policies).to_have_count(len(before) + 1)
    expect(policies.first).to_have_attribute("data-policy", first)

    page.get_by_role("button", name=f"Change {first}").click()
    page.get_by_label("Name", exact=True).fill("Renamed")
    page.get_by_test_id("save").click()
    expect(page.get_by_test_id("among")).to_contain_text("Save again to put it among theirs")
    phone_fits(page, eyes, "policy-refused")
    page.get_by_test_id("save").click()
    expect(policies).to_have_count(len(before) + 2)
    expect(policies.first).to_have_attribute("data-policy", "Renamed")
    names = [policy["name"] for policy in ask(stack.url, "GET", path, token=told.token)["policies"]]
    assert names == ["Renamed", *(policy["name"] for policy in before[1:]), "Theirs", "Theirs too"]
    ask(stack.url, "PUT", path, {"policies": before}, token=told.token)
    forgive(eyes, 409)


@pytest.mark.parametrize("noun", ["rules", "channels", "policies", "probes"])
def test_a_form_stays_when_somebody_deletes_what_it_is_about_and_can_be_saved_as_a_new_one(
    stack: Stack, eyes: Eyes, told: Told, puppet: Puppet, receiver: Receiver, noun: str
) -> None:
    path = f"/api/v1/{noun}?organization_id={told.organization}"
    identity = add(stack, told, receiver, noun)
    page = opened(stack, eyes, f"/{noun}/?edit={identity}")
    page.get_by_label("Name", exact=True).fill("Typed at length")
    remove(stack, told, noun, identity)
    if noun == "probes":
        # It is looked at every 10 s only: who saves before that is refused, and told.
        page.get_by_test_id("save").click()
    gone = page.get_by_test_id("gone")
    expect(gone).to_contain_text("deleted the")
    expect(page.get_by_label("Name", exact=True)).to_have_value("Typed at length")
    save = page.get_by_test_id("save")
    expect(save).to_contain_text("Save as a new")
    phone_fits(page, eyes, f"gone-{noun}")
    if noun == "channels":
        # What was hidden in it went with it.
        save.click()
        expect(page.get_by_test_id("refusal")).to_contain_text("enter it")
        page.get_by_label("Address", exact=True).or_(page.get_by_label("URL", exact=True)).fill(receiver.url)
        forgive(eyes, 422)
    save.click()
    expect(save).to_have_count(0)
    forgive(eyes, 404)
    expect(page.get_by_text("Typed at length").first).to_be_visible()
    found = ask(stack.url, "GET", path, token=told.token)[noun]
    (again,) = [one for one in found if one.get("rule", one)["name"] == "Typed at length"]
    remove(stack, told, noun, again["id"])


def test_a_page_at_fault_leaves_the_ways_to_the_others_and_can_be_tried_again(
    stack: Stack, eyes: Eyes, told: Told, puppet: Puppet
) -> None:
    page = opened(stack, eyes, "/")

    def broken(route: Route) -> None:
        route.fulfill(json={"rules": None, "defaults": []})

    page.route("**/api/v1/rules?*", broken)
    page.goto(f"{stack.url}/rules/")
    fault = page.get_by_test_id("error")
    expect(fault).to_contain_text("Something went wrong here")
    eyes.shoot(page, "page-at-fault")
    page.get_by_role("link", name=re.compile("^Servers")).first.click()
    expect(page.get_by_test_id("server-row").first).to_be_visible()
    page.go_back()
    expect(fault).to_be_visible()
    page.unroute("**/api/v1/rules?*", broken)
    fault.get_by_role("button", name="Try again").click()
    expect(page.get_by_test_id("default-rule").first).to_be_visible()
    eyes.complaints[:] = [one for one in eyes.complaints if "TypeError" not in one]


def add(stack: Stack, told: Told, receiver: Receiver, noun: str) -> str:
    """One of that kind; its id."""
    if noun == "rules":
        return str(add_rule(stack, told, name="Short-lived")["id"])
    if noun == "policies":
        path = f"/api/v1/policies?organization_id={told.organization}"
        now = ask(stack.url, "GET", path, token=told.token)
        now["policies"].append({"name": "Short-lived", "steps": [{"channels": ["kind:email"]}]})
        return str(ask(stack.url, "PUT", path, now, token=told.token)["policies"][-1]["id"])
    wanted: dict[str, Any] = {"organization_id": told.organization, "name": "Short-lived", "enabled": False}
    if noun == "channels":
        wanted |= {"kind": "webhook", "settings": {"url": receiver.url}}
    else:
        wanted |= {"kind": "http", "settings": {"url": receiver.url}}
    made = ask(stack.url, "POST", f"/api/v1/{noun}", wanted, token=told.token)
    return str(made["id"])


def remove(stack: Stack, told: Told, noun: str, identity: str) -> None:
    """Somebody deletes it."""
    if noun != "policies":
        ask(stack.url, "DELETE", f"/api/v1/{noun}/{identity}", token=told.token)
        return
    path = f"/api/v1/policies?organization_id={told.organization}"
    now = ask(stack.url, "GET", path, token=told.token)
    now["policies"] = [policy for policy in now["policies"] if policy["id"] != identity]
    ask(stack.url, "PUT", path, now, token=told.token)


def forgive(eyes: Eyes, status: int) -> None:
    """The browser complains about an answer that was wanted."""
    eyes.complaints[:] = [one for one in eyes.complaints if f"status of {status}" not in one]
