"""Looks, when the hub asks, whether something can be reached from here, and says what it saw.

Invariants: this machine itself, link-local addresses, metadata services and what the owner's file forbids are never
touched, whatever name or redirect leads there; no look takes longer than ``WITNESS_SECONDS``; only so many at a time
and in a minute. What could not be looked at is ``unknown``, never ``down``.
Cost: that of one run of the monitor of that kind; its module is imported when it is first asked for.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import msgspec

from twinwatch.agent.watching.settings import WitnessSettings, place_of
from twinwatch.monitors import Absent, Check, Finding, Moment, Monitor, Unreadable
from twinwatch.monitors.options import options_of
from twinwatch.protocol.control import WITNESS_SECONDS, WitnessAnswer, WitnessAsked
from twinwatch.world.doors import World
from twinwatch.world.guard import WORDS, Guard, NotAllowed, is_own, kind_of
from twinwatch.world.net import Family, Net, NetFailed
from twinwatch.world.net.guarded import GuardedNet

AT_A_TIME = 4
IN_A_MINUTE = 60
ID_CHARACTERS = 64
TARGET_CHARACTERS = 2048
MESSAGE_CHARACTERS = 500
OPTIONS = {
    "http": {"method", "expected_status", "keyword", "keyword_absent", "follow_redirects", "verify", "family"},
    "tcp": {"tls", "server_name", "verify", "expect", "family"},
    "ping": {"count", "family"},
    "peer": set[str](),
}
PEER_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789.-")

_log = logging.getLogger(__name__)


class WitnessGuard(Guard):
    """What a witness may connect to: private networks as well, but nothing of this machine's own."""

    def __init__(self, settings: Callable[[], WitnessSettings], is_own: Callable[[str], bool]) -> None:
        super().__init__(private=True, is_own=is_own)
        self._settings = settings

    def refusal(self, address: str) -> str:
        """See ``Guard``."""
        kind = kind_of(address)
        if kind in ("loopback", "link-local"):
            return WORDS[kind]
        if kind != "none" and self._is_own(address):
            return WORDS["loopback"]
        if self._settings().forbids_address(address):
            return "an address that this agent's file forbids"
        return super().refusal(address)

    def check(self, address: str) -> None:
        """See ``Guard``."""
        if why := self.refusal(address):
            raise NotAllowed(f"{address[:100]} is {why}: no witness looks there")


class WitnessNet(GuardedNet):
    """The network behind that guard, with forbidden names before it: redirects lead to names as well."""

    def __init__(self, net: Net, settings: Callable[[], WitnessSettings], is_own: Callable[[str], bool]) -> None:
        super().__init__(net, WitnessGuard(settings, is_own))
        self._settings = settings

    async def resolve(self, host: str, *, family: Family = "any", timeout_seconds: float) -> tuple[str, ...]:
        """See ``Net``."""
        if self._settings().forbids_name(host):
            told = f"this agent's file forbids {host[:100]}"
            raise NetFailed("resolve", "not-permitted", told, ours=True) from NotAllowed(told)
        return await super().resolve(host, family=family, timeout_seconds=timeout_seconds)


