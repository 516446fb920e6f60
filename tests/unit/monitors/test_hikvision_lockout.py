"""A wrong password must never lock a device, whatever happens in whatever order."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from twinwatch.monitors import Unreadable
from twinwatch.monitors.hikvision.lockout import KEPT, TRIES
from twinwatch.testing.hikvision import LOCK_SECONDS, PASSWORD, PERSONALITIES
from twinwatch.world.shelf import MemoryShelf, ShelfBroken

from .hikvision_stage import Stage

ALL = sorted(PERSONALITIES)


@pytest.mark.parametrize("personality", ALL)
async def test_a_wrong_password_is_tried_once_and_never_again(personality: str) -> None:
    stage = Stage(personality, password="wrong")
    assert (await stage.checks())["login"].reason == "refused"
    asked = len(stage.device.asked)
    for _ in range(20):
        assert (await stage.checks(3600))["login"].reason == "refused"
        stage.restart()
    assert len(stage.device.wrong) == 1
    assert len(stage.device.asked) == asked, "a device that refused is left in peace"


@pytest.mark.parametrize("personality", ALL)
async def test_a_changed_password_is_tried_once(personality: str) -> None:
    stage = Stage(personality, password="wrong")
    await stage.poll()
    stage.restart(password="wrong as well")
    assert (await stage.checks())["login"].state == "down"
    stage.restart(password=PASSWORD)
    assert (await stage.checks())["login"].reason in ("", "refused-once")  # a nonce that is good for one request
    assert (await stage.checks())["login"].state == "up"
    assert len(stage.device.wrong) == 2


async def test_a_higher_retry_number_has_the_same_password_tried_once_more() -> None:
    stage = Stage(password="new-Wort-2")
    assert (await stage.checks())["login"].reason == "refused"
    stage.device.password = "new-Wort-2"
    assert (await stage.checks())["login"].reason == "refused"
    stage.restart(retry=1)
    assert (await stage.checks())["login"].state == "up"


async def test_the_last_tries_are_left_to_people() -> None:
    stage = Stage(password="wrong")
    while stage.device.left > KEPT:
        stage.device.fail()
    check = (await stage.checks())["login"]
    assert (check.state, check.reason) == ("down", "few-tries-left")
    assert "sign in rightly once" in check.message
    assert stage.device.left == KEPT


async def test_a_right_password_waits_as_well_while_few_tries_are_left() -> None:
    stage = Stage()
    await stage.poll()
    for _ in range(3):
        stage.device.fail()
    assert (await stage.checks())["login"].reason == "few-tries-left"
    stage.passes(LOCK_SECONDS)
    assert (await stage.checks())["login"].state == "up"


@pytest.mark.parametrize("personality", ["nvr-new", "nvr-old"])
async def test_a_device_that_others_have_locked_is_signed_in_at_again_when_the_lock_has_ended(personality: str) -> None:
    stage = Stage(personality)
    for _ in range(stage.device.personality.limit):
        stage.device.fail()
    wrong = len(stage.device.wrong)
    check = (await stage.checks())["login"]
    assert (check.state, check.reason) == ("down", "locked")
    asked = len(stage.device.asked)
    await stage.poll()
    assert len(stage.device.asked) == asked, "asked while it is locked"
    await stage.poll(LOCK_SECONDS)
    assert (await stage.checks())["login"].state == "up"
    assert len(stage.device.wrong) == wrong


async def test_a_password_that_changes_at_the_device_costs_two_tries_at_most() -> None:
    stage = Stage()
    assert (await stage.checks())["login"].state == "up"
    stage.device.password = "changed"
    assert (await stage.checks())["login"].reason == "refused"
    assert len(stage.device.wrong) == 1


async def test_answers_that_are_lost_count_as_tries() -> None:
    """The device may have judged what was never heard."""
    stage = Stage("nvr-old", password="wrong")
    stage.device.cut = "/ISAPI/Security/userCheck"
    for _ in range(100):
        await stage.poll(10)
        assert stage.device.failures <= TRIES
    assert not stage.device.locked
    assert stage.device.wrong, "nothing was tried"


async def test_without_a_memory_nothing_is_tried() -> None:
    class Broken(MemoryShelf):
        async def change(self, name: str, how: object) -> None:
            raise ShelfBroken("/var/lib/x: no space left on device")

    stage = Stage()
    stage.world.shelf.__class__ = Broken  # the disk fills up
    with pytest.raises(Unreadable, match="no space left"):
        await stage.poll()
    assert stage.http.sent == []


async def test_a_damaged_memory_is_told_and_nothing_is_tried() -> None:
    stage = Stage()
    await stage.poll()
    for name in stage.shelf.contents:
        stage.shelf.contents[name] = b'{"salt"'
    stage.restart()
    sent = len(stage.http.sent)
    with pytest.raises(Unreadable, match="damaged"):
        await stage.poll()
    assert len(stage.http.sent) == sent


async def test_two_entries_for_one_device_try_a_wrong_password_once() -> None:
    stage = Stage(password="wrong")
    other = Stage(password="wrong")
    other.device, other.http.devices, other.world = stage.device, stage.http.devices, stage.world
    await asyncio.gather(stage.poll(), other.poll())
    await asyncio.gather(stage.poll(), other.poll())
    assert len(stage.device.wrong) == 1


POLL = st.tuples(st.just("poll"), st.sampled_from([1.0, 30.0, 60.0, 600.0, 1900.0]))
STEPS = st.lists(
    st.one_of(
        POLL,
        POLL,
        POLL,
        st.tuples(st.just("restart"), st.sampled_from(["", PASSWORD, "wrong-1", "wrong-2", "wrong-3"])),
        st.tuples(st.just("retry"), st.just("")),
        st.tuples(st.just("password"), st.sampled_from([PASSWORD, "wrong-1", "other"])),
        st.tuples(st.just("stranger"), st.just("")),
        st.tuples(st.just("kill"), st.integers(0, 12)),
        st.tuples(st.just("cut"), st.sampled_from(["", "/ISAPI/Security", "/ISAPI/System"])),
        st.tuples(st.just("wait"), st.sampled_from([300.0, 1800.0, 86_400.0])),
    ),
    max_size=30,
)


@settings(max_examples=120, deadline=None)
@given(personality=st.sampled_from(ALL), steps=STEPS)
@example(
    "nvr-new",
    [("password", "other"), ("poll", 1.0), ("retry", ""), ("stranger", ""), ("stranger", ""), ("poll", 1900.0)],
)
def test_no_sequence_of_events_spends_more_than_the_guard_allows(
    personality: str, steps: list[tuple[str, object]]
) -> None:
    asyncio.run(_play(personality, steps))


async def _play(personality: str, steps: list[tuple[str, object]]) -> None:
    stage = Stage(personality)
    device = stage.device
    tells = device.personality.tells == "always"
    refused: set[tuple[object, object]] = set()
    for what, how in steps:
        if what == "poll":
            stage.passes(float(str(how)))  # in which the device may forget what was wrong
        before, left = len(device.wrong), device.left
        match what:
            case "poll":
                credential = stage.options["password"], stage.options.get("retry", 0)
                login = (await stage.checks(0.0))["login"]
                assert len(device.wrong) == before or credential not in refused, "what was refused is tried again"
                if login.reason == "refused":
                    refused.add(credential)
            case "restart":
                stage.restart(**({"password": how} if how else {}))
            case "retry":
                stage.restart(retry=int(str(stage.options.get("retry", 0))) + 1)
            case "password":
                device.password = str(how)
            case "stranger":
                # One who leaves the device's own count alone where we could not know of it.
                if tells and not device.locked and device.left > 1:
                    device.fail()
                continue
            case "kill":
                await _killed(stage, int(str(how)))
            case "cut":
                device.cut = str(how)
            case _:
                stage.passes(float(str(how)))
        spent = len(device.wrong) - before
        assert spent <= 1, "more than one wrong login in one run"
        assert not device.locked, "the device was locked"
        if spent and tells:
            assert left > KEPT
            assert device.left >= KEPT
    in_a_row = [one for one in device.wrong if device.now() - one < LOCK_SECONDS * 1000]
    assert tells or len(in_a_row) <= TRIES + 1


async def _killed(stage: Stage, requests: int) -> None:
    """An agent that is killed after so many turns of a run, and started anew."""
    run = asyncio.ensure_future(stage.poll())
    for _ in range(requests):
        await asyncio.sleep(0)
    run.cancel()
    with suppress(asyncio.CancelledError, Unreadable):
        await run
    stage.restart()
