"""``twinwatch drill --hub``: asks a running hub to send a marked test down every path, and waits for what comes of it.

It speaks to the hub as a person's browser does, so that it works on the hub's own machine and from any other, and shows
each path with when it was last proven.
"""

from __future__ import annotations

import argparse
import asyncio
import getpass
import json
import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from twinwatch.protocol.problem import Problem
from twinwatch.world.addresses import is_loopback
from twinwatch.world.http import AiohttpHttp, Answer, Http, Unreachable

REQUEST_SECONDS = 15.0
LOOK_SECONDS = 1.0
PATIENCE_SECONDS = 60.0
"""After so long the table is printed, whatever is still under way."""
UNPROVEN_DAYS = 30
HEAD = ("CHANNEL", "KIND", "FROM", "OUTCOME", "TOOK", "LAST PROVEN", "")
DAY_MILLISECONDS = 86_400_000


class NotDone(Exception):
    """The drill could not be begun; the message says why. ``unreachable``: nobody answered."""

    def __init__(self, message: str, *, unreachable: bool = False) -> None:
        self.unreachable = unreachable
        super().__init__(message)


class Path(msgspec.Struct, frozen=True):
    """One way that a message takes, and what came of it. Times are ms UTC."""

    channel: str
    kind: str
    sender: str
    """``hub``, or the server whose agent sends."""
    outcome: str
    """``delivered``, ``refused``, ``retry``, ``trying``; ``not tried``: this drill did not reach it."""
    reason: str = ""
    seconds: float | None = None
    proven_at: int | None = None
    tried_at: int = 0

    def is_unproven(self, now: int) -> bool:
        """Whether nothing has arrived that way for ``UNPROVEN_DAYS``."""
        return self.proven_at is None or now - self.proven_at > UNPROVEN_DAYS * DAY_MILLISECONDS

    def proven(self, now: int) -> str:
        """When it was last proven, for people."""
        if self.proven_at is None:
            return "never"
        days = (now - self.proven_at) // DAY_MILLISECONDS
        return "just now" if self.outcome == "delivered" else f"{days} d ago" if days else "today"


class Rehearsal(NamedTuple):
    """All paths of one organization. ``begun``: how many the hub says that it tries."""

    organization: str
    begun: int
    paths: tuple[Path, ...]

    @property
    def well(self) -> bool:
        """Whether there is a path, and each one was tried and delivers."""
        return bool(self.paths) and all(path.outcome == "delivered" for path in self.paths)

    def rows(self, now: int) -> list[tuple[str, ...]]:
        """A line of a table for each path, ``HEAD`` above it. ``now`` is ms UTC."""
        return [
            (
                path.channel,
                path.kind,
                path.sender,
                path.outcome,
                "" if path.seconds is None else f"{path.seconds:.2f} s",
                path.proven(now),
                path.reason or (f"unproven for {UNPROVEN_DAYS} days" if path.is_unproven(now) else ""),
            )
            for path in self.paths
        ]

    def summary(self) -> str:
        """In a sentence."""
        good = sum(path.outcome == "delivered" for path in self.paths)
        tried = sum(path.outcome != "not tried" for path in self.paths)
        return f"{self.organization}: {good} of {tried} paths that were tried deliver; {len(self.paths)} are known"


