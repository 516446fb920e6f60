"""Whatever is pushed, in whatever format: an intake or a refusal, nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

from twinwatch.agent.local.bodies import inflate
from twinwatch.agent.local.instances import FREE_SECONDS, Instances
from twinwatch.agent.local.json_push import from_json
from twinwatch.agent.local.otlp import JSON, PROTOBUF, answer_of, from_otlp
from twinwatch.agent.local.pushed import Intake, Pushed
from twinwatch.agent.local.refusals import Refused
from twinwatch.agent.local.text_push import from_text, grouping
from twinwatch.monitors.distributions import Distribution, Exponential

AT = 1_800_000_000_000_000_000


def request_of(*metrics: dict[str, Any], **resource: str) -> dict[str, Any]:
    """An ExportMetricsServiceRequest as OTLP/JSON."""
    attributes = [{"key": key, "value": {"stringValue": value}} for key, value in resource.items()]
    return {"resourceMetrics": [{"resource": {"attributes": attributes}, "scopeMetrics": [{"metrics": list(metrics)}]}]}


def point(**fields: Any) -> dict[str, Any]:
    return {"timeUnixNano": str(AT), "startTimeUnixNano": str(AT - 10_000_000_000), **fields}


def read(body: object, media: str = JSON) -> Intake:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return from_otlp(raw, media, Instances(lambda: 0.0))


METRICS: list[dict[str, Any]] = [
    {"name": "g", "unit": "Cel", "gauge": {"dataPoints": [point(asDouble=1.5)]}},
    {
        "name": "c",
        "unit": "1",
        "sum": {"isMonotonic": True, "aggregationTemporality": 2, "dataPoints": [point(asInt="7")]},
    },
    {"name": "d", "sum": {"isMonotonic": True, "aggregationTemporality": 1, "dataPoints": [point(asInt=7)]}},
    {"name": "u", "unit": "1", "sum": {"aggregationTemporality": 2, "dataPoints": [point(asInt="-7")]}},
    {
        "name": "h",
        "histogram": {
            "aggregationTemporality": 2,
            "dataPoints": [point(count="3", sum=4.5, bucketCounts=["1", "2"], explicitBounds=[1])],
        },
    },
    {
        "name": "e",
        "exponentialHistogram": {
            "aggregationTemporality": 1,
            "dataPoints": [
                point(count=3, sum=4.5, scale=2, zeroCount="1", positive={"offset": -1, "bucketCounts": ["1", 0, "1"]})
            ],
        },
    },
    {"name": "s", "summary": {"dataPoints": [point(count="4", sum=8, quantileValues=[{"quantile": 0.5, "value": 2}])]}},
]


def as_protobuf(body: dict[str, Any]) -> bytes:
    """The same request in protobuf, by protobuf's own reader of JSON."""
    from google.protobuf import json_format  # type: ignore[import-untyped]

    raw: bytes = json_format.ParseDict(body, ExportMetricsServiceRequest()).SerializeToString()
    return raw


