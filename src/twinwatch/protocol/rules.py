"""Rules: when a sample, a check, a probe or a silence becomes an alert. Declared by monitors, in files and at the hub.

One struct for all conditions, so that it reads the same in YAML, in the API and on the wire. Which fields belong
together is judged by ``twinwatch.alerts.conditions.problems_of``. Durations are texts such as ``5m``.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Severity = Literal["critical", "warning", "down"]
"""``down`` is for what is dead silent; only the hub gives it."""
Aggregate = Literal["last", "mean", "min", "max", "sum", "change", "rate", "forecast"]
Order = Literal["", "agent_first", "hub_first"]
BadState = Literal["degraded", "down", "unknown"]


class Rule(msgspec.Struct, frozen=True, omit_defaults=True):
    """Exactly one of ``metric``, ``check``, ``probe`` and ``silent`` is given.

    Of a metric each series that the selector admits is judged for itself: above, below, or with both outside of a
    range; or with ``no_data`` when it has no samples.
    """

    name: str
    severity: Severity = "warning"
    metric: str = ""
    labels: dict[str, str] = {}
    """Selects series: label to value, where ``*`` stands for anything and a leading ``!`` for *not*."""
    above: float | None = None
    below: float | None = None
    check: str = ""
    """A check's name, or a pattern with ``*``."""
    states: tuple[BadState, ...] = ("down",)
    hold: str = ""
    """How long it must be so before it alerts, such as ``5m``; empty: at once."""
    aggregate: Aggregate = "last"
    """What is judged: the sample, or what the samples of ``window`` come to. ``change`` is last less first, ``rate``
    that per second, ``forecast`` the seconds until the value meets ``target`` if it goes on as in the window."""
    window: str = ""
    above_clear: float | None = None
    """Well again at or below this; empty: at or below ``above``."""
    below_clear: float | None = None
    """Well again at or above this; empty: at or above ``below``."""
    target: float | None = None
    no_data: str = ""
    """Alert when there has been no sample for so long, though its monitor runs."""
    probe: str = ""
    """A probe's name, or a pattern with ``*``."""
    silent: str = ""
    """Alert when the server has given no sign of life for so long."""
    times: int = 1
    """So many bad outcomes of a check or probe …"""
    of: int = 0
    """… among its last so many; 0: in a row."""
    recover: int = 1
    """So many good outcomes in a row before it is well again."""
    clear_hold: str = ""
    """How long it must be well before it is resolved; empty: at once."""
    message: str = ""
    """What to say, with ``{server}``, ``{value}``, ``{threshold}``, ``{check}``, ``{message}``, ``{for}`` and labels as
    ``{system.device}``; empty: what fits the condition."""
    order: Order = ""
    """Who tells: the agent at once, or the hub; empty: as the severity has it."""
    enabled: bool = True
    """False switches off a default rule of this name."""
