"""What is found on a recorder, whatever its firmware."""

from __future__ import annotations

from math import isclose

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinwatch.alerts.conditions import matcher
from twinwatch.alerts.wording import message_of
from twinwatch.monitors import Check
from twinwatch.monitors.hikvision import Hikvision, device
from twinwatch.monitors.hikvision.markup import NoMarkup, element_of
from twinwatch.monitors.hikvision.options import HikvisionOptions
from twinwatch.monitors.options import options_of
from twinwatch.testing.hikvision import PASSWORD, PERSONALITIES, USER
from twinwatch.testing.hikvision_pages import Camera, Disk

from .hikvision_stage import URL, Stage, checks_of, values_of


@pytest.mark.parametrize("personality", sorted(PERSONALITIES))
async def test_every_firmware_is_understood(personality: str) -> None:
    stage = Stage(personality)
    await stage.poll()
    found = await stage.poll()
    checks, values = checks_of(found), values_of(found)
    assert {one.state for one in checks.values()} <= {"up", "unknown"}
    assert checks["login"].state == checks["connection"].state == checks["identity"].state == "up"
    assert values["hikvision.up"] == 1
    assert values["hikvision.cpu.utilization"] == 0.27
    assert isclose(values["hikvision.memory.utilization"], 0.41, abs_tol=0.01)
    assert abs(values["hikvision.clock.drift"]) <= 1
    assert values["hikvision.disk.free|disk:1"] == 0
    assert checks["disk:1"].state == "up", "full is normal"
    assert ("channel:1" in checks) == (personality != "camera")
    assert ("recording:1" in checks) == (personality in ("nvr-new", "odd"))
    assert ("hikvision.uptime" in values) == PERSONALITIES[personality].json


async def test_a_camera_that_is_offline_says_why_and_suppresses_that_it_is_not_recorded() -> None:
    stage = Stage(must_record=["*"])
    stage.device.cameras = [
        Camera("1", "Gate", online=False, why="userOrPasswordError", record=0, record_status=2),
        Camera("2", "Yard", online=False, why="networkAbnormal", record=0, record_status=3),
        Camera("3", "Door", online=False, why="somethingNew", record=0),
        Camera("4", "Roof", record=0, record_status=3),
        Camera("5", "Hall", record=0, record_status=1),
        Camera("6", "Cellar", record=None, record_status=None),
    ]
    found = await stage.poll()
    checks, values = checks_of(found), values_of(found)
    assert [checks[f"channel:{number}"].state for number in range(1, 7)] == ["down"] * 3 + ["up"] * 3
    assert "password for it is wrong" in checks["channel:1"].message
    assert "192.168.254.2" in checks["channel:2"].message
    assert "somethingNew" in checks["channel:3"].message
    states = [(checks[f"recording:{number}"].state, checks[f"recording:{number}"].reason) for number in range(1, 7)]
    assert states == [
        ("unknown", "camera-offline"),
        ("unknown", "camera-offline"),
        ("unknown", "camera-offline"),
        ("down", "not-recording"),
        ("down", "storage-failed"),
        ("unknown", "not-told"),
    ]
    assert values["hikvision.channel.count|offline"] == 3


async def test_a_pause_in_recording_is_no_failure_unless_it_must_not_be() -> None:
    stage = Stage(must_record=["Gate"], ignore_channels=["3"])
    stage.device.cameras = [Camera(str(number), name, record=0) for number, name in enumerate(("Gate", "Yard", "X"), 1)]
    checks = await stage.checks()
    assert checks["recording:1"].reason == "not-recording"
    assert (checks["recording:2"].state, checks["recording:2"].reason) == ("up", "paused")
    assert "channel:3" not in checks


async def test_recording_numbered_from_33_is_that_of_the_first_camera() -> None:
    stage = Stage()
    pages = stage.device._pages()
    working = pages.page("/ISAPI/System/workingstatus/chanStatus")
    assert working is not None
    moved = working.replace(b'"chanNo": 1,', b'"chanNo": 33,').replace(b'"chanNo": 2,', b'"chanNo": 34,')
    original = stage.device.answer

    def answer(method: str, target: str, authorization: str):  # type: ignore[no-untyped-def]
        found = original(method, target, authorization)
        return found if b"chanNo" not in found.body else type(found)(200, moved)

    stage.device.answer = answer  # type: ignore[method-assign]
    assert (await stage.checks())["recording:1"].state == "up"


