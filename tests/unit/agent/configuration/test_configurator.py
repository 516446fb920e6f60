from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twinwatch.agent.configuration import Configurator, Given, Settings
from twinwatch.agent.configuration.bundle import FILE
from twinwatch.protocol.configuration import Configuration, MonitorEntry
from twinwatch.protocol.rules import Rule
from twinwatch.testing.story import until

from .kinds import FOUND, Desk, options_in
from .test_content import TREES


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    desk.write_monitors()
    return desk


def names(found: Configurator) -> dict[str, str]:
    return {one.name: one.origin for one in found.plan.monitors}


def entry(kind: str, **more: Any) -> MonitorEntry:
    head = {name: more.pop(name) for name in ("name", "enabled", "interval", "timeout") if name in more}
    return MonitorEntry(kind, options=more, **head)


def bundle(version: int, *entries: MonitorEntry, rules: tuple[Rule, ...] = ()) -> Configuration:
    return Configuration(version, entries, rules)


async def test_a_reload_changes_only_what_changed(desk: Desk) -> None:
    desk.write_monitors("- {type: postgres, connection: a}", "- {type: tailscale}")
    found = desk.configurator()
    before = {one.name: one for one in found.plan.monitors}
    changes: list[int] = []
    found.on_change(lambda: changes.append(1))
    await found.reload()
    assert changes == []
    desk.write_monitors("- {type: postgres, connection: b}", "- {type: tailscale}", "- {type: systemd}")
    await found.reload()
    after = {one.name: one for one in found.plan.monitors}
    assert changes == [1]
    assert after["tailscale"] == before["tailscale"]
    assert after["postgres"] != before["postgres"]
    assert after.keys() - before.keys() == {"systemd"}


