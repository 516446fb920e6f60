"""The receiver of a webhook, which knows who sent it: Standard Webhooks, verified as its specification says."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

from aiohttp import web

from twinwatch.testing.channels.services import Got, Service

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105


class FakeWebhook(Service):
    """Takes whatever is posted. What is not signed with ``secret`` is answered with 401, unless that is empty."""

    def __init__(self, *, secret: str = SECRET, **options: Any) -> None:
        super().__init__(**options)
        self.secret = secret
        self.documents: list[dict[str, Any]] = []
        """What was taken, in order; the same ``webhook-id`` counts once."""
        self._seen: set[str] = set()

    def answer(self, got: Got) -> web.Response:
        """204, or what is the matter."""
        if self.secret and not is_signed(got, self.secret):
            return web.Response(status=401, text="the signature is not right")
        document = got.json()
        if not isinstance(document, dict):
            return web.Response(status=400, text="expected a JSON object")
        name = got.headers.get("webhook-id", "")
        if name not in self._seen:
            self._seen.add(name)
            self.documents.append(document)
        return web.Response(status=204)


def is_signed(got: Got, secret: str) -> bool:
    """Whether one of the signatures is that of the secret over ``id.timestamp.body``."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{got.headers.get('webhook-id', '')}.{got.headers.get('webhook-timestamp', '')}.".encode() + got.body
    wanted = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return any(hmac.compare_digest(wanted, one) for one in got.headers.get("webhook-signature", "").split())
