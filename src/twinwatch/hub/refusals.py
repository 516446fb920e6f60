"""Refused requests: raised where the reason is known, turned into a problem response at the edge."""

from __future__ import annotations

from twinwatch.protocol.problem import PROBLEM_PREFIX, Problem

DELETED = "This server was deleted from its organization."


class Refused(Exception):
    """A request that cannot be granted. ``slug`` is for programs, ``detail`` says what to do about it."""

    def __init__(
        self,
        status: int,
        slug: str,
        title: str,
        detail: str,
        *,
        limit: int | None = None,
        shapes: list[str] | None = None,
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(f"{slug}: {detail}")
        self.status = status
        self.slug = slug
        self.title = title
        self.detail = detail
        self.limit = limit
        self.shapes = shapes or []
        self.retry_after_seconds = retry_after_seconds

    def problem(self, request_id: str) -> Problem:
        """As it goes over the wire."""
        return Problem(
            type=PROBLEM_PREFIX + self.slug,
            title=self.title,
            status=self.status,
            detail=self.detail,
            request_id=request_id,
            limit=self.limit,
            shapes=self.shapes,
        )


def unauthorized(detail: str) -> Refused:
    """No key or token, or one that is not known."""
    return Refused(401, "unauthorized", "Not signed in", detail)


def forbidden(detail: str) -> Refused:
    """Known, but not allowed to do this."""
    return Refused(403, "forbidden", "Not allowed", detail)


def not_found(what: str) -> Refused:
    """Not there, or not to be seen by this person: the answer is the same."""
    detail = f"There is no such {what}, or it belongs to an organization that is not yours."
    return Refused(404, "not-found", "Not found", detail)


def invalid(detail: str) -> Refused:
    """Understood, but a value is not lawful."""
    return Refused(422, "invalid", "Invalid value", detail)


def over_limit(detail: str, limit: int) -> Refused:
    """Lawful in form, but beyond a bound that the detail names."""
    return Refused(422, "limit", "Limit exceeded", detail, limit=limit)


def unavailable(detail: str, retry_after_seconds: int = 5) -> Refused:
    """The hub cannot do it now; the same request may succeed later."""
    return Refused(503, "unavailable", "Unavailable", detail, retry_after_seconds=retry_after_seconds)


def too_many(detail: str, retry_after_seconds: int) -> Refused:
    """Asked too often."""
    return Refused(429, "rate-limited", "Too many requests", detail, retry_after_seconds=retry_after_seconds)
