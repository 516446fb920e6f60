"""The shortest way for what comes most: a batch of samples goes from the connection to ingest without the router.

What is not as agents make it (another key, a body that is too large or cannot be read, a failure) goes the usual way
with the same bytes and is judged there: a batch counts once, however often it is taken.
"""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from twinwatch.hub.agents import Speaker
from twinwatch.hub.api.doors import Rooms, refuse, refuse_away
from twinwatch.hub.db import DatabaseAway
from twinwatch.hub.ingest import Ingest
from twinwatch.hub.refusals import Refused
from twinwatch.hub.stores import Arrival
from twinwatch.hub.stores.batches import plain_batch
from twinwatch.protocol import codec, limits
from twinwatch.protocol.samples import Batch
from twinwatch.protocol.version import AGENT_ROUTES

SAMPLES = f"{AGENT_ROUTES}/samples"
BEARER = b"bearer "


class Direct:
    """Stands before the application, which has the same rooms."""

    def __init__(self, app: ASGIApp, rooms: Rooms) -> None:
        self._app = app
        self._rooms = rooms

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Takes batches; hands everything else on."""
        if scope["type"] != "http" or scope["path"] != SAMPLES or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        messages: list[Message] = []
        size, more = 0, True
        while more and size <= limits.BODY_BYTES:
            message = await receive()
            messages.append(message)
            if message["type"] != "http.request":
                break
            size += len(message.get("body", b""))
            more = message.get("more_body", False)
        answer = None
        if not more:
            try:
                answer = await _taken(self._rooms, scope, b"".join(one.get("body", b"") for one in messages))
            except Refused as refused:
                await refuse(Request(scope), refused)(scope, receive, send)
                return
            except DatabaseAway as err:
                await refuse_away(Request(scope), err)(scope, receive, send)
                return
            except Exception:  # noqa: BLE001
                answer = None  # judged, told and logged on the usual way
        if answer is None:
            await self._app(scope, _again(messages, receive), send)
            return
        kind, body = answer
        headers = [(b"content-length", str(len(body)).encode()), (b"content-type", kind.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def _taken(rooms: Rooms, scope: Scope, body: bytes) -> tuple[str, bytes] | None:
    """Content type and body of the answer; None for a request that is not as agents make it."""
    headers: dict[bytes, bytes] = dict(scope["headers"])
    shown = headers.get(b"authorization", b"")
    if shown[: len(BEARER)].lower() != BEARER:
        return None
    speaker = await rooms.agents.speaker(shown[len(BEARER) :].decode("latin-1").strip())
    kind = headers.get(b"content-type", codec.JSON.encode()).decode("latin-1")
    encoding = headers.get(b"content-encoding", b"").decode("latin-1")
    accepted = await rooms.ingest.take(await _checked(rooms.ingest, speaker, body, kind, encoding))
    if codec.MSGPACK.encode() in headers.get(b"accept", b""):
        return codec.MSGPACK, msgspec.msgpack.encode(accepted)
    return codec.JSON, msgspec.json.encode(accepted)


async def _checked(ingest: Ingest, speaker: Speaker, body: bytes, kind: str, encoding: str) -> Arrival:
    # The decoded batch ends here: it takes ten times as much as its body, and the commit has yet to be waited for.
    who = (speaker.organization_id, speaker.server_id)
    plain = plain_batch(body) if (kind, encoding) == (codec.MSGPACK, codec.ZSTD) else None
    if plain is not None:
        return await ingest.check(*who, plain, body)
    return await ingest.check(*who, codec.decode(body, Batch, kind, encoding))


def _again(messages: list[Message], receive: Receive) -> Receive:
    """What was read already, then what follows."""

    async def replay() -> Message:
        return messages.pop(0) if messages else await receive()

    return replay
