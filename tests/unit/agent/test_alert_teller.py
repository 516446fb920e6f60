"""What is said on a channel, and in which order."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from tests.unit.agent.alerting_things import BUNDLE, FAILED, START, desk, judge, saw
from twinwatch.agent.alerting.addressing import Addressing
from twinwatch.agent.alerting.alert import RETRY_MILLISECONDS
from twinwatch.agent.alerting.teller import Teller
from twinwatch.notify import Delivered, Note
from twinwatch.protocol.alerts import AlertAnswer
from twinwatch.testing.paper import PaperClock
from twinwatch.testing.story import until


class Heard:
    """Channels that take everything at once."""

    def __init__(self) -> None:
        self.said: list[tuple[str, list[str]]] = []

    def gap_seconds(self, name: str) -> float:
        return 0.01

    async def send(self, name: str, note: Note, now: int) -> Delivered:
        self.said.append((name, [subject.title for subject in note.subjects]))
        return Delivered()


async def test_what_is_left_to_the_hub_is_not_in_the_way_of_what_else_is_to_be_said() -> None:
    now = START + RETRY_MILLISECONDS + 1
    judging, table, heard = judge(FAILED), desk(), Heard()
    for change in saw(judging, "down", START, "gauge:pump"):
        table.happened(change, START)
    (left,) = table.alerts
    table.answered(left, AlertAnswer(""), START, 0)
    for telling in left.tellings:
        table.trying(left, telling, "note")
        table.failed(left, telling, START, "500", doubtful=False)
    table.look(now)
    assert left.stance == "hub"
    for change in saw(judging, "down", now, "gauge:fan"):
        table.happened(change, now)

    async def kept() -> None:
        pass

    teller = Teller(
        table,
        cast("Any", heard),
        Addressing("server", bundle=BUNDLE),
        clock=PaperClock(now),
        server="web-1",
        key_of=lambda alert: alert.thing,
        flush=kept,
    )
    running = asyncio.create_task(teller.run())
    try:
        await until(lambda: len(heard.said) == 2, 10, every_seconds=0.01)
    finally:
        running.cancel()
        await asyncio.wait([running])
    (fan,) = [alert for alert in table.alerts if alert.thing == "gauge:fan"]
    assert sorted(heard.said) == [("c1", [fan.title]), ("c2", [fan.title])]
