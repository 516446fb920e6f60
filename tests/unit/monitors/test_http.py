"""Conditions, addresses and options of the HTTP monitor, and what it makes of any bytes at all."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from twinwatch.monitors import Check, Moment, Reading
from twinwatch.monitors.http import Http
from twinwatch.monitors.http.expressions import NOTHING, at, header_condition, header_of, json_condition
from twinwatch.monitors.http.patterns import pattern_of, searched, statuses_of
from twinwatch.monitors.http.target import next_target, target_of
from twinwatch.monitors.options import options_of
from twinwatch.testing.paper import paper_world
from twinwatch.testing.paper_net import PaperNet

DOCUMENT = {
    "status": "ok", "n": 3, "yes": True, "none": None, "list": [1, {"a": "x"}], "odd key": {"b.c": 2}, "text": "v2.1",
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ('$.status == "ok"', ""),
        ("$.status == ok", ""),
        ('$.status != "ok"', 'seen "ok"'),
        ("$.n >= 3", ""),
        ("$.n<=2", None),
        ("$.n <=2", "seen 3"),
        ("$.n == 3.0", ""),
        ("$.n == true", "seen 3"),
        ("$.yes == true", ""),
        ("$.yes == 1", "seen true"),
        ("$.none == null", ""),
        ("$.none exists", ""),
        ("$.gone == null", "it is not there"),
        ("$.gone exists", "it is not there"),
        ("$.gone absent", ""),
        ("$.n absent", "it is there"),
        ("$.list length == 2", ""),
        ("$.n length == 2", "seen 3, which has no length"),
        ("$.status length > 1", ""),
        ('$.list[1].a == "x"', ""),
        ('$.list[-1]["a"] == "x"', ""),
        ("$.list[5] == 1", "it is not there"),
        ('$["odd key"]["b.c"] == 2', ""),
        ("$.list contains 1", ""),
        ("$.list contains 2", 'seen [1,{"a":"x"}]'),
        ("$.text contains 2.", ""),
        ("$ contains status", ""),
        ("$.status < 5", 'seen "ok"'),
        ("$.status < zz", ""),
        ('$.n == {"a": 1}', "seen 3"),
    ],
)
def test_a_json_condition(text: str, seen: str | None) -> None:
    if seen is None:
        with pytest.raises(ValueError, match="expected after"):
            json_condition(text)
    else:
        condition = json_condition(text)
        assert condition.failure(at(DOCUMENT, condition.steps)) == seen


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("content-type contains json", ""),
        ("Content-Type == text/html", 'seen "application/json"'),
        ("age < 60", ""),
        ("age > 60", "seen 30.0"),
        ("etag exists", "it is not there"),
        ("x length == 2", ""),
        ("age == 30", ""),
    ],
)
def test_a_header_condition(text: str, seen: str) -> None:
    condition = header_condition(text)
    headers = {"content-type": "application/json", "age": "30", "x": "ab"}
    assert condition.failure(header_of(headers, condition)) == seen


@pytest.mark.parametrize("text", ["", "status == 1", "$.a =", "$.a ==", "$.a[x] == 1", "$..a == 1", "$.a is 1", "$.a"])
def test_what_is_no_json_condition_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        json_condition(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)
OPERATORS = st.sampled_from(["==", "!=", "<", ">", "<=", ">=", "contains", "exists", "absent", "length ==", "is", ""])


@given(JSON, st.text(alphabet='.[]"\\abc0-9$ é', max_size=12), OPERATORS, JSON)
@example([], "[0]", "==", 1)
@example({}, '["\\ud800"]', "==", 1)
def test_any_condition_on_any_document_holds_or_says_what_was_seen(
    document: Any, path: str, operator: str, value: Any
) -> None:
    try:
        condition = json_condition(f"${path} {operator} {json.dumps(value)}")
    except ValueError:
        return
    assert isinstance(condition.failure(at(document, condition.steps)), str)


@given(st.text(max_size=40))
def test_any_text_is_a_condition_or_is_refused(text: str) -> None:
    for understand in (json_condition, header_condition):
        try:
            assert isinstance(understand(text).failure(NOTHING), str)
        except ValueError:
            continue


@pytest.mark.parametrize(
    ("expected", "ranges"),
    [
        (200, ((200, 200),)),
        ("2xx", ((200, 299),)),
        ("200-299, 404", ((200, 299), (404, 404))),
        ((200, "3XX"), ((200, 200), (300, 399))),
    ],
)
def test_expected_statuses(expected: Any, ranges: Any) -> None:
    assert statuses_of(expected) == ranges


@pytest.mark.parametrize("expected", ["", "6xx", "ok", "299-200", 20, (), "200-", "²00"])
def test_unlawful_statuses_are_refused(expected: Any) -> None:
    with pytest.raises(ValueError, match="expected_status"):
        statuses_of(expected)


@pytest.mark.parametrize("text", [r"(a+)+$", r"(a|aa)*b", r"((ab)*c)*", r"(\w+\s?)*x", r"([a-z]+){2,}", "(", "a" * 501])
def test_patterns_that_may_take_for_ever_or_are_none_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="regex"):
        pattern_of(text)


@pytest.mark.parametrize("text", [r"v\d+\.\d+", r"(foo|bar) (baz)?", r"[(+*]+", r"\(a+\)+", r"a{2,3}"])
def test_usual_patterns_are_taken(text: str) -> None:
    assert pattern_of(text).pattern == text


def test_a_pattern_without_bound_is_let_loose_on_the_beginning_only() -> None:
    text = "x" * 100_000 + "v2"
    assert searched(pattern_of("v[0-9]"), text) == text
    assert len(searched(pattern_of("v[0-9]+"), text)) < 20_000


@pytest.mark.parametrize(
    ("url", "shown", "path"),
    [
        ("https://shop.example", "https://shop.example/", "/"),
        ("http://shop.example:8080/a b".replace(" ", "%20"), "http://shop.example:8080/a%20b", "/a%20b"),
        ("https://h.example:443/x?token=s3cret&p=1#top", "https://h.example/x?token=***&p=***", "/x?token=s3cret&p=1"),
        ("http://[2001:db8::1]:81/", "http://[2001:db8::1]:81/", "/"),
        ("https://münchen.example/ä", "https://xn--mnchen-3ya.example/%C3%A4", "/%C3%A4"),
        ("HTTPS://Shop.Example/A", "https://shop.example/A", "/A"),
    ],
)  # fmt: skip
def test_addresses(url: str, shown: str, path: str) -> None:
    target = target_of(url)
    assert target.shown == shown
    assert target.path == path


@pytest.mark.parametrize(
    "url",
    [
        "", "shop.example", "ftp://shop.example/", "http://", "http:///x", "http://a b/", "http://h:99999/", "http://h:0/",
        "https://user:s3cret@shop.example/", "http://h\r\nX: y/", "http://[::1/", "http://h/" + "x" * 3000, "http://ex!/",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_without_its_secret(url: str) -> None:
    with pytest.raises(ValueError, match="url: ") as refused:
        target_of(url)
    assert "s3cret" not in str(refused.value)


@given(st.text(max_size=60))
@example("//[")
@example("http://[::1")
@example("\ud800")
def test_a_redirect_leads_somewhere_or_is_refused(location: str) -> None:
    try:
        target = next_target(target_of("https://shop.example/a/b"), location)
    except ValueError:
        return
    assert target.path.isascii()
    assert not set(target.path) & set(" \r\n")
    assert target.scheme in ("http", "https")


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "nowhere"},
        {"expected_status": "yes"},
        {"json": ["status"]},
        {"header_conditions": ["x ="]},
        {"regex": "("},
        {"headers": {"Bad Name": "x"}},
        {"headers": {"X-Key": "gehe\r\nim"}},
        {"headers": {"Content-Length": "3"}},
        {"bearer_token": "x", "username": "y"},
        {"failures_before_down": 3, "failures_within": 2},
        {"name": "a\nb"},
        {"max_body": 1},
    ],
)
def test_options_that_could_not_be_run_are_refused_at_their_place(wrong: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError, match=r"endpoints\[0\]") as refused:
        options_of(Http, {"endpoints": [{"url": "https://shop.example/", **wrong}]})
    assert "gehe" not in str(refused.value)


def test_two_endpoints_of_one_name_are_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="a name of its own"):
        options_of(Http, {"endpoints": [{"url": "http://h/?a=1"}, {"url": "http://h/?a=2"}]})


def test_each_endpoint_is_a_part_with_an_interval_of_its_own() -> None:
    given = {"endpoints": [{"url": "http://h/", "check_interval": "30s"}, {"url": "http://h/2", "name": "two"}]}
    first, second = Http.split(options_of(Http, given))
    assert (first.name, first.interval_seconds) == ("http://h/", 30)
    assert (second.name, second.interval_seconds) == ("two", None)
    assert [endpoint.shown for endpoint in second.options.endpoints] == ["two"]


ANSWERS = st.one_of(
    st.binary(max_size=400),
    st.lists(
        st.sampled_from(
            [
                b"HTTP/1.1 200 OK\r\n",
                b"HTTP/1.1 302 So\r\n",
                b"HTTP/1.1 100 Go on\r\n",
                b"\r\n",
                b"Content-Length: 3\r\n",
                b"Content-Length: -1\r\n",
                b"Transfer-Encoding: chunked\r\n",
                b"Content-Encoding: gzip\r\n",
                b"Location: /x\r\n",
                b"Location: http://[\r\n",
                b"3\r\nabc\r\n",
                b"0\r\n\r\n",
                b"ffffffffffff\r\n",
                b"{}",
                b"Content-Type: text/plain; charset=punycode\r\n",
                b"Content-Type: x; charset=utf-16\r\n",
                b"\x00\xff",
                b"\x1f\x8b\x08\x00",
            ]
        ),
        max_size=12,
    ).map(b"".join),
)


@settings(max_examples=200)
@given(ANSWERS)
def test_any_answer_gives_lawful_findings(answer: bytes) -> None:
    sources = {"tcp shop.example:80": answer.decode("utf-8", "surrogateescape")}
    endpoint = {"url": "http://shop.example/", "keyword": "abc", "json": ["$.a exists"], "expected_status": "1xx,2xx"}
    monitor = Http(options_of(Http, {"endpoints": [endpoint]}))
    found = asyncio.run(monitor.read(paper_world(net=PaperNet(sources)), Moment(0, 0.0)))
    (check,) = [one for one in found if isinstance(one, Check)]
    assert check.state in ("up", "degraded", "down", "unknown")
    assert check.state == "up" or (check.reason and check.message.isprintable())
    assert all(one.value >= 0 for one in found if isinstance(one, Reading))
