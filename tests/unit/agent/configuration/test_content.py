from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twinwatch.agent.configuration import Misconfigured, Settings
from twinwatch.agent.configuration.problems import PROBLEMS
from twinwatch.agent.watching.settings import HubWatchSettings, WitnessSettings

from .kinds import FOUND, Desk, Http, options_in

EXAMPLE = """\
api_key: "user_api_key_xxx"
server_name: "production-server-1"
heartbeat_interval: 60s
metrics_push_interval: 30s

monitors:
  - type: system
    enabled: true
    metrics: [cpu, ram, disk, network]
    
  - type: tailscale
    enabled: true
    check_interval: 30s
    
  - type: postgres
    enabled: true
    connection: "postgres://localhost:5432/mydb"
    check_interval: 60s
    
  - type: http
    enabled: true
    endpoints:
      - url: "https://myapi.com/health"
        expected_status: 200
        check_interval: 30s
        
  - type: systemd
    enabled: true
    services:
      - nginx
      - myapp.service
"""  # noqa: W293 - the specification's own, to the blank


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def problems(desk: Desk) -> list[str]:
    with pytest.raises(Misconfigured) as caught:
        desk.configurator()
    return [problem.replace(str(desk.file.parent), "") for problem in caught.value.problems]


def test_the_specifications_example_works_as_it_stands(desk: Desk) -> None:
    desk.write(EXAMPLE + "\nhub: https://hub.example\n")
    found = desk.configurator()
    assert found.settings.server_name == "production-server-1"
    assert found.settings.enrolment_key is not None
    assert found.settings.enrolment_key.reveal() == "user_api_key_xxx"
    assert (found.settings.heartbeat_seconds, found.settings.push_seconds) == (60.0, 30.0)
    assert {one.label: one.interval_seconds for one in found.plan.monitors} == {
        "http/https://myapi.com/health": 30.0,
        "postgres": 60.0,
        "system": 15.0,
        "systemd": 15.0,
        "tailscale": 30.0,
    }
    assert all(one.origin == "file" for one in found.plan.monitors)
    assert found.standing.problems == ()


def test_every_problem_is_told_with_line_key_expectation_and_nearest_name(desk: Desk) -> None:
    desk.write(
        "hubb: x\n"
        "heartbeat_interval: 60\n"
        "precedence: mine\n"
        "remote: {exce: true}\n"
        "local: {listen: 0.0.0.0:3000}\n"
        "buffer: {max_size: 1MB}\n"
        "monitors:\n"
        "  - type: sytem\n"
        "  - typ: system\n"
        "  - {type: http, interval: 2s, endpoints: [{url: '', expectd_status: 3}, {url: a, expected_status: b}]}\n"
        "  - {type: postgres, enabled: 3}\n"
        "  - 7\n"
        "rules:\n"
        "  - {name: x, metric: m}\n"
    )
    assert problems(desk) == [
        "/agent.yaml:1:1: unknown key hubb: did you mean hub?",
        "/agent.yaml:2:21: heartbeat_interval: expected a duration of 5s to 1m, such as 30s; did you mean 60s?",
        "/agent.yaml:3:13: precedence: 'mine': expected file or hub",
        "/agent.yaml:4:10: unknown key exce: did you mean exec?",
        "/agent.yaml:5:9: local.listen: '0.0.0.0:3000' can be reached from other machines; expected local.token "
        "(or local.token_file) besides, or a loopback address such as 127.0.0.1:3000",
        "/agent.yaml:6:20: buffer.max_size: '1MB': expected at least 8MB",
        "/agent.yaml:8:5: unknown type 'sytem': did you mean system? There are: broken, exec, http, postgres, system, "
        "systemd, tailscale",
        "/agent.yaml:9:5: type is missing; did you mean type instead of typ?",
        "/agent.yaml:10:18: interval: '2s': expected 5s to 1h",
        "/agent.yaml:10:45: url: expected a text of length >= 1",
        "/agent.yaml:10:54: unknown key expectd_status: did you mean expected_status?",
        "/agent.yaml:10:83: expected_status: expected a whole number, not a text",
        "/agent.yaml:11:5: connection is missing",
        "/agent.yaml:11:31: enabled: expected true or false, not 3",
        "/agent.yaml:12:5: expected a mapping, not 7",
        "/agent.yaml:14:5: rule 'x': expected above, below or no_data",
    ]


