"""What an operator can set: from arguments and ``TWINWATCH_…`` variables, checked before anything starts."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast
from urllib.parse import parse_qsl, unquote, urlsplit

from twinwatch.alerts.liveness import DOWN, LATE, Ladder, Threshold
from twinwatch.hub.probing.canaries import canary_of
from twinwatch.hub.stores.engines import Engine, engine_of
from twinwatch.world.mail import Relay, Security
from twinwatch.world.secret import Secret

LONGEST_DAYS = 36_500


class Misconfigured(Exception):
    """The hub cannot start as it is set up. The message is one line: what is wrong with which value, and what to do."""


@dataclass(frozen=True)
class Patience:
    """How long a silence may last, in seconds since the last heartbeat."""

    late_seconds: float = 90.0
    """One heartbeat interval and half of it as grace."""
    down_seconds: float = 120.0

    @property
    def ladder(self) -> Ladder:
        """The silences that count where a server has no rules of its own about that."""
        return (Threshold(self.late_seconds, "warning", LATE), Threshold(self.down_seconds, "down", DOWN))

    def __post_init__(self) -> None:
        if not 0 < self.late_seconds < self.down_seconds:
            raise Misconfigured(
                f"TWINWATCH_LATE_AFTER is {self.late_seconds:g} s and TWINWATCH_DOWN_AFTER {self.down_seconds:g} s: "
                "late must be above zero and below down"
            )


@dataclass(frozen=True, slots=True)
class Settings:
    """All that the hub is told from outside."""

    owner_url: str
    """Connection string of a role that may create tables and roles; used to migrate, not to serve."""
    data_dir: Path
    secret: Secret
    """Signs access tokens and derives the password of the database role; the same on every hub of one database."""
    host: str = "127.0.0.1"
    port: int = 8400
    public_url: str = ""
    """Where people and agents reach the hub, without a slash at the end; empty: as the request says."""
    patience: Patience = field(default_factory=Patience)
    retention_days: int = 7
    relay: Relay | None = None
    """The mail server for channels that bring none."""
    mail_from: str = ""
    """The sender of mail for channels that bring none; empty: the relay's user."""
    agents_relay: str = ""
    """URL of a mail server that agents may use, who are given it with its password; empty: none."""
    private_networks: bool = False
    """Whether what users name (webhooks, probes) may be in private networks. Metadata addresses never are."""
    canaries: tuple[str, ...] = ()
    """What the hub reaches as long as it is not itself cut off: ``host:port`` or URLs."""
    engine: Engine = field(default_factory=Engine)
    """What keeps the samples; ``automatic`` is decided when the database is there (``choosing``)."""
    dead_man_url: str = ""
    """Asked for every minute while all is well, so that somebody outside notices when it is not."""
    metrics_token: Secret | None = None
    """Who sends it is shown the hub's own figures; None: nobody is."""


