"""The file's section ``alerts``: channels of the agent's own, who is told, silences; every mistake at its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.agent.configuration.kinds import FOUND
from twinwatch.agent.configuration.content import Content, read_content
from twinwatch.agent.configuration.entries import Kinds
from twinwatch.agent.configuration.problems import Problems

WELL = """
alerts:
  mail:
    smtp_host: smtp.example.org
    sender: alerts@example.org
    smtp_password: ${PASSWORD}
  channels:
    - type: email
      recipients: [ops@example.org]
    - type: slack
      name: chat
      webhook_url: ${HOOK}
  tell:
    critical: [chat, email]
  silences:
    - rule: "system: *"
      from: "22:00"
      to: "06:00"
      days: [fri, saturday]
      zone: Europe/Zurich
    - until: 2026-12-01T08:00:00+01:00
  rules:
    - name: mine
      metric: system.cpu.busy
      above: 0.5
"""
ENVIRONMENT = {"PASSWORD": "secret-of-mail", "HOOK": "https://hooks.slack.com/services/T0/B0/abcdef"}


def read(tmp_path: Path, text: str) -> tuple[Content, list[str]]:
    file = tmp_path / "agent.yaml"
    file.write_text(text)
    file.chmod(0o644)
    problems = Problems()
    content = read_content(file, ENVIRONMENT, Kinds(FOUND), problems)
    return content, [problem.removeprefix(f"{file}:") for problem in problems.found]


def test_a_whole_section(tmp_path: Path) -> None:
    content, problems = read(tmp_path, WELL)
    assert problems == []
    alerts = content.alerts
    assert [(one.name, one.kind) for one in alerts.channels] == [("email", "email"), ("chat", "slack")]
    assert alerts.channels[0].settings["smtp_host"] == "smtp.example.org", "as alerts.mail has it"
    assert alerts.channels[0].settings["smtp_password"] == "secret-of-mail"
    assert alerts.tell == {"critical": ("chat", "email"), "warning": ()}
    night, until = alerts.silences
    assert night.again is not None
    assert (night.what.rule, night.again.days, night.again.zone) == ("system: *", (4, 5), "Europe/Zurich")
    assert until.until == 1_796_108_400_000
    assert [rule.name for rule in content.rules] == ["mine"]
    assert "secret" not in repr(alerts)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("channels: [{type: slak}]", "unknown type 'slak': did you mean slack?"),
        ("channels: [{name: x}]", "2:14: type is missing, such as email or slack"),
        ("channels: [{type: slack, webhook: x}]", "2:28: unknown key webhook: did you mean webhook_url?"),
        (
            "channels: [{type: email, recipients: [a@b.example]}]",
            "2:14: smtp_host is missing: give it here or in alerts.mail",
        ),
        ("mail: {smtp_hots: x}", "2:10: unknown key smtp_hots: did you mean smtp_host?"),
        (
            "tell: {critical: [nobody]}",
            "2:21: 'nobody': no channel of the file has this name: nothing is expected here",
        ),
        ("tell: {down: [x]}", "2:10: unknown key down: expected one of critical, warning"),
        ("silences: [{rule: x}]", "2:14: expected until, or the hours from and to: a silence has an end"),
        ('silences: [{from: "22"}]', "2:21: alerts.silences.from: '22': expected a time such as 22:00"),
        ('silences: [{until: "tomorrow"}]', "expected a time with its zone, such as 2026-03-01T22:00:00+01:00"),
        ("silences: [{days: [mondya]}]", "alerts.silences.days: 'mondya': did you mean monday?"),
        ("chanels: []", "2:3: unknown key chanels: did you mean channels?"),
    ],
)
def test_every_mistake_is_told_with_its_place_and_the_remedy(tmp_path: Path, text: str, problem: str) -> None:
    _, problems = read(tmp_path, f"alerts:\n  {text}\n")
    assert any(problem in found for found in problems), problems


def test_a_secret_in_a_file_that_others_can_read_is_refused_and_never_shown(tmp_path: Path) -> None:
    text = "alerts:\n  channels:\n    - type: slack\n      webhook_url: https://hooks.slack.com/services/T0/B0/tell-nobody\n"
    _, problems = read(tmp_path, text)
    assert any("holds secrets" in problem and "chmod 600" in problem for problem in problems)
    _, problems = read(tmp_path, text.replace("https://", "ftp://"))
    assert all("tell-nobody" not in problem for problem in problems)


def test_two_channels_of_one_name_and_two_rules_of_one_name_are_told(tmp_path: Path) -> None:
    hook = "{type: slack, webhook_url: '${HOOK}'}"
    rule = "{name: same, metric: system.cpu.busy, above: 1}"
    text = f"rules: [{rule}]\nalerts:\n  channels: [{hook}, {hook}]\n  rules: [{rule}]\n"
    _, problems = read(tmp_path, text)
    assert any("a second channel named slack; give it a name of its own" in problem for problem in problems)
    assert any("two rules are named 'same'" in problem for problem in problems)
