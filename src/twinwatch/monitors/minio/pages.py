"""Fetches MinIO's metrics: which version this server has, and which pages of it.

Source: https://min.io/docs/minio/linux/operations/monitoring/collect-minio-metrics-using-prometheus.html.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from twinwatch.world.http import Http, Unreachable
from twinwatch.world.secret import Secret

TIMEOUT_SECONDS = 12.0
Version = Literal["v3", "v2"]
ROOTS: dict[Version, str] = {"v3": "/minio/metrics/v3", "v2": "/minio/v2/metrics"}
PAGES: dict[Version, tuple[str, ...]] = {
    "v3": (
        "/cluster/health",
        "/cluster/erasure-set",
        "/cluster/usage/objects",
        "/api/requests",
        "/system/drive",
        "/system/process",
        "/replication",
        "/scanner",
    ),
    "v2": ("/cluster", "/node"),
}
"""The first one is owed; the others are not there in every release."""
USAGE: dict[Version, str] = {"v3": "/cluster/usage/buckets", "v2": "/bucket"}
"""A line per bucket and more: read seldom, as the scanner counts seldom."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why there are no pages. ``reason`` is a slug."""

    reason: str
    message: str


async def found_version(http: Http, base: str, token: Secret | None) -> Version | Problem:
    """The newest version that this server shows us."""
    problems: list[Problem] = []
    for version, root in ROOTS.items():
        page = await _page(http, base + root + PAGES[version][0], token)
        if isinstance(page, str):
            return version
        problems.append(page)
        if page.reason == "unreachable":
            break
    return next((one for one in problems if one.reason != "not-there"), problems[0])


async def fetched(
    http: Http, base: str, token: Secret | None, version: Version, paths: Sequence[str]
) -> tuple[list[str], list[Problem]]:
    """These pages side by side: those that came, and what is wrong with others. One that is not there is left out."""
    answers = await asyncio.gather(*(_page(http, base + ROOTS[version] + path, token) for path in paths))
    pages = [answer for answer in answers if isinstance(answer, str)]
    problems = [answer for answer in answers if isinstance(answer, Problem) and answer.reason != "not-there"]
    return pages, problems


async def _page(http: Http, url: str, token: Secret | None) -> str | Problem:
    headers = {"Accept": "text/plain;version=0.0.4"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token.reveal()}"
    try:
        answer = await http.request("GET", url, headers=headers, timeout_seconds=TIMEOUT_SECONDS)
    except Unreachable as err:
        return Problem("unreachable", f"{url}: {err}")
    match answer.status:
        case 200:
            return answer.body.decode("utf-8", "replace")
        case 401 | 403 if token is None:
            return Problem(
                "no-token", f"{url} wants a token: mc admin prometheus generate ALIAS, and set it as metrics_token_file"
            )
        case 401 | 403:
            return Problem(
                "bad-token",
                f"{url} refuses the metrics_token: make a new one with mc admin prometheus generate ALIAS",
            )
        case 404:
            return Problem("not-there", f"{url} is not there")
    return Problem("wrong-status", f"{url} answers {answer.status}, expected 200")
