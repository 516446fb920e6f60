"""Who appears in the tests of checks and configurations: what the puppet declares, and how it fares."""

from __future__ import annotations

from dataclasses import dataclass

from tests.e2e.puppet import Puppet
from twinwatch.protocol.checks import CheckStanding, MonitorStanding
from twinwatch.protocol.metrics import Catalogue, Chart, Metric, MonitorFacts, MonitorKind
from twinwatch.protocol.rules import Rule

NGINX = CheckStanding("systemd:nginx.service", "systemd", "up")
UNITS = tuple(CheckStanding(f"systemd:unit-{number}.service", "systemd", "up") for number in range(30))
SYSTEMD = MonitorStanding("systemd", "systemd", "file", "ok", "", 60.0)
SYSTEM = MonitorStanding("system", "system", "default", "ok", "", 15.0)
PAGES = MonitorKind(
    "pages",
    "Pages",
    "Asks web pages how they are.",
    30.0,
    {
        "type": "object",
        "properties": {
            "endpoints": {"type": "array", "title": "Pages", "items": {"$ref": "#/$defs/Page"}, "minItems": 1},
            "strict": {"type": "boolean", "default": True, "title": "Strict"},
        },
        "required": ["endpoints"],
        "additionalProperties": False,
        "$defs": {
            "Page": {
                "type": "object",
                "properties": {
                    "url": {"type": "string", "title": "Address", "pattern": "^https?://"},
                    "timeout": {"type": "string", "format": "duration", "title": "Patience", "default": "10s"},
                    "method": {"enum": ["GET", "HEAD"], "default": "GET", "title": "Method"},
                    "token": {
                        "anyOf": [{"type": "string", "format": "password"}, {"type": "null"}],
                        "default": None,
                        "title": "Token",
                    },
                    "status": {"type": "array", "items": {"type": "integer"}, "default": [200], "title": "Status"},
                    "headers": {
                        "type": "object",
                        "additionalProperties": {"type": "string"},
                        "default": {},
                        "title": "Headers",
                    },
                },
                "required": ["url"],
            }
        },
    },
)


def metrics(name: str, title: str, count: int) -> MonitorFacts:
    """A monitor with a chart for each of its metrics."""
    names = [f"{name}.figure_{number}" for number in range(count)]
    return MonitorFacts(
        name,
        title,
        15.0,
        tuple(Metric(one, "1", f"What {one} says") for one in names),
        tuple(Chart(one, (one,), ("twinwatch.monitor.name",)) for one in names),
        rules=(Rule("first figure is high", metric=names[0], above=0.95, hold="5m"),),
    )


CATALOGUE = Catalogue("0.2.0", (metrics("app", "Apps", 40),), {"os.description": "Debian GNU/Linux 13"}, (PAGES,))


@dataclass
class Told:
    """What the puppet was told to watch, and the page that tells it."""

    puppet: Puppet
    token: str
    organization: str
