"""Which values are secret, and what becomes of them when people write ``***`` back."""

from __future__ import annotations

from copy import deepcopy
from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinwatch.hub.masks import MASK, NothingKept, kept, leads_elsewhere, looks_secret, masked, places, restored

PASSWORD = {"type": "string", "format": "password"}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "url": {"type": "string"},
        "keyword": {"type": "string"},
        "password": {"anyOf": [PASSWORD, {"type": "null"}]},
        "auth": {"$ref": "#/$defs/Auth"},
        "endpoints": {"type": "array", "items": {"$ref": "#/$defs/Endpoint"}},
        "tokens": {"type": "array", "items": PASSWORD},
        "headers": {"type": "object", "additionalProperties": {"type": "string"}},
        "vault": {"type": "object", "additionalProperties": PASSWORD},
        "key_path": {"type": "string"},
    },
    "$defs": {
        "Auth": {"type": "object", "properties": {"user": {"type": "string"}, "pin": PASSWORD}},
        "Endpoint": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "seconds": {"type": "number"}, "code": PASSWORD},
        },
    },
}


@pytest.mark.parametrize(
    "key", ["password", "DB_PASSWORD", "apiKey", "api-key", "token", "clientSecret", "connection", "x-api-key", "dsn"]
)
def test_keys_that_look_secret(key: str) -> None:
    assert looks_secret(key)


@pytest.mark.parametrize("key", ["keyword", "monkey", "user", "tokenize", "connections", "keys_path", "secretary"])
def test_keys_that_do_not(key: str) -> None:
    assert not looks_secret(key)


def test_what_the_schema_calls_a_password_is_taken_out_and_put_back() -> None:
    options = {
        "url": "https://a.example/health",
        "keyword": "ok",
        "password": "p1",
        "auth": {"user": "me", "pin": "p2"},
        "endpoints": [{"name": "a", "code": "p3"}, {"name": "b", "seconds": 3}],
        "tokens": ["p4", "p5"],
        "headers": {"Accept": "text/html", "Authorization": "Bearer p6"},
        "vault": {"anything": "p7"},
        "key_path": "/etc/key",
    }
    hidden, secrets = masked(options, SCHEMA)
    assert hidden == {
        "url": "https://a.example/health",
        "keyword": "ok",
        "password": MASK,
        "auth": {"user": "me", "pin": MASK},
        "endpoints": [{"name": "a", "code": MASK}, {"name": "b", "seconds": 3}],
        "tokens": [MASK, MASK],
        "headers": {"Accept": "text/html", "Authorization": MASK},
        "vault": {"anything": MASK},
        "key_path": "/etc/key",
    }
    assert sorted(value.removeprefix("Bearer ") for _, value in secrets) == [f"p{number}" for number in range(1, 8)]
    assert restored(hidden, secrets) == options
    assert kept(hidden, options, SCHEMA) == options


def test_of_an_unknown_kind_the_key_tells_for_all_below_it() -> None:
    options = {
        "host": "db",
        "password": "x",
        "credentials": {"user": "u", "parts": ["v"]},
        "nested": [{"api_key": 5}],
        "port": 5432,
        "token": None,
        "use_token": True,
    }
    hidden, _ = masked(options, None)
    assert hidden == {
        "host": "db",
        "password": MASK,
        "credentials": {"user": MASK, "parts": [MASK]},
        "nested": [{"api_key": MASK}],
        "port": 5432,
        "token": None,
        "use_token": True,
    }


def test_a_url_that_carries_a_password_is_secret_whatever_the_schema_says() -> None:
    hidden, _ = masked({"url": "postgresql://me:hunter2@db/app"}, SCHEMA)
    assert hidden == {"url": MASK}
    assert masked({"url": "https://a.example:8443/x@y"}, SCHEMA)[0] == {"url": "https://a.example:8443/x@y"}


def test_a_key_that_the_schema_does_not_know_is_judged_by_its_look() -> None:
    assert masked({"auth": {"bearer_token": "x"}}, SCHEMA)[0] == {"auth": {"bearer_token": MASK}}


