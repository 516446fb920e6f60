"""Probes of several organizations and hubs: who tries what, who waits for whom, and a hub that is itself cut off."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.service.alert_desk import GAP, set_up
from tests.service.pages import Authority, page, serving
from tests.service.probe_desk import MappedNet, ProbeDesk
from twinwatch.hub.probing.allowances import ALLOWANCES
from twinwatch.hub.probing.pinger import LEASE_SECONDS
from twinwatch.hub.watchdog import BLIND_RULE
from twinwatch.testing.client import PATIENCE_SECONDS
from twinwatch.testing.hub_stage import HandClock, HubStage
from twinwatch.testing.story import until

CANARY = "185.199.108.1"
NETWORKS = [f"93.184.{number}.34" for number in range(4)]


async def tries_of(stage: HubStage) -> Counter[str]:
    """How many tries each probe has in its history, by name."""
    rows = await stage.execute(
        "select p.name, coalesce(sum(h.tries), 0) from public.probes as p"
        " left join public.probe_hours as h on h.probe_id = p.id group by p.name"
    )
    return Counter({name: int(count) for name, count in rows})


async def test_two_hubs_share_the_probes_and_none_is_tried_twice(
    database_url: str, tmp_path: Path, clock: HandClock
) -> None:
    asked: Counter[str] = Counter()

    def answer(path: str) -> bytes:
        asked[path] += 1
        return page()

    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(serving(answer))
        one, other = [
            await stack.enter_async_context(HubStage(database_url, folder, clock=clock, private_networks=True))
            for folder in (tmp_path / "one", tmp_path / "other")
        ]
        probes = ProbeDesk(await set_up(one))
        await one.execute("update public.organizations set plan = 'pro'")
        for number in range(30):
            url = f"http://127.0.0.1:{port}/{number}"
            await probes.add(f"{number}", "http", {"url": url}, interval_seconds=600)

        async def all_looked() -> None:
            for _ in range(2):  # what the one's worker took while the other looked
                await asyncio.gather(one.hub.look(), other.hub.look())

        await all_looked()
        assert set(asked.values()) == {1}
        for rounds in range(2, 5):
            clock.advance(900)  # every one is due, once
            await all_looked()
            assert set(asked.values()) == {rounds}, "each exactly once in a round"
        tries = await tries_of(one)
        assert set(tries.values()) == {4}


async def test_what_a_dead_hub_had_under_way_is_tried_by_another_once_its_lease_is_over(
    database_url: str, tmp_path: Path, clock: HandClock
) -> None:
    hanging = asyncio.Event()
    hangs = True

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        hanging.set()
        if hangs:
            await reader.read()
        writer.write(page())

    async with (
        serving(hang) as port,
        HubStage(database_url, tmp_path / "one", clock=clock, private_networks=True) as one,
        HubStage(database_url, tmp_path / "other", clock=clock, private_networks=True) as other,
    ):
        await other.stop()
        probes = ProbeDesk(await set_up(one))
        probe = await probes.add("shop", "http", {"url": f"http://127.0.0.1:{port}/", "timeout": "9s"})
        async with asyncio.timeout(PATIENCE_SECONDS):
            await hanging.wait()
        await one.crash()
        hangs = False
        await other.start()
        await other.hub.look()
        assert await tries_of(other) == Counter({"shop": 0}), "it is still the first one's"
        clock.advance(LEASE_SECONDS + 60)
        await other.hub.look()
        assert await tries_of(other) == Counter({"shop": 1})
        ((state,),) = await other.execute("select state from public.probes where id = %s", probe["id"])
        assert state == "up"


async def test_an_organization_whose_targets_hang_holds_up_nobody_else(
    database_url: str, tmp_path: Path, clock: HandClock
) -> None:
    at_once = most = 0

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        try:
            await reader.readuntil(b"\r\n\r\n")
            await reader.read()
        finally:
            at_once -= 1

    async with (
        serving(hang) as hanging,
        serving(page()) as fine,
        HubStage(database_url, tmp_path, clock=clock, private_networks=True) as stage,
    ):
        cast = await stage.cast()
        for player, count, port in ((cast.owner, 20, hanging), (cast.stranger, 1, fine)):
            for number in range(count):
                body = {
                    "organization_id": str(player.organization_id),
                    "name": f"{player.organization_id} {number}",
                    "kind": "http",
                    "settings": {"url": f"http://127.0.0.1:{port}/", "timeout": "5s"},
                }
                assert (await player.client.post("/api/v1/probes", body)).status == 201
        await stage.execute("update public.probes set lease = null, leased_until = null, next_at = 'epoch'")
        stranger = "select state from public.probes where organization_id = %s"

        async def heard() -> bool:
            return await stage.execute(stranger, cast.other_id) == [("up",)]

        began = time.monotonic()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await heard():  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert time.monotonic() - began < 4, "sooner than any of the others has an end"
        await until(lambda: at_once == ALLOWANCES["free"].at_once, PATIENCE_SECONDS)
        assert most <= ALLOWANCES["free"].at_once


@asynccontextmanager
async def cut_off(
    database_url: str, tmp_path: Path, clock: HandClock, canaries: bool
) -> AsyncIterator[tuple[MappedNet, ProbeDesk, list[dict[str, str]]]]:
    """Four sites in four networks, all well."""
    net = MappedNet({f"site{number}.example": [[address]] for number, address in enumerate(NETWORKS)})
    async with serving(page()) as port:
        named = (f"{CANARY}:{port}",) if canaries else ()
        async with HubStage(database_url, tmp_path, clock=clock, net=net, canaries=named) as stage:
            probes = ProbeDesk(await set_up(stage))
            made = []
            for number in range(len(NETWORKS)):
                url = f"http://site{number}.example:{port}/"
                made.append(await probes.add(f"site{number}", "http", {"url": url}, interval_seconds=60))
            await probes.desk.passes(1)
            yield net, probes, made


async def fails(probes: ProbeDesk, rounds: int = 6) -> None:
    for _ in range(rounds):
        await probes.desk.passes(30)


@pytest.mark.parametrize("canaries", [False, True], ids=["by-share", "by-canaries"])
async def test_a_hub_that_is_cut_off_tells_of_itself_once_and_of_no_probe(
    database_url: str, tmp_path: Path, clock: HandClock, canaries: bool
) -> None:
    async with cut_off(database_url, tmp_path, clock, canaries) as (net, probes, made):
        net.cut |= {*NETWORKS, CANARY}
        await fails(probes)
        (alert,) = await probes.alerts()
        assert (alert["rule"], alert["thing"]) == (BLIND_RULE, "probes")
        net.cut.clear()
        if canaries:
            net.touched.clear()
            await until(lambda: CANARY in net.touched, PATIENCE_SECONDS)
            await asyncio.sleep(0.2)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await probes.alerts():  # a look of a moment ago stands for a few seconds
                await fails(probes, 1)
        await fails(probes)
        assert [one["rule"] for one in await probes.alerts("all")] == [BLIND_RULE]
        assert [(await probes.seen(one))["state"] for one in made] == ["up"] * len(made)


async def test_what_fails_while_canaries_are_reached_is_told(
    database_url: str, tmp_path: Path, clock: HandClock
) -> None:
    async with cut_off(database_url, tmp_path, clock, canaries=True) as (net, probes, made):
        net.cut |= set(NETWORKS)
        await fails(probes)
        assert sorted(one["subject"] for one in await probes.alerts()) == [one["name"] for one in made]


async def test_one_site_that_fails_alone_is_told(database_url: str, tmp_path: Path, clock: HandClock) -> None:
    async with cut_off(database_url, tmp_path, clock, canaries=False) as (net, probes, _):
        net.cut.add(NETWORKS[0])
        await fails(probes)
        (alert,) = await probes.alerts()
        assert (alert["subject"], alert["severity"]) == ("site0", "critical")


async def test_a_certificate_is_told_before_its_end_and_one_that_is_over_is_down(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    clock = HandClock(time.time_ns() // 1_000_000)
    async with (
        serving(page(), tls=authority.context("localhost", days=10)) as soon,
        serving(page(), tls=authority.context("localhost", days=-3)) as over,
        HubStage(database_url, tmp_path, clock=clock, private_networks=True) as stage,
    ):
        probes = ProbeDesk(await set_up(stage))
        first = await probes.add("soon", "http", {"url": f"https://localhost:{soon}/", "family": "ipv4"})
        second = await probes.add("over", "tcp", {"host": "localhost", "port": over, "tls": True, "family": "ipv4"})
        await fails(probes, 3)
        alerts = {one["subject"]: one for one in await probes.alerts()}
        assert (alerts["soon"]["rule"], alerts["soon"]["title"]) == (
            "Certificate expires soon",
            "Certificate expires in 10 days",
        )
        assert alerts["over"]["rule"] == "Probe down"
        assert "expired" in alerts["over"]["title"]
        assert len(alerts) == 2
        seen = await probes.seen(first)
        assert (seen["state"], round((seen["expires_at"] - clock.now()) / 86_400_000)) == ("up", 10)
        assert (await probes.seen(second))["reason"] in ("tls-expired", "tls-invalid")


async def test_a_probe_of_a_server_that_is_down_is_explained_by_that(
    database_url: str, tmp_path: Path, clock: HandClock
) -> None:
    async with serving(page(status="500 Broken")) as port:
        stage = HubStage(database_url, tmp_path, clock=clock, private_networks=True, public_url="https://hub.example")
        async with stage:
            desk = await set_up(stage)
            probes = ProbeDesk(desk)
            await desk.falls_silent()
            await probes.page(port)
            url = {"url": f"http://127.0.0.1:{port}/"}
            await probes.add("its own", "http", url, server_id=str(desk.agent.server_id))
            for _ in range(6):
                await desk.passes(30, alive=False)
            suppressed = {one["subject"]: one["suppressed"] for one in await probes.alerts() if one["probe_id"]}
            assert suppressed == {"shop": False, "its own": True}
            await desk.passes(GAP, alive=False)
            assert not [title for _, title in desk.told("phone") if "500" in title and "own" in title]


async def test_a_try_whose_lease_ended_is_not_written_down_beside_the_one_that_followed(
    database_url: str, tmp_path: Path, clock: HandClock
) -> None:
    release = asyncio.Event()
    asked = 0

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        await reader.readuntil(b"\r\n\r\n")
        asked += 1
        await release.wait()
        writer.write(page())

    stage = HubStage(database_url, tmp_path, clock=clock, private_networks=True)
    async with serving(wait) as port, stage:
        probes = ProbeDesk(await set_up(stage))
        await probes.add("shop", "http", {"url": f"http://127.0.0.1:{port}/", "timeout": "9s"})
        await until(lambda: asked == 1, PATIENCE_SECONDS)
        clock.advance(LEASE_SECONDS + 60)
        await until(lambda: asked == 2, PATIENCE_SECONDS)
        release.set()
        await stage.hub.look()
        assert await tries_of(stage) == Counter({"shop": 1})
