"""Kinds of monitors for these tests: as the specification's example wants them, whatever is installed."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, cast

from msgspec import Meta, Struct, structs

from twinwatch.agent.configuration import Configurator, Sources
from twinwatch.monitors import Finding, Moment, Monitor, Options, Part, Program, SecretText
from twinwatch.monitors.discover import Found
from twinwatch.monitors.options import lasting
from twinwatch.protocol.durations import Duration
from twinwatch.world.doors import World
from twinwatch.world.plugins import Flaw


class NoOptions(Options, frozen=True, kw_only=True):
    metrics: tuple[str, ...] = ()


class ConnectionOptions(Options, frozen=True, kw_only=True):
    connection: SecretText
    pool: Annotated[int, Meta(ge=1, le=10)] = 1
    deep: bool = False


class Endpoint(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    url: Annotated[str, Meta(min_length=1)]
    expected_status: int = 200
    check_interval: Duration | None = None
    password: SecretText | None = None
    headers: dict[str, SecretText] = {}


class EndpointOptions(Options, frozen=True, kw_only=True):
    endpoints: Annotated[tuple[Endpoint, ...], Meta(min_length=1)]


class ClientOptions(Options, frozen=True, kw_only=True):
    command: Annotated[Program, Meta(title="Command", min_length=1)] = "tailscale"


class ServiceOptions(Options, frozen=True, kw_only=True):
    services: tuple[str, ...] = ()


class CommandOptions(Options, frozen=True, kw_only=True):
    command: tuple[str, ...]
    timeout: Duration = lasting("10s")


def kind(called: str, options: type[Options], seconds: float = 15.0) -> type[Monitor]:
    class Kind:
        name: ClassVar[str] = called
        title: ClassVar[str] = called
        Options: ClassVar[type[Options]] = options
        interval_seconds: ClassVar[float] = seconds
        deadline_seconds: ClassVar[float] = 10.0
        metrics = charts = headlines = ()

        def __init__(self, options: Any) -> None: ...

        async def read(self, world: World, moment: Moment) -> Sequence[Finding]:
            return []

    return cast("type[Monitor]", Kind)


class Http(kind("http", EndpointOptions)):  # type: ignore[misc]
    @classmethod
    def split(cls, options: EndpointOptions) -> list[Part]:
        return [
            Part(one.url, structs.replace(options, endpoints=(one,)), one.check_interval) for one in options.endpoints
        ]


FOUND = Found(
    {
        "system": kind("system", NoOptions),
        "tailscale": kind("tailscale", ClientOptions, 30.0),
        "postgres": kind("postgres", ConnectionOptions),
        "http": Http,
        "systemd": kind("systemd", ServiceOptions),
        "exec": kind("exec", CommandOptions, 60.0),
    },
    (Flaw("entry point broken = acme:Broken", "cannot be loaded: ImportError: no acme"),),
    {"postgresql": "postgres"},
)


class Desk:
    """A folder with a configuration file, and the configurator that reads it."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.file = folder / "agent.yaml"
        self.state = folder / "state"
        self.state.mkdir(exist_ok=True)
        self.environment = {"TWINWATCH_STATE_DIR": str(self.state), **environment}

    def write(self, text: str, mode: int = 0o600) -> None:
        self.file.write_text(text)
        self.file.chmod(mode)

    def write_monitors(self, *lines: str, head: str = "") -> None:
        listed = "\n".join(f"  {line}" for line in lines)
        self.write(f"hub: https://h\n{head}monitors:\n{listed}\n" if lines else f"hub: https://h\n{head}")

    def source(self) -> Sources:
        return Sources(argparse.Namespace(config=str(self.file)), self.environment)

    def configurator(self, *, read_only: bool = False) -> Configurator:
        return Configurator(self.source(), FOUND, environment=self.environment, read_only=read_only)


def options_in(found: Configurator) -> dict[str, Any]:
    """The options of each planned monitor, by name."""
    return {one.name: one.options for one in found.plan.monitors}
