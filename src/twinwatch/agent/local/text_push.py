"""Pushes as Prometheus text, and the address under which Pushgateway clients group them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from twinwatch.agent.local.pushed import POINTS, Intake, Pushed
from twinwatch.agent.local.refusals import invalid, too_large
from twinwatch.monitors.exposition import Exposed, Scalar, Summary, Unlawful, read

UNITS = {"seconds": "s", "bytes": "By", "celsius": "Cel", "volts": "V", "amperes": "A", "joules": "J", "ratio": "1"}
"""What a name's last word says of its unit, where ``# UNIT`` does not. Source: prometheus.io/docs/practices/naming."""


def from_text(body: bytes, *, openmetrics: bool = False, labels: Mapping[str, str] | None = None) -> Intake:
    """The samples of the body, each with ``labels`` over its own.

    Raises: Refused, which names the line.
    """
    try:
        text = body.decode()
        found = list(islice(_pushed(text, labels or {}, openmetrics=openmetrics), POINTS + 1))
    except (Unlawful, UnicodeDecodeError) as err:
        raise invalid(str(err)) from err
    if len(found) > POINTS:
        raise too_large(f"more than {POINTS} samples in one push", POINTS)
    return Intake(found)


def grouping(words: Sequence[str]) -> dict[str, str]:
    """The labels of ``/metrics/job/<job>{/<label>/<value>}``: the path's words from ``job`` on, percent-decoded.

    A label whose name ends with ``@base64`` has its value in URL-safe base64; an empty value is no label.
    Source: https://github.com/prometheus/pushgateway#url

    Raises: Refused.
    """
    path = "/".join(words)[:200]
    if len(words) % 2 or words[0] not in ("job", "job@base64"):
        raise invalid(f"/metrics/{path}: expected /metrics/job/<job> and then pairs /<label>/<value>")
    labels: dict[str, str] = {}
    for name, value in zip(words[::2], words[1::2], strict=True):
        plain, _, encoding = name.partition("@")
        if encoding not in ("", "base64") or plain in labels or not plain:
            raise invalid(f"/metrics/{path}: label {name[:80]!r}: expected each name once, or with @base64")
        labels[plain] = _from_base64(value) if encoding else value
    return {name: value for name, value in labels.items() if value}


def _from_base64(value: str) -> str:
    try:
        return base64.b64decode(value.rstrip("=") + "=" * (-len(value.rstrip("=")) % 4), altchars=b"-_").decode()
    except (binascii.Error, ValueError) as err:
        raise invalid(f"{value[:80]!r}: expected URL-safe base64 of UTF-8") from err


def _pushed(text: str, labels: Mapping[str, str], *, openmetrics: bool) -> Iterator[Pushed]:
    for each in read(text, openmetrics=openmetrics, lines=20 * POINTS):
        yield from _of(each, {**each.labels, **labels})


def _of(each: Exposed, labels: dict[str, str]) -> Iterator[Pushed]:
    family = each.family
    if isinstance(each, Scalar):
        unit = _unit(family.unit, each.name)
        yield Pushed(each.name, "counter" if each.rising else "gauge", each.value, labels, unit, family.help, each.time)
        return
    unit = _unit(family.unit, family.name)
    if not isinstance(each, Summary):
        yield Pushed(family.name, "counter", each.distribution, labels, unit, family.help, each.time)
        return
    for share, value in each.quantiles.items():
        own = {**labels, "quantile": f"{share:g}"}
        yield Pushed(family.name, "gauge", value, own, unit, family.help, each.time)
    yield from of_summary(
        Pushed(family.name, "counter", 0.0, labels, unit, family.help, each.time), each.recorded, each.sum
    )


def of_summary(like: Pushed, count: float | None, total: float | None) -> Iterator[Pushed]:
    """Count and sum of a summary as counters beside its quantiles."""
    if count is not None:
        yield like._replace(name=f"{like.name}.count", value=count, unit="{count}")
    if total is not None and total >= 0:
        yield like._replace(name=f"{like.name}.sum", value=total)


def _unit(declared: str, name: str) -> str:
    word = declared or name.removesuffix("_total").rpartition("_")[2]
    return UNITS.get(word, declared)
