"""The first request waits for nothing that could have been made before."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType

from fastapi import FastAPI

from twinwatch.hub.main import application, make_routes

CHART = {
    "type": "http",
    "method": "GET",
    "path": "/api/v1/servers/00000000-0000-0000-0000-000000000000/range",
    "root_path": "",
    "headers": [],
}


def test_routes_that_were_made_are_not_made_by_the_first_request() -> None:
    fresh, made = application(None), application(None)
    make_routes(made)
    assert calls(lambda: hold(made)) < calls(lambda: hold(fresh)) / 10


def hold(app: FastAPI) -> None:
    for route in app.routes:
        route.matches(dict(CHART))


def calls(work: Callable[[], None]) -> int:
    """How many functions it calls: a measure of work that no other load on the machine changes."""
    count = 0

    def counted(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count