def test_a_schema_that_leads_in_a_circle_or_nowhere_comes_to_an_end() -> None:
    circle = {"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"anyOf": [{"$ref": "#/$defs/A"}, PASSWORD]}}}
    assert masked({"a": "x"}, circle)[0] == {"a": MASK}
    for broken in ({"properties": 1}, {"$ref": "#/$defs/none"}, {"anyOf": [None, 3]}, {"items": [], "$defs": 7}):
        assert masked({"a": "x", "password": "y"}, broken)[0] == {"a": "x", "password": MASK}


def test_three_stars_where_nothing_was_kept_are_asked_for() -> None:
    with pytest.raises(NothingKept, match=r"auth\.pin"):
        kept({"auth": {"pin": MASK}}, {}, SCHEMA)
    assert kept({"keyword": MASK}, {}, SCHEMA) == {"keyword": MASK}, "no secret stands there: it is only a text"


ENDPOINTS = {"endpoints": [{"name": "a", "seconds": 1, "code": "for a"}, {"name": "b", "seconds": 2, "code": "for b"}]}


def test_a_secret_stays_with_its_element_when_the_list_changes() -> None:
    hidden, _ = masked(ENDPOINTS, SCHEMA)
    a, b = hidden["endpoints"]
    shortened = kept({"endpoints": [b]}, ENDPOINTS, SCHEMA)
    assert shortened["endpoints"] == [ENDPOINTS["endpoints"][1]]
    turned = kept({"endpoints": [{**b, "seconds": 9}, a]}, ENDPOINTS, SCHEMA)
    assert [one["code"] for one in turned["endpoints"]] == ["for b", "for a"]


def test_no_element_gets_the_secret_of_another() -> None:
    hidden, _ = masked(ENDPOINTS, SCHEMA)
    a, b = hidden["endpoints"]
    for changed in ([{**b, "name": "c"}], [a, b, {**b, "name": "c"}], [{**a, "name": "c"}, b], [a, b, b]):
        try:
            result = kept({"endpoints": deepcopy(changed)}, ENDPOINTS, SCHEMA)
        except NothingKept:
            continue
        for one in result["endpoints"]:
            assert one["code"] == f"for {one['name']}"


def test_scalars_of_a_list_are_kept_by_place_while_the_list_keeps_its_length() -> None:
    old = {"tokens": ["x", "y"]}
    assert kept({"tokens": [MASK, "z"]}, old, SCHEMA) == {"tokens": ["x", "z"]}
    with pytest.raises(NothingKept):
        kept({"tokens": [MASK]}, old, SCHEMA)


def test_one_secret_is_not_kept_twice() -> None:
    """Else a hundred thousand stars would become as many copies of a long one."""
    with pytest.raises(NothingKept):
        kept({"tokens": [MASK, MASK, MASK]}, {"tokens": ["x"]}, SCHEMA)


def test_a_kept_secret_stays_one_when_the_schema_calls_it_so_no_more() -> None:
    plain = {"properties": {"pin": {"type": "string"}}}
    stored, new = {"pin": MASK}, {"pin": MASK, "other": 1}
    whole = kept(new, {"pin": "1234"}, plain, stored)
    assert whole == {"pin": "1234", "other": 1}
    assert masked(whole, plain, set(places(new))) == (new, [(["pin"], "1234")])


@pytest.mark.parametrize("wrong", [["p1"], {"of": "p1"}, [[{"of": ["p1"]}]], 1234])
def test_what_stands_in_the_place_of_a_password_is_secret_whatever_its_shape(wrong: Any) -> None:
    hidden, secrets = masked({"password": wrong}, SCHEMA)
    assert "1" not in str(hidden)
    assert len(secrets) == 1


def _nested(value: Any, depth: int) -> Any:
    for _ in range(depth):
        value = {"a": value}
    return value


WIDE = {"additionalProperties": {"anyOf": [{"maxLength": length} for length in range(20_000)]}}


@pytest.mark.parametrize(
    ("options", "schema"),
    [
        ({"a": ["://" + ":" * 9_990] * 20}, None),
        ({"aB" * 4_000: [1] * 20_000}, None),
        (_nested([1] * 50_000, 30), None),
        ({str(number): "x" for number in range(2_000)}, WIDE),
        ({"a": [{"id": number} for number in range(10_000)]}, SCHEMA),
        ({"a": [MASK] * 20_000}, SCHEMA),
    ],
    ids=["colons", "long key", "deep", "wide schema", "named elements", "stars"],
)
def test_time_is_in_proportion_whatever_is_sent(options: dict[str, Any], schema: dict[str, Any] | None) -> None:
    """Each took from seconds to minutes, in which the hub answered nobody."""
    start = process_time()
    hidden, _ = masked(options, schema)
    kept({**hidden, "new": 1, "a": [*hidden["a"], "new"] if isinstance(hidden.get("a"), list) else 1}, options, schema)
    assert process_time() - start < 5


def test_what_was_saved_before_the_kind_was_known_can_be_kept_too() -> None:
    assert kept({"auth": {"pin": MASK}}, {"auth": {"pin": "1234"}}, SCHEMA) == {"auth": {"pin": "1234"}}


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just(MASK),
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(st.sampled_from(["password", "auth", "pin", "url", "endpoints", "code", "x"]), below)
    ),
    max_leaves=12,
)


@given(
    st.dictionaries(st.text(max_size=5) | st.sampled_from(list(SCHEMA["properties"])), values, max_size=4),
    st.booleans(),
)
def test_taking_out_and_putting_back_changes_nothing(options: dict[str, Any], known: bool) -> None:
    hidden, secrets = masked(options, SCHEMA if known else None)
    assert restored(hidden, secrets) == options


@given(values, values)
def test_any_options_against_any_schema_end_well(options: Any, schema: Any) -> None:
    hidden, secrets = masked({"a": options}, {"properties": {"a": schema}, "additionalProperties": schema})
    assert restored(hidden, secrets) == {"a": options}


@pytest.mark.parametrize(
    ("new", "old", "elsewhere"),
    [
        ({"url": "https://a.example/x"}, {"url": "https://a.example/y"}, False),
        ({"url": "https://A.example"}, {"url": "https://a.example/"}, False),
        ({"url": "http://a.example/"}, {"url": "https://a.example/"}, True),
        ({"url": "https://a.example:8443/"}, {"url": "https://a.example/"}, True),
        ({"url": "https://b.example/"}, {"url": "https://a.example/"}, True),
        ({"smtp_host": "mx.thief.example"}, {"smtp_host": "mx.example"}, True),
        ({"smtp_host": "mx.thief.example"}, {}, True),
        ({"api_url": "https://slack.example/api"}, {}, False),
        ({"api_url": "https://thief.example/api"}, {}, True),
        ({"keyword": "new"}, {"keyword": "old"}, False),
        ({"all": [{"url": "https://b.example"}]}, {"all": [{"url": "https://a.example"}]}, True),
        ({"all": [{"url": "https://a.example"}]}, {"all": [{"url": "https://a.example"}, {"url": "b"}]}, False),
        ({"of": {"host": "thief.example"}}, {"of": {"host": "a.example"}}, True),
    ],
)
def test_it_is_told_whether_what_is_set_goes_to_another_host(new: Any, old: Any, elsewhere: bool) -> None:
    schema = {"properties": {"api_url": {"type": "string", "default": "https://slack.example/api"}}}
    assert leads_elsewhere(new, old, schema) is elsewhere
