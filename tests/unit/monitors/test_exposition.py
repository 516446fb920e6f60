"""Prometheus text, classic and OpenMetrics, against what its own parser reads and against noise."""

from __future__ import annotations

import time
from collections.abc import Iterator
from math import inf, isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from twinwatch.monitors.distributions import Distribution
from twinwatch.monitors.exposition import Exposed, Histogram, Scalar, Summary, Unlawful, read

TEXT = r"""
# HELP http_requests_total The total number of HTTP "requests"\nof all kinds.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1395066363000
http_requests_total{method="post",code="400",}    3 1395066363000
# a comment
#TYPE-less comment
msdos_file_access_time_seconds{path="C:\\DIR\\FILE.TXT",error="Cannot find file:\n\"FILE.TXT\""} 1.458255915e9
metric_without_timestamp_and_labels 12.47
# HELP " a help that begins with a quote
something_weird{problem="division by zero"} +Inf 3982045
"""
HISTOGRAM = """
# TYPE latency_seconds histogram
# UNIT latency_seconds seconds
latency_seconds_bucket{route="/",le="0.1"} 3
latency_seconds_bucket{route="/",le="1"} 5
latency_seconds_bucket{route="/",le="+Inf"} 6
latency_seconds_sum{route="/"} 4.5
latency_seconds_count{route="/"} 6
# TYPE rpc summary
rpc{quantile="0.5"} 4
rpc{quantile="0.99"} 9
rpc_sum 17
rpc_count 4
"""


def scalars(text: str, **options: bool) -> list[Scalar]:
    return [each for each in read(text, **options) if isinstance(each, Scalar)]  # type: ignore[arg-type]


def test_lines_of_the_format_s_own_documentation() -> None:
    found = scalars(TEXT)
    assert [(each.name, each.value, each.time) for each in found] == [
        ("http_requests_total", 1027, 1395066363000),
        ("http_requests_total", 3, 1395066363000),
        ("msdos_file_access_time_seconds", 1.458255915e9, None),
        ("metric_without_timestamp_and_labels", 12.47, None),
        ("something_weird", inf, 3982045),
    ]
    assert [each.rising for each in found] == [True, True, False, False, False]
    assert found[0].family.help == 'The total number of HTTP "requests"\nof all kinds.'
    assert found[2].labels == {"path": "C:\\DIR\\FILE.TXT", "error": 'Cannot find file:\n"FILE.TXT"'}


def test_histograms_and_summaries_are_gathered_from_their_lines() -> None:
    found = list(read(HISTOGRAM))
    (histogram,) = (each for each in found if isinstance(each, Histogram))
    (summary,) = (each for each in found if isinstance(each, Summary))
    assert histogram.labels == {"route": "/"}
    assert histogram.distribution == Distribution((0.1, 1.0), (3.0, 2.0, 1.0), 4.5)
    assert histogram.family.unit == "seconds"
    assert (summary.recorded, summary.sum, summary.quantiles) == (4, 17, {0.5: 4, 0.99: 9})


def test_openmetrics_has_seconds_exemplars_and_an_end() -> None:
    text = '# TYPE a counter\na_total{b="#"} 5 12.5 # {trace_id="x"} 0.67 12\na_created 3\n# EOF\nnever read'
    (found,) = scalars(text, openmetrics=True)
    assert (found.name, found.value, found.time, found.labels) == ("a_total", 5, 12500, {"b": "#"})
    assert found.rising
    assert found.family.name == "a"


def test_names_in_quotes_and_names_with_dots_are_names() -> None:
    found = scalars('{"my metric",a="b"} 1\norders.open{"x.y"="z"} 2\n{"alone"} 3\n')
    assert [(each.name, each.labels) for each in found] == [
        ("my metric", {"a": "b"}),
        ("orders.open", {"x.y": "z"}),
        ("alone", {}),
    ]


def test_a_name_that_is_not_wanted_costs_no_look_at_its_labels() -> None:
    assert [each.family.name for each in read("a{broken 1\nb 2\n", wanted=lambda name: name == "b")] == ["b"]


def test_nan_is_no_sample() -> None:
    assert scalars("a NaN\nb 1\n")[0].name == "b"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a 1\nb\n", "line 2: b: expected a value"),
        ('a{b="x} 1', "line 1: expected name="),
        ('a{b="x",b="y"} 1', "label 'b' stands there twice"),
        ("a 0x10", "expected a number"),
        ("a 1_0", "expected a number"),
        ("a ١", "expected a number"),
        ("a 1 2 3", "expected a value and maybe a time"),
        ("a 1 nan", "milliseconds since 1970"),
        ("# TYPE a foo", "expected one of counter, gauge"),
        ("é 1", "expected a metric's name"),
        ("{} 1", "expected a metric's name"),
        ("# TYPE h histogram\nh 1", "line 2: h of a histogram"),
        ("a" * 20_000, "at most 16384"),
    ],
)
def test_what_cannot_be_is_said_with_its_line(text: str, message: str) -> None:
    with pytest.raises(Unlawful, match=r"^line [0-9]+: ") as caught:
        list(read(text))
    assert message in str(caught.value)


@given(st.text(alphabet=st.sampled_from('ab{}",=\\ \n#1.e+-_NaInfTYPEHL\t'), max_size=200), st.booleans())
def test_noise_is_findings_or_unlawful(text: str, openmetrics: bool) -> None:
    _lawful(text, openmetrics)


@given(st.data())
def test_a_damaged_text_is_findings_or_unlawful(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from([TEXT, HISTOGRAM]))
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    _lawful(text[:start] + data.draw(st.text(max_size=20)) + text[end:], data.draw(st.booleans()))


_names = st.sampled_from(["up", "a:b", "_x", "http_requests_total", "Z9"])
_label_names = st.sampled_from(["code", "a", "A_1", "_under", "method"])


@given(st.dictionaries(_names, st.tuples(st.dictionaries(_label_names, st.text(max_size=10)), st.floats())))
def test_what_prometheus_reads_is_read_alike(series: dict[str, tuple[dict[str, str], float]]) -> None:
    """Its own parser is the judge, on what a client would write."""
    text = "".join(f"{name}{_spelled(labels)} {value!r}\n" for name, (labels, value) in series.items())
    theirs = [
        (sample.name, sample.labels, sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.value == sample.value
    ]
    assert [(each.name, each.labels, each.value) for each in scalars(text)] == theirs


def _spelled(labels: dict[str, str]) -> str:
    escaped = {
        name: value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"') for name, value in labels.items()
    }
    return "{" + ",".join(f'{name}="{value}"' for name, value in escaped.items()) + "}" if labels else ""


@pytest.mark.parametrize("piece", ['a{b="x"} 1\n', "# HELP a b\n", 'a{b="\\"', "{", '"', " ", "#", "a 1 # ", "a,"])
def test_a_megabyte_of_anything_takes_a_moment_only(piece: str) -> None:
    text = piece * ((1 << 20) // len(piece))
    for openmetrics in (False, True):
        start = time.process_time()
        _lawful(text, openmetrics)
        assert time.process_time() - start < 5.0


def _lawful(text: str, openmetrics: bool) -> None:
    try:
        found = list(read(text, openmetrics=openmetrics))
    except Unlawful:
        return
    for each in _distributions(found):
        assert all(isfinite(count) and count >= 0 for count in each.distribution.counts)
        assert sorted(each.distribution.bounds) == list(each.distribution.bounds)


def _distributions(found: list[Exposed]) -> Iterator[Histogram]:
    return (each for each in found if isinstance(each, Histogram))
