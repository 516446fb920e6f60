"""Is what a person wants to save as a configuration within the law? Structure and bounds; what the options mean is
judged by the agent, whose problems come back in its report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from twinwatch.alerts.conditions import MESSAGE_CHARACTERS, problems_of
from twinwatch.hub.lawful import check_json, check_labels, check_text
from twinwatch.hub.refusals import Refused, invalid, over_limit
from twinwatch.hub.views import ConfigurationMonitor, Rule, SaveConfiguration
from twinwatch.protocol import limits
from twinwatch.protocol.durations import duration
from twinwatch.protocol.rules import Rule as WireRule

NAME_CHARACTERS = 128
INTERVAL_SECONDS = (5.0, 3600.0)
TIMEOUT_SECONDS = (0.1, 3600.0)


def name_of(monitor: Mapping[str, Any]) -> str:
    """A monitor's own name, else its type."""
    return str(monitor.get("name") or monitor["type"])


def check_configuration(wanted: SaveConfiguration) -> None:
    """Sizes, names, durations and texts.

    Raises: Refused 422 ``invalid`` or ``limit``.
    """
    for monitor in wanted.monitors:
        _check_monitor(monitor)
    _check_unique("monitors", (one.name or one.type for one in wanted.monitors))
    for rule in wanted.rules:
        check_rule(rule)
    _check_unique("rules", (one.name for one in wanted.rules))
    check_size(wanted.model_dump(exclude_defaults=True))


def check_size(content: Any) -> None:
    """What is to be kept is not too large, kept secrets included.

    Raises: Refused 422 ``limit``.
    """
    size = len(msgspec.json.encode(content))
    if size > limits.CONFIGURATION_BYTES:
        raise over_limit(f"{size} bytes; at most {limits.CONFIGURATION_BYTES}", limits.CONFIGURATION_BYTES)


def _check_monitor(monitor: ConfigurationMonitor) -> None:
    check_text("monitors: type", monitor.type, NAME_CHARACTERS)
    check_text("monitors: name", monitor.name, NAME_CHARACTERS, empty=True)
    what = f"monitor {monitor.name or monitor.type}"
    _check_duration(f"{what}, interval", monitor.interval, INTERVAL_SECONDS)
    _check_duration(f"{what}, timeout", monitor.timeout, TIMEOUT_SECONDS)
    check_json(f"{what}, options", monitor.options)


def check_rule(rule: Rule) -> None:
    """Texts that can be stored, and a condition that can be judged.

    Raises: Refused 422.
    """
    check_text("rules: name", rule.name, NAME_CHARACTERS)
    what = f"rule {rule.name}"
    check_labels(what, rule.labels)
    for name in ("metric", "check", "probe", "message"):
        check_text(f"{what}, {name}", getattr(rule, name), MESSAGE_CHARACTERS, empty=True)
    if problems := problems_of(msgspec.convert(rule.model_dump(exclude_defaults=True), WireRule)):
        raise invalid(f"{what}: {problems[0]}")


def _check_duration(what: str, text: str, bounds: tuple[float, float]) -> None:
    if not text:
        return
    check_text(what, text, 32)
    try:
        seconds = duration(text)
    except ValueError as err:
        raise invalid(f"{what}: {err}") from None
    low, high = bounds
    if not low <= seconds <= high:
        raise _out_of_bounds(what, text, low, high)


def _out_of_bounds(what: str, text: str, low: float, high: float) -> Refused:
    return invalid(f"{what}: {text} is not from {low:g} s to {high:g} s")


def _check_unique(what: str, names: Iterable[str]) -> None:
    name, times = next(iter(Counter(names).most_common(1)), ("", 0))
    if times > 1:
        raise invalid(f"{what}: {name!r} stands there {times} times; give each its own name")
