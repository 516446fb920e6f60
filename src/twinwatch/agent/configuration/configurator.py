"""What is in force now: the file's and the hub's configuration merged, kept, watched and taken anew.

Invariants: what is in force was found lawful as a whole; a new file or bundle that is not changes nothing but
``standing``. Nothing here waits for the network: the hub's bundle is handed in by ``take``.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import msgspec

from twinwatch.agent.alerting.addressing import FileAlerts
from twinwatch.agent.configuration.bundle import Refusal, entries_of, keep_bundle, load_bundle
from twinwatch.agent.configuration.entries import Entry, Kinds, Outcome, judge
from twinwatch.agent.configuration.problems import Misconfigured, Path, Problems, spelled_path
from twinwatch.agent.configuration.settings import LIVE, Settings
from twinwatch.agent.configuration.shapes import masked
from twinwatch.agent.configuration.sources import Source, Wanted
from twinwatch.agent.configuration.thresholds import merged, rules_of
from twinwatch.agent.plan import Plan, Planned
from twinwatch.monitors.discover import Found
from twinwatch.protocol import limits
from twinwatch.protocol.checks import ConfigurationStanding, Origin
from twinwatch.protocol.configuration import Configuration
from twinwatch.protocol.rules import Rule

LOOK_SECONDS = 0.8
"""Between two looks at the file. A change is read once it was the same for two looks: so within two seconds."""
DEFAULT = "system"
"""The type that runs where nobody mentions it."""

_log = logging.getLogger(__name__)


class EffectiveMonitor(msgspec.Struct, frozen=True):
    """One monitor as it is configured here, for people. Secrets in ``options`` are ``***``, references as written."""

    name: str
    type: str
    origin: Origin
    runs: bool
    reason: str = ""
    """Why it does not run; or what of the same name it stands before."""
    interval_seconds: float = 0.0
    deadline_seconds: float = 0.0
    parts: int = 1
    options: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class _Hub:
    """What the hub's bundle comes to here."""

    configuration: Configuration = field(default_factory=Configuration)
    outcomes: tuple[Outcome, ...] = ()
    rules: tuple[Rule, ...] = ()
    problems: tuple[str, ...] = ()
    refusals: tuple[Refusal, ...] = ()


