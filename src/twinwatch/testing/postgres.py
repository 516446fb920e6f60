"""A real PostgreSQL for tests: one server per test session, one migrated template, a fresh database per test.

Works as root and as an ordinary user. Nothing is synced to disk, and nothing is left behind.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from types import TracebackType

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from twinwatch.hub.embedded import SYSTEM_USER, EmbeddedPostgres, die_with_parent
from twinwatch.hub.migrations import migrate
from twinwatch.testing.fakes import EPOCH
from twinwatch.testing.ports import free_port
from twinwatch.world.secret import Secret

SECRET = Secret("5ec2e7" * 8)
"""Of every hub of a test session: the password of the hub's role follows from it, and a server has that role once."""

TEMPLATE = "twinwatch_template"
ROOM_BYTES = 2 << 30

ALONE = """
select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
"""
FORM = """
select (select count(*) from pg_class), (select max(oid) from pg_class), (select count(*) from pg_attribute),
  (select count(*) from pg_proc), (select count(*) from pg_policy), pg_database_size(current_database()) >> 22
"""
EMPTY = """
do $$
declare
  relation text;
begin
  set local session_replication_role = replica;
  for relation in
    select oid::regclass from pg_class
    where relnamespace = any ('{public,auth,private,samples}'::regnamespace[])
      and relkind in ('r', 'p') and not relispartition
  loop
    execute 'delete from ' || relation;
  end loop;
end
$$
"""


class Cluster:
    """One embedded server in a temporary folder. ``with Cluster() as cluster: url = cluster.database()``."""

    def __init__(self) -> None:
        self.folder = temporary_folder()
        self._server = EmbeddedPostgres(self.folder, fsync=False)
        self._names = count(1)
        self._idle: list[str] = []
        self._forms: dict[str, tuple[object, ...]] = {}
        self.url = ""
        """Connection string of the superuser to the server's own database."""

    def __enter__(self) -> Cluster:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> str:
        """Starts the server and makes the template; returns the superuser's connection string. Not inside a loop."""
        self.url = self._server.start()
        with psycopg.connect(self.url, autocommit=True) as connection:
            # As on a machine of somebody's, with hours that do not exist: what is of UTC must say so.
            connection.execute("alter role all set timezone to 'Europe/Berlin'")
        template = self._create(TEMPLATE, "template1")
        asyncio.run(migrate(template, SECRET))
        with psycopg.connect(template, autocommit=True) as connection:
            # The partitions that a hub would make at its start, so that not every one of them has to.
            connection.execute("select samples.make_partitions(to_timestamp(%s), 60)", (EPOCH // 1000 - 3600,))
        return self.url

    def stop(self) -> None:
        """Stops the server and removes its folder."""
        self._server.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def binaries(self) -> Path:
        """The folder of its ``postgres`` and ``initdb``, where the user that runs them can reach them."""
        return self._server._reachable_binaries()

    def empty_database(self) -> str:
        """A new database without a schema: the superuser's connection string."""
        return self._create(f"test_{next(self._names)}", "template1")

    def database(self) -> str:
        """A new database with today's schema: the superuser's connection string."""
        return self._create(f"test_{next(self._names)}", TEMPLATE)

    def lend(self) -> str:
        """A database as ``database`` gives one, perhaps used before and empty again. Give it back."""
        if self._idle:
            return self._idle.pop()
        url = self.database()
        self._forms[url] = self._form(url)
        return url

    def take_back(self, url: str) -> None:
        """Empties a database that was lent, for the next test; one that grew, or whose schema changed, is dropped."""
        if self._form(url) != self._forms[url]:
            del self._forms[url]
            self.drop(url)
            return
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(EMPTY)
        self._idle.append(url)

    def _form(self, url: str) -> tuple[object, ...]:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(ALONE)
            return connection.execute(FORM).fetchone() or ()

    def drop(self, url: str) -> None:
        """Removes a database, whoever is still connected."""
        name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(str(name))))

    def _create(self, name: str, template: str) -> str:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(
                sql.SQL("create database {} template {} strategy file_copy").format(
                    sql.Identifier(name), sql.Identifier(template)
                )
            )
        return make_conninfo(self.url, dbname=name)


