"""A request to a provider, and the outcome that its answer means.

408, 425, 429 and 5yz are tried again, when the provider says so; any other 4yz is for good, and so is a redirect, which
is not followed. No answer is tried again; what the guard does not let out is for good.
Source: RFC 9110 (status codes, Retry-After), RFC 6585 (429), RFC 8470 (425).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from twinwatch.notify import Delivered, Outcome, Refused, Retry
from twinwatch.notify.wording import line
from twinwatch.world.doors import Outside
from twinwatch.world.http import Answer, NotAllowed, Unreachable
from twinwatch.world.secret import Secret, hidden

PASSING = frozenset({408, 425, 429})
LONGEST_WAIT_SECONDS = 3600.0
"""Whoever asks for more gets that: an alert is of today."""
SAID_CHARACTERS = 200


async def post(
    outside: Outside,
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes,
    timeout_seconds: float,
    secrets: Sequence[Secret] = (),
) -> Answer | Retry | Refused:
    """The answer to a POST, whatever its status; ``Retry`` or ``Refused`` if there was none."""
    try:
        return await outside.http.request(
            "POST", url, headers=dict(headers), body=body, timeout_seconds=timeout_seconds
        )
    except NotAllowed as err:
        return Refused(line(hidden(str(err), *secrets)))
    except Unreachable as err:
        return Retry(line(hidden(str(err), *secrets)))


def judged(answer: Answer, *, now: int, told: str = "") -> Outcome:
    """What the status means. ``told`` is what the provider said, without secrets."""
    what = f"{answer.status}: {told}" if told else f"{answer.status}"
    if 200 <= answer.status < 300:
        return Delivered()
    if 300 <= answer.status < 400:
        return Refused(f"the answer was {answer.status}, a redirect, which is not followed")
    if answer.status in PASSING or answer.status >= 500:
        return Retry(f"the answer was {what}", retry_after(answer, now))
    return Refused(f"the answer was {what}")


def retry_after(answer: Answer, now: int) -> float | None:
    """The seconds that the answer asks to wait; None if it does not. ``now`` is ms UTC, for one that names a date."""
    text = answer.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:10]), LONGEST_WAIT_SECONDS)
    try:
        until = parsedate_to_datetime(text)
        seconds = (until if until.tzinfo else until.replace(tzinfo=UTC)).timestamp() - now / 1000
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(seconds, 0.0), LONGEST_WAIT_SECONDS)


def said(answer: Answer, *secrets: Secret) -> str:
    """The beginning of the answer's body as a line, without these secrets."""
    return line(hidden(answer.body.decode("utf-8", "replace"), *secrets), SAID_CHARACTERS)


def fields_of(answer: Answer) -> dict[str, Any]:
    """The answer's body as a JSON object; empty if it is none."""
    try:
        found = msgspec.json.decode(answer.body)
    except (msgspec.MsgspecError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
