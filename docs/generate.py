"""Writes ``docs/reference`` from the code: commands, metrics, channels, monitors, API. ``--check`` only compares.

A monitor's page is what its file declares, with what ``docs/setup/<name>.md`` says of setting it up.

Invariant: the same code gives the same bytes, whatever the machine, the environment and the Python version.
"""

from __future__ import annotations

import argparse
import inspect
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

REFERENCE = Path(__file__).parent / "reference"
SETUP = Path(__file__).parent / "setup"
BEGINNING = "Generated from the code by `make docs`; do not edit.\n\n"
GOOD = {"low": "low is good", "high": "high is good", "none": ""}


def main() -> int:
    """Writes the pages; with ``--check`` returns 1 if any differs from what is there."""
    checking = "--check" in sys.argv[1:]
    for name in [name for name in os.environ if name.startswith("TWINWATCH_")]:
        del os.environ[name]  # they are shown as defaults otherwise
    pages = {"commands.md": commands(), "metrics.md": metrics(), "channels.md": channels(), "openapi.json": openapi()}
    pages |= monitors()
    old = [name for name, text in pages.items() if _read(REFERENCE / name) != text]
    old += [
        f"monitors/{path.name}" for path in (REFERENCE / "monitors").glob("*") if f"monitors/{path.name}" not in pages
    ]
    if checking and old:
        sys.stderr.write(f"not current in docs/reference: {', '.join(old)}; run `make docs`\n")
        return 1
    (REFERENCE / "monitors").mkdir(parents=True, exist_ok=True)
    for name in old:
        if name in pages:
            (REFERENCE / name).write_text(pages[name], encoding="utf-8")
        else:
            (REFERENCE / name).unlink()
    return 0


def commands() -> str:
    """Every command with its arguments."""
    from twinwatch.cli import make_parser

    sections = [
        f"# Commands\n\n{BEGINNING}Settings from the environment are in [install.md](../install.md#settings).\n"
    ]
    for parser, description in _leaves(make_parser(), ""):
        rows = [
            f"| `{', '.join(action.option_strings)}{_value(action)}` | {_help(action)} |"
            for action in parser._actions
            if action.option_strings and action.dest != "help"
        ]
        table = "\n".join(["| argument | |", "|---|---|", *rows]) if rows else "No arguments."
        sections.append(f"## {parser.prog}\n\n{description[:1].upper()}{description[1:]}.\n\n{table}\n")
    return "\n".join(sections)


def metrics() -> str:
    """Every monitor and what it measures."""
    from twinwatch.monitors.discover import discover

    sections = [
        f"# Metrics\n\n{BEGINNING}Names follow the OpenTelemetry semantic conventions; units are UCUM: `1` is a ratio "
        "of 0 to 1, `By` bytes, `s` seconds.\n"
    ]
    for name, monitor in sorted(discover(()).monitors.items()):
        sections.append(
            f"## {monitor.title} (`{name}`)\n\nRead every {monitor.interval_seconds:g} s, "
            f"for at most {monitor.deadline_seconds:g} s. [Setting it up, options, what alerts](monitors/{name}.md).\n"
        )
        sections.append(_metrics(monitor))
        drawn = [
            f"| {_cell(chart.title)} | {', '.join(f'`{metric}`' for metric in chart.metrics)} | "
            f"{', '.join(f'`{label}`' for label in chart.by)} |"
            for chart in monitor.charts
        ]
        sections.append("\n".join(["| chart | metrics | a line for each |", "|---|---|---|", *drawn]) + "\n")
    return "\n".join(sections)


def monitors() -> dict[str, str]:
    """A page for each monitor: how to set it up, its options, what alerts, what it measures."""
    from twinwatch.monitors.discover import discover
    from twinwatch.monitors.options import schema_of

    pages: dict[str, str] = {}
    for name, monitor in sorted(discover(()).monitors.items()):
        sections = [f"# {monitor.title} (`{name}`)\n\n{BEGINNING}{_prose(monitor)}\n"]
        setup = _read(SETUP / f"{name}.md")
        if setup:
            sections.append(setup.replace("](../", "](../../"))
        schema = schema_of(monitor)
        sections.append(f"## Options\n\n{_options(schema)}")
        for part, fields in sorted(schema.get("$defs", {}).items()):
            if "properties" in fields:
                sections.append(f"### {part}\n\n{_options(fields)}")
        if rules := getattr(monitor, "rules", ()):
            rows = [f"| {_cell(one.name)} | {one.severity} | {_cell(_condition(one))} |" for one in rules]
            sections.append(
                "## What alerts by default\n\n"
                + "\n".join(["| rule | severity | when |", "|---|---|---|", *rows])
                + "\n"
            )
        if monitor.metrics:
            sections.append(f"## What it measures\n\n{_metrics(monitor)}")
        pages[f"monitors/{name}.md"] = "\n".join(sections)
    return pages


def _prose(monitor: Any) -> str:
    """Its docstring: source, cost and rights as a list."""
    text = (inspect.getdoc(monitor) or "").replace("``", "`")
    about, *labelled = re.split(r"^(?=(?:Source|Cost|Rights): )", text, flags=re.MULTILINE)
    items = [f"- **{label}**: {' '.join(said.split())}" for label, _, said in (one.partition(": ") for one in labelled)]
    return "\n".join([about.rstrip(), "", *items] if items else [about])


