"""The dashboard's files, and the agent's wheel, with the headers that keep a browser from being misused.

The dashboard is a static export; Next.js puts small inline scripts into its pages. Each page's policy allows exactly
those, by their hash, and no other inline script.
Source: Content Security Policy Level 3; RFC 9111 on caching.
"""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from twinwatch.hub.install import WHEEL, agent_wheel

router = APIRouter(include_in_schema=False)

INLINE_SCRIPT = re.compile(rb"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL)
YEAR_SECONDS = 31_536_000
NO_PAGES = ("/api/", "/auth/", "/install/")
UNBUILT = (
    "The hub runs, but its dashboard was not built. In the source tree run `make dashboard`; "
    "an installed twinwatch contains it.\n"
)


@router.get(f"/install/{WHEEL}")
def wheel() -> Response:
    """The agent's package, made of this installation."""
    return Response(agent_wheel(), media_type="application/zip")


def dashboard_folder() -> Path | None:
    """Where the export is: in the package. ``None`` if it was not built."""
    folder = Path(str(files("twinwatch.hub") / "dashboard"))
    return folder if (folder / "index.html").is_file() else None


class Pages:
    """The ASGI app that serves the export."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._files = StaticFiles(directory=folder, html=True) if folder else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request for a file. What no route took is no page either below the API's prefixes."""
        if scope["type"] == "websocket":
            await WebSocketClose()(scope, receive, send)
            return
        if scope["type"] == "http" and scope["path"].startswith(NO_PAGES):
            raise HTTPException(404, "There is no such route.")
        if self._files is None or self._folder is None:
            await PlainTextResponse(UNBUILT, 503)(scope, receive, send)
            return
        page = self._folder / self._files.get_path(scope)
        lost = self._folder / "404.html"

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SAFE_HEADERS.items():
                    headers[name] = value
                if scope["path"].startswith("/_next/static/") and message["status"] < 400:
                    headers["cache-control"] = f"public, max-age={YEAR_SECONDS}, immutable"
                else:
                    headers["cache-control"] = "no-cache"
                if headers.get("content-type", "").startswith("text/html"):
                    headers["content-security-policy"] = _policy(lost if message["status"] == 404 else page)
            await send(message)

        await self._files(scope, receive, with_headers)


SAFE_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",  # a set-up link's token is in its address
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


@cache
def _policy(page: Path) -> str:
    file = page / "index.html" if page.is_dir() else page
    scripts = INLINE_SCRIPT.findall(file.read_bytes()) if file.is_file() else []
    hashes = {base64.b64encode(hashlib.sha256(script).digest()).decode() for script in scripts}
    allowed = " ".join(["'self'", *sorted(f"'sha256-{digest}'" for digest in hashes)])
    return (
        f"default-src 'self'; script-src {allowed}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "font-src 'self'; connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    )
