"""``twinwatch agent check-config`` and ``twinwatch agent config``: the configuration as a table or as JSON.

Exit codes: 0 all is well; 2 something is wrong with it, and each problem is a line on standard error.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence

import msgspec

from twinwatch.agent.configuration.configurator import Configurator, EffectiveMonitor
from twinwatch.agent.configuration.problems import Misconfigured
from twinwatch.agent.configuration.sources import Sources
from twinwatch.monitors.discover import discover
from twinwatch.protocol.durations import spelled

WELL, WRONG = 0, 2


def check_config(args: argparse.Namespace) -> int:
    """Judge the configuration as the agent would at its start; print every problem, or what would run."""
    found = _configurator(args)
    if found is None:
        return WRONG
    configurator, source = found
    file = source.file
    hub = f"hub {configurator.settings.hub}" if configurator.settings.hub else "no hub"
    _out(f"{file or 'no configuration file'}: {'well' if file else 'defaults'}, {hub}")
    _out("")
    _print_table([one for one in configurator.effective() if one.runs])
    return _problems(configurator.standing.problems)


def show_config(args: argparse.Namespace) -> int:
    """Print what is in force and where each part of it comes from; the hub's part as it was last kept."""
    found = _configurator(args)
    if found is None:
        return WRONG
    configurator, source = found
    monitors, standing = configurator.effective(), configurator.standing
    settings = configurator.effective_settings()
    if args.json:
        document = {
            "file": str(source.file) if source.file else None,
            "version": standing.version,
            "settings": {name: {"value": value, "origin": origin} for name, value, origin in settings},
            "monitors": [msgspec.to_builtins(one) for one in monitors],
            "rules": [msgspec.to_builtins(rule) for rule in configurator.rules],
            "problems": list(standing.problems),
        }
        _out(json.dumps(document, indent=2, ensure_ascii=False))
        return WRONG if standing.problems else WELL
    _print_rows(["setting", "value", "from"], [[*row] for row in settings])
    _out("")
    _print_table(monitors)
    for one in monitors:
        if one.options:
            _out("")
            _out(f"{one.name} ({one.origin})")
            for name, value in one.options.items():
                _out(f"  {name}: {json.dumps(value, ensure_ascii=False)}")
    if configurator.rules:
        _out("")
        _print_rows(["rule", "on", "severity"], [[rule.name, rule.metric or rule.check, rule.severity]
                                                 for rule in configurator.rules])  # fmt: skip
    _out("")
    _out(f"configuration of the hub: {f'version {standing.version}' if standing.version else 'none'}")
    return _problems(standing.problems)


def _configurator(args: argparse.Namespace) -> tuple[Configurator, Sources] | None:
    logging.getLogger("twinwatch").addHandler(logging.NullHandler())
    source = Sources(args)
    try:
        return Configurator(source, discover(), read_only=True), source
    except Misconfigured as err:
        _problems(err.problems)
        return None


def _problems(problems: Sequence[str]) -> int:
    for problem in problems:
        sys.stderr.write(f"{problem}\n")
    return WRONG if problems else WELL


def _print_table(monitors: Sequence[EffectiveMonitor]) -> None:
    rows = [
        [
            one.name,
            one.type or "-",
            one.origin,
            spelled(one.interval_seconds) if one.interval_seconds else "-",
            _state(one),
        ]
        for one in monitors
    ]
    _print_rows(["monitor", "type", "from", "interval", "state"], rows)


def _state(one: EffectiveMonitor) -> str:
    if not one.runs:
        return one.reason or "does not run"
    return f"runs in {one.parts} parts" if one.parts > 1 else "runs"


def _print_rows(heads: list[str], rows: list[list[str]]) -> None:
    widths = [max(len(row[number]) for row in (heads, *rows)) for number in range(len(heads))]
    for row in (heads, *rows):
        _out("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _out(line: str) -> None:
    sys.stdout.write(f"{line}\n")
