"""The exec monitor: programs that speak as Nagios plug-ins do, of which there are thousands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from twinwatch.monitors import Check, Finding, Moment, Options, Part, Reading, SecretText
from twinwatch.monitors.digits import rate
from twinwatch.monitors.options import lasting
from twinwatch.monitors.perfdata import Performance, read
from twinwatch.monitors.rates import Rates
from twinwatch.protocol.checks import CheckState
from twinwatch.protocol.durations import Duration
from twinwatch.protocol.limits import MESSAGE_CHARACTERS
from twinwatch.protocol.metrics import Chart, Headline, Metric
from twinwatch.protocol.rules import Rule
from twinwatch.world.commands import CommandFailed
from twinwatch.world.doors import World

OUTPUT_BYTES = 16 << 10
STATES: dict[int, tuple[CheckState, str]] = {0: ("up", ""), 1: ("degraded", "warning"), 2: ("down", "critical")}
KINDS = {
    "seconds": "exec.value.seconds",
    "bytes": "exec.value.bytes",
    "percent": "exec.value.percent",
    "value": "exec.value",
    "counter": "exec.value.rate",
}
BY = ("exec.name", "exec.label")


class Command(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One program to run."""

    name: Annotated[str, Meta(min_length=1, max_length=100, title="Name", description="What its check is called.")]
    command: Annotated[
        tuple[Annotated[str, Meta(max_length=4096)], ...],
        Meta(min_length=1, max_length=100, title="Command", description="The program's full path and its arguments."),
    ]
    environment: Annotated[
        dict[str, SecretText],
        Meta(title="Environment", description="Variables that the program gets; the agent's own are not handed on."),
    ] = {}
    check_interval: Annotated[
        Duration | None, Meta(title="Interval", description="How often it runs; the monitor's own interval if not set.")
    ] = None
    timeout: Annotated[
        Duration, Meta(title="Timeout", description="After so long it is killed, and everything that it has started.")
    ] = lasting("10s")


class ExecOptions(Options, frozen=True, kw_only=True):
    """Which programs are run."""

    commands: Annotated[
        tuple[Command, ...], Meta(min_length=1, max_length=100, title="Commands", description="The programs to run.")
    ]


class Exec:
    """Runs programs that follow the Nagios plug-in protocol and takes their exit code, message and performance data.

    Exit code 0 is up, 1 degraded, 2 down, anything else unknown. The first line is the check's message. No shell is
    involved: what is to be piped belongs into a script. The agent's environment is not handed on.
    Source: https://nagios-plugins.org/doc/guidelines.html.
    Cost: a process per run.
    Rights: those of the agent's user; what needs more can be allowed in sudoers for just that command.
    """

    name: ClassVar[str] = "exec"
    title: ClassVar[str] = "Programs"
    Options: ClassVar[type[Options]] = ExecOptions
    interval_seconds: ClassVar[float] = 60.0
    deadline_seconds: ClassVar[float] = 60.0
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("exec.duration", "s", "How long the program ran.", good="low"),
        Metric("exec.exit_code", "{code}", "The program's exit code."),
        Metric("exec.value", "{value}", "What the program measured, in a unit of its own."),
        Metric("exec.value.seconds", "s", "Durations that the program measured."),
        Metric("exec.value.bytes", "By", "Sizes that the program measured."),
        Metric("exec.value.percent", "%", "Percentages that the program measured."),
        Metric("exec.value.rate", "{count}/s", "What a counter of the program's grew by, per second."),
    )
    charts: ClassVar[tuple[Chart, ...]] = (
        Chart("Program run time", ("exec.duration",), by=("exec.name",)),
        Chart("Program values", ("exec.value",), by=BY),
        Chart("Program durations", ("exec.value.seconds",), by=BY),
        Chart("Program sizes", ("exec.value.bytes",), by=BY),
        Chart("Program percentages", ("exec.value.percent",), by=BY),
        Chart("Program counters", ("exec.value.rate",), by=BY),
    )
    headlines: ClassVar[tuple[Headline, ...]] = ()
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("check critical", severity="critical", check="*"),
        Rule("check warning", check="*", states=("degraded",)),
    )

    def __init__(self, options: ExecOptions) -> None:
        self._commands = options.commands
        self._rates = {command.name: Rates() for command in options.commands}

    @classmethod
    def split(cls, options: ExecOptions) -> Sequence[Part]:
        """A part per program: one that hangs delays no other."""
        return [
            Part(command.name, msgspec.structs.replace(options, commands=(command,)), command.check_interval)
            for command in options.commands
        ]

    async def read(self, world: World, moment: Moment) -> list[Finding]:
        """One run of each program."""
        found: list[Finding] = []
        for command in self._commands:
            found += await self._run(world, command, moment)
        return found

    async def _run(self, world: World, command: Command, moment: Moment) -> list[Finding]:
        began = world.clock.monotonic()
        environment = {name: value.reveal() for name, value in command.environment.items()}
        try:
            ended = await world.commands.run(
                command.command,
                environment=environment,
                timeout_seconds=command.timeout,
                output_bytes=OUTPUT_BYTES,
            )
        except CommandFailed as err:
            return [Check(command.name, "unknown", _without(str(err), environment), "not-run")]
        duration = max(world.clock.monotonic() - began, 0.0)
        message, values = read(_without(ended.output, environment))
        labels = {"exec.name": command.name}
        found: list[Finding] = [
            Reading("exec.duration", round(duration, 4), labels),
            Reading("exec.exit_code", abs(ended.code), labels),
        ]
        found += self._values(command.name, values, moment)
        return [*found, _check(command.name, ended.code, message, _without(ended.errors, environment))]

    def _values(self, name: str, values: Sequence[Performance], moment: Moment) -> list[Finding]:
        rates = self._rates[name]
        rates.begin(moment.monotonic_seconds)
        found: list[Finding] = []
        for label, kind, value in values:
            labels = {"exec.name": name, "exec.label": label}
            if kind != "counter":
                if value >= 0 or kind in ("value", "seconds", "percent"):
                    found.append(Reading(KINDS[kind], value, labels))
            elif grown := rates.growth(label, (int(value),)):
                found.append(Reading(KINDS[kind], rate(grown[0] / rates.seconds), labels))
        return found


def _check(name: str, code: int, message: str, errors: str) -> Check:
    state, reason = STATES.get(code, ("unknown", "unknown"))
    if code < 0:
        reason, message = "killed", f"killed by signal {-code}; {message}".rstrip("; ")
    elif code > 3:
        reason = "failed"
    if not message:
        message = errors.strip().partition("\n")[0] or f"exit code {code}, and no message"
    text = "".join(letter if letter.isprintable() else " " for letter in message)
    return Check(name, state, text[:MESSAGE_CHARACTERS], reason)


def _without(text: str, environment: Mapping[str, str]) -> str:
    """The text without the values that were handed to the program: one may be a password."""
    for value in environment.values():
        if len(value) >= 4:
            text = text.replace(value, "***")
    return text
