"""The newest values as Prometheus text, so that a Prometheus can scrape the agent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from math import isfinite

from twinwatch.protocol.metrics import Catalogue
from twinwatch.protocol.samples import SeriesKey

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_ODD = re.compile(r"[^a-zA-Z0-9_]")


def exposed(newest: Iterable[tuple[SeriesKey, int, float]], catalogue: Catalogue) -> bytes:
    """Gauges, all of them: what the agent counts is a rate already. Dots in names become underscores."""
    helps: Mapping[str, str] = {metric.name: metric.help for one in catalogue.monitors for metric in one.metrics}
    rows: list[str] = []
    last = ""
    for key, _, value in sorted(newest, key=lambda each: each[0].metric):
        name = _name(key.metric)
        if key.metric != last:
            last = key.metric
            rows += [f"# HELP {name} {_escaped(helps.get(last, last), quote=False)}", f"# TYPE {name} gauge"]
        labels = ",".join(f'{_name(label)}="{_escaped(text)}"' for label, text in key.labels.items())
        spelled = repr(float(value)) if isfinite(value) else "NaN"
        rows.append(f"{name}{{{labels}}} {spelled}" if labels else f"{name} {spelled}")
    return "".join(f"{row}\n" for row in rows).encode("utf-8", "replace")


def _name(text: str) -> str:
    plain = _ODD.sub("_", text)
    return f"_{plain}" if plain[:1].isdigit() else plain


def _escaped(text: str, *, quote: bool = True) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quote else text
