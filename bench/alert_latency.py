"""From a failure to the message at the receiving end: real processes, real failures, providers of our own.

Each figure is the longest of its failures, at the worst moment where there is one: an agent dies right after its
heartbeat, an endpoint right after it was probed. Everything runs with the settings that people get, but for fast mode,
which is a server's own, and a probe every 10 s. Each path has a mailbox of its own: what comes within 15 s on one
channel goes together, which is another matter. The peer for the killed unit, in the same run, on the same systemd:
Debian's Prometheus with Alertmanager.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
from aiohttp import web

from bench.figures import Figure, Peer
from bench.rig import Failed
from bench.rig.alarm import NAME, Alarm, alarm, missing
from bench.rig.person import Person
from bench.rig.receivers import Receivers
from bench.rig.up import Up
from bench.rig.watched import watched
from twinwatch.hub.settings import Patience
from twinwatch.hub.watchdog import LOOK_SECONDS
from twinwatch.testing.ports import free_port
from twinwatch.testing.systemd import SystemdSandbox, lacking

UNITS = 5
QUICK_UNITS = 2
UNIT_PAUSE_SECONDS = 4.0
"""Between two that are killed: longer than Slack's channel rests after a message."""
CROSSINGS = 4
QUICK_CROSSINGS = 1
FLUSH_SECONDS = 10.0
"""The agent writes down, and judges, what was pushed as often as this."""
CROSSING_PAUSE_SECONDS = 2 * FLUSH_SECONDS + 0.3
"""From a message to the next crossing: longer than the mailbox rests, and right after the agent wrote."""
PROBE_SECONDS = 10
UNIT_BUDGET_SECONDS = 2.0
FAST_BUDGET_SECONDS = 20.0
FIRST_BUDGET_SECONDS = 120.0
DOWN_BUDGET_SECONDS = Patience.down_seconds + LOOK_SECONDS + 1.0
"""A server is down once it was silent for longer than this; then comes the look, and a second for all the rest."""
SOON_SECONDS = 60.0
PEER_SECONDS = 120.0
SLEEPS = "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=/bin/sleep 100000\n"
METRIC = "bench.orders"
ORDERS_RULE = "many orders"
FAST = "fast"
LIMIT = 100


class _Run(NamedTuple):
    up: Up
    got: Receivers
    quick: bool


async def measure(quick: bool) -> list[Figure]:
    """Every path at once, as far as one does not wait for the other."""
    async with (
        Receivers() as got,
        Up(agent=False, settings={"TWINWATCH_ALLOW_PRIVATE_NETWORKS": "1"}) as up,
    ):
        await _addressed(up.person, await got.become_channels(up.person, ("orders", "shop", "fast", "silence")))
        run = _Run(up, got, quick)
        try:
            async with asyncio.TaskGroup() as group:
                paths = [_units, _thresholds, _endpoint, _agent_killed_fast, *([] if quick else [_agent_killed])]
                found = [group.create_task(path(run)) for path in paths]
        except* Failed as several:
            raise Failed("; ".join(str(one) for one in several.exceptions)) from several
        if twice := _told_twice(got):
            raise Failed(f"told twice: {'; '.join(twice)}")
    return [figure for task in found for figure in task.result()]


async def _addressed(person: Person, channels: dict[str, str]) -> None:
    """Says by policies what is told where: the kinds of channels as by default, the mailbox as the path has it."""

    def policy(name: str, *told: str, **more: Any) -> dict[str, Any]:
        return {"name": name, "steps": [{"channels": [channels[one] for one in told]}], **more}

    policies = [
        policy("fast", "fast", "sms", what={"tags": [FAST]}),
        policy("orders", "orders", what={"rule": ORDERS_RULE}),
        policy("shop", "shop", "slack", what={"rule": "Probe down"}),
        policy("critical", "silence", "slack", severities=["critical"]),
        policy("down", "silence", "sms", severities=["down"]),
        policy("warnings", "silence", severities=["warning"]),
    ]
    where = {"organization_id": person.organization_id}
    await person.ask("PUT", "/api/v1/policies", params=where, json={"policies": policies})