@pytest.mark.parametrize(
    ("status", "state", "said"),
    [
        ("ok", "up", ""),
        ("sleeping", "up", ""),
        ("smartFailed", "down", "replace it"),
        ("notexist", "down", "cable"),
        ("unformatted", "down", "format it"),
        ("formating", "degraded", "being formatted"),
        ("weird", "unknown", "'weird'"),
        ("", "unknown", "does not say"),
    ],
)
async def test_a_disk_says_how_it_is_and_what_to_do(status: str, state: str, said: str) -> None:
    stage = Stage()
    stage.device.disks = [Disk("1", status), Disk("9", "offline", address="192.0.2.9")]
    checks = await stage.checks()
    assert checks["disk:1"].state == state
    assert said in checks["disk:1"].message
    assert "192.0.2.9" in checks["nas:9"].message


async def test_a_recorder_without_a_disk_is_told() -> None:
    stage = Stage()
    stage.device.disks = []
    assert (await stage.checks())["storage"].reason == "no-disk"
    camera = Stage("camera")
    camera.device.disks = []
    assert "storage" not in await camera.checks()


async def test_a_clock_that_is_off_is_told_with_how_much() -> None:
    stage = Stage()
    stage.device.clock_ahead_seconds = -7200
    check = (await stage.checks())["clock"]
    assert (check.state, check.reason) == ("degraded", "clock-off")
    assert "2 hours behind" in check.message


async def test_another_device_or_firmware_is_told_and_then_taken_for_granted() -> None:
    stage = Stage()
    await stage.poll()
    stage.device.firmware = "V4.62.210"
    stage.restart()
    assert (await stage.checks())["identity"].reason == "firmware-changed"
    assert (await stage.checks(3700))["identity"].state == "up"
    stage.device.serial = "DS-OTHER"
    check = (await stage.checks())["identity"]
    assert check.reason == "device-replaced"
    assert "DS-OTHER" in check.message
    assert (await stage.checks(25 * 3600))["identity"].state == "up"


async def test_what_a_firmware_lacks_is_not_asked_for_again_until_it_changes() -> None:
    stage = Stage("camera")
    await stage.poll()
    stage.device.asked.clear()
    stage.restart()
    await stage.poll()
    lacked = [one for one in stage.device.asked if "InputProxy" in one or "workingstatus" in one]
    assert lacked == []
    stage.device.firmware = "V9"
    await stage.poll()
    await stage.poll()
    assert [one for one in stage.device.asked if "InputProxy" in one]


async def test_a_missing_right_is_named_and_the_rest_goes_on() -> None:
    stage = Stage()
    await stage.poll()
    stage.device.denied = ("/ISAPI/ContentMgmt/Storage",)
    checks = await stage.checks()
    assert (checks["answers"].state, checks["answers"].reason) == ("degraded", "no-right")
    assert "storage" in checks["answers"].message
    assert checks["disk:1"].state == "unknown"
    assert checks["channel:1"].state == "up"


async def test_a_device_that_is_away_leaves_everything_unknown_also_after_a_restart() -> None:
    stage = Stage()
    before = await stage.checks()
    del stage.http.devices[URL]
    stage.restart()
    checks = await stage.checks()
    assert checks["connection"].state == "down"
    assert before.keys() - checks.keys() <= {"answers"}
    assert {one.state for name, one in checks.items() if name != "connection"} == {"unknown"}


@pytest.mark.parametrize(
    "where", ["/ISAPI/System/status", "/ISAPI/ContentMgmt/Storage", "/ISAPI/ContentMgmt/InputProxy"]
)
async def test_an_answer_that_is_cut_or_late_costs_its_part_only(where: str) -> None:
    stage = Stage()
    await stage.poll()
    stage.device.cut = where
    checks = await stage.checks()
    assert checks["answers"].state == "unknown"
    assert checks["login"].state == checks["clock"].state == "up"
    assert "down" not in {one.state for one in checks.values()}
    stage.device.cut = ""
    assert {one.state for one in (await stage.checks()).values()} == {"up"}


async def test_a_path_that_answers_401_is_left_out_and_the_rest_goes_on() -> None:
    """Older firmwares have no other word for a right that is missing."""
    stage = Stage("nvr-old")
    for _ in range(2):
        await stage.poll()
    original = stage.device.answer

    def answer(method: str, target: str, authorization: str):  # type: ignore[no-untyped-def]
        found = original(method, target, authorization)
        denied = target.startswith("/ISAPI/ContentMgmt/Storage") and authorization
        return type(found)(401, b"", {}) if denied else found

    stage.device.answer = answer  # type: ignore[method-assign]
    assert (await stage.checks())["login"].reason == "refused-once"
    checks = await stage.checks()
    assert checks["login"].state == "up"
    assert checks["answers"].reason == "no-right"


