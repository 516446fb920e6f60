"""Probes of real servers on a real database: what is seen, when people are told, and what the guard keeps away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.service.alert_desk import GAP, Desk, set_up
from tests.service.pages import page, serving
from tests.service.probe_desk import SHOP, MappedNet, ProbeDesk
from twinwatch.testing.hub_stage import HandClock, HubStage


@pytest.fixture
async def desk(database_url: str, tmp_path: Path, clock: HandClock) -> AsyncIterator[Desk]:
    """A hub whose operator allows private networks."""
    stage = HubStage(database_url, tmp_path, clock=clock, public_url="https://hub.example", private_networks=True)
    async with stage:
        yield await set_up(stage)


@pytest.fixture
def probes(desk: Desk) -> ProbeDesk:
    return ProbeDesk(desk)


class Shop:
    """A page that can be broken."""

    def __init__(self) -> None:
        self.answer = page(b"open all day")

    def __call__(self, path: str) -> bytes:
        return self.answer


async def test_a_page_that_answers_is_up_and_has_a_history(probes: ProbeDesk) -> None:
    async with serving(Shop()) as port:
        probe = await probes.page(port, keyword="open")
        seen = await probes.tried(probe, 3)
    assert (seen["state"], seen["message"], seen["target"]) == ("up", "", f"http://127.0.0.1:{port}/")
    assert seen["uptime"] == {"day": 1.0, "week": 1.0, "month": 1.0, "quarter": 1.0}
    assert [one["state"] for one in seen["recent"]] == ["up", "up", "up"]
    assert all(0 < one["seconds"] < 5 for one in seen["recent"])
    assert await probes.alerts("all") == []


async def test_one_failure_is_looked_at_again_at_once_and_alone_tells_nobody(probes: ProbeDesk) -> None:
    shop = Shop()
    async with serving(shop) as port:
        probe = await probes.page(port)
        await probes.tried(probe)
        shop.answer = page(b"", status="503 Busy")
        seen = await probes.tried(probe)
        assert (seen["state"], seen["reason"]) == ("degraded", "wrong-status")
        assert seen["next_at"] - seen["last_at"] <= 10_000
        shop.answer = page(b"open again")
        seen = await probes.tried(probe, 3)
    assert seen["state"] == "up"
    assert await probes.alerts("all") == []
    assert 0.7 < seen["uptime"]["day"] < 1.0, "it counts for what it lasted"


async def test_a_page_that_stays_down_is_told_once_and_so_is_its_end(probes: ProbeDesk) -> None:
    shop, desk = Shop(), probes.desk
    async with serving(shop) as port:
        probe = await probes.page(port)
        await probes.tried(probe)
        shop.answer = page(b"", status="500 Broken")
        seen = await probes.tried(probe, 4)
        assert seen["state"] == "down"
        (alert,) = await probes.alerts()
        assert (alert["rule"], alert["severity"], alert["subject"]) == ("Probe down", "critical", "shop")
        assert alert["title"] == "Down: expected status 2xx, seen 500"
        assert alert["probe_id"] == probe["id"]
        await desk.passes(GAP)
        assert desk.told("ops") == [("firing", alert["title"])]
        shop.answer = page(b"open again")
        seen = await probes.tried(probe)
        assert (seen["state"], seen["reason"]) == ("degraded", "recovering")
        seen = await probes.tried(probe)
        assert seen["state"] == "up"
    assert await probes.alerts() == []
    await desk.passes(GAP)
    assert desk.told("ops") == [("firing", alert["title"]), ("resolved", alert["title"])]


async def test_a_hub_that_starts_anew_repeats_nothing_and_forgets_nothing(probes: ProbeDesk) -> None:
    shop, desk = Shop(), probes.desk
    async with serving(shop) as port:
        probe = await probes.page(port)
        shop.answer = page(b"", status="500 Broken")
        await probes.tried(probe, 3)
        await desk.passes(GAP)
        before = desk.told("ops")
        await desk.stage.crash()
        await desk.stage.start()
        await probes.tried(probe, 3)
        assert desk.told("ops") == before == [("firing", "Down: expected status 2xx, seen 500")]
        shop.answer = page(b"open again")
        await probes.tried(probe, 2)
        await desk.passes(GAP)
    assert [occasion for occasion, _ in desk.told("ops")] == ["firing", "resolved"]


async def test_what_hangs_or_drips_is_down_within_its_timeout_and_delays_nobody(probes: ProbeDesk) -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for letter in page(b"x" * 1000):
            writer.write(bytes([letter]))
            await writer.drain()
            await asyncio.sleep(0.05)

    async with serving(hang) as hanging, serving(drip) as dripping, serving(Shop()) as fine:
        first = await probes.page(hanging, "hangs", timeout="300ms")
        second = await probes.page(dripping, "drips", timeout="300ms")
        third = await probes.page(fine, "fine")
        await probes.desk.passes(1)
        for probe, state, reason in (
            (first, "degraded", "timeout"),
            (second, "degraded", "timeout"),
            (third, "up", ""),
        ):
            seen = await probes.seen(probe)
            assert (seen["state"], seen["reason"]) == (state, reason), seen


async def test_a_wrong_keyword_a_closed_port_and_an_open_one_are_told_apart(probes: ProbeDesk) -> None:
    async with serving(Shop()) as closing:
        pass
    async with serving(Shop()) as port:
        wrong = await probes.page(port, "wrong", keyword="closed")
        there = await probes.add("there", "tcp", {"host": "127.0.0.1", "port": port})
        gone = await probes.add("gone", "tcp", {"host": "127.0.0.1", "port": closing})
        await probes.desk.passes(1)
        assert (await probes.seen(wrong))["reason"] == "keyword-missing"
        assert (await probes.seen(there))["state"] == "up"
        assert (await probes.seen(gone))["reason"] == "connection-refused"


async def test_a_ping_says_whether_it_may(probes: ProbeDesk) -> None:
    probe = await probes.add("host", "ping", {"host": "127.0.0.1", "count": 1})
    seen = await probes.tried(probe)
    assert seen["state"] == "up" or "ping_group_range" in seen["message"]


async def test_a_paused_probe_rests_and_its_alert_ends(probes: ProbeDesk) -> None:
    shop, desk = Shop(), probes.desk
    shop.answer = page(b"", status="500 Broken")
    async with serving(shop) as port:
        probe = await probes.page(port)
        await probes.tried(probe, 3)
        await desk.passes(GAP)
        reply = await probes.client.post(f"/api/v1/probes/{probe['id']}/pause", {"paused": True})
        assert (reply.status, reply.json()["enabled"]) == (200, False)
        await desk.passes(GAP)
        await desk.passes(600)
        seen = await probes.seen(probe)
        assert (seen["state"], seen["reason"]) == ("unknown", "paused")
        assert [occasion for occasion, _ in desk.told("ops")] == ["firing", "resolved"]
        await probes.client.post(f"/api/v1/probes/{probe['id']}/pause", {"paused": False})
        await probes.tried(probe, 3)
    (alert,) = await probes.alerts()
    assert alert["title"] == "Down: expected status 2xx, seen 500"


async def test_a_removed_probe_leaves_its_alerts_behind_resolved(probes: ProbeDesk) -> None:
    shop, desk = Shop(), probes.desk
    shop.answer = page(b"", status="500 Broken")
    async with serving(shop) as port:
        probe = await probes.page(port)
        await probes.tried(probe, 3)
        await desk.passes(GAP)
        assert (await probes.client.request("DELETE", f"/api/v1/probes/{probe['id']}")).status == 204
        await desk.passes(GAP)
    (alert,) = await probes.alerts("all")
    assert (alert["state"], alert["resolved_by"], alert["probe_id"]) == ("resolved", "", None)
    assert [occasion for occasion, _ in desk.told("ops")] == ["firing", "resolved"]


@pytest.mark.parametrize(
    "answers",
    [[["10.0.0.7"]], [[SHOP], ["127.0.0.1"]], [["169.254.169.254"]]],
    ids=["private", "rebound", "metadata"],
)
async def test_a_name_that_leads_to_a_private_address_is_not_connected_to(
    database_url: str, tmp_path: Path, clock: HandClock, answers: list[list[str]]
) -> None:
    net = MappedNet({"shop.example": answers})
    async with serving(Shop()) as port, HubStage(database_url, tmp_path, clock=clock, net=net) as stage:
        probes = ProbeDesk(await set_up(stage))
        probe = await probes.add("shop", "http", {"url": f"http://shop.example:{port}/"})
        seen = await probes.tried(probe, len(answers) + 1)
    assert (seen["state"], seen["reason"]) == ("unknown", "not-permitted")
    assert set(net.touched) <= {SHOP}


async def test_a_redirect_to_a_private_address_is_not_followed(
    database_url: str, tmp_path: Path, clock: HandClock
) -> None:
    net = MappedNet({"shop.example": [[SHOP]], "inside.example": [["10.0.0.7"]]})
    leads = page(b"", status="302 Found", headers=("Location: http://inside.example/secret",))
    async with serving(leads) as port, HubStage(database_url, tmp_path, clock=clock, net=net) as stage:
        probes = ProbeDesk(await set_up(stage))
        probe = await probes.add("shop", "http", {"url": f"http://shop.example:{port}/"})
        seen = await probes.tried(probe)
    assert (seen["state"], seen["reason"]) == ("unknown", "not-permitted")
    assert "10.0.0.7 is a private address" in seen["message"]
    assert set(net.touched) == {SHOP}