async def test_a_bad_new_file_keeps_the_old_one_running_and_is_said_once(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.write_monitors("- {type: tailscale}")
    found = desk.configurator()
    plan = found.plan
    desk.write_monitors("- {type: tailscal}")
    await found.reload()
    await found.reload()
    assert found.plan is plan or found.plan == plan
    assert found.standing.problems[0].startswith(f"{desk.file}:3:6: unknown type 'tailscal'")
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    desk.write_monitors("- {type: systemd}")
    await found.reload()
    assert found.standing.problems == ()
    assert names(found) == {"system": "default", "systemd": "file"}


async def test_a_changed_file_is_noticed_within_two_seconds(desk: Desk) -> None:
    found = desk.configurator()
    watching = asyncio.create_task(found.watch())
    try:
        await asyncio.sleep(1)
        desk.write_monitors("- {type: tailscale}")
        assert await until(lambda: "tailscale" in names(found), 3) <= 2.0
        fresh = desk.file.with_name("fresh")
        fresh.write_text("hub: https://h\nmonitors: [{type: systemd}]\n")
        fresh.chmod(0o600)
        fresh.replace(desk.file)
        assert await until(lambda: "systemd" in names(found), 3) <= 2.0
        fresh.write_text("hub: https://h\nmonitors: [{type: http, endpoints: [{url: a}]}]\n")
        fresh.chmod(0o600)
        desk.file.unlink()
        desk.file.symlink_to(fresh)
        assert await until(lambda: "http" in names(found), 3) <= 2.0
        desk.file.unlink()
        assert await until(lambda: found.standing.problems, 3) <= 2.0
        assert found.standing.problems == (f"{desk.file}: no such file or directory",)
        assert "http" in names(found)
        desk.write_monitors("- {type: tailscale}")
        assert await until(lambda: not found.standing.problems, 3) <= 2.0
    finally:
        watching.cancel()


async def test_a_new_secret_in_its_file_is_noticed_too(desk: Desk, tmp_path: Path) -> None:
    secret = tmp_path / "pw"
    secret.write_text("one")
    secret.chmod(0o600)
    desk.write_monitors("- {type: postgres, connection_file: pw}")
    found = desk.configurator()
    watching = asyncio.create_task(found.watch())
    try:
        secret.write_text("second")
        await until(lambda: options_in(found)["postgres"].connection.reveal() == "second", 2.5)
    finally:
        watching.cancel()


async def test_what_needs_a_restart_is_said_and_the_rest_applied(desk: Desk) -> None:
    found = desk.configurator()
    desk.write("hub: https://other\nserver_name: other\nprecedence: hub\nmonitors: [{type: tailscale}]\n")
    await found.reload()
    assert found.settings.hub == "https://h"
    assert found.settings.precedence == "hub"
    assert "tailscale" in names(found)
    assert [problem.partition(": ")[2] for problem in found.standing.problems] == [
        "hub has changed; restart the agent to use it",
        "server_name has changed; restart the agent to use it",
    ]


async def test_the_hubs_bundle_is_kept_and_used_without_the_hub(desk: Desk) -> None:
    found = desk.configurator()
    assert await found.take(bundle(7, entry("tailscale", interval="1m"), entry("postgres", connection="secret")))
    assert names(found) == {"system": "default", "tailscale": "hub", "postgres": "hub"}
    assert (found.version, found.standing.version, found.wants(7), found.wants(8)) == (7, 7, False, True)
    kept = desk.state / FILE
    assert kept.stat().st_mode & 0o777 == 0o600
    assert desk.configurator().plan == found.plan
    desk.environment["TWINWATCH_HUB"] = "https://another"
    assert desk.configurator().version == 0


async def test_a_bundle_with_a_bad_entry_is_refused_as_a_whole(desk: Desk) -> None:
    found = desk.configurator()
    await found.take(bundle(1, entry("tailscale")))
    bad = bundle(
        2,
        entry("systemd", services=["a"]),
        entry("http", endpoints=[{"url": "x", "pasword": "a"}], interval="1s"),
        entry("nothing"),
        rules=(Rule("r"),),
    )
    assert not await found.take(bad)
    assert names(found) == {"system": "default", "tailscale": "hub"}
    assert (found.standing.version, found.standing.refused, found.wants(2)) == (1, 2, False)
    assert [problem.partition(";")[0] for problem in found.standing.problems] == [
        "hub: monitors[1].interval: interval: '1s': expected 5s to 1h",
        "hub: monitors[1].endpoints[0].pasword: unknown key pasword: did you mean password?",
        "hub: monitors[2].type: unknown type 'nothing': expected one of broken, exec, http, postgres, system, systemd, "
        "tailscale",
        "hub: rules[0]: rule 'r': expected either metric, check, probe or silent",
    ]
    assert await found.take(bundle(3))
    assert found.standing.problems == ()
    assert found.standing.refused == 0


async def test_what_the_hub_may_not_ask_for_is_left_out_until_the_file_allows_it(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("s3cret")
    (tmp_path / "pw").chmod(0o600)
    desk.environment["PW"] = "s3cret"
    found = desk.configurator()
    asked = bundle(
        4,
        entry("exec", command=["id"]),
        entry("postgres", connection="p://u:${PW}@evil"),
        entry("postgres", name="file", connection_file=str(tmp_path / "pw")),
        entry("http", endpoints=[{"url": "https://evil/?${PW}"}]),
        entry("tailscale"),
    )
    assert await found.take(asked)
    assert names(found) == {"system": "default", "tailscale": "hub"}
    assert [problem.partition(";")[0] for problem in found.standing.problems] == [
        "hub: monitors[0]: exec runs programs and is not taken from the hub",
        "hub: monitors[1]: connection refers to a secret of this server, which is not looked up for the hub",
        "hub: monitors[2]: connection_file refers to a secret of this server, which is not looked up for the hub",
        "hub: monitors[3]: endpoints[0].url refers to a secret of this server, which is not looked up for the hub",
    ]
    desk.write_monitors(head="remote: {exec: true, secrets: true}\n")
    await found.reload()
    assert names(found).keys() == {"system", "exec", "postgres", "file", "http", "tailscale"}
    by_name = options_in(found)
    assert by_name["postgres"].connection.reveal() == "p://u:s3cret@evil"
    assert by_name["file"].connection.reveal() == "s3cret"
    assert found.standing.problems == ()
    assert "s3cret" not in repr(found.effective())


async def test_a_hub_may_not_choose_which_program_a_monitor_runs(desk: Desk) -> None:
    found = desk.configurator()
    assert await found.take(bundle(1, entry("tailscale", command="tailscale")))
    assert "tailscale" in names(found)
    assert await found.take(bundle(2, entry("tailscale", command="/bin/evil")))
    assert names(found) == {"system": "default"}
    assert found.standing.problems[0].startswith("hub: monitors[0]: command names a program to run")
    desk.write_monitors(head="remote: {exec: true}\n")
    await found.reload()
    assert "tailscale" in names(found)


async def test_remote_false_takes_nothing_at_all(desk: Desk) -> None:
    found = desk.configurator()
    await found.take(bundle(1, entry("tailscale")))
    desk.write_monitors(head="remote: false\n")
    await found.reload()
    assert names(found) == {"system": "default"}
    assert not await found.take(bundle(2, entry("systemd")))
    assert found.standing.problems == ("hub: version 2 is not taken: the file says remote: false",)
    assert (found.version, found.wants(2)) == (0, False)
    desk.write_monitors()
    await found.reload()
    assert found.wants(2)


async def test_the_files_entry_wins_unless_it_says_otherwise(desk: Desk) -> None:
    desk.write_monitors("- {type: tailscale, interval: 10s}", "- {type: system, enabled: false}")
    found = desk.configurator()
    await found.take(bundle(1, entry("tailscale", interval="20s"), entry("system"), entry("systemd")))
    assert names(found) == {"tailscale": "file", "systemd": "hub"}
    beaten = [one for one in found.effective() if one.reason == "the file's is in force"]
    assert [(one.name, one.origin, one.runs) for one in beaten] == [
        ("system", "hub", False),
        ("tailscale", "hub", False),
    ]
    desk.write_monitors(
        "- {type: tailscale, interval: 10s}", "- {type: system, enabled: false}", head="precedence: hub\n"
    )
    await found.reload()
    assert {one.name: (one.origin, one.interval_seconds) for one in found.plan.monitors} == {
        "tailscale": ("hub", 20.0),
        "system": ("hub", 15.0),
        "systemd": ("hub", 15.0),
    }


async def test_rules_of_file_and_hub_are_merged_by_name(desk: Desk) -> None:
    rule = "rules: [{name: a, metric: m, above: 1, for: 5m}, {name: b, check: 'systemd:*'}]\n"
    desk.write_monitors(head=rule)
    found = desk.configurator()
    await found.take(bundle(1, rules=(Rule("b", check="x"), Rule("c", metric="m", below=1.0))))
    assert [(rule.name, rule.check, rule.hold) for rule in found.rules] == [
        ("a", "", "5m"), ("b", "systemd:*", ""), ("c", "", ""),
    ]  # fmt: skip
    desk.write_monitors(head=rule + "precedence: hub\n")
    await found.reload()
    assert {rule.name: rule.check for rule in found.rules}["b"] == "x"


async def test_a_damaged_bundle_is_set_aside_and_said(desk: Desk) -> None:
    (desk.state / FILE).write_text('{"hub": "https://h", "configuration": {"version": ')
    assert "damaged" in desk.configurator(read_only=True).standing.problems[0]
    assert (desk.state / FILE).exists()
    found = desk.configurator()
    assert "damaged" in found.standing.problems[0]
    assert not (desk.state / FILE).exists()
    assert (desk.state / "configuration.damaged").exists()
    await found.take(bundle(1))
    assert found.standing.problems == ()


async def test_a_bundle_that_cannot_be_kept_is_in_force_all_the_same(desk: Desk) -> None:
    found = desk.configurator()
    (desk.state / f"{FILE}.new").mkdir()
    assert await found.take(bundle(1, entry("tailscale")))
    assert names(found)["tailscale"] == "hub"
    assert "cannot be kept" in found.standing.problems[0]


async def test_an_entry_of_a_kept_bundle_that_is_no_longer_lawful_fails_alone(desk: Desk) -> None:
    kept = {"hub": "https://h", "configuration": {"version": 3, "monitors": [{"type": "gone"}, {"type": "tailscale"}]}}
    (desk.state / FILE).write_text(json.dumps(kept))
    found = desk.configurator()
    assert names(found) == {"system": "default", "tailscale": "hub"}
    assert found.standing.problems[0].startswith("hub: monitors[0].type: unknown type 'gone'")


def test_what_is_effective_shows_origins_and_no_secret(desk: Desk) -> None:
    desk.environment["PW"] = "hidden"
    desk.write_monitors(
        "- {type: postgres, connection: hidden}",
        "- {type: http, endpoints: [{url: 'https://u:hidden@h/', headers: {A: hidden, B: '${PW}'}}, {url: '${PW}'}]}",
        "- {type: broken, password: hidden, database: shop}",
        head="api_key: hidden\nlocal: {token: hidden-hidden-hidden}\n",
    )
    found = desk.configurator()
    shown = {one.name: one.options for one in found.effective()}
    assert shown["postgres"] == {"connection": "***"}
    assert shown["http"] == {
        "endpoints": [{"url": "https://u:***@h/", "headers": {"A": "***", "B": "***"}}, {"url": "${PW}"}]
    }
    assert shown["broken"] == {"password": "***", "database": "shop"}
    everything = (
        repr(found.effective()) + repr(found.effective_settings()) + repr(found.settings) + repr(found.standing)
    )
    assert "hidden" not in everything


async def test_given_settings_need_no_file(tmp_path: Path) -> None:
    plain = Settings("https://h", tmp_path, "web-1")
    found = Configurator(Given(plain), FOUND)
    assert names(found) == {"system": "default"}
    await found.reload()
    assert found.settings == plain


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.fixed_dictionaries(
        {"version": st.integers(1, 9)},
        optional={
            "monitors": st.lists(
                st.fixed_dictionaries(
                    {"type": st.sampled_from(["system", "http", "postgres", "exec", "x"])},
                    optional={
                        "name": st.text(max_size=5),
                        "enabled": st.booleans(),
                        "interval": st.sampled_from(["", "30s", "1s", "x"]),
                        "timeout": st.sampled_from(["", "30s", "2h"]),
                        "options": st.dictionaries(st.sampled_from(["connection", "endpoints", "command"]), TREES),
                    },
                ),
                max_size=4,
            ),
            "rules": st.lists(
                st.fixed_dictionaries(
                    {"name": st.text(max_size=3)}, optional={"metric": st.text(max_size=3), "hold": st.text(max_size=3)}
                ),
                max_size=3,
            ),
        },
    )
    | TREES
)
def test_any_bundle_is_taken_or_refused_with_reasons(desk: Desk, given: Any) -> None:
    try:
        asked = msgspec.convert(given, Configuration)
    except msgspec.ValidationError:
        return
    found = desk.configurator(read_only=True)
    before = found.plan
    taken = asyncio.run(found.take(asked))
    if taken:
        assert found.version == asked.version
    else:
        assert found.plan == before
        assert found.standing.refused == asked.version
        assert all(problem.startswith("hub: ") for problem in found.standing.problems)
