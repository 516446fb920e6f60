"""The page's files, served from the package. They hold nothing of this server: all they show is asked for as JSON."""

from __future__ import annotations

from hashlib import blake2b

from twinwatch.agent.local import web
from twinwatch.agent.local.connections import HEADERS
from twinwatch.world.packaged import read_packaged

FILES = {
    "index.html": "text/html",
    "sign-in.html": "text/html",
    "style.css": "text/css",
    "icon.svg": "image/svg+xml",
    "app.js": "text/javascript",
    "charts.js": "text/javascript",
    "lists.js": "text/javascript",
    "units.js": "text/javascript",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def page(request: web.BaseRequest, name: str, status: int = 200) -> web.Response:
    """One of ``FILES``, or 304 where the browser has it."""
    body = read_packaged("twinwatch.agent.local", f"page/{name}")
    tag = f'"{blake2b(body, digest_size=8).hexdigest()}"'
    headers = {
        **HEADERS,
        "Cache-Control": "no-cache",
        "ETag": tag,
        "Content-Security-Policy": POLICY,
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
    }
    if request.headers.get("If-None-Match") == tag:
        return web.Response(status=304, headers=headers)
    return web.Response(status=status, body=body, headers={**headers, "Content-Type": f"{FILES[name]}; charset=utf-8"})
