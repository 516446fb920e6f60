"""``twinwatch``: the command line. It parses, and hands over to the composition roots."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import sys
from pathlib import Path

from twinwatch import __version__

DEFAULT_LISTEN = "127.0.0.1:8400"
MOST_WORKERS = 64
ROOT_DATA_DIR = Path("/var/lib/twinwatch")
DATA_DIR_HELP = f"default: {ROOT_DATA_DIR} for root, else below the user's data home"
NEEDS_HUB = "this needs the hub, which is not installed: pip install 'twinwatch[hub,embedded]'"


def main(arguments: list[str] | None = None) -> int:
    """Runs a command; returns the exit code: 0 done, 1 failed, 2 called or set up wrongly."""
    args = make_parser().parse_args(arguments)
    try:
        code: int = args.run(args)
    except KeyboardInterrupt:
        return 130
    return code


def entry() -> None:
    """The program's entry point."""
    sys.exit(main())


def make_parser() -> argparse.ArgumentParser:
    """Every command and argument; docs/reference is written from it."""
    from twinwatch.agent.configuration.sources import add_arguments, add_file_argument, add_state_argument

    parser = argparse.ArgumentParser("twinwatch", description="Two watchers for every server.")
    parser.add_argument("--version", action="version", version=f"twinwatch {__version__}")
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")

    up = verbs.add_parser("up", help="database, hub, dashboard and this machine's agent with one command")
    _hub_arguments(up)
    up.add_argument("--no-agent", action="store_true", help="do not watch this machine")
    up.set_defaults(run=_up)

    agent = verbs.add_parser("agent", help="the daemon on a monitored server").add_subparsers(required=True)
    agent_run = agent.add_parser("run", help="watch this machine and bring it to a hub")
    add_arguments(agent_run)
    _once_arguments(agent_run)
    agent_run.set_defaults(run=_agent_run)
    status = agent.add_parser(
        "status",
        help="how the running agent stands",
        description="How the running agent stands: hub, buffer, monitors, checks. Exit codes: 0 all is well; "
        "1 something is down, failing or refused; 2 called wrongly; 3 no agent runs there.",
    )
    add_file_argument(status)
    add_state_argument(status)
    status.add_argument("--json", action="store_true", help="print JSON")
    status.set_defaults(run=_agent_status)
    check = agent.add_parser("check-config", help="judge the configuration: every problem, or what would run")
    add_arguments(check)
    check.set_defaults(run=_agent_check_config)
    effective = agent.add_parser("config", help="what is in force, and where each part of it comes from")
    add_arguments(effective)
    effective.add_argument("--json", action="store_true", help="print JSON")
    effective.set_defaults(run=_agent_config)

    drill = verbs.add_parser(
        "drill",
        help="send a marked test down every path, and show what arrives",
        description="Sends a marked test on every channel that this server's agent may speak on; with --hub, down "
        "every path of an organization: from the hub and from each agent. Exit codes: 0 every path delivers; 1 one "
        "does not; 2 called wrongly or refused; 3 nobody answers.",
    )
    add_file_argument(drill)
    add_state_argument(drill)
    drill.add_argument("--json", action="store_true", help="print JSON")
    drill.add_argument("--hub", metavar="URL", help="ask this hub, in a person's name")
    drill.add_argument("--email", metavar="EMAIL", help="who asks; the password is asked for, or TWINWATCH_PASSWORD")
    drill.add_argument("--organization", metavar="NAME", help="whose paths; needed by members of several")
    drill.set_defaults(run=_drill)

    hub = verbs.add_parser("hub", help="the hub alone, on a PostgreSQL of yours").add_subparsers(required=True)
    hub_run = hub.add_parser("run", help="serve the API and the dashboard")
    _hub_arguments(hub_run)
    hub_run.add_argument(
        "--workers",
        metavar="N",
        type=_workers,
        default=os.environ.get("TWINWATCH_WORKERS", "1"),
        help="serve with so many processes, which share the address; default: %(default)s",
    )
    hub_run.set_defaults(run=_hub_run)
    copy = hub.add_parser(
        "copy-samples",
        help="copy samples from one engine to another, while the hub runs",
        description="Copies what organizations' plans keep, reads it back and compares count and checksum. Called "
        "again it goes on where it was, and looks anew at the last days. Exit codes: 0 all is there; 1 not all; "
        "2 called wrongly.",
    )
    _database_arguments(copy)
    stores = "blocks, timescale, victoriametrics:URL or victoriametrics:INSERT,SELECT"
    copy.add_argument("--from", metavar="STORE", dest="source", required=True, help=stores)
    copy.add_argument(
        "--to",
        metavar="STORE",
        dest="target",
        default=os.environ.get("TWINWATCH_SAMPLE_STORE", ""),
        help="the same; default: TWINWATCH_SAMPLE_STORE, since other users can list arguments",
    )
    copy.set_defaults(run=_hub_copy_samples)
    document = hub.add_parser("openapi", help="print the OpenAPI document")
    document.set_defaults(run=_hub_openapi)
    return parser


def _hub_arguments(parser: argparse.ArgumentParser) -> None:
    env = os.environ
    _database_arguments(parser)
    parser.add_argument(
        "--listen",
        metavar="HOST:PORT",
        default=env.get("TWINWATCH_LISTEN", DEFAULT_LISTEN),
        help="default: %(default)s",
    )
    parser.add_argument(
        "--public-url",
        metavar="URL",
        default=env.get("TWINWATCH_PUBLIC_URL", ""),
        help="where people and agents reach the hub, such as https://hub.example.org; default: as they asked for it",
    )


