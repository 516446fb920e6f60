"""OTLP metrics: from an ExportMetricsServiceRequest, protobuf or JSON, to what was pushed.

The same code reads protobuf's messages and ``otlp_json``'s structs, which have the same names and the same two
questions (``WhichOneof``, ``HasField``). protobuf is imported by the first push that needs it.
Source: https://opentelemetry.io/docs/specs/otlp/, https://opentelemetry.io/docs/specs/otel/metrics/data-model/.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import msgspec

from twinwatch.agent.local.instances import Instances
from twinwatch.agent.local.pushed import POINTS, Intake, Pushed, Way
from twinwatch.agent.local.refusals import Refused, invalid, too_large
from twinwatch.agent.local.text_push import of_summary
from twinwatch.monitors.distributions import BUCKETS, HIGHEST_SCALE, LOWEST_SCALE, Distribution, Exponential

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
SERVICE, INSTANCE = "service.name", "service.instance.id"
"""Attributes of the resource that become labels; the others say what this server is, which the hub knows."""
_DELTA, _CUMULATIVE = 1, 2
_NO_VALUE = 1
_LONGEST = 1_000
"""Characters of the message that tells of rejected points."""


def from_otlp(body: bytes, media: str, instances: Instances) -> Intake:
    """What the request holds.

    Raises: Refused if the body is not an ExportMetricsServiceRequest or has more than ``POINTS`` points.
    """
    if media == PROTOBUF:
        request = _parse(body)
    elif media == JSON:
        from twinwatch.agent.local.otlp_json import parse_json  # noqa: PLC0415 - its decoders are large

        request = parse_json(body)
    else:
        detail = f"Content-Type {media[:80]!r}: expected {PROTOBUF} or {JSON}"
        raise Refused(415, "media-type", "Media type not supported", detail)
    metrics = [
        (resource, metric)
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    ]
    points = sum(len(_data(metric).data_points) for _, metric in metrics if metric.WhichOneof("data"))
    if points > POINTS:
        raise too_large(f"{points} points in one push; at most {POINTS}: export more often or in smaller parts", POINTS)
    pushed: list[Pushed] = []
    unread: list[str] = []
    for resource, metric in metrics:
        if metric.WhichOneof("data"):
            _read(metric, _identity(resource.resource, instances), pushed, unread)
    return Intake(pushed, unread)


def answer_of(rejected: int, message: str, media: str) -> bytes:
    """The ExportMetricsServiceResponse, in the encoding of the request."""
    if media == JSON:
        partial = {"rejectedDataPoints": str(rejected), "errorMessage": message[:_LONGEST]}
        return msgspec.json.encode({"partialSuccess": partial} if rejected else {})
    from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2  # noqa: PLC0415 - see the module

    response = metrics_service_pb2.ExportMetricsServiceResponse()
    if rejected:
        response.partial_success.rejected_data_points = rejected
        response.partial_success.error_message = message[:_LONGEST].encode("utf-8", "replace").decode()
    answer: bytes = response.SerializeToString()
    return answer


def _parse(body: bytes) -> Any:
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped] # noqa: PLC0415 - see the module
    from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2  # noqa: PLC0415 - see the module

    try:
        return metrics_service_pb2.ExportMetricsServiceRequest.FromString(body)
    except DecodeError as err:
        raise invalid("the body is no protobuf ExportMetricsServiceRequest; is it gzip without the header?") from err


def _data(metric: Any) -> Any:
    return getattr(metric, metric.WhichOneof("data"))


def _read(metric: Any, identity: dict[str, str], pushed: list[Pushed], unread: list[str]) -> None:
    kind, data = metric.WhichOneof("data"), _data(metric)
    unit = metric.unit
    way: Way = "gauge"
    if kind in ("sum", "histogram", "exponential_histogram"):
        if data.aggregation_temporality not in (_DELTA, _CUMULATIVE):
            unread += [f"{metric.name[:80]}: no aggregation temporality"] * len(data.data_points)
            return
        way = "delta" if data.aggregation_temporality == _DELTA else "counter"
        if kind == "sum" and not data.is_monotonic:
            if way == "delta":
                said = f"{metric.name[:80]}: changes of a sum that may fall; expected it cumulative"
                unread += [said] * len(data.data_points)
                return
            # A sum that may fall is a level. Its unit 1 counts things; only a gauge's is a ratio.
            way, unit = "gauge", "" if unit == "1" else unit
        elif kind == "sum" and unit == "1":
            unit = ""
    for point in data.data_points:
        if point.flags & _NO_VALUE:
            continue
        try:
            like = Pushed(
                metric.name,
                way,
                0.0,
                {**_attributes(point.attributes), **identity},
                unit,
                metric.description,
                point.time_unix_nano // 1_000_000 or None,
                _seconds(point),
            )
            pushed += _values(kind, point, like)
        except Unread as err:
            unread.append(f"{metric.name[:80]}: {err}")


class Unread(ValueError):
    """A point that says nothing that can be kept."""


def _values(kind: str, point: Any, like: Pushed) -> Iterator[Pushed]:
    if kind in ("gauge", "sum"):
        chosen = point.WhichOneof("value")
        if chosen is None:
            raise Unread("a point without a value")
        yield like._replace(value=getattr(point, chosen))
    elif kind == "histogram":
        yield like._replace(value=_explicit(point))
    elif kind == "exponential_histogram":
        yield like._replace(value=_exponential(point))
    else:
        for each in point.quantile_values:
            yield like._replace(value=each.value, labels={**like.labels, "quantile": f"{each.quantile:g}"})
        yield from of_summary(like._replace(way="counter"), point.count, point.sum)


def _seconds(point: Any) -> float:
    """How long the point was in the making; 0 if it does not say."""
    if not point.start_time_unix_nano:
        return 0.0
    return max(0.0, float(point.time_unix_nano - point.start_time_unix_nano) / 1e9)


def _explicit(point: Any) -> Distribution:
    bounds, counts = tuple(point.explicit_bounds), tuple(point.bucket_counts)
    if not counts and not bounds:
        counts = (point.count,)
    if len(counts) != len(bounds) + 1:
        raise Unread(f"{len(bounds)} bounds and {len(counts)} buckets; expected one bucket more than bounds")
    if len(counts) > BUCKETS:
        raise Unread(f"{len(counts)} buckets; at most {BUCKETS}")
    if any(not one < two for one, two in pairwise(bounds)) or not all(map(_finite, bounds)):
        raise Unread("bounds that do not ascend")
    if min(counts) < 0 or max(counts) >= 1 << 64:
        raise Unread("a bucket with an unlawful count")
    return Distribution(bounds, tuple(map(float, counts)), _sum(point))


def _exponential(point: Any) -> Exponential:
    if not LOWEST_SCALE <= point.scale <= HIGHEST_SCALE:
        raise Unread(f"scale {point.scale}: expected {LOWEST_SCALE} to {HIGHEST_SCALE}")
    return Exponential(
        point.scale, _buckets(point.positive), _buckets(point.negative), _counted(point.zero_count), _sum(point)
    )


def _buckets(side: Any) -> dict[int, float]:
    if side is None:
        return {}
    if len(side.bucket_counts) > BUCKETS:
        raise Unread(f"{len(side.bucket_counts)} buckets; at most {BUCKETS}")
    if not -(1 << 31) <= side.offset < 1 << 31:
        raise Unread(f"offset {side.offset}: expected 32 bits")
    return {side.offset + place: _counted(count) for place, count in enumerate(side.bucket_counts) if count}


def _counted(count: int) -> float:
    if not 0 <= count < 1 << 64:
        raise Unread("a bucket with an unlawful count")
    return float(count)


def _sum(point: Any) -> float | None:
    total: float | None = point.sum if point.HasField("sum") else None
    return None if total is None or not _finite(total) else total


def _finite(value: float) -> bool:
    return value - value == 0.0


def _identity(resource: Any, instances: Instances) -> dict[str, str]:
    labels: dict[str, str] = {}
    for attribute in resource.attributes if resource is not None else ():
        if attribute.key in (SERVICE, INSTANCE) and (text := _text(attribute.value)):
            labels[attribute.key] = text
    if INSTANCE in labels:
        labels[INSTANCE] = instances.name_of(labels.get(SERVICE, ""), labels[INSTANCE])
    return labels


def _attributes(attributes: Any) -> dict[str, str]:
    labels: dict[str, str] = {}
    for attribute in attributes:
        text = _text(attribute.value)
        if text is None:
            raise Unread(f"attribute {attribute.key[:64]!r}: expected a text, a number, a boolean or a list of those")
        labels[attribute.key] = text
    return labels


def _text(value: Any, *, nested: bool = False) -> str | None:
    chosen = value.WhichOneof("value") if value is not None else None
    match chosen:
        case None:
            return ""
        case "string_value":
            return str(value.string_value)
        case "bool_value":
            return "true" if value.bool_value else "false"
        case "int_value" | "double_value":
            return f"{getattr(value, chosen)}"[:400]
        case "array_value" if not nested:
            parts = [_text(each, nested=True) for each in value.array_value.values]
            return None if None in parts else ",".join(part for part in parts if part is not None)
    return None