@pytest.mark.parametrize("media", [JSON, PROTOBUF])
def test_every_kind_of_point_is_read_in_both_encodings(media: str) -> None:
    body = request_of(*METRICS, **{"service.name": "shop", "host.name": "web-1"})
    intake = read(body if media == JSON else as_protobuf(body), media)
    assert intake.unread == []
    found = {each.name: each for each in intake.pushed}
    labels, at = {"service.name": "shop"}, AT // 1_000_000
    assert found["g"] == Pushed("g", "gauge", 1.5, labels, "Cel", time=at, seconds=10.0)
    assert (found["c"].way, found["c"].value, found["c"].unit) == ("counter", 7, "")
    assert (found["d"].way, found["d"].value, found["d"].seconds) == ("delta", 7, 10.0)
    assert (found["u"].way, found["u"].value, found["u"].unit) == ("gauge", -7, "")
    assert found["h"].value == Distribution((1.0,), (1.0, 2.0), 4.5)
    assert found["e"].value == Exponential(2, {-1: 1.0, 1: 1.0}, {}, 1.0, 4.5)
    assert (found["s"].value, found["s"].labels) == (2, {**labels, "quantile": "0.5"})
    assert (found["s.count"].value, found["s.sum"].value, found["s.sum"].way) == (4, 8, "counter")


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ({"gauge": {"dataPoints": [point()]}}, "a point without a value"),
        ({"sum": {"dataPoints": [point(asInt=1)]}}, "no aggregation temporality"),
        ({"sum": {"aggregationTemporality": 1, "dataPoints": [point(asInt=1)]}}, "expected it cumulative"),
        (
            {"histogram": {"aggregationTemporality": 2, "dataPoints": [point(bucketCounts=[1], explicitBounds=[1])]}},
            "one bucket more than bounds",
        ),
        (
            {
                "histogram": {
                    "aggregationTemporality": 2,
                    "dataPoints": [point(bucketCounts=[1, 1, 1], explicitBounds=[2, 1])],
                }
            },
            "do not ascend",
        ),
        (
            {"exponentialHistogram": {"aggregationTemporality": 2, "dataPoints": [point(scale=99)]}},
            "expected -10 to 20",
        ),
        (
            {"gauge": {"dataPoints": [point(asInt=1, attributes=[{"key": "k", "value": {"kvlistValue": {}}}])]}},
            "attribute 'k'",
        ),
    ],
)
def test_a_point_that_says_nothing_is_told_apart(metric: dict[str, Any], words: str) -> None:
    good = {"name": "good", "gauge": {"dataPoints": [point(asInt=1)]}}
    intake = read(request_of({"name": "bad", **metric}, good))
    assert [each.name for each in intake.pushed] == ["good"]
    (unread,) = intake.unread
    assert unread.startswith("bad: ")
    assert words in unread


def test_a_point_without_a_recorded_value_is_passed_over() -> None:
    assert read(request_of({"name": "g", "gauge": {"dataPoints": [point(flags=1)]}})) == Intake([], [])


def test_attributes_become_labels() -> None:
    attributes = [
        {"key": "text", "value": {"stringValue": "null"}},
        {"key": "yes", "value": {"boolValue": True}},
        {"key": "number", "value": {"intValue": "5"}},
        {"key": "half", "value": {"doubleValue": 0.5}},
        {"key": "list", "value": {"arrayValue": {"values": [{"stringValue": "a"}, {"intValue": 1}]}}},
        {"key": "none"},
    ]
    (pushed,) = read(request_of({"name": "g", "gauge": {"dataPoints": [point(asInt=1, attributes=attributes)]}})).pushed
    assert pushed.labels == {"text": "null", "yes": "true", "number": "5", "half": "0.5", "list": "a,1", "none": ""}


def test_too_many_points_are_refused_whole() -> None:
    body = request_of({"name": "g", "gauge": {"dataPoints": [{"asInt": 1}] * 10_001}})
    with pytest.raises(Refused, match="at most 10000") as caught:
        read(body)
    assert caught.value.problem.status == 413


def test_the_answer_tells_what_was_rejected() -> None:
    response = ExportMetricsServiceResponse.FromString(answer_of(3, "why", PROTOBUF))
    assert (response.partial_success.rejected_data_points, response.partial_success.error_message) == (3, "why")
    assert answer_of(0, "", PROTOBUF) == b""
    assert json.loads(answer_of(0, "", JSON)) == {}


def test_a_restarted_process_does_not_make_new_series_for_ever() -> None:
    now = 0.0
    instances = Instances(lambda: now)
    uuids = [f"0000000{number}-0000-4000-8000-000000000000" for number in range(5)]
    assert instances.name_of("shop", uuids[0]) == "1"
    assert instances.name_of("shop", uuids[1]) == "2"
    assert instances.name_of("shop", "worker-7") == "worker-7"
    assert instances.name_of("mail", uuids[2]) == "1"
    now = FREE_SECONDS + 1
    assert instances.name_of("shop", uuids[3]) == "1"
    assert instances.name_of("shop", uuids[4]) == "2"