def _database_arguments(parser: argparse.ArgumentParser) -> None:
    data_dir = os.environ.get("TWINWATCH_DATA_DIR")
    parser.add_argument("--data-dir", metavar="DIR", default=data_dir, help=DATA_DIR_HELP)
    parser.add_argument(
        "--database-url",
        metavar="URL",
        help="your own PostgreSQL 15 to 18 instead of the embedded one; better in TWINWATCH_DATABASE_URL, "
        "since other users can list arguments",
    )


def _workers(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_WORKERS:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number of processes from 1 to {MOST_WORKERS}")
    return int(text)


def _data_dir(args: argparse.Namespace) -> Path:
    from twinwatch.hub.settings import Misconfigured

    try:
        if args.data_dir:
            return Path(args.data_dir).expanduser().absolute()
        if os.geteuid() == 0:
            return ROOT_DATA_DIR
        home = os.environ.get("XDG_DATA_HOME", "")
        return (Path(home) if home.startswith("/") else Path.home() / ".local" / "share") / "twinwatch"
    except RuntimeError:
        raise Misconfigured("no home folder to keep data in: give a folder with --data-dir") from None


def _database_url(args: argparse.Namespace) -> str:
    return args.database_url or os.environ.get("TWINWATCH_DATABASE_URL", "")


def _log_to_stderr() -> None:
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format="%(asctime)s %(levelname)-7s %(message)s",
        datefmt="%Y-%m-%d %H:%M:%S",
    )
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


def _up(args: argparse.Namespace) -> int:
    try:
        from twinwatch.hub.settings import Misconfigured
        from twinwatch.hub.up import Wish, up
    except ModuleNotFoundError as err:
        return _missing(err)
    _log_to_stderr()
    try:
        wish = Wish(
            data_dir=_data_dir(args),
            listen=args.listen,
            database_url=_database_url(args),
            public_url=args.public_url,
            agent=not args.no_agent,
        )
        return asyncio.run(up(wish))
    except Misconfigured as err:
        return _wrong(err)


def _hub_run(args: argparse.Namespace) -> int:
    try:
        import uvloop

        from twinwatch.hub.main import run
        from twinwatch.hub.settings import Misconfigured, settings_from
        from twinwatch.hub.worker import run as run_workers
    except ModuleNotFoundError as err:
        return _missing(err)
    _log_to_stderr()
    try:
        url = _database_url(args)
        if not url:
            raise Misconfigured("no database: give one in TWINWATCH_DATABASE_URL, or use `twinwatch up`")
        settings = settings_from(
            database_url=url, data_dir=_data_dir(args), listen=args.listen, public_url=args.public_url
        )
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            if args.workers > 1:
                return runner.run(run_workers(settings, args.workers))
            runner.run(run(settings))
    except Misconfigured as err:
        return _wrong(err)
    return 0


def _hub_copy_samples(args: argparse.Namespace) -> int:
    try:
        from twinwatch.hub.copy_samples import copy_samples
        from twinwatch.hub.settings import Misconfigured, settings_from
    except ModuleNotFoundError as err:
        return _missing(err)
    _log_to_stderr()
    try:
        url = _database_url(args)
        if not url:
            raise Misconfigured("no database: give the hub's in TWINWATCH_DATABASE_URL")
        settings = settings_from(database_url=url, data_dir=_data_dir(args), listen=DEFAULT_LISTEN)
        return asyncio.run(copy_samples(settings, args.source, args.target, sys.stderr))
    except Misconfigured as err:
        return _wrong(err)


def _hub_openapi(_: argparse.Namespace) -> int:
    try:
        from twinwatch.hub.main import application
    except ModuleNotFoundError as err:
        return _missing(err)
    print(json.dumps(application(None).openapi(), indent=2))
    return 0


def _agent_run(args: argparse.Namespace) -> int:
    from twinwatch.agent.main import command

    return command(args)


def _once_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--once", action="store_true", help="run every monitor twice, print what would be sent, and end; 1 if not well"
    )
    parser.add_argument("--json", action="store_true", help="with --once: print JSON")


def _agent_status(args: argparse.Namespace) -> int:
    from twinwatch.agent.asking import command

    return command(args)


def _agent_check_config(args: argparse.Namespace) -> int:
    from twinwatch.agent.configuration.printing import check_config

    return check_config(args)


def _agent_config(args: argparse.Namespace) -> int:
    from twinwatch.agent.configuration.printing import show_config

    return show_config(args)


def _drill(args: argparse.Namespace) -> int:
    if not args.hub:
        from twinwatch.agent.proving import command

        return command(args)
    from time import time

    import msgspec

    from twinwatch.agent.plain import plain
    from twinwatch.agent.tables import in_columns
    from twinwatch.hub.rehearsal import HEAD, NotDone, held

    try:
        rehearsal = asyncio.run(held(args))
    except NotDone as err:
        _wrong(err)
        return 3 if err.unreachable else 2
    if args.json:
        print(msgspec.json.encode(rehearsal.paths).decode())
    else:
        for line in (*in_columns(HEAD, rehearsal.rows(round(time() * 1000))), "", rehearsal.summary()):
            print(plain(line, 1_000))
    return 0 if rehearsal.well else 1


def _wrong(err: Exception) -> int:
    print(f"twinwatch: {err}", file=sys.stderr)
    return 2


def _missing(err: ModuleNotFoundError) -> int:
    print(f"twinwatch: {NEEDS_HUB} (no module {err.name})", file=sys.stderr)
    return 2


if __name__ == "__main__":
    entry()