async def _units(run: _Run) -> list[Figure]:
    """systemd units whose main process is killed → Slack."""
    if lacks := lacking():
        _note(f"no unit_to_slack: a real systemd needs {lacks}")
        return []
    names = [f"web{number}.service" for number in range(QUICK_UNITS if run.quick else UNITS)]
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(_systemd(names))
        peer: Alarm | None = None
        if lacks := ", ".join(missing()):
            _note(f"no {lacks} here (Debian has it): peer is null")
        else:
            peer = await stack.enter_async_context(alarm(run.up.folder / "peer", sandbox.address, names[0]))
        services = [{"type": "systemd", "enabled": True, "services": names}]
        bus = {"DBUS_SYSTEM_BUS_ADDRESS": sandbox.address}
        agent = await stack.enter_async_context(watched(run.up, "units", {"local": False, "monitors": services}, bus))
        await agent.until_status(
            lambda status: (
                len(status.alerting.channels) >= 5
                and {f"systemd:{name}" for name in names} <= {check.name for check in status.checks}
            )
        )
        taken, beside = [], []
        for name in names:
            began = _kill(sandbox, name)
            taken.append((await run.got.post(name, within_seconds=SOON_SECONDS)).at_seconds - began)
            if peer is not None:
                beside.append(asyncio.create_task(_lag(peer, name, began)))
            await asyncio.sleep(UNIT_PAUSE_SECONDS)
        others = await asyncio.gather(*beside)
    _told("unit killed to Slack", taken)
    if others:
        _told(f"the same through {NAME}", others)
    worst = Peer(NAME, max(others)) if others else None
    return [_figure("unit_to_slack", taken, UNIT_BUDGET_SECONDS, worst)]


async def _lag(peer: Alarm, name: str, began: float) -> float:
    return await peer.hear(name, within_seconds=PEER_SECONDS) - began


@asynccontextmanager
async def _systemd(names: Sequence[str]) -> AsyncIterator[SystemdSandbox]:
    """A systemd of its own that runs these units."""
    folder = Path(tempfile.mkdtemp(prefix="tw-"))
    sandbox = SystemdSandbox(folder, dict.fromkeys(names, SLEEPS))
    try:
        await asyncio.to_thread(sandbox.start)
        await asyncio.to_thread(sandbox.exec, "systemctl", "start", *names)
        yield sandbox
    finally:
        await asyncio.to_thread(sandbox.stop)
        shutil.rmtree(folder, ignore_errors=True)


def _kill(sandbox: SystemdSandbox, name: str) -> float:
    """Ends a unit's main process; the moment on the loop's clock."""
    (pid,) = (sandbox.group_of(name) / "cgroup.procs").read_text().split()
    at = asyncio.get_running_loop().time()
    os.kill(int(pid), signal.SIGKILL)
    return at


async def _thresholds(run: _Run) -> list[Figure]:
    """A program gives the agent a figure above a rule's limit → email, through the hub."""
    port = free_port()
    rule = {"name": ORDERS_RULE, "metric": METRIC, "above": LIMIT}
    configuration = {"local": {"listen": f"127.0.0.1:{port}"}, "rules": [rule]}
    taken = []
    async with watched(run.up, "thresholds", configuration) as agent, aiohttp.ClientSession() as session:
        await agent.until_status(lambda status: status.link.state == "up" and status.alerting.channels)

        async def push(queue: str, value: float) -> None:
            given = {"name": METRIC, "value": value, "labels": {"queue": queue}}
            async with session.post(f"http://127.0.0.1:{port}/api/v1/metrics", json=given) as answer:
                if answer.status != 202:
                    raise Failed(f"a custom metric was answered with {answer.status} {await answer.text()}")

        for number in range(QUICK_CROSSINGS if run.quick else CROSSINGS):
            if number:
                await asyncio.sleep(CROSSING_PAUSE_SECONDS)
            began = asyncio.get_running_loop().time()
            await push(f"queue{number}", LIMIT + 1)
            taken.append((await run.got.letter(f"queue{number}", within_seconds=SOON_SECONDS)).at_seconds - began)
    _told("threshold crossed to email", taken)
    return [_figure("threshold_to_email", taken)]