def test_a_file_with_secrets_that_others_can_read_is_refused_with_the_chmod(desk: Desk) -> None:
    secrets = [
        "api_key: abc",
        "local: {token: 0123456789abcdef}",
        "monitors: [{type: postgres, connection: abc}]",
        "monitors: [{type: http, endpoints: [{url: a, headers: {X: abc}}]}]",
        "monitors: [{type: http, endpoints: [{url: 'https://u:abc@h/'}]}]",
        "api_key: ${NONE:-abc}",
    ]
    for secret in secrets:
        desk.write(f"hub: https://h\n{secret}\n", 0o644)
        told = problems(desk)
        assert len(told) == 1
        assert "holds secrets (line 2: " in told[0]
        assert told[0].endswith(f"run: chmod 600 {desk.file}".replace(str(desk.file.parent), ""))
        assert "abc" not in told[0]
        desk.write(f"hub: https://h\n{secret}\n", 0o600)
        desk.configurator()


def test_a_file_without_secrets_may_be_read_but_not_changed_by_others(desk: Desk, tmp_path: Path) -> None:
    desk.environment["PW"] = "secret"
    key = tmp_path / "key"
    key.write_text("twe_x\n")
    key.chmod(0o600)
    text = "hub: https://h\napi_key_file: key\nmonitors: [{type: postgres, connection: 'p://u:${PW}@h'}, {type: http, "
    text += "endpoints: [{url: 'https://u:${PW}@h'}]}]\n"
    desk.write(text.replace("'p://u:${PW}@h'", "'${PW}'"), 0o644)
    found = desk.configurator()
    assert found.settings.enrolment_key is not None
    assert found.settings.enrolment_key.reveal() == "twe_x"
    assert options_in(found)["postgres"].connection.reveal() == "secret"
    desk.write("hub: https://h\n", 0o666)
    assert "chmod o-w" in problems(desk)[0]


