"""A hub in memory that speaks the agent's routes, for tests of the agent without a database.

It is an ASGI application: put it behind ``fakes.AsgiHttp``. It is strict where the real one is: a batch that breaks a
bound, an unknown shape or a wrong key gets the same problem, and nothing of it is kept.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from hashlib import sha256
from uuid import uuid4

import msgspec

from twinwatch.alerts.episodes import key_of
from twinwatch.protocol import limits
from twinwatch.protocol.alerts import AlertAnswer, AlertAnswers, AlertEvent, AlertEvents
from twinwatch.protocol.bundle import Bundle, sealed
from twinwatch.protocol.checks import Report
from twinwatch.protocol.codec import JSON, MSGPACK, TooLarge, Undecodable, decode
from twinwatch.protocol.configuration import Configuration
from twinwatch.protocol.control import (
    REPLACED_CODE,
    REVOKED_CODE,
    BundleChanged,
    ConfigurationChanged,
    DrillResult,
    WitnessAnswer,
)
from twinwatch.protocol.heartbeat import Heartbeat, HeartbeatAnswer
from twinwatch.protocol.hello import Register, Registered
from twinwatch.protocol.life import Goodbye
from twinwatch.protocol.metrics import Catalogue
from twinwatch.protocol.problem import PROBLEM_PREFIX, PROBLEM_TYPE, Problem
from twinwatch.protocol.samples import Batch, BatchAccepted, Frame, Shape, shape_of
from twinwatch.protocol.version import AGENT_ROUTES
from twinwatch.testing.fakes import Message
from twinwatch.world.clock import Clock

Sample = tuple[str, tuple[tuple[str, str], ...], int]
"""Metric, labels, time: what may be counted once only."""


@dataclass(slots=True)
class FakeServer:
    """What the hub knows of one server."""

    uuid: str
    name: str
    key: str
    mark: int = 0
    catalogue: Catalogue | None = None
    heartbeats: list[Heartbeat] = field(default_factory=list)
    shapes: dict[str, Shape] = field(default_factory=dict)
    batches: list[Batch] = field(default_factory=list)
    duplicates: int = 0
    reports: list[Report] = field(default_factory=list)
    goodbyes: list[Goodbye] = field(default_factory=list)
    sightings: list[WitnessAnswer] = field(default_factory=list)
    drills: list[DrillResult] = field(default_factory=list)
    configuration: Configuration = field(default_factory=Configuration)
    bundle: Bundle = field(default_factory=Bundle)
    events: list[AlertEvent] = field(default_factory=list)
    """Each that was counted, in order."""
    event_mark: int = 0
    asked: list[AlertEvents] = field(default_factory=list)
    """Every request about alerts."""
    control: asyncio.Queue[Message] | None = None
    """What its open control connection is to be sent."""

    def ticks(self, monitor: str) -> list[int]:
        """The times of this monitor's runs that were committed, ms UTC, in order of arrival."""
        frames = (frame for batch in self.batches for frame in batch.frames)
        return [time for frame in frames if self.shapes[frame.shape].monitor == monitor for time in frame.times]

    def samples(self) -> Counter[Sample]:
        """How often each sample was committed."""
        counted: Counter[Sample] = Counter()
        for batch in self.batches:
            for frame in batch.frames:
                for series, column in zip(self.shapes[frame.shape].series, frame.columns, strict=True):
                    labels = tuple(sorted(series.labels.items()))
                    for time, value in zip(frame.times, column, strict=True):
                        if value is not None:
                            counted[series.metric, labels, time] += 1
        return counted