def settings_from(
    *,
    database_url: str,
    data_dir: Path,
    listen: str,
    public_url: str = "",
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """Settings of arguments and environment.

    Raises: Misconfigured for a value that cannot be, naming it and the remedy.
    """
    env = os.environ if environment is None else environment
    host, port = _address(listen)
    return Settings(
        owner_url=database_url,
        data_dir=data_dir,
        secret=_secret(data_dir, env),
        host=host,
        port=port,
        public_url=_public(public_url or env.get("TWINWATCH_PUBLIC_URL", "")),
        patience=Patience(
            late_seconds=_seconds(env, "TWINWATCH_LATE_AFTER", Patience.late_seconds),
            down_seconds=_seconds(env, "TWINWATCH_DOWN_AFTER", Patience.down_seconds),
        ),
        retention_days=_count(env, "TWINWATCH_RETENTION_DAYS", 7),
        relay=_relay(env, "TWINWATCH_SMTP_URL"),
        mail_from=env.get("TWINWATCH_MAIL_FROM", "").strip(),
        agents_relay=_checked_relay(env, "TWINWATCH_AGENTS_SMTP_URL"),
        private_networks=_flag(env, "TWINWATCH_ALLOW_PRIVATE_NETWORKS"),
        canaries=_canaries(env.get("TWINWATCH_CANARIES", "")),
        engine=named_engine(env.get("TWINWATCH_SAMPLE_STORE", ""), "TWINWATCH_SAMPLE_STORE"),
        dead_man_url=_dead_man(env.get("TWINWATCH_DEAD_MAN_URL", "").strip()),
        metrics_token=_token(env, "TWINWATCH_METRICS_TOKEN"),
    )


def _address(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise Misconfigured(f"--listen {listen!r}: expected HOST:PORT, such as 127.0.0.1:8400")
    return host.strip("[]") or "127.0.0.1", int(port)


def _public(url: str) -> str:
    url = url.rstrip("/")
    try:
        parts = urlsplit(url)
        wrong = parts.scheme not in ("http", "https") or not parts.hostname
        # The dashboard's files name one another from the root: behind a path none would be found.
        wrong = wrong or parts.port == 0 or bool(parts.path or parts.query or parts.fragment or parts.username)
    except ValueError:
        wrong = True
    if url and wrong:
        raise Misconfigured(f"public URL {url!r}: expected http://… or https://… and a host, with no path behind it")
    return url


def _canaries(text: str) -> tuple[str, ...]:
    found = tuple(one.strip() for one in text.split(",") if one.strip())
    try:
        for one in found:
            canary_of(one)
    except ValueError as err:
        raise Misconfigured(str(err)) from None
    return found


def named_engine(text: str, name: str) -> Engine:
    """The engine that somebody named.

    Raises: Misconfigured, which does not repeat it: a password may stand there.
    """
    try:
        return engine_of(text)
    except ValueError as err:
        raise Misconfigured(f"{name}: {err}") from None


def _dead_man(url: str) -> str:
    if url and not (url.startswith(("http://", "https://")) and url.isprintable() and urlsplit(url).hostname):
        raise Misconfigured("TWINWATCH_DEAD_MAN_URL: expected an address such as https://hc.example.org/ping/…")
    return url


def _seconds(env: Mapping[str, str], name: str, default: float) -> float:
    text = env.get(name)
    if not text:
        return default
    try:
        return float(text.removesuffix("s"))
    except ValueError:
        raise Misconfigured(f"{name}={text!r}: expected seconds, such as 90 or 90s") from None


def _count(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name) or str(default)
    if not text.isdecimal() or not 0 < int(text) <= LONGEST_DAYS:
        raise Misconfigured(f"{name}={text!r}: expected a whole number from 1 to {LONGEST_DAYS}")
    return int(text)


def _secret(data_dir: Path, env: Mapping[str, str]) -> Secret:
    """The hub's secret: from ``TWINWATCH_SECRET``, else made once and kept in the data folder."""
    given = env.get("TWINWATCH_SECRET")
    if given:
        return _long_enough("TWINWATCH_SECRET", given)
    path = data_dir / "secret"
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _write_once(path, secrets.token_hex(32))
        return _long_enough(str(path), path.read_text().strip())
    except OSError as err:
        raise Misconfigured(
            f"data folder {data_dir}: {err.strerror}; choose one you may write to with --data-dir"
        ) from err


def _token(env: Mapping[str, str], name: str) -> Secret | None:
    text = env.get(name, "").strip()
    if not text.isascii():
        raise Misconfigured(f"{name}: expected letters, digits and signs of ASCII")
    return _long_enough(name, text) if text else None


def _long_enough(where: str, text: str) -> Secret:
    if len(text) < 32:
        raise Misconfigured(f"{where} is shorter than 32 characters: make one with `openssl rand -hex 32`")
    return Secret(text)


def _write_once(path: Path, text: str) -> None:
    """Whole or not at all, and not over another process's that was quicker."""
    handle, name = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(handle)
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(name)
    finally:
        Path(name).unlink()


def relay_of(text: str, name: str) -> Relay:
    """The mail server of ``smtp://user:password@host:587``; ``smtps`` is TLS from the start, ``?security=none`` none.

    Raises: Misconfigured, which never repeats the text: a password may stand in it.
    """
    expected = f"{name}: expected smtp://user:password@host:587, or smtps://… for TLS from the start"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise Misconfigured(expected) from None
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname or parts.path not in ("", "/") or parts.fragment:
        raise Misconfigured(expected)
    asked = dict(parse_qsl(parts.query))
    security = asked.pop("security", "tls" if parts.scheme == "smtps" else "")
    if asked or security not in ("", "tls", "starttls", "none"):
        raise Misconfigured(f"{name}: expected no more after the host than ?security=tls, starttls or none")
    return Relay(
        host=parts.hostname,
        port=port or (465 if parts.scheme == "smtps" else 587),
        security=cast("Security", security),
        username=unquote(parts.username or ""),
        password=Secret(unquote(parts.password)) if parts.password else None,
    )


def _relay(env: Mapping[str, str], name: str) -> Relay | None:
    text = env.get(name, "").strip()
    return relay_of(text, name) if text else None


def _checked_relay(env: Mapping[str, str], name: str) -> str:
    _relay(env, name)
    return env.get(name, "").strip()


def _flag(env: Mapping[str, str], name: str) -> bool:
    text = env.get(name, "").strip().lower()
    if text in ("", "0", "no", "false"):
        return False
    if text in ("1", "yes", "true"):
        return True
    raise Misconfigured(f"{name} is {text[:20]!r}: expected 1 or 0")