def test_groups_are_labels() -> None:
    assert grouping(["job", "nightly", "path@base64", "L3Zhcg", "empty", ""]) == {"job": "nightly", "path": "/var"}
    for words in (
        ["job"],
        ["x", "y"],
        ["job", "a", "job", "b"],
        ["job", "a", "p@hex", "00"],
        ["job", "a", "p@base64", "é"],
    ):
        with pytest.raises(Refused):
            grouping(words)


@given(st.binary(max_size=300), st.sampled_from([JSON, PROTOBUF]))
def test_noise_as_otlp(body: bytes, media: str) -> None:
    lawful(lambda: read(body, media))


@given(st.data())
def test_damaged_protobuf(data: st.DataObject) -> None:
    raw = bytearray(as_protobuf(request_of(*METRICS)))
    for _ in range(data.draw(st.integers(1, 8))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    lawful(lambda: read(bytes(raw[: data.draw(st.integers(0, len(raw)))]), PROTOBUF))


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("9" * 30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_fields = st.sampled_from(
    ["asInt", "asDouble", "timeUnixNano", "count", "sum", "bucketCounts", "explicitBounds", "scale", "zeroCount",
     "positive", "attributes", "flags", "quantileValues"]
)  # fmt: skip
_kinds = st.sampled_from(["gauge", "sum", "histogram", "exponentialHistogram", "summary"])


@given(_kinds, st.dictionaries(_fields, _json, max_size=4), st.integers(-1, 4))
def test_otlp_json_of_any_values(kind: str, fields: dict[str, Any], temporality: int) -> None:
    metric = {"name": "m", kind: {"aggregationTemporality": temporality, "dataPoints": [point(**fields)]}}
    lawful(lambda: read(request_of(metric)))


@given(st.binary(max_size=200) | _json.map(lambda value: json.dumps(value).encode()))
def test_noise_as_json(body: bytes) -> None:
    lawful(lambda: from_json(body))


@given(st.dictionaries(st.sampled_from(["name", "value", "labels", "time", "kind", "unit", "x"]), _json))
def test_json_of_any_values(sample: dict[str, Any]) -> None:
    lawful(lambda: from_json(json.dumps([sample]).encode()))


@given(st.binary(max_size=200), st.booleans())
def test_noise_as_text(body: bytes, openmetrics: bool) -> None:
    lawful(lambda: from_text(body, openmetrics=openmetrics))


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"resourceMetrics":' * 50_000, b'{"a":' * 100_000])
def test_deep_nesting_is_refused(body: bytes) -> None:
    for reader in (read, from_json):
        with pytest.raises(Refused):
            reader(body)


def test_deeply_nested_attributes_are_refused() -> None:
    value: dict[str, Any] = {"stringValue": "x"}
    raw = json.dumps(value).encode()
    deep = b'{"arrayValue":{"values":[' * 20_000 + raw + b"]}}" * 20_000
    body = json.dumps(
        request_of({"name": "g", "gauge": {"dataPoints": [point(attributes=[{"key": "k", "value": 0}])]}})
    )
    lawful(lambda: read(body.encode().replace(b'"value": 0', b'"value": ' + deep)))


@given(st.binary(max_size=100), st.sampled_from(["gzip", "deflate"]))
def test_noise_as_a_compressed_body(body: bytes, encoding: str) -> None:
    with pytest.raises(Refused):
        inflate(body, encoding)


def lawful(reading: Any) -> None:
    """An intake, or a refusal that the client can read."""
    try:
        intake = reading()
    except Refused as err:
        refused = err
    else:
        assert isinstance(intake, Intake)
        return
    assert 400 <= refused.problem.status < 500
    assert json.loads(refused.body)["detail"]