class TcpPostgres:
    """A second server, of any version's binaries, that listens on 127.0.0.1: for clients that know no unix socket.

    ``binaries`` is the folder of ``initdb`` and ``postgres``. Everyone who reaches the port is trusted. ``settings``
    are of postgresql.conf. With ``standby_of`` it is a streaming standby of that server, by the name ``standby``.
    """

    def __init__(
        self, binaries: Path, settings: Mapping[str, str] | None = None, *, standby_of: TcpPostgres | None = None
    ) -> None:
        self.binaries = binaries
        self._settings = {"fsync": "off", "autovacuum": "off", **(settings or {})}
        self._primary = standby_of
        self._port = free_port()
        self._folder = temporary_folder()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def __enter__(self) -> TcpPostgres:
        owner = self._owner
        if owner is not None:
            shutil.chown(self._folder, owner, owner)
        self._run(*self._first())
        self.start()
        return self

    @property
    def data(self) -> Path:
        """Its data folder."""
        return self._folder / "data"

    def start(self) -> None:
        """Starts it, or starts it again."""
        settings = {"listen_addresses": "127.0.0.1", "port": str(self._port), **self._settings}
        arguments = [str(self.binaries / "postgres"), "-D", str(self.data), "-k", str(self._folder)]
        for name, value in settings.items():
            arguments += ["-c", f"{name}={value}"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd="/",
                user=self._owner,
                group=self._owner,
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGINT),  # noqa: PLW1509
            )
        self.url = f"postgresql://postgres@127.0.0.1:{self._port}/postgres?sslmode=disable"
        self._wait()

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Ends it: with SIGINT at once and in order, with SIGQUIT as if the power had gone."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(how)
            self._process.wait(30)

    def _first(self) -> list[str | Path]:
        if self._primary is None:
            return [
                self.binaries / "initdb",
                *("-D", self.data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"),
            ]
        primary = f"{self._primary.url}&application_name=standby"
        return [self.binaries / "pg_basebackup", *("-D", self.data, "-d", primary, "-R", "-X", "stream", "-c", "fast")]

    def _run(self, *command: str | Path) -> None:
        subprocess.run(command, check=True, capture_output=True, cwd="/", user=self._owner, group=self._owner)  # noqa: S603

    @property
    def _owner(self) -> str | None:
        return SYSTEM_USER if os.geteuid() == 0 else None

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def database(self, name: str, *, owner: str = "postgres") -> str:
        """A new, empty database: its owner's connection string."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(
                sql.SQL("create database {} owner {}").format(sql.Identifier(name), sql.Identifier(owner))
            )
        return self.url.replace("postgres@", f"{owner}@", 1).replace("/postgres?", f"/{name}?")

    def _wait(self, within_seconds: float = 30.0) -> None:
        deadline = time.monotonic() + within_seconds
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=5).close()
                return
            except psycopg.OperationalError:
                assert self._process is not None
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError((self._folder / "log").read_text(errors="replace")[-2000:]) from None
                time.sleep(0.05)


def temporary_folder() -> Path:
    """A new folder, in memory where there is room: making a database is ten times as fast there."""
    memory = Path("/dev/shm")  # noqa: S108
    if memory.is_dir() and os.access(memory, os.W_OK):
        space = os.statvfs(memory)
        if space.f_bavail * space.f_frsize > ROOM_BYTES and not space.f_flag & os.ST_NOEXEC:
            return Path(tempfile.mkdtemp(prefix="twinwatch-test-", dir=memory))
    return Path(tempfile.mkdtemp(prefix="twinwatch-test-"))
