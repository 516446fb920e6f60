"""The configuration file: read, judged as a whole, with the right that others have on it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, Literal, cast

from twinwatch.agent.alerting.addressing import FileAlerts, FileChannel
from twinwatch.agent.configuration.document import FILE_BYTES, Document, parsed
from twinwatch.agent.configuration.entries import (
    LEAST_INTERVAL,
    MOST_INTERVAL,
    Entry,
    Kinds,
    name_of,
    seconds_of,
)
from twinwatch.agent.configuration.problems import Misconfigured, Path, Problems, instead
from twinwatch.agent.configuration.sections import Section, beside
from twinwatch.agent.configuration.settings import (
    LEAST_BUFFER_BYTES,
    LEAST_BYTES_PER_SECOND,
    BufferSettings,
    LogSettings,
    Precedence,
    Remote,
    UplinkSettings,
    bytes_of,
    seconds_between,
    server_name_of,
)
from twinwatch.agent.configuration.shapes import Shape, has_password, texts
from twinwatch.agent.configuration.telling import MAIL, channel_kind, channel_schema, judge_channel, read_telling
from twinwatch.agent.configuration.thresholds import rules_of
from twinwatch.agent.configuration.watches import hub_watch_of, witness_of
from twinwatch.agent.local.settings import LISTEN, LocalSettings, problem_of
from twinwatch.agent.watching.settings import HubWatchSettings, WitnessSettings
from twinwatch.protocol import limits
from twinwatch.protocol.rules import Rule
from twinwatch.world.secret import Secret, SecretUnreadable, read_secret

KEY_NAMES = ("api_key", "enrolment_key")
_OTHERS = stat.S_IRWXO | stat.S_IWGRP


@dataclass(slots=True)
class Content:
    """What the file says. What it does not say is None or empty; ``places`` has where the rest stands."""

    hub: str | None = None
    enrolment_key: Secret | None = None
    server_name: str | None = None
    heartbeat_seconds: float | None = None
    push_seconds: float | None = None
    state_dir: FilePath | None = None
    ca_file: FilePath | None = None
    allow_plain_http: bool | None = None
    precedence: Precedence | None = None
    remote: Remote | None = None
    local: LocalSettings | None = None
    log: LogSettings | None = None
    buffer: BufferSettings | None = None
    uplink: UplinkSettings | None = None
    witness: WitnessSettings | None = None
    hub_watch: HubWatchSettings | None = None
    entries: tuple[Entry, ...] = ()
    rules: tuple[Rule, ...] = ()
    alerts: FileAlerts = field(default_factory=FileAlerts)
    places: dict[str, str] = field(default_factory=dict)
    files: tuple[FilePath, ...] = ()
    """The files of secrets that it names: what they say belongs to it."""


def read_content(path: FilePath, environment: Mapping[str, str], kinds: Kinds | None, problems: Problems) -> Content:
    """What the file at ``path`` says; ``problems`` is told what is wrong with it. Without ``kinds``, no option is.

    Raises: Misconfigured if it cannot be read or is no YAML.
    """
    content, mode, ours = _bytes_of(path)
    document, found = parsed(content, str(path), environment)
    problems.found += found.found
    secrets: list[str] = []
    said = _Reading(document, environment, kinds, problems, secrets).content()
    _judge_rights(path, mode, ours, secrets, problems)
    return said


def _bytes_of(path: FilePath) -> tuple[bytes, int, bool]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe would block for ever
        with os.fdopen(descriptor, "rb") as file:
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode):
                raise Misconfigured(f"{path}: expected a file")
            return file.read(FILE_BYTES + 1), stat.S_IMODE(facts.st_mode), facts.st_uid == os.geteuid()
    except OSError as err:
        raise Misconfigured(f"{path}: {(err.strerror or str(err)).lower()}") from err


def _judge_rights(path: FilePath, mode: int, ours: bool, secrets: list[str], problems: Problems) -> None:
    if secrets and mode & _OTHERS:
        wanted = "600" if ours else "640"
        places = ", ".join(secrets[:3]) + (", …" if len(secrets) > 3 else "")
        problems.add(
            str(path),
            f"holds secrets ({places}) and others have rights on it (mode {mode:04o}); run: chmod {wanted} {path}",
        )
    elif mode & stat.S_IWOTH:
        problems.add(str(path), f"anybody may change it (mode {mode:04o}); run: chmod o-w {path}")


class _Reading:
    """One reading of one document. ``secrets`` is told the places of secrets that stand in the file itself."""

    def __init__(
        self,
        document: Document,
        environment: Mapping[str, str],
        kinds: Kinds | None,
        problems: Problems,
        secrets: list[str],
    ) -> None:
        self._document = document
        self._environment = environment
        self._kinds = kinds
        self._problems = problems
        self._secrets = secrets
        self._files: list[FilePath] = []
        self._places: dict[str, str] = {}

    def content(self) -> Content:
        for path, text in texts(self._document.written):
            if has_password(self._document.literals.get(path, text)):
                self._tell(path)
        top = Section(self._document, (), self._document.value, self._problems)
        said = Content(
            hub=self._noted(top, top.text, "hub"),
            enrolment_key=self._secret(top, *KEY_NAMES),
            server_name=self._noted(top, lambda name: top.judged(server_name_of, name), "server_name"),
            heartbeat_seconds=self._noted(top, self._between(top, "5s", "1m"), "heartbeat_interval"),
            push_seconds=self._noted(top, self._between(top, "5s", "1h"), "metrics_push_interval"),
            state_dir=self._noted(top, lambda name: top.judged(self._beside, name), "state_dir"),
            ca_file=self._noted(top, lambda name: top.judged(self._beside, name), "ca_file"),
            allow_plain_http=self._noted(top, top.flag, "allow_plain_http"),
            precedence=cast(
                "Precedence | None", self._noted(top, lambda name: top.choice(name, "file", "hub"), "precedence")
            ),
            remote=self._noted(top, lambda name: self._remote(top, name), "remote"),
            local=self._noted(top, lambda name: self._local(top, name), "local"),
            log=self._noted(top, lambda name: self._log(top, name), "log"),
            buffer=self._noted(top, lambda name: self._buffer(top, name), "buffer"),
            uplink=self._noted(top, lambda name: self._uplink(top, name), "uplink"),
            witness=self._noted(top, lambda name: witness_of(top, name), "witness"),
            hub_watch=self._noted(top, lambda name: hub_watch_of(top, name), "hub_watch"),
            entries=self._entries(top.items("monitors")),
            rules=self._rules(top, "rules"),
        )
        self._alerts(top, said)
        top.done()
        said.places = self._places
        said.files = tuple(self._files)
        return said

    def _noted(self, section: Section, read: Callable[[str], Any], name: str) -> Any:
        value = read(name)
        if value is not None:
            self._places[name] = section.place(name)
        return value

    @staticmethod
    def _between(section: Section, least: str, most: str) -> Callable[[str], float | None]:
        def read(name: str) -> float | None:
            value = section.any(name)
            if value is None or isinstance(value, str):
                return section.judged(lambda text: seconds_between(text, least, most), name)
            hint = f"; did you mean {value}s?" if isinstance(value, int) and not isinstance(value, bool) else ""
            section.wrong(name, f"expected a duration of {least} to {most}, such as 30s{hint}")
            return None

        return read

    def _beside(self, text: str) -> FilePath:
        return beside(text, self._document.name).absolute()

    def _tell(self, path: Path) -> None:
        """A secret stands in the file at this path."""
        name = path[-1] if isinstance(path[-1], str) else path[-2]
        place = f"line {self._document.values[path][0]}: {name}"
        if place not in self._secrets:
            self._secrets.append(place)

    def _literal(self, path: Path, value: Any) -> bool:
        """Whether anything of the value stands in the file itself."""
        return bool(self._document.literals.get(path, str(value)).strip())

    def _secret(self, section: Section, *names: str) -> Secret | None:
        secret, file = section.secret(*names)
        if file is not None:
            self._files.append(file)
            self._places[names[0]] = section.place(section.first(*(f"{name}_file" for name in names)))
        elif secret is not None:
            name = section.first(*names)
            self._places[names[0]] = section.place(name)
            if self._literal((*section.path, name), secret.reveal()):
                self._tell((*section.path, name))
        return secret

    def _remote(self, top: Section, name: str) -> Remote | None:
        if top.any(name) is None:
            return None
        if isinstance(top.any(name), bool):
            taken = top.flag(name)
            return Remote(taken=bool(taken))
        section = top.section(name)
        remote = Remote(exec=section.flag("exec") or False, secrets=section.flag("secrets") or False)
        section.done()
        return remote

    def _local(self, top: Section, name: str) -> LocalSettings | None:
        if top.any(name) is None:
            return None
        if isinstance(top.any(name), bool):
            return LocalSettings(enabled=bool(top.flag(name)))
        section = top.section(name)
        enabled = section.flag("enabled")
        local = LocalSettings(
            enabled=True if enabled is None else enabled,
            listen=section.text("listen") or LISTEN,
            token=self._secret(section, "token"),
            otlp_listen=section.text("otlp_listen"),
            max_series=section.number("max_series", 1, limits.SERIES_PER_SERVER) or 1_000,
        )
        section.done()
        if local.enabled and (problem := problem_of(local)):
            key = problem.partition(":")[0].removeprefix("local.")
            self._problems.add(section.place(key), problem)
        return local

    @staticmethod
    def _log(top: Section, name: str) -> LogSettings | None:
        if top.any(name) is None:
            return None
        section = top.section(name)
        log = LogSettings(
            format=cast('Literal["human", "json"]', section.choice("format", "human", "json") or ""),
            level=cast(
                'Literal["info"]', section.choice("level", "debug", "info", "warning", "error") or LogSettings().level
            ),
        )
        section.done()
        return log

    @staticmethod
    def _buffer(top: Section, name: str) -> BufferSettings | None:
        if top.any(name) is None:
            return None
        section = top.section(name)
        size = _size(section, "max_size", LEAST_BUFFER_BYTES)
        section.done()
        return BufferSettings(size) if size else BufferSettings()

    @staticmethod
    def _uplink(top: Section, name: str) -> UplinkSettings | None:
        if top.any(name) is None:
            return None
        section = top.section(name)
        size = _size(section, "max_bytes_per_second", LEAST_BYTES_PER_SECOND)
        section.done()
        return UplinkSettings(size) if size else UplinkSettings()

    def _rules(self, section: Section, name: str) -> tuple[Rule, ...]:
        path = (*section.path, name)
        return rules_of(section.items(name), lambda within: self._document.key_place((*path, *within)), self._problems)

    def _alerts(self, top: Section, said: Content) -> None:
        if top.any("alerts") is None:
            return
        section = top.section("alerts")
        said.rules = (*said.rules, *self._rules(section, "rules"))
        names = [rule.name for rule in said.rules]
        for name in sorted({name for name in names if names.count(name) > 1}):
            self._problems.add(
                section.place("rules"), f"two rules are named {name[:60]!r}: give each a name of its own"
            )
        mail = self._mail(section)
        said.alerts = read_telling(section, lambda path, value: self._channel(path, value, mail))

    def _mail(self, alerts: Section) -> dict[str, Any]:
        """The mail server of channels that name none."""
        if alerts.any("mail") is None:
            return {}
        section = alerts.section("mail")
        found = channel_kind("email")
        shape = Shape(None if isinstance(found, str) else found, channel_schema)
        given = {key: value for key, value in section.rest().items() if key.removesuffix("_file") in MAIL}
        for key in given:
            section.any(key)
        section.done(MAIL)
        return self._settings(given, shape, section.path)

    def _channel(self, path: Path, value: Any, mail: Mapping[str, Any]) -> FileChannel | None:
        section = Section(self._document, path, value, self._problems)
        kind, name = section.text("type"), section.text("name")
        if kind is None:
            if "type" not in section:
                self._problems.add(self._document.place(path), "type is missing, such as email or slack")
            return None
        found = channel_kind(kind)
        if isinstance(found, str):
            self._problems.add(section.place("type"), found)
            return None
        shape = Shape(found, channel_schema)
        settings = self._settings(section.rest(), shape, path)
        if kind == "email" and not settings.get("smtp_host"):
            settings = {**mail, **settings}
        templates = {place[len(path) :]: template for place, template in self._templates(path).items()}
        judge_channel(
            found,
            settings,
            shape,
            where=lambda within: self._document.key_place((*path, *within)),
            problems=self._problems,
            templates=templates,
        )
        return FileChannel(name or kind, kind, settings)

    def _settings(self, given: dict[str, Any], shape: Shape, path: Path) -> dict[str, Any]:
        """Settings with files of secrets read; those that stand in the file itself are noted."""
        for secret, _ in texts(given):
            if shape.is_secret(secret) and self._literal((*path, *secret), given):
                self._tell((*path, *secret))
        return cast("dict[str, Any]", self._with_files(given, shape, path, ()))

    def _entries(self, given: list[Any]) -> tuple[Entry, ...]:
        entries: list[Entry] = []
        if len(given) > limits.MONITORS_PER_SERVER:
            self._problems.add(
                self._document.place(("monitors",)),
                f"{len(given)} monitors; expected at most {limits.MONITORS_PER_SERVER}",
            )
            given = []
        for number, value in enumerate(given):
            if (entry := self._entry(("monitors", number), value)) is None:
                continue
            if any(other.name == entry.name for other in entries):
                self._problems.add(
                    self._document.place(("monitors", number)),
                    f"a second monitor named {entry.name}; give it a name of its own (name: {entry.name}-2)",
                )
            entries.append(entry)
        return tuple(entries)

    def _entry(self, path: Path, value: Any) -> Entry | None:
        section = Section(self._document, path, value, self._problems)
        kind = section.text("type")
        if kind is None:
            if isinstance(value, Mapping) and "type" not in value:
                wrong = [key for key in value if instead(key, ["type"]).startswith("did")]
                hint = f"; did you mean type instead of {wrong[0]}?" if wrong else ""
                self._problems.add(self._document.place(path), f"type is missing{hint}")
            elif value is None:
                self._problems.add(self._document.place(path), "expected a mapping with type and options")
            return None
        kinds = self._kinds
        kind = kinds.meant(kind) if kinds is not None else kind
        shape = kinds.shape(kind) if kinds is not None else Shape(None)
        enabled = section.flag("enabled")
        own_timeout = "timeout" in shape.names(())
        name = section.any("name")
        interval = section.any("interval", "check_interval")
        timeout = None if own_timeout else section.any("timeout")
        rest = section.rest()
        written = self._written(path)
        for found, _ in texts({key: rest[key] for key in rest}):
            if shape.is_secret(found) and self._literal((*path, *found), rest):
                self._tell((*path, *found))
        options = self._with_files(rest, shape, path, ())
        key = section.first("interval", "check_interval")
        templates = {found[len(path) :]: template for found, template in self._templates(path).items()}
        return Entry(
            type=kind,
            name=name_of(name, kind, section.place("name"), kinds, self._problems) if kinds else str(name or kind),
            origin="file",
            enabled=enabled is not False,
            interval_seconds=seconds_of(
                interval,
                section.place(key),
                key,
                self._problems,
                least=LEAST_INTERVAL,
                most=MOST_INTERVAL,
                template=templates.get((key,), ""),
            ),
            timeout_seconds=seconds_of(
                timeout,
                section.place("timeout"),
                "timeout",
                self._problems,
                least="100ms",
                most=MOST_INTERVAL,
                template=templates.get(("timeout",), ""),
            ),
            options=options,
            written={one: written[one] for one in rest},
            templates={
                found[2:]: template
                for found, template in self._templates(path).items()
            },
            where=lambda within: self._document.key_place((*path, *within)),
        )  # fmt: skip

    def _written(self, path: Path) -> dict[str, Any]:
        found = self._document.written
        for step in path:
            found = found[step]
        return cast("dict[str, Any]", found)

    def _templates(self, path: Path) -> dict[Path, str]:
        entry = dict(texts(self._written(path), path))
        return {found: entry[found] for found in self._document.literals if found in entry}

    def _with_files(self, value: Any, shape: Shape, base: Path, path: Path) -> Any:
        """The options with ``<name>_file`` replaced by what that file says, where ``<name>`` is a secret."""
        if isinstance(value, list):
            return [self._with_files(child, shape, base, (*path, number)) for number, child in enumerate(value)]
        if not isinstance(value, Mapping):
            return value
        found: dict[str, Any] = {}
        names = set(shape.names(path))
        for key, child in value.items():
            name = key.removesuffix("_file")
            if name == key or key in names or name not in names or not shape.is_secret((*path, name)):
                found[key] = self._with_files(child, shape, base, (*path, key))
                continue
            place = self._document.key_place((*base, *path, key))
            if name in value:
                self._problems.add(place, f"{key} says the same as {name}; expected one of them")
                continue
            try:
                if not isinstance(child, str):
                    raise Misconfigured("expected a path")
                file = beside(child, self._document.name)
                self._files.append(file)
                found[name] = read_secret(file).reveal()
            except (SecretUnreadable, Misconfigured) as err:
                self._problems.add(place, f"{key}: {err}")
                found[name] = "-"  # so that it is not told as missing too
        return found


def _size(section: Section, name: str, least: int) -> int | None:
    """Bytes, as a number of them or a text such as ``256MB``."""
    given = section.any(name)
    if isinstance(given, int) and not isinstance(given, bool):
        return section.number(name, least, 1 << 44)
    return section.judged(lambda text: bytes_of(text, least), name)