def test_a_secret_can_come_from_a_file_beside_the_configuration(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("s3cret\n")
    (tmp_path / "pw").chmod(0o600)
    desk.write_monitors(
        "- {type: http, endpoints: [{url: a, password_file: pw}]}", "- {type: postgres, connection_file: pw}"
    )
    by_name = options_in(desk.configurator())
    assert by_name["http"].endpoints[0].password.reveal() == "s3cret"
    assert by_name["postgres"].connection.reveal() == "s3cret"
    (tmp_path / "pw").chmod(0o644)
    told = problems(desk)
    assert [problem.split(": ")[1] for problem in told] == ["password_file", "connection_file"]
    assert all("chmod 600" in problem for problem in told)
    desk.write_monitors("- {type: postgres, connection_file: nope, connection: x}")
    assert "says the same as connection" in problems(desk)[0]


def test_a_reference_may_stand_for_a_number_and_never_shows_its_value(desk: Desk) -> None:
    desk.environment.update(POOL="3", DEEP="yes", WORD="hidden")
    desk.write_monitors("- {type: postgres, connection: a, pool: '${POOL}', deep: '${DEEP}'}")
    options = options_in(desk.configurator())["postgres"]
    assert (options.pool, options.deep) == (3, True)
    desk.write_monitors("- {type: exec, command: [a], timeout: '${WORD}'}", head="buffer: {max_size: '${WORD}'}\n")
    assert not any("hidden" in problem for problem in problems(desk))
    desk.write_monitors("- {type: exec, command: [a], interval: '${WORD}'}", head="heartbeat_interval: '${WORD}'\n")
    assert not any("hidden" in problem for problem in problems(desk))


def test_timeouts_never_exceed_the_interval_and_an_own_one_is_left_room(desk: Desk) -> None:
    desk.write_monitors(
        "- {type: tailscale, timeout: 20s, interval: 10s}",
        "- {type: postgres, connection: a, timeout: 3s}",
        "- {type: exec, command: [a], timeout: 20s}",
        "- {type: exec, name: slow, command: [a], timeout: 2m}",
    )
    deadlines = {one.name: one.deadline_seconds for one in desk.configurator().plan.monitors}
    assert deadlines == {"tailscale": 10.0, "postgres": 3.0, "exec": 21.0, "slow": 60.0, "system": 10.0}


def test_two_of_one_type_need_names_of_their_own(desk: Desk) -> None:
    desk.write_monitors("- {type: postgres, connection: a}", "- {type: postgres, connection: b}")
    assert problems(desk) == [
        "/agent.yaml:4:5: a second monitor named postgres; give it a name of its own (name: postgres-2)"
    ]
    desk.write_monitors("- {type: postgres, connection: a}", "- {type: postgres, name: shop, connection: b}")
    assert [one.own_name for one in desk.configurator().plan.monitors] == ["", "shop", ""]
    for bad in ("a:b", "a/b", "http", "custom", "' '"):
        desk.write_monitors(f"- {{type: postgres, name: {bad}, connection: b}}")
        assert "name: " in problems(desk)[0]


def test_another_name_of_a_type_means_that_type(desk: Desk) -> None:
    desk.write("monitors:\n  - {type: postgresql, connection: 'postgres://db'}\n")
    planned = {one.name: one for one in desk.configurator().plan.monitors}
    assert planned["postgres"].kind.name == "postgres"


def test_a_plug_in_that_cannot_be_loaded_is_told_and_the_others_run(desk: Desk) -> None:
    desk.write_monitors("- {type: broken, anything: 1}", "- {type: tailscale}")
    found = desk.configurator()
    assert [one.name for one in found.plan.monitors] == ["system", "tailscale"]
    assert (
        "the monitor broken cannot be loaded: ImportError: no acme; install what it needs" in found.standing.problems[0]
    )


def test_the_system_is_watched_unless_it_is_switched_off(desk: Desk) -> None:
    desk.write_monitors()
    assert [(one.name, one.origin) for one in desk.configurator().plan.monitors] == [("system", "default")]
    desk.write_monitors("- {type: system, enabled: false}")
    assert desk.configurator().plan.monitors == ()
    desk.write_monitors("- {type: system, name: mine}")
    assert [one.name for one in desk.configurator().plan.monitors] == ["mine"]


def test_arguments_and_environment_come_before_the_file(desk: Desk) -> None:
    desk.write(
        "hub: https://file\nserver_name: file\nheartbeat_interval: 30s\napi_key: file\nlocal: {listen: 127.0.0.1:1}\n"
        "log: {format: json, level: debug}\nbuffer: {max_size: 64MB}\nca_file: ca.pem\nallow_plain_http: true\n"
    )
    found = desk.configurator().settings
    assert (found.hub, found.server_name, found.log.level, found.buffer.most_bytes) == (
        "https://file", "file", "debug", 64 << 20,
    )  # fmt: skip
    assert found.ca_file == desk.file.parent / "ca.pem"
    desk.environment.update(
        TWINWATCH_HUB="http://env", TWINWATCH_ENROLMENT_KEY="env", TWINWATCH_HEARTBEAT_INTERVAL="1s",
        TWINWATCH_LOCAL="off", TWINWATCH_LOG_FORMAT="human",
    )  # fmt: skip
    found = desk.configurator().settings
    assert (found.hub, found.server_name, found.heartbeat_seconds) == ("http://env", "file", 1.0)
    assert found.enrolment_key is not None
    assert found.enrolment_key.reveal() == "env"
    assert (found.local.enabled, found.log.format, found.log.level) == (False, "human", "debug")
    origins = {name: origin for name, _, origin in desk.configurator().effective_settings()}
    assert origins["hub"] == origins["allow_plain_http"].replace(f"{desk.file}:9:1", "TWINWATCH_HUB")
    assert origins["server_name"] == f"{desk.file}:2:1"
    assert origins["precedence"] == "default"


def test_the_rate_of_a_backlog_can_be_set_and_is_judged(desk: Desk) -> None:
    desk.write("hub: https://file\nuplink: {max_bytes_per_second: 512KB}\n")
    assert desk.configurator().settings.uplink.bytes_per_second == 512 << 10
    desk.write("hub: https://file\nuplink: {max_bytes_per_second: 1KB}\n")
    assert problems(desk) == ["/agent.yaml:2:32: uplink.max_bytes_per_second: '1KB': expected at least 16KB"]


def test_what_a_witness_may_look_at_is_judged(desk: Desk) -> None:
    desk.write("hub: https://file\nwitness: {forbid: [10.0.0.0/8, '*.Corp.']}\n")
    said = desk.configurator().settings.witness
    assert said == WitnessSettings(enabled=True, forbid=("10.0.0.0/8", "*.corp"))
    desk.write("hub: https://file\nwitness: false\n")
    assert desk.configurator().settings.witness == WitnessSettings(enabled=False)
    desk.write("hub: https://file\n")
    assert desk.configurator().settings.witness is None
    desk.write("hub: https://file\nwitness: {forbid: [10.0.0.0/99, 7]}\n")
    assert [one.rpartition(": expected ")[0] for one in problems(desk)] == [
        "/agent.yaml:2:19: witness.forbid: '10.0.0.0/99'",
        "/agent.yaml:2:19: witness.forbid: '7'",
    ]


def test_how_the_hub_is_watched_is_judged(desk: Desk) -> None:
    desk.write("hub: https://file\nhub_watch: {after: 5m, internet: ['10.0.0.1:53', '[fd00::1]:443']}\n")
    said = desk.configurator().settings.hub_watch
    assert said == HubWatchSettings(True, 300.0, ("10.0.0.1:53", "[fd00::1]:443"))
    desk.write("hub: https://file\nhub_watch: false\n")
    assert not desk.configurator().settings.hub_watch.enabled
    desk.write("hub: https://file\nhub_watch: {internet: []}\n")
    assert desk.configurator().settings.hub_watch.internet == ()
    desk.write("hub: https://file\nhub_watch: {after: 1s, internet: [nowhere]}\n")
    assert problems(desk) == [
        "/agent.yaml:2:20: hub_watch.after: '1s': expected 30s to 1h",
        "/agent.yaml:2:34: hub_watch.internet: 'nowhere': expected host:port, such as 1.1.1.1:443",
    ]


def test_a_file_that_is_missing_a_folder_or_a_pipe_is_told(desk: Desk) -> None:
    assert problems(desk)[0] == "/agent.yaml: no such file or directory"
    desk.file.mkdir()
    assert "/agent.yaml: " in problems(desk)[0]
    desk.file.rmdir()
    os.mkfifo(desk.file)
    assert "expected a file" in problems(desk)[0]


def test_an_empty_file_and_an_empty_name_of_one_are_no_problem(desk: Desk) -> None:
    desk.write("# nothing\n")
    desk.environment["TWINWATCH_HUB"] = "https://h"
    assert desk.configurator().settings.hub == "https://h"


KEYS = st.sampled_from(
    [
        "hub", "api_key", "api_key_file", "server_name", "heartbeat_interval", "state_dir", "remote", "local",
        "log", "buffer", "monitors", "rules", "type", "name", "enabled", "interval", "timeout", "connection", "url",
        "endpoints", "headers", "listen", "token", "format", "max_size", "metric", "hold", "password_file", "exec",
        "<<",
    ]
)  # fmt: skip
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)
    | st.sampled_from(["system", "http", "postgres", "exec", "30s", "https://h", "${X}", "${X:-1}"])
    | st.sampled_from(["$${", "${", "hub", "a/b"])
)  # fmt: skip
TREES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6), max_leaves=30
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=200) | st.dictionaries(KEYS, TREES, max_size=8).map(json.dumps).map(str.encode))
def test_any_content_is_lawful_settings_or_problems_and_nothing_else(desk: Desk, content: bytes) -> None:
    desk.file.write_bytes(content)
    desk.file.chmod(0o600)
    try:
        found = desk.configurator(read_only=True)
    except Misconfigured as err:
        told = err.problems
    else:
        told = ()
        assert isinstance(found.settings, Settings)
        assert len({one.label for one in found.plan.monitors}) == len(found.plan.monitors)
        assert all(0.1 <= one.deadline_seconds <= one.interval_seconds <= 3600 for one in found.plan.monitors)
    assert len(told) <= PROBLEMS + 1
    assert all(problem.startswith(("no hub", str(desk.file), "hub address")) for problem in told)


def test_the_kinds_of_these_tests_are_handed_in() -> None:
    assert FOUND.monitors["http"] is Http