class Witness:
    """``settings`` says what the owner allows now, ``answer`` brings an answer to the hub and raises nothing."""

    def __init__(
        self,
        world: World,
        settings: Callable[[], WitnessSettings],
        answer: Callable[[WitnessAnswer], Coroutine[Any, Any, None]],
        is_own: Callable[[str], bool] = is_own,
    ) -> None:
        self._world = dataclasses.replace(world, net=WitnessNet(world.net, settings, is_own))
        self._settings = settings
        self._answer = answer
        self._asked: asyncio.Queue[WitnessAsked] = asyncio.Queue(IN_A_MINUTE)
        self._looking: set[asyncio.Task[None]] = set()
        self._begun: deque[float] = deque()

    def ask(self, asked: WitnessAsked) -> None:
        """Look soon. What nobody could ever answer in time is passed over."""
        if not self._asked.full() and len(asked.id) <= ID_CHARACTERS:
            self._asked.put_nowait(asked)

    async def run(self) -> None:
        """Look at what is asked for until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                asked = await self._asked.get()
                if self._is_busy():
                    seen = WitnessAnswer(asked.id, "unknown", "this agent looks at other things already", "busy")
                    group.create_task(self._answer(seen))
                    continue
                task = group.create_task(self._look(asked), name="witness")
                self._looking.add(task)
                task.add_done_callback(self._looking.discard)

    def _is_busy(self) -> bool:
        now = self._world.clock.monotonic()
        while self._begun and self._begun[0] <= now - 60:
            self._begun.popleft()
        if len(self._looking) >= AT_A_TIME or len(self._begun) >= IN_A_MINUTE:
            return True
        self._begun.append(now)
        return False

    async def _look(self, asked: WitnessAsked) -> None:
        began = self._world.clock.monotonic()
        seconds = min(max(asked.timeout_seconds, 0.1), WITNESS_SECONDS)
        try:
            async with asyncio.timeout(seconds):
                seen = await self.seen(asked, seconds)
        except TimeoutError:
            seen = WitnessAnswer(asked.id, "unknown", f"the look took longer than {seconds:g} s", "timeout")
        except Exception as err:  # noqa: BLE001 - the supervisor of one look
            _log.exception("a look at %s on behalf of the hub failed", asked.probe)
            seen = WitnessAnswer(asked.id, "unknown", f"the look failed: {type(err).__name__}", "failed")
        took = self._world.clock.monotonic() - began
        message = "".join(letter if letter.isprintable() else " " for letter in seen.message)[:MESSAGE_CHARACTERS]
        await self._answer(msgspec.structs.replace(seen, message=message, seconds=round(took, 3)))

    async def seen(self, asked: WitnessAsked, seconds: float) -> WitnessAnswer:
        """What is seen of the target in so many seconds."""
        settings = self._settings()
        if not settings.enabled:
            return WitnessAnswer(asked.id, "unknown", "this agent's owner lets it look at nothing", "forbidden")
        try:
            if len(asked.target) > TARGET_CHARACTERS:
                raise ValueError("the target is too long")
            monitor = _monitor(asked, seconds)
        except (ValueError, msgspec.MsgspecError) as err:
            return WitnessAnswer(asked.id, "unknown", f"not understood: {err}", "not-understood")
        if asked.probe == "peer" and settings.forbids_name(asked.target):
            return WitnessAnswer(asked.id, "unknown", f"this agent's file forbids {asked.target}", "forbidden")
        moment = Moment(self._world.clock.now(), self._world.clock.monotonic())
        try:
            found = await monitor.read(self._world, moment)
        except Absent as err:
            reason = "no-tailscale" if asked.probe == "peer" else "absent"
            return WitnessAnswer(asked.id, "unknown", str(err), reason)
        except Unreadable as err:
            step = err.__cause__
            barred = isinstance(step, NetFailed) and isinstance(step.__cause__, NotAllowed)
            return WitnessAnswer(asked.id, "unknown", str(err), "forbidden" if barred else "unreadable")
        return _judged(asked, found)


def _monitor(asked: WitnessAsked, seconds: float) -> Monitor:
    """The monitor that looks.

    Raises: ValueError; msgspec.ValidationError.
    """
    unknown = asked.options.keys() - OPTIONS[asked.probe]
    if unknown:
        raise ValueError(f"option {min(unknown)}")
    # Its own deadline is a little sooner, so that it can still say what it waited for.
    timeout = f"{max(seconds * 0.9, 0.09):.3f}s"
    if asked.probe == "http":
        return _http({"url": asked.target, "timeout": timeout, **asked.options})
    if asked.probe == "peer":
        return _peer(asked.target.lower().rstrip("."))
    if asked.probe == "tcp":
        from twinwatch.monitors.tcp import Tcp  # noqa: PLC0415 - an agent that is never asked does without

        host, port = place_of(asked.target)
        target = {"host": host, "port": port, "timeout": timeout, **asked.options}
        return Tcp(options_of(Tcp, {"targets": [target]}))
    from twinwatch.monitors.ping import Ping  # noqa: PLC0415

    count = asked.options.get("count", 3)
    pause, half = 0.2, seconds * 0.45
    if not isinstance(count, int) or not 1 <= count <= 1 + (half / pause) / 2:
        count = 1
    target = {
        "host": asked.target,
        "timeout": f"{max(half - (count - 1) * pause, 0.05):.3f}s",
        **asked.options,
        "count": count,
    }
    return Ping(options_of(Ping, {"hosts": [target]}))


def _http(endpoint: dict[str, Any]) -> Monitor:
    from twinwatch.monitors.http import Http  # noqa: PLC0415

    if endpoint.get("method", "GET") not in ("GET", "HEAD"):
        raise ValueError(f"method {endpoint['method']!r}")
    return Http(options_of(Http, {"endpoints": [endpoint]}))


def _peer(name: str) -> Monitor:
    from twinwatch.monitors.tailscale import Tailscale  # noqa: PLC0415

    if not name or not PEER_LETTERS.issuperset(name):
        raise ValueError("expected the name of a peer")
    return Tailscale(options_of(Tailscale, {"peers": [name]}))


def _judged(asked: WitnessAsked, found: Sequence[Finding]) -> WitnessAnswer:
    checks = [one for one in found if isinstance(one, Check)]
    if asked.probe == "peer":
        checks = [one for one in checks if one.name.startswith("peer:")]
        if not checks:
            return WitnessAnswer(asked.id, "unknown", "this server is not in its tailnet", "no-tailscale")
    (check,) = checks[:1]
    reason = {"not-permitted": "forbidden", "not-there": "not-a-peer"}.get(check.reason, check.reason)
    if check.state in ("up", "degraded"):
        return WitnessAnswer(asked.id, "up", check.message)
    if check.state == "unknown" or reason in ("forbidden", "not-a-peer"):
        return WitnessAnswer(asked.id, "unknown", check.message, reason)
    return WitnessAnswer(asked.id, "down", check.message, reason)
