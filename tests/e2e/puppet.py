"""An agent on strings: it says to a real hub, over real HTTP, what a test wants said.

For what a real agent on this machine cannot be made to show: hundreds of checks, a backlog, a refused configuration.
"""

from __future__ import annotations

import json
import time
import urllib.request
import uuid
from dataclasses import dataclass
from typing import Any

import msgspec

from twinwatch.alerts.episodes import key_of
from twinwatch.protocol.alerts import AlertEvent, AlertEvents
from twinwatch.protocol.checks import CheckStanding, ConfigurationStanding, MonitorStanding, Report
from twinwatch.protocol.configuration import Configuration
from twinwatch.protocol.heartbeat import Delivery, Heartbeat
from twinwatch.protocol.hello import Register, Registered
from twinwatch.protocol.metrics import Catalogue
from twinwatch.protocol.samples import Batch, Frame, SeriesKey, shape_of

VERSION = "0.1.0"
NOTHING = ConfigurationStanding()


def now() -> int:
    """The wall clock, ms UTC."""
    return time.time_ns() // 1_000_000


@dataclass
class Puppet:
    """One registered server. Each method is one request."""

    url: str
    name: str
    enrolment_key: str
    _key: str = ""
    uuid: str = ""
    _sequence: int = 0
    _events: int = 0

    def register(self) -> None:
        """Comes to be known."""
        said = Register(install_id=str(uuid.uuid4()), server_name=self.name, agent_version=VERSION)
        answer = self._ask("POST", "register", said, key=self.enrolment_key)
        registered = msgspec.json.decode(answer, type=Registered)
        self.uuid, self._key = registered.server_uuid, registered.server_key

    def heartbeat(self, delivery: Delivery | None = None) -> None:
        """A sign of life."""
        self._ask("POST", "heartbeat", Heartbeat(self.uuid, now(), VERSION, delivery))

    def declare(self, catalogue: Catalogue) -> None:
        """Says what it measures and could watch."""
        whole = msgspec.structs.replace(catalogue, digest=catalogue.fingerprint())
        self._ask("POST", "catalogue", whole)

    def report(
        self,
        *,
        monitors: tuple[MonitorStanding, ...] = (),
        checks: tuple[CheckStanding, ...] = (),
        configuration: ConfigurationStanding = NOTHING,
    ) -> None:
        """Says how everything stands."""
        whole = Report(monitors=monitors, checks=checks, configuration=configuration)
        self._ask("POST", "report", msgspec.structs.replace(whole, digest=whole.fingerprint()))

    def measure(
        self,
        monitor: str,
        values: list[tuple[SeriesKey, float]],
        *,
        runs: int = 60,
        apart_ms: int = 15_000,
        ago_ms: int = 0,
    ) -> None:
        """Sends the same values for some runs, the last of them now or some time ago."""
        shape = shape_of(monitor, tuple(key for key, _ in values))
        newest = now() - ago_ms
        times = [newest - apart_ms * back for back in reversed(range(runs))]
        columns: list[list[float | None]] = [[value] * runs for _, value in values]
        self._sequence += 1
        self._ask("POST", "samples", Batch(self._sequence, now(), [Frame(shape.id, times, columns)], [shape]))

    def fires(self, thing: str, title: str, **fields: Any) -> AlertEvent:
        """A rule of its fires on a thing, and it leaves all telling to the hub."""
        at = now()
        rule = fields.pop("rule", "systemd: unit failed")
        whole = {
            "key": key_of(self.uuid, rule, thing, at),
            "kind": "fired",
            "at": at,
            "rule": rule,
            "thing": thing,
            "episode": at,
            "severity": "critical",
            "since": at,
            "title": title,
            **fields,
        }
        return self._happened(msgspec.convert({"number": 1, **whole}, AlertEvent))

    def recovers(self, fired: AlertEvent) -> None:
        """What had fired is well again."""
        self._happened(msgspec.structs.replace(fired, kind="resolved", at=now(), why="recovered"))

    def _happened(self, event: AlertEvent) -> AlertEvent:
        self._events += 1
        numbered = msgspec.structs.replace(event, number=self._events)
        self._ask("POST", "alerts", AlertEvents(events=(numbered,)))
        return numbered

    def configuration(self) -> Configuration:
        """What it is to watch."""
        return msgspec.json.decode(self._ask("GET", "configuration"), type=Configuration)

    def _ask(self, method: str, path: str, said: msgspec.Struct | None = None, *, key: str = "") -> bytes:
        request = urllib.request.Request(
            f"{self.url}/api/v1/agent/{path}",
            data=None if said is None else msgspec.json.encode(said),
            headers={
                "Authorization": f"Bearer {key or self._key}",
                "Content-Type": "application/json",
                "Accept": "application/json",
            },
            method=method,
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return bytes(answer.read())


def session_of(url: str, email: str, password: str) -> dict[str, Any]:
    """A person's new session."""
    return ask(url, "POST", "/auth/v1/token?grant_type=password", {"email": email, "password": password})


def person(url: str, email: str, password: str) -> str:
    """A person's access token."""
    return str(session_of(url, email, password)["access_token"])


def enrolment_key(url: str, token: str) -> str:
    """A key that lets puppets in."""
    me = ask(url, "GET", "/api/v1/me", token=token)
    asked = {"organization_id": me["organizations"][0]["id"], "name": "Puppets"}
    return str(ask(url, "POST", "/api/v1/enrolment-keys", asked, token=token)["key"])


def ask(url: str, method: str, path: str, body: object = None, *, token: str = "") -> dict[str, Any]:
    """One request of a person's; nothing is an empty answer."""
    request = urllib.request.Request(
        url + path,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        found: dict[str, Any] = json.loads(answer.read() or b"{}")
        return found