class Rehearser:
    """One person at one hub."""

    def __init__(self, http: Http, hub: str) -> None:
        self._http = http
        self._hub = hub.rstrip("/")
        self._token = ""

    async def sign_in(self, email: str, password: str) -> None:
        """With the password that signs in on the dashboard.

        Raises: NotDone.
        """
        said = {"email": email, "password": password}
        answer = await self._ask("POST", "/auth/v1/token?grant_type=password", said)
        self._token = str(answer["access_token"])

    def admit(self, token: str) -> None:
        """With an access token, where people sign in elsewhere."""
        self._token = token

    async def organization(self, name: str) -> tuple[str, str]:
        """Id and name of the organization of this name or id; of the only one where none is given.

        Raises: NotDone.
        """
        found = (await self._ask("GET", "/api/v1/me"))["organizations"]
        chosen = [one for one in found if not name or name in (one["name"], one["id"])]
        if len(chosen) != 1:
            names = ", ".join(sorted(one["name"] for one in found)) or "none"
            raise NotDone(f"which organization? Name one with --organization: {names}")
        return chosen[0]["id"], chosen[0]["name"]

    async def rehearse(
        self,
        organization: tuple[str, str],
        *,
        patience_seconds: float = PATIENCE_SECONDS,
        look_seconds: float = LOOK_SECONDS,
    ) -> Rehearsal:
        """Begin, and wait until every path has come to something, or the patience is at its end.

        Raises: NotDone.
        """
        identity, name = organization
        before = {place: tried for place, (tried, _) in (await self._paths(identity)).items()}
        begun = (await self._ask("POST", "/api/v1/drills", {"organization_id": identity}))["paths"]
        loop = asyncio.get_running_loop()
        until = loop.time() + patience_seconds
        while True:
            found = await self._paths(identity)
            done = [
                path
                for place, (tried, path) in found.items()
                if tried != before.get(place) and path.outcome in ("delivered", "refused")
            ]
            if len(done) >= begun or loop.time() >= until:
                break
            await asyncio.sleep(look_seconds)
        paths = [
            path if tried != before.get(place) else msgspec.structs.replace(path, outcome="not tried")
            for place, (tried, path) in found.items()
        ]
        return Rehearsal(name, begun, tuple(sorted(paths, key=_order)))

    async def _paths(self, organization: str) -> dict[tuple[str, str], tuple[int, Path]]:
        answer = await self._ask("GET", f"/api/v1/channels?organization_id={organization}")
        found = {}
        for channel in answer["channels"]:
            for path in channel["paths"]:
                place = (channel["id"], path["server_id"] or "")
                found[place] = (
                    path["tried_at"],
                    Path(
                        channel=channel["name"],
                        kind=channel["kind"],
                        sender=path["server"] or "hub",
                        outcome=path["outcome"],
                        reason=path["reason"],
                        seconds=path["seconds"],
                        proven_at=path["proven_at"],
                        tried_at=path["tried_at"],
                    ),
                )
        return found

    async def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        headers = {"Accept": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        if body is not None:
            headers["Content-Type"] = "application/json"
        content = None if body is None else json.dumps(body).encode()
        try:
            answer = await self._http.request(
                method, f"{self._hub}{path}", headers=headers, body=content, timeout_seconds=REQUEST_SECONDS
            )
        except Unreachable as err:
            raise NotDone(f"{self._hub}: {err}", unreachable=True) from err
        if not 200 <= answer.status < 300:
            raise NotDone(f"{self._hub}: {_reason(answer)}")
        try:
            return json.loads(answer.body)
        except ValueError as err:
            raise NotDone(f"{self._hub} answers, but not as a twinwatch hub does", unreachable=True) from err


def _order(path: Path) -> tuple[str, bool, str]:
    return path.channel.lower(), path.sender != "hub", path.sender.lower()


def _reason(answer: Answer) -> str:
    try:
        said = json.loads(answer.body)
        return str(said.get("msg") or msgspec.convert(said, Problem, strict=False).detail or answer.status)
    except (ValueError, msgspec.MsgspecError, AttributeError):
        return f"answered {answer.status}"


async def held(
    args: argparse.Namespace,
    environment: Mapping[str, str] = os.environ,
    *,
    http: Http | None = None,
    ask_password: Callable[[str], str] = getpass.getpass,
) -> Rehearsal:
    """The drill that the arguments ask for.

    Raises: NotDone.
    """
    parts = urlsplit(args.hub)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise NotDone(f"{args.hub}: expected the hub's address, such as https://hub.example.org")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise NotDone(f"{args.hub}: a password is not sent over plain http; use https")
    door = http or AiohttpHttp()
    try:
        person = Rehearser(door, args.hub)
        token, email = environment.get("TWINWATCH_TOKEN", ""), args.email or environment.get("TWINWATCH_EMAIL", "")
        if token:
            person.admit(token)
        elif email:
            password = environment.get("TWINWATCH_PASSWORD") or ask_password(f"Password of {email}: ")
            await person.sign_in(email, password)
        else:
            raise NotDone("who asks? Give --email, or an access token in TWINWATCH_TOKEN")
        return await person.rehearse(await person.organization(args.organization or ""))
    finally:
        if http is None:
            await door.close()  # type: ignore[attr-defined]