def _options(schema: dict[str, Any]) -> str:
    required = schema.get("required", ())
    rows = [
        f"| `{option}` | {_kind(field)} | {'required' if option in required else _given(field)} | "
        f"{_cell(field.get('description', ''))} |"
        for option, field in schema.get("properties", {}).items()
    ]
    return "\n".join(["| option | value | default | |", "|---|---|---|---|", *rows]) + "\n" if rows else "None.\n"


def _kind(field: dict[str, Any]) -> str:
    """What may be put in, in a word or two."""
    if "enum" in field:
        return ", ".join(f"`{word}`" if word else "empty" for word in sorted(field["enum"], key=str))
    if "$ref" in field:
        return f"[{field['$ref'].rpartition('/')[2]}](#{field['$ref'].rpartition('/')[2].lower()})"
    kinds = [_kind(one) for one in field.get("anyOf", ()) if one.get("type") != "null"]
    if kinds:
        return " or ".join(dict.fromkeys(kinds))
    if field.get("format") in ("password", "duration", "program"):
        return {"password": "secret text", "duration": "duration", "program": "program"}[field["format"]]
    inner = field.get("items") or field.get("additionalProperties")
    words = {"string": "text", "integer": "whole number", "number": "number", "boolean": "yes or no"}
    words |= {"array": "list of ", "object": "name: "}
    kind = words.get(field.get("type", ""), "value")
    return f"{kind}{_kind(inner)}" if isinstance(inner, dict) and inner else kind


def _condition(rule: Any) -> str:
    """When a rule alerts."""
    if rule.check:
        text = f"`{rule.check}` is {' or '.join(rule.states)}"
    else:
        what = f"`{rule.metric}`"
        if rule.aggregate != "last":
            what = f"{rule.aggregate} of {what} over {rule.window}"
        bounds = [
            f"{word} {value:g}" for word, value in (("above", rule.above), ("below", rule.below)) if value is not None
        ]
        text = f"{what} is {' or '.join(bounds)}" if bounds else f"{what} has had no sample for {rule.no_data}"
    held = f", for {rule.hold}" if rule.hold else ""
    return f"{text}{held}"


def _metrics(monitor: Any) -> str:
    rows = [
        f"| `{metric.name}` | `{metric.unit}` | {_cell(metric.help)} | {GOOD[metric.good]} |"
        for metric in monitor.metrics
    ]
    return "\n".join(["| metric | unit | | |", "|---|---|---|---|", *rows]) + "\n"


def channels() -> str:
    """Every kind of channel and its settings."""
    from twinwatch.notify.discover import discover
    from twinwatch.notify.settings import schema_of

    sections = [
        f"# Channels\n\n{BEGINNING}How to set each up, with the least rights that it needs, and what limits it has: "
        "[channels.md](../channels.md).\n"
    ]
    for name, channel in sorted(discover(()).channels.items()):
        needs = f" Needs `pip install 'twinwatch[{channel.extra}]'`." if channel.extra else ""
        about = (channel.__doc__ or "").strip().partition("\n")[0]
        sections.append(
            f"## {channel.title} (`{name}`)\n\n{about}{needs} A try takes at most {channel.deadline_seconds:g} s; what "
            f"comes within {channel.gap_seconds:g} s of a message goes together in the next.\n"
        )
        schema = {"required": (), **schema_of(channel)}
        rows = [
            f"| `{setting}` | {_setting(field)} | {'required' if setting in schema['required'] else _given(field)} | "
            f"{_cell(field['description'])} |"
            for setting, field in schema["properties"].items()
        ]
        sections.append("\n".join(["| setting | value | default | |", "|---|---|---|---|", *rows]) + "\n")
    return "\n".join(sections)


def _setting(field: dict[str, Any]) -> str:
    """What may be put in, in a word or two."""
    branches = [branch for branch in field.get("anyOf", [field]) if branch.get("type") != "null"]
    (only,) = branches
    if "enum" in field:
        return ", ".join(f"`{word}`" if word else "empty" for word in sorted(field["enum"]))
    if only.get("format") == "password":
        return "secret text"
    inner = only.get("items") or only.get("additionalProperties")
    kind = {"string": "text", "integer": "whole number", "array": "list of", "object": "name: "}[only["type"]]
    return f"{kind}{' ' if only['type'] == 'array' else ''}{_setting(inner) if isinstance(inner, dict) else ''}".strip()


def _given(field: dict[str, Any]) -> str:
    default = field.get("default")
    shown = json.dumps(default) if isinstance(default, bool) else default
    return f"`{shown}`" if default not in (None, "", {}, [], ()) else ""


def openapi() -> str:
    """The hub's OpenAPI document, as `twinwatch hub openapi` prints it."""
    from twinwatch.hub.main import application

    return json.dumps(application(None).openapi(), indent=2) + "\n"


def _leaves(parser: argparse.ArgumentParser, description: str) -> Iterator[tuple[argparse.ArgumentParser, str]]:
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        yield parser, description
    for group in groups:
        helps = {choice.dest: choice.help or "" for choice in group._choices_actions}
        for name, below in group.choices.items():
            yield from _leaves(below, helps.get(name, ""))


def _value(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    return f" {action.metavar or action.dest.upper()}"


def _help(action: argparse.Action) -> str:
    return _cell((action.help or "").replace("%(default)s", str(action.default)))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


if __name__ == "__main__":
    sys.exit(main())