class FakeHub:
    """The application. ``enrolment_keys`` may be changed at any time; ``refuses`` decides which frames are poison."""

    def __init__(self, clock: Clock, enrolment_key: str = "twe_test") -> None:
        self.enrolment_keys = {enrolment_key}
        self.servers: dict[str, FakeServer] = {}
        self.refuses: Callable[[Frame], bool] = lambda frame: False
        self.batch_ticks = limits.BATCH_FRAMES
        """Most ticks in a batch: a smaller one makes it answer 413."""
        self.answers: Callable[[str, FakeServer], AlertAnswer] = lambda key, server: AlertAnswer(key, told=True)
        """What it makes of an episode."""
        self.reconciles = False
        self.older = False
        """Whether it is a hub that knows nothing of reports, configurations and control connections."""
        self.interval_seconds = 0.0
        """How far apart it wants heartbeats; 0: as the agents have it."""
        self._clock = clock

    def configure(self, configuration: Configuration) -> None:
        """Save the only server's configuration, and tell its agent."""
        self.server.configuration = configuration
        self._tell(self.server)

    def give(self, bundle: Bundle) -> None:
        """Let this be the only server's bundle, and tell its agent."""
        bundle = msgspec.structs.replace(bundle, server_uuid=self.server.uuid)
        self.server.bundle = msgspec.structs.replace(bundle, digest=bundle.fingerprint())
        if self.server.control is not None:
            self.say(msgspec.json.encode(BundleChanged(self.server.bundle.digest)).decode())

    def revoke(self) -> None:
        """Make the only server's key worthless."""
        self.server.key = ""
        if self.server.control is not None:
            self.server.control.put_nowait({"type": "websocket.close", "code": REVOKED_CODE})

    def say(self, text: str) -> None:
        """Send the only server's agent a frame."""
        assert self.server.control is not None
        self.server.control.put_nowait({"type": "websocket.send", "text": text})

    @property
    def server(self) -> FakeServer:
        """The only server."""
        (server,) = self.servers.values()
        return server

    async def __call__(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        """One request."""
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        if scope["type"] == "websocket":
            await self._control(scope["path"], headers, receive, send)
            return
        try:
            body = (await receive())["body"]
            status, answer = self._answer(scope["method"], scope["path"], headers, body)
        except _Refusal as refusal:
            status, answer = refusal.problem.status, refusal.problem
        packed = headers.get("accept") == MSGPACK and status < 300
        body = b"" if answer is None else (msgspec.msgpack if packed else msgspec.json).encode(answer)
        kind = PROBLEM_TYPE if status >= 400 else MSGPACK if packed else JSON
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind.encode())]})
        await send({"type": "http.response.body", "body": body})

    async def _control(
        self,
        path: str,
        headers: dict[str, str],
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        await receive()
        try:
            if path != f"{AGENT_ROUTES}/control" or self.older:
                raise _refusal(404, "not-found", path)
            server = self._speaker(headers.get("authorization", "").removeprefix("Bearer "))
        except _Refusal as refusal:
            start = {"type": "websocket.http.response.start", "status": refusal.problem.status, "headers": []}
            await send(start)
            await send({"type": "websocket.http.response.body", "body": b""})
            return
        await send({"type": "websocket.accept"})
        if server.control is not None:
            server.control.put_nowait({"type": "websocket.close", "code": REPLACED_CODE})
        said = server.control = asyncio.Queue()
        self._tell(server)
        leaving = asyncio.ensure_future(_left(receive))
        try:
            while not leaving.done():
                saying = asyncio.ensure_future(said.get())
                await asyncio.wait({saying, leaving}, return_when=asyncio.FIRST_COMPLETED)
                if not saying.done():
                    saying.cancel()
                    break
                await send(saying.result())
                if saying.result()["type"] == "websocket.close":
                    break
        finally:
            leaving.cancel()
            if server.control is said:
                server.control = None

    def _tell(self, server: FakeServer) -> None:
        if server.control is not None and server.configuration.version:
            text = msgspec.json.encode(ConfigurationChanged(server.configuration.version)).decode()
            server.control.put_nowait({"type": "websocket.send", "text": text})

    def _answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, object]:
        key = headers.get("authorization", "").removeprefix("Bearer ")
        content = headers.get("content-type", ""), headers.get("content-encoding", "")
        try:
            route = path.removeprefix(AGENT_ROUTES)
            match route if method == "POST" else f"{method} {route}":
                case "/report" if not self.older:
                    self._report(self._speaker(key), decode(body, Report, *content))
                    return 204, None
                case "GET /configuration" if not self.older:
                    return 200, self._speaker(key).configuration
                case "/witness" if not self.older:
                    self._speaker(key).sightings.append(decode(body, WitnessAnswer, *content))
                    return 204, None
                case "/drill" if not self.older:
                    self._speaker(key).drills.append(decode(body, DrillResult, *content))
                    return 204, None
                case "/goodbye" if not self.older:
                    self._speaker(key).goodbyes.append(decode(body, Goodbye, *content))
                    return 204, None
                case "/alerts" if not self.older:
                    return 200, self._alerts(self._speaker(key), decode(body, AlertEvents, *content))
                case "GET /bundle" if not self.older:
                    server = self._speaker(key)
                    return 200, sealed(server.bundle, sha256(server.key.encode()).digest())
                case "/register":
                    return 201, self._register(key, decode(body, Register, *content))
                case "/heartbeat":
                    return 200, self._heartbeat(self._speaker(key), decode(body, Heartbeat, *content))
                case "/samples":
                    return 200, self._samples(self._speaker(key), decode(body, Batch, *content))
                case "/catalogue":
                    self._speaker(key).catalogue = decode(body, Catalogue, *content)
                    return 204, None
        except TooLarge as err:
            raise _refusal(413, "too-large", str(err), limit=limits.DECODED_BYTES) from err
        except Undecodable as err:
            raise _refusal(400, "undecodable", str(err)) from err
        raise _refusal(404, "not-found", path)

    def _register(self, key: str, hello: Register) -> Registered:
        if key not in self.enrolment_keys:
            raise _refusal(401, "unauthorized", "this enrolment key is unknown")
        server = self.servers.get(hello.install_id)
        if server is None:
            server = self.servers[hello.install_id] = FakeServer(str(uuid4()), hello.server_name, "")
        server.key = f"tws_{uuid4().hex}"
        return Registered(server.uuid, server.key, server.mark)

    def _speaker(self, key: str) -> FakeServer:
        for server in self.servers.values():
            if server.key and server.key == key:
                return server
        raise _refusal(401, "unauthorized", "this server key is unknown")

    def _heartbeat(self, server: FakeServer, beat: Heartbeat) -> HeartbeatAnswer:
        server.heartbeats.append(beat)
        if beat.server_uuid != server.uuid:
            raise _refusal(403, "forbidden", "server_uuid is not the server that this key speaks for")
        if beat.delivery is not None:
            sums = beat.delivery
            if sums.collected != sums.delivered + sums.pending + sums.dropped:
                raise _refusal(422, "invalid", f"the accounts do not balance: {sums}")
        held = (server.catalogue.digest or server.catalogue.fingerprint()) if server.catalogue else ""
        if self.older:
            return HeartbeatAnswer(self._clock.now(), held)
        reported = server.reports[-1].digest if server.reports else ""
        return HeartbeatAnswer(
            self._clock.now(),
            held,
            reported,
            server.configuration.version,
            bundle=server.bundle.digest,
            reconcile=self.reconciles,
            interval_seconds=self.interval_seconds,
        )

    def _alerts(self, server: FakeServer, message: AlertEvents) -> AlertAnswers:
        server.asked.append(message)
        for event in message.events:
            if event.key != key_of(server.uuid, event.rule, event.thing, event.episode):
                raise _refusal(422, "invalid", f"event {event.number}: the key does not follow")
            if event.number > server.event_mark:
                server.event_mark = event.number
                server.events.append(event)
        keys = dict.fromkeys([*(event.key for event in message.events), *message.ask, *(message.open or ())])
        return AlertAnswers(server.event_mark, tuple(self.answers(key, server) for key in keys))

    def _report(self, server: FakeServer, report: Report) -> None:
        names = [check.name for check in report.checks]
        if len(set(names)) < len(names):
            raise _refusal(422, "invalid", "a check is named twice")
        if len(names) > limits.CHECKS_PER_SERVER or len(report.monitors) > limits.MONITORS_PER_SERVER:
            raise _refusal(422, "limit", "too many checks or monitors", limit=limits.CHECKS_PER_SERVER)
        if any(len(check.message) > limits.MESSAGE_CHARACTERS for check in report.checks):
            raise _refusal(422, "limit", "a message is too long", limit=limits.MESSAGE_CHARACTERS)
        server.reports.append(report)

    def _samples(self, server: FakeServer, batch: Batch) -> BatchAccepted:
        ticks = sum(len(frame.times) for frame in batch.frames)
        if ticks > self.batch_ticks:
            raise _refusal(413, "too-large", f"{ticks} ticks", limit=self.batch_ticks)
        for shape in batch.shapes:
            if shape_of(shape.monitor, shape.series).id != shape.id:
                raise _refusal(422, "invalid", f"shape {shape.id}: the id does not follow from its content")
        shapes = server.shapes | {shape.id: shape for shape in batch.shapes}
        unknown = sorted({frame.shape for frame in batch.frames} - shapes.keys())
        if unknown:
            raise _refusal(409, "unknown-shapes", f"{len(unknown)} shapes are unknown", shapes=unknown)
        for frame in batch.frames:
            self._judge(frame, shapes[frame.shape])
        server.shapes = shapes
        if batch.sequence <= server.mark:
            server.duplicates += 1
            return BatchAccepted(server.mark, duplicate=True)
        server.mark = batch.sequence
        server.batches.append(batch)
        return BatchAccepted(server.mark)

    def _judge(self, frame: Frame, shape: Shape) -> None:
        if not frame.times or any(
            later <= earlier for earlier, later in zip(frame.times, frame.times[1:], strict=False)
        ):
            raise _refusal(422, "invalid", "times must ascend strictly")
        if [len(column) for column in frame.columns] != [len(frame.times)] * len(shape.series):
            raise _refusal(422, "invalid", "columns do not fit the shape")
        now = self._clock.now()
        if frame.times[-1] - now > limits.FUTURE_MILLISECONDS or now - frame.times[0] > limits.PAST_MILLISECONDS:
            raise _refusal(
                422, "clock-skew", "a sample is too far from the hub's clock", limit=limits.FUTURE_MILLISECONDS
            )
        if self.refuses(frame):
            raise _refusal(422, "limit", "poison")


async def _left(receive: Callable[[], Awaitable[Message]]) -> None:
    while (await receive())["type"] != "websocket.disconnect":
        pass


class _Refusal(Exception):
    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(problem.detail)


def _refusal(
    status: int, slug: str, detail: str, *, limit: int | None = None, shapes: list[str] | None = None
) -> _Refusal:
    return _Refusal(Problem(PROBLEM_PREFIX + slug, slug, status, detail, limit=limit, shapes=shapes or []))