async def _agent_killed(run: _Run) -> list[Figure]:
    """The agent of a server is killed right after it was heard → email that it is late, then email and SMS that it is
    down."""
    async with watched(run.up, "killed", {"local": False}) as agent:
        await agent.heard_anew()
        began = agent.kill()
        patience = DOWN_BUDGET_SECONDS + SOON_SECONDS
        late, down, text = await asyncio.gather(
            run.got.letter("killed", "late", within_seconds=patience),
            run.got.letter("killed", "down", within_seconds=patience),
            run.got.text("killed", within_seconds=patience),
        )
    return [
        _figure("agent_killed_to_first_email", [late.at_seconds - began], FIRST_BUDGET_SECONDS),
        _figure("agent_killed_to_email", [down.at_seconds - began], DOWN_BUDGET_SECONDS),
        _figure("agent_killed_to_sms", [text.at_seconds - began], DOWN_BUDGET_SECONDS),
    ]


async def _agent_killed_fast(run: _Run) -> list[Figure]:
    """The same of a server that is watched fast."""
    # It hears that it is watched fast with its next heartbeat: sooner here than in the minute that is the default.
    soon = {"TWINWATCH_HEARTBEAT_INTERVAL": "10s"}
    async with watched(run.up, "quick", {"local": False}, soon) as agent:
        await agent.heard_anew()
        server = await agent.server()
        wanted = {"tags": [FAST], "fast": True}
        await run.up.person.ask("PUT", f"/api/v1/servers/{server['id']}/settings", json=wanted)
        await agent.heard_anew(times=3)
        began = agent.kill()
        letter, text = await asyncio.gather(
            run.got.letter("quick", "down", within_seconds=SOON_SECONDS),
            run.got.text("quick", within_seconds=SOON_SECONDS),
        )
    return [
        _figure("agent_killed_to_email_fast", [letter.at_seconds - began], FAST_BUDGET_SECONDS),
        _figure("agent_killed_to_sms_fast", [text.at_seconds - began], FAST_BUDGET_SECONDS),
    ]


async def _endpoint(run: _Run) -> list[Figure]:
    """A server ends right after the hub has asked it → email, once two tries of three have failed."""
    asked = asyncio.Event()

    async def answer(_: web.BaseRequest) -> web.Response:
        asked.set()
        return web.Response(text="well")

    runner = web.ServerRunner(web.Server(answer), shutdown_timeout=0.1)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        probe = {"name": "shop", "kind": "http", "settings": {"url": f"http://127.0.0.1:{port}/", "timeout": "5s"}}
        wanted = {**probe, "organization_id": run.up.person.organization_id, "interval_seconds": PROBE_SECONDS}
        await run.up.person.ask("POST", "/api/v1/probes", json=wanted)
        for _ in range(2):  # the first try is at once, the second one begins the beat
            asked.clear()
            async with asyncio.timeout(SOON_SECONDS):
                await asked.wait()
        began = asyncio.get_running_loop().time()
    finally:
        await runner.cleanup()
    letter = await run.got.letter("shop", within_seconds=SOON_SECONDS)
    _note(f"endpoint: two of three tries failed, {PROBE_SECONDS} s apart, before {letter.subject!r}")
    return [_figure("endpoint_to_email", [letter.at_seconds - began])]


def _figure(name: str, taken: Sequence[float], budget: float | None = None, peer: Peer | None = None) -> Figure:
    """The longest of these, seconds.

    Raises: Failed where somebody was told before anything had failed.
    """
    if min(taken) < 0:
        raise Failed(f"{name}: told {-min(taken):.1f} s before the failure")
    return Figure("alert_latency", name, max(taken), "s", budget, peer)


def _told_twice(got: Receivers) -> list[str]:
    """What came more than once on a channel."""
    said = {
        "email": [letter.subject for letter in got.mail.letters],
        "slack": [post.title for post in got.slack.messages],
        "sms": [text.body for text in got.twilio.texts],
    }
    return [f"{kind}: {one}" for kind, all_of in said.items() for one, count in Counter(all_of).items() if count > 1]


def _told(what: str, taken: Sequence[float]) -> None:
    _note(f"{what}: {', '.join(f'{seconds:.2f} s' for seconds in taken)}")


def _note(text: str) -> None:
    print(f"bench: alert_latency: {text}", file=sys.stderr, flush=True)
