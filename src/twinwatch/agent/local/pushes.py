"""The routes of custom metrics: which format a request is in, and what is answered. What reads a format is imported
when somebody pushes in it."""

from __future__ import annotations

import asyncio
from urllib.parse import unquote

import msgspec

from twinwatch.agent.local import web
from twinwatch.agent.local.bodies import body_of
from twinwatch.agent.local.connections import HEADERS
from twinwatch.agent.local.custom import Custom
from twinwatch.agent.local.instances import Instances
from twinwatch.agent.local.pushed import Intake
from twinwatch.agent.local.refusals import Refused
from twinwatch.monitors.media import OPENMETRICS
from twinwatch.world.clock import Clock

JSON_MEDIA = ("application/json", "text/json", "application/x-www-form-urlencoded", "application/octet-stream", "")
"""``curl --data`` says that it sends a form when nobody tells it otherwise."""
TEXT_MEDIA = ("text/plain", OPENMETRICS)
AT_ONCE = 4
"""Bodies that are held in memory at one time; others wait to be read."""
_EXAMPLES = 3


class Pushes:
    """Reads requests, one after the other, and hands what they hold to ``custom``."""

    def __init__(self, custom: Custom, clock: Clock) -> None:
        self._custom = custom
        self._instances = Instances(clock.monotonic)
        self._reading = asyncio.Semaphore(AT_ONCE)

    async def push(self, request: web.BaseRequest) -> web.Response:
        """``POST /api/v1/metrics``: JSON, or Prometheus text by its content type."""
        media = _media(request)
        if media in TEXT_MEDIA:
            return await self.text(request)
        if media not in JSON_MEDIA:
            detail = f"Content-Type {media[:80]!r}: expected application/json or text/plain; version=0.0.4"
            raise Refused(415, "media-type", "Media type not supported", detail)
        from twinwatch.agent.local.json_push import from_json  # noqa: PLC0415

        async with self._reading:
            return self._accepted(from_json(await body_of(request)))

    async def text(self, request: web.BaseRequest) -> web.Response:
        """``POST /api/v1/metrics/prometheus``."""
        from twinwatch.agent.local.text_push import from_text  # noqa: PLC0415

        async with self._reading:
            body = await body_of(request)
            return self._accepted(from_text(body, openmetrics=_media(request) == OPENMETRICS))

    async def group(self, request: web.BaseRequest) -> web.Response:
        """``PUT|POST|DELETE /metrics/job/<job>{/<label>/<value>}``, as clients of Pushgateway ask.

        There is nothing to delete: a series ends an hour after its last push.
        """
        from twinwatch.agent.local.text_push import from_text, grouping  # noqa: PLC0415

        raw = request.rel_url.raw_path.removeprefix("/metrics/").split("/")
        labels = grouping([unquote(word) for word in raw])
        if request.method == "DELETE":
            return web.Response(status=202, headers=HEADERS)
        async with self._reading:
            body = await body_of(request)
            return self._accepted(from_text(body, openmetrics=_media(request) == OPENMETRICS, labels=labels))

    async def otlp(self, request: web.BaseRequest) -> web.Response:
        """``POST /v1/metrics``: OTLP/HTTP."""
        from twinwatch.agent.local import otlp  # noqa: PLC0415

        media = _media(request)
        async with self._reading:
            intake = otlp.from_otlp(await body_of(request), media, self._instances)
            faults = [*intake.unread, *self._custom.take(intake.pushed)]
        message = "; ".join(dict.fromkeys(faults[:_EXAMPLES]))
        body = otlp.answer_of(len(faults), message, media)
        return web.Response(body=body, headers={**HEADERS, "Content-Type": media})

    def _accepted(self, intake: Intake) -> web.Response:
        faults = [*intake.unread, *self._custom.take(intake.pushed)]
        taken = len(intake.pushed) - len(faults)
        if faults:
            examples = "; ".join(dict.fromkeys(faults[:_EXAMPLES]))
            rest = f"; {taken} others were taken" if taken else ""
            detail = f"{len(faults)} of {len(intake.pushed)} samples refused{rest}: {examples}"
            raise Refused(422, "refused-samples", "Samples refused", detail)
        return web.Response(
            status=202,
            body=msgspec.json.encode({"accepted": taken}),
            headers={**HEADERS, "Content-Type": "application/json"},
        )


def _media(request: web.BaseRequest) -> str:
    return request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