async def test_what_is_no_hikvision_device_gets_no_password() -> None:
    stage = Stage()
    stage.device.answer = lambda *_: __import__("twinwatch.world.http", fromlist=["Answer"]).Answer(  # type: ignore[method-assign]
        401, b"", {"www-authenticate": 'Basic realm="router"'}
    )
    check = (await stage.checks())["login"]
    assert check.reason == "no-digest"
    assert stage.http.sent == []


async def test_the_password_is_in_nothing_that_is_said_sent_or_kept() -> None:
    stage = Stage()
    found = await stage.poll()
    stage.restart(password="wrong-geheim-9")
    found += await stage.poll()
    everything = repr(found) + repr(stage.http.sent) + repr(stage.shelf.contents) + repr(stage.monitor._options)
    assert PASSWORD not in everything
    assert "geheim-9" not in everything


BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    b"<DeviceInfo><model>&b;</model></DeviceInfo>"
)
FILE = b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><DeviceInfo><model>&x;</model></DeviceInfo>'


@pytest.mark.parametrize(
    "content",
    [
        BOMB,
        FILE,
        b'<!DOCTYPE a SYSTEM "http://192.0.2.1/x.dtd"><a/>',
        b"<a>" * 100,
        b"<a>" + b"<b/>" * 50_000 + b"</a>",
        b"x" * (3 << 20),
        b"",
        b"<a>&undeclared;</a>",
        b'<?xml version="1.0" encoding="klingon"?><a/>',
    ],
)
def test_hostile_markup_is_harmless(content: bytes) -> None:
    with pytest.raises(NoMarkup):
        element_of(content)


@given(st.binary(max_size=300))
def test_noise_is_no_markup_or_an_element(content: bytes) -> None:
    try:
        element_of(content)
    except NoMarkup:
        return


def test_namespaces_and_prefixes_are_ignored() -> None:
    root = element_of(b'<h:DeviceInfo xmlns:h="urn:x"><h:model> DS-1 </h:model></h:DeviceInfo>')
    assert (root.name, root.said("model")) == ("DeviceInfo", "DS-1")


@pytest.mark.parametrize(
    ("local", "zone", "drift"),
    [
        ("2023-11-14T22:13:20+00:00", "", 0),
        ("2023-11-14T22:13:50Z", "", 30),
        ("2023-11-15T06:13:20", "CST-8:00:00", 0),
        ("2023-11-14T23:13:20", "CST-1:00:00DST01:00:00,M3.5.0/02:00:00,M10.5.0/03:00:00", 0),
        ("2023-11-15T00:13:20", "CST-1:00:00DST01:00:00,M3.5.0/02:00:00,M10.5.0/03:00:00", 0),
        ("2023-11-15T03:43:20", "IST-5:30:00", 0),
        ("2023-11-14T17:13:20", "EST+5:00:00", 0),
        ("2023-11-14T22:13:20", "nonsense", None),
        ("yesterday", "CST-8:00:00", None),
    ],
)
def test_the_drift_is_told_from_what_firmwares_write(local: str, zone: str, drift: float | None) -> None:
    assert device.drift_of(local, zone, 1_700_000_000_000) == drift


@pytest.mark.parametrize("url", ["192.168.1.64", "ftp://x", "http://a:b@c", "http://x/path", "http://x y"])
def test_an_address_with_more_than_a_host_is_refused(url: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="address"):
        options_of_url(url)


def options_of_url(url: str) -> HikvisionOptions:
    made: HikvisionOptions = options_of(Hikvision, {"url": url, "username": USER, "password": PASSWORD})
    return made


async def test_one_cause_makes_one_alert_by_the_default_rules() -> None:
    stage = Stage(must_record=["*"])
    stage.device.cameras = [Camera("1", "Gate", online=False, why="networkAbnormal", record=0), Camera("2", "Yard")]
    assert _alerts(await stage.checks()) == {"camera offline"}
    del stage.http.devices[URL]
    assert _alerts(await stage.checks()) == {"device does not answer"}
    wrong = Stage(password="wrong")
    assert _alerts(await wrong.checks()) == {"login refused"}


def test_every_default_rule_says_where_and_what_to_do() -> None:
    for rule in Hikvision.rules:
        said = message_of(rule, "gate:x", {}, server="web-1", value=1.0, unit="s", message="do this")
        assert "web-1" in said
        assert "{" not in said, said


def _alerts(checks: dict[str, Check]) -> set[str]:
    return {
        rule.name
        for rule in Hikvision.rules
        for check in checks.values()
        if rule.check and matcher(rule.check)(check.name) and check.state in rule.states
    }
