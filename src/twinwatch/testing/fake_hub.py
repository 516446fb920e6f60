"""A hub in memory that speaks the agent's routes, for tests of the agent without a database.

It is an ASGI application: put it behind ``fakes.AsgiHttp``. It is strict where the real one is: a batch that breaks a
bound, an unknown shape or a wrong key gets the same problem, and nothing of it is kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from uuid import uuid4

import msgspec

from twinwatch.protocol import limits
from twinwatch.protocol.codec import JSON, MSGPACK, TooLarge, Undecodable, decode
from twinwatch.protocol.heartbeat import Heartbeat, HeartbeatAnswer
from twinwatch.protocol.hello import Register, Registered
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
        self._clock = clock

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
        try:
            status, answer = self._answer(scope["path"], headers, (await receive())["body"])
        except _Refusal as refusal:
            status, answer = refusal.problem.status, refusal.problem
        packed = headers.get("accept") == MSGPACK and status < 300
        body = b"" if answer is None else (msgspec.msgpack if packed else msgspec.json).encode(answer)
        kind = PROBLEM_TYPE if status >= 400 else MSGPACK if packed else JSON
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind.encode())]})
        await send({"type": "http.response.body", "body": body})

    def _answer(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, object]:
        key = headers.get("authorization", "").removeprefix("Bearer ")
        content = headers.get("content-type", ""), headers.get("content-encoding", "")
        try:
            match path.removeprefix(AGENT_ROUTES):
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
            if server.key == key:
                return server
        raise _refusal(401, "unauthorized", "this server key is unknown")

    def _heartbeat(self, server: FakeServer, beat: Heartbeat) -> HeartbeatAnswer:
        server.heartbeats.append(beat)
        held = (server.catalogue.digest or server.catalogue.fingerprint()) if server.catalogue else ""
        return HeartbeatAnswer(self._clock.now(), held)

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


class _Refusal(Exception):
    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(problem.detail)


def _refusal(
    status: int, slug: str, detail: str, *, limit: int | None = None, shapes: list[str] | None = None
) -> _Refusal:
    return _Refusal(Problem(PROBLEM_PREFIX + slug, slug, status, detail, limit=limit, shapes=shapes or []))