class Configurator:
    """The configuration in force. ``found`` are the kinds of monitors that there are.

    ``read_only`` leaves the state directory as it is: for commands that only look.
    """

    def __init__(
        self,
        source: Source,
        found: Found,
        *,
        environment: Mapping[str, str] = os.environ,
        read_only: bool = False,
    ) -> None:
        """Read everything, and the hub's bundle that was kept.

        Raises: Misconfigured with all that is wrong.
        """
        self._source = source
        self._kinds = Kinds(found)
        self._environment = environment
        self._read_only = read_only
        self._callbacks: list[Callable[[], None]] = []
        self._stamp = source.stamp()
        self._wanted = self._read()
        self._settings = self._wanted.settings
        self._restart: tuple[str, ...] = ()
        self._file_problems: tuple[str, ...] = ()
        self._take_problems: tuple[str, ...] = ()
        self._refused = 0
        kept = Problems()
        bundle = load_bundle(self._settings.state_dir, self._settings.hub, kept, set_aside=not read_only)
        self._kept_problems = tuple(kept.found)
        self._hub = self._judged_bundle(bundle)
        self._compose()
        for problem in self.standing.problems:
            _log.warning("%s", problem)

    @property
    def settings(self) -> Settings:
        """The settings in force. Those outside of ``settings.LIVE`` stay as they were at the start."""
        return self._settings

    @property
    def plan(self) -> Plan:
        """What shall run."""
        return self._plan

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules of the file and the hub."""
        return self._rules

    @property
    def alerts(self) -> FileAlerts:
        """What the file says of telling people."""
        return self._wanted.alerts

    @property
    def version(self) -> int:
        """The hub's version in force; 0: none."""
        return self._hub.configuration.version

    @property
    def standing(self) -> ConfigurationStanding:
        """What became of the file and of the hub's version, for the report, the log and the local page."""
        return self._standing

    def wants(self, version: int) -> bool:
        """Whether the hub's version is one to fetch: neither in force nor refused already."""
        return version not in (self.version, self._refused)

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call this after each change of plan, rules, settings or standing."""
        self._callbacks.append(callback)

    async def reload(self) -> None:
        """Read everything anew, as at SIGHUP. A configuration that cannot be changes nothing but ``standing``."""
        self._reload()

    async def watch(self) -> None:
        """Reload whenever the file changes, until cancelled: noticed within two seconds, however it was replaced."""
        seen = self._stamp
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            stamp = self._source.stamp()
            if stamp == seen and stamp != self._stamp:
                self._reload()
                seen = self._stamp
            else:
                seen = stamp

    async def take(self, configuration: Configuration) -> bool:
        """Take a bundle of the hub's: judged as a whole, kept, in force. Whether it was taken is the result.

        A bundle with a bad entry is refused, and the one before stays in force. An entry that this server's owner does
        not allow a hub to make is left out, and the rest is taken.
        """
        before = self._before()
        if configuration.version == self.version and configuration == self._hub.configuration:
            return True
        wanted = _Hub()
        if not self._settings.remote.taken:
            problems = [f"hub: version {configuration.version} is not taken: the file says remote: false"]
        else:
            wanted = self._judged_bundle(configuration)
            problems = list(wanted.problems)
        if problems:
            self._refused = configuration.version
            self._take_problems = tuple(problems)
            self._compose()
            for problem in problems:
                _log.error("the hub's configuration %d is refused: %s", configuration.version, problem)
            self._tell(before)
            return False
        self._hub = wanted
        self._refused = 0
        self._take_problems = ()
        self._kept_problems = ()
        if not self._read_only:
            try:
                keep_bundle(self._settings.state_dir, self._settings.hub, configuration)
            except OSError as err:
                self._kept_problems = (
                    f"{self._settings.state_dir}: the hub's configuration cannot be kept: "
                    f"{(err.strerror or str(err)).lower()}; it is in force until a restart",
                )
        self._compose()
        _log.info("configuration %d of the hub is in force", configuration.version)
        self._tell(before)
        return True

    def effective(self) -> list[EffectiveMonitor]:
        """Every monitor that anybody mentions, by name, and where it comes from."""
        shown = [self._shown(outcome) for outcome in self._outcomes]
        shown += [self._shown(outcome, f"the {winner}'s is in force") for outcome, winner in self._beaten]
        shown += [
            EffectiveMonitor(refusal.name, "", "hub", runs=False, reason=refusal.problem)
            for refusal in self._hub.refusals
        ]
        return sorted(shown, key=lambda one: (one.name, not one.runs, one.origin))

    def effective_settings(self) -> list[tuple[str, str, str]]:
        """Name, value and origin of each setting. Secrets are ``***``."""
        return [
            (each.name, _spelled(getattr(self._settings, each.name)), self._wanted.origins.get(each.name, "default"))
            for each in fields(Settings)
        ]

    def _read(self) -> Wanted:
        """Read the source, and note what it looked like: of a file that changes meanwhile, what it was before.

        Raises: Misconfigured.
        """
        before = self._source.stamp()
        try:
            return self._source.read(self._kinds)
        finally:
            after = self._source.stamp()
            self._stamp = after if after[:1] == before[:1] else before

    def _reload(self) -> None:
        before = self._before()
        try:
            wanted = self._read()
        except Misconfigured as err:
            # Every way of reading it names every problem, hence one line in the log for each that is new.
            for problem in err.problems:
                if problem not in self._file_problems:
                    _log.error("the configuration stays as it was: %s", problem)
            self._file_problems = err.problems
        else:
            self._wanted = wanted
            self._file_problems = ()
            self._settle(wanted)
            self._hub = self._judged_bundle(self._hub.configuration if self._settings.remote.taken else Configuration())
        self._compose()
        if self._tell(before) and not self._file_problems:
            _log.info("the configuration was read anew; it makes %d run", len(self._plan.monitors))

    def _settle(self, wanted: Wanted) -> None:
        """Take the settings that can change in a running agent, and say which wait."""
        fresh = wanted.settings
        waiting = [
            each.name
            for each in fields(Settings)
            if each.name not in LIVE and getattr(fresh, each.name) != getattr(self._settings, each.name)
        ]
        place = f"{wanted.file}: " if wanted.file else ""
        self._restart = tuple(f"{place}{name} has changed; restart the agent to use it" for name in waiting)
        if fresh.remote.taken and not self._settings.remote.taken:
            self._refused, self._take_problems = 0, ()
        live = {name: getattr(fresh, name) for name in LIVE}
        self._settings = replace(self._settings, **live)

    def _judged_bundle(self, configuration: Configuration) -> _Hub:
        """What a bundle comes to here. Entries with problems are among none of the outcomes."""
        settings = self._settings
        if not settings.remote.taken:
            return _Hub()
        problems = Problems()
        entries, refusals = entries_of(configuration, self._kinds, settings.remote, self._environment, problems)
        outcomes = []
        for entry in entries:
            before = len(problems.found)
            outcome = judge(entry, self._kinds, problems, settings.monitor_seconds)
            if len(problems.found) == before:
                outcomes.append(outcome)

        def where(path: Path) -> str:
            return f"hub: {spelled_path(('rules', *path))}"

        rules = rules_of([msgspec.to_builtins(rule) for rule in configuration.rules], where, problems)
        return _Hub(configuration, tuple(outcomes), rules, tuple(problems.found), tuple(refusals))

    def _compose(self) -> None:
        """Merge file, hub and default by name."""
        ours, theirs = self._wanted.outcomes, self._hub.outcomes
        first, second = (theirs, ours) if self._settings.precedence == "hub" else (ours, theirs)
        names = {outcome.entry.name: outcome.entry.origin for outcome in first}
        self._beaten = [(one, names[one.entry.name]) for one in second if one.entry.name in names]
        outcomes = [*first, *(one for one in second if one.entry.name not in names)]
        if self._kinds.get(DEFAULT) is not None and not any(one.entry.type == DEFAULT for one in outcomes):
            plain = Entry(DEFAULT, DEFAULT, "default")
            outcomes.append(judge(plain, self._kinds, Problems(), self._settings.monitor_seconds))
        self._outcomes: Sequence[Outcome] = outcomes
        planned = sorted((one for outcome in outcomes for one in outcome.planned), key=lambda one: one.label)
        self._plan = Plan(_distinct(planned))
        hub_first = self._settings.precedence == "hub"
        self._rules = (
            merged(self._hub.rules, self._wanted.rules) if hub_first else merged(self._wanted.rules, self._hub.rules)
        )
        left_out = [f"{one.entry.where(('type',))}: {one.reason}" for one in outcomes if _is_flawed(one)]
        told = (
            *self._file_problems,
            *self._restart,
            *left_out,
            *self._take_problems,
            *(self._hub.problems if not self._take_problems else ()),
            *(refusal.problem for refusal in self._hub.refusals),
            *self._kept_problems,
        )
        self._standing = ConfigurationStanding(
            version=self.version,
            refused=self._refused,
            problems=tuple(dict.fromkeys(one[: limits.MESSAGE_CHARACTERS] for one in told)),
        )

    def _before(self) -> tuple[Any, ...]:
        return self._settings, self._plan, self._rules, self._standing, self._wanted.alerts

    def _tell(self, before: tuple[Any, ...]) -> bool:
        """Call back if anything has changed; whether it has is the result."""
        if self._before() == before:
            return False
        for callback in self._callbacks:
            callback()
        return True

    def _shown(self, outcome: Outcome, reason: str = "") -> EffectiveMonitor:
        entry, planned = outcome.entry, outcome.planned
        return EffectiveMonitor(
            name=entry.name,
            type=entry.type,
            origin=entry.origin,
            runs=bool(planned) and not reason,
            reason=reason or outcome.reason,
            interval_seconds=min((one.interval_seconds for one in planned), default=entry.interval_seconds or 0.0),
            deadline_seconds=max((one.deadline_seconds for one in planned), default=entry.timeout_seconds or 0.0),
            parts=len(planned),
            options=masked(dict(entry.written), self._kinds.shape(entry.type)),
        )


def _is_flawed(outcome: Outcome) -> bool:
    return bool(outcome.reason) and outcome.entry.enabled and not outcome.planned


def _distinct(planned: Sequence[Planned]) -> tuple[Planned, ...]:
    """Those with a label of their own: a name with a part of one may read like the whole name of another."""
    found: dict[str, Planned] = {}
    for one in planned:
        found.setdefault(one.label, one)
    return tuple(found.values())


def _spelled(value: Any) -> str:
    if value is None:
        return "-"
    if hasattr(value, "__dataclass_fields__"):
        inner = ((each.name, getattr(value, each.name)) for each in fields(value))
        return ", ".join(f"{name} {_spelled(one)}" for name, one in inner)
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value) or "-"
