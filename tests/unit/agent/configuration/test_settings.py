from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from twinwatch.agent.configuration import Misconfigured, Settings, add_arguments, hub_address, settings_from


def settings(*arguments: str, **environment: str) -> Settings:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return settings_from(parser.parse_args(arguments), environment)


def test_arguments_come_before_the_environment() -> None:
    got = settings(
        "--hub",
        "https://a.example/",
        "--name",
        "db-1",
        "--state-dir",
        "/a",
        TWINWATCH_HUB="https://b.example",
        TWINWATCH_SERVER_NAME="x",
        TWINWATCH_STATE_DIR="/b",
        TWINWATCH_ENROLMENT_KEY=" twe_k \n",
        TWINWATCH_HEARTBEAT_INTERVAL="2s",
        TWINWATCH_PUSH_INTERVAL="1m30s",
        TWINWATCH_MONITOR_INTERVAL="500ms",
    )
    assert (got.hub, got.server_name, got.state_dir) == ("https://a.example", "db-1", Path("/a"))
    assert got.enrolment_key is not None
    assert got.enrolment_key.reveal() == "twe_k"
    assert (got.heartbeat_seconds, got.push_seconds, got.monitor_seconds) == (2.0, 90.0, 0.5)
    assert "twe_k" not in repr(got)


def test_the_key_can_be_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("twe_from_file\n")
    file.chmod(0o600)
    got = settings("--hub", "https://h", "--enrolment-key-file", str(file))
    assert got.enrolment_key is not None
    assert got.enrolment_key.reveal() == "twe_from_file"
    file.chmod(0o644)
    with pytest.raises(Misconfigured, match="chmod 600"):
        settings("--hub", "https://h", TWINWATCH_ENROLMENT_KEY_FILE=str(file))


@pytest.mark.parametrize(
    "address",
    [
        "https://hub.example",
        "https://hub.example:8443/twinwatch",
        "http://127.0.0.1:8400",
        "http://[::1]:8400",
        "http://localhost",
    ],
)
def test_lawful_addresses(address: str) -> None:
    assert hub_address(address + "/") == address


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("hub.example", "expected https://host"),
        ("ftp://hub.example", "expected https://host"),
        ("https://", "expected https://host"),
        ("https://hub.example:99999", "Port out of range"),
        ("https://user:secret@hub.example", "have no place"),
        ("https://hub.example/?key=1", "have no place"),
        ("http://hub.example", "plain http"),
        ("http://127.0.0.1.evil.example", "plain http"),
        ("http://[", "Invalid IPv6"),
    ],
)
def test_other_addresses_are_refused_with_the_reason(address: str, why: str) -> None:
    with pytest.raises(Misconfigured, match=why) as caught:
        hub_address(address)
    assert "secret" not in str(caught.value)


def test_plain_http_is_a_choice() -> None:
    assert settings("--hub", "http://hub.lan:8400", "--allow-plain-http").hub == "http://hub.lan:8400"
    assert settings(TWINWATCH_HUB="http://hub.lan:8400", TWINWATCH_ALLOW_PLAIN_HTTP="1").hub == "http://hub.lan:8400"
    with pytest.raises(Misconfigured, match="TWINWATCH_ALLOW_PLAIN_HTTP"):
        settings(TWINWATCH_HUB="http://hub.lan:8400", TWINWATCH_ALLOW_PLAIN_HTTP="maybe")


def test_no_hub_and_a_bad_interval_name_the_remedy() -> None:
    for without_use in ({"TWINWATCH_ENROLMENT_KEY": "twe_x"}, {"TWINWATCH_LOCAL": "off"}):
        with pytest.raises(Misconfigured, match="--hub"):
            settings(**without_use)
    assert settings().hub == ""  # its own page is what it is good for then
    for bad in ("5", "1s 2m", "-3s", "0s", "2h"):
        with pytest.raises(Misconfigured, match="TWINWATCH_PUSH_INTERVAL"):
            settings(TWINWATCH_HUB="https://h", TWINWATCH_PUSH_INTERVAL=bad)
