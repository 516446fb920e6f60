"""OTLP's JSON encoding: lower camel case, 64-bit integers as text or number, enumerations as numbers.

Trace and span ids, hexadecimal here, stand in exemplars only, which are not read. Unknown fields are passed over.
Source: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from twinwatch.agent.local.refusals import invalid


class _Message(msgspec.Struct, rename="camel"):
    """What protobuf's messages can be asked, so that one reader serves both."""

    chosen: ClassVar[tuple[str, ...]] = ()

    def WhichOneof(self, group: str) -> str | None:  # noqa: N802 - protobuf's name and manner
        """The field that is set, of those of which one may be."""
        return next((name for name in self.chosen if getattr(self, name) is not None), None)

    def HasField(self, name: str) -> bool:  # noqa: N802 - protobuf's name
        """Whether an optional field is set."""
        return getattr(self, name) is not None


class _Array(_Message):
    values: list[_AnyValue] = []


class _AnyValue(_Message):
    chosen: ClassVar[tuple[str, ...]] = (
        "string_value", "bool_value", "int_value", "double_value", "array_value", "kvlist_value", "bytes_value",
    )  # fmt: skip
    string_value: str | None = None
    bool_value: bool | None = None
    int_value: int | None = None
    double_value: float | None = None
    array_value: _Array | None = None
    kvlist_value: Any = None
    bytes_value: Any = None


class _KeyValue(_Message):
    key: str = ""
    value: _AnyValue | None = None


class _Resource(_Message):
    attributes: list[_KeyValue] = []


class _Point(_Message):
    attributes: list[_KeyValue] = []
    start_time_unix_nano: int = 0
    time_unix_nano: int = 0
    flags: int = 0


class _NumberPoint(_Point):
    chosen: ClassVar[tuple[str, ...]] = ("as_double", "as_int")
    as_double: float | None = None
    as_int: int | None = None


class _HistogramPoint(_Point):
    count: int = 0
    sum: float | None = None
    bucket_counts: list[int] = []
    explicit_bounds: list[float] = []


class _Buckets(_Message):
    offset: int = 0
    bucket_counts: list[int] = []


class _ExponentialPoint(_Point):
    count: int = 0
    sum: float | None = None
    scale: int = 0
    zero_count: int = 0
    positive: _Buckets | None = None
    negative: _Buckets | None = None


class _Quantile(_Message):
    quantile: float = 0.0
    value: float = 0.0


class _SummaryPoint(_Point):
    count: int = 0
    sum: float = 0.0
    quantile_values: list[_Quantile] = []


class _Gauge(_Message):
    data_points: list[_NumberPoint] = []


class _Sum(_Message):
    data_points: list[_NumberPoint] = []
    aggregation_temporality: int = 0
    is_monotonic: bool = False


class _Histogram(_Message):
    data_points: list[_HistogramPoint] = []
    aggregation_temporality: int = 0


class _ExponentialHistogram(_Message):
    data_points: list[_ExponentialPoint] = []
    aggregation_temporality: int = 0


class _Summary(_Message):
    data_points: list[_SummaryPoint] = []


class _Metric(_Message):
    chosen: ClassVar[tuple[str, ...]] = ("gauge", "sum", "histogram", "exponential_histogram", "summary")
    name: str = ""
    description: str = ""
    unit: str = ""
    gauge: _Gauge | None = None
    sum: _Sum | None = None
    histogram: _Histogram | None = None
    exponential_histogram: _ExponentialHistogram | None = None
    summary: _Summary | None = None


class _ScopeMetrics(_Message):
    metrics: list[_Metric] = []


class _ResourceMetrics(_Message):
    resource: _Resource | None = None
    scope_metrics: list[_ScopeMetrics] = []


class _Request(_Message):
    resource_metrics: list[_ResourceMetrics] = []


def parse_json(body: bytes) -> _Request:
    """The request.

    Raises: Refused with the place that is wrong.
    """
    try:
        return msgspec.json.decode(body, type=_Request, strict=False)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OverflowError, ValueError) as err:
        raise invalid(f"OTLP/JSON: {str(err)[:500]}") from err
