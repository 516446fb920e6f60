from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from twinwatch.agent.configuration.document import NODES, Document, parsed, scalar_of
from twinwatch.agent.configuration.problems import Misconfigured


def document(text: str, **environment: str) -> Document:
    found, problems = parsed(text.encode(), "f", environment)
    assert problems.found == []
    return found


def problems_of(text: str, **environment: str) -> list[str]:
    try:
        return parsed(text.encode(), "f", environment)[1].found
    except Misconfigured as err:
        return list(err.problems)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("60s", "60s"), ("15", 15), ("-3", -3), ("0x1f", 31), ("0o17", 15), ("017", "017"), ("1.5", 1.5), (".5", 0.5),
        ("1e3", 1000.0), ("1e999", "1e999"), ("true", True), ("Yes", True), ("off", False), ("tRue", "tRue"),
        ("~", None), ("null", None), ("1:30", "1:30"), ("2026-11-24", "2026-11-24"), ("9" * 5000, "9" * 5000),
        ("127.0.0.1:3000",) * 2,
    ],
)  # fmt: skip
def test_plain_scalars_mean_what_people_expect(text: str, value: object) -> None:
    assert scalar_of(text) == value
    assert type(scalar_of(text)) is type(value)


def test_every_value_and_key_knows_its_place() -> None:
    found = document("a: 1\nb:\n  - x\n  - c: 'y'\n")
    assert found.value == {"a": 1, "b": ["x", {"c": "y"}]}
    assert found.place(("b", 0)) == "f:3:5"
    assert found.key_place(("b", 1, "c")) == "f:4:5"
    assert found.place(("b", 1, "c")) == "f:4:8"
    assert found.place(("b", 1, "nothing", "here")) == "f:4:5"


def test_quotes_make_a_text_and_so_does_a_tag() -> None:
    assert document("[\"1\", 'yes', !!str 3, !!int 4, |\n  5\n]".replace("|\n  5\n", "~")).value == [
        "1", "yes", "3", 4, None,
    ]  # fmt: skip


def test_references_are_looked_up_in_texts() -> None:
    found = document("a: ${A}\nb: x-${B:-y}-${A}\nc: $${A}\nd: '${E:-z}'\n$K: 1", A="1", E="")
    assert found.value == {"a": "1", "b": "x-y-1", "c": "${A}", "d": "z", "$K": 1}
    assert found.written["b"] == "x-${B:-y}-${A}"
    assert found.literals[("b",)] == "x-y-"


def test_a_reference_to_nothing_names_line_and_variable() -> None:
    assert problems_of("a:\n  - ${NO_SUCH}\n") == [
        "f:2:5: ${NO_SUCH}: no such variable in the environment; set it, or write ${NO_SUCH:-default}"
    ]
    assert "write $${" in problems_of("a: ${1x}")[0]


def test_anchors_aliases_and_merges_work() -> None:
    found = document("a: &d {x: 1, y: 2}\nb: *d\nc:\n  <<: *d\n  y: 3\ne:\n  <<: [*d, {z: 9}]\n")
    assert found.value["b"] == {"x": 1, "y": 2}
    assert found.value["c"] == {"y": 3, "x": 1}
    assert found.value["e"] == {"x": 1, "y": 2, "z": 9}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: 2\na: 3", "f:3:1: a stands here twice; it is in line 1 already"),
        ("a: !!python/object:os.system x", "f:1:4: the tag !!python/object:os.system has no"),
        ("a: !mine x", "f:1:4: the tag !mine has no meaning"),
        ("a: !!int x", "the tag !!int has no meaning"),
        ("a: *nothing", "f:1:4: *nothing names nothing above it"),
        ("a: 1\n---\nb: 2", "a second document"),
        ("? [a]\n: b", "expected a key"),
        ("a: 1\n\tb: 2", "; indent with spaces, not with tabs"),
        ("a: [1", "while parsing a flow sequence"),
        ("a: 1\x07", "f:1:5: a character that no text file has (U+0007)"),
        ("[" * 200 + "]" * 200, "nested deeper than"),
        ("- " * 200 + "x", "nested deeper than"),
        ("[" + "1," * (NODES + 1) + "]", "more than"),
        ("a: &a [*a]", "nested deeper than"),
        ("a: &a {<<: *a}", "nested deeper than"),
    ],
)
def test_what_cannot_be_is_told_with_its_place(text: str, problem: str) -> None:
    assert problem in "\n".join(problems_of(text))


def test_aliases_make_no_bomb() -> None:
    bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
    for level in range(1, 10):
        bomb += f"a{level}: &a{level} [{','.join([f'*a{level - 1}'] * 9)}]\n"
    assert "aliases expanded" in problems_of(bomb)[0]


def test_a_large_file_and_one_of_other_bytes_are_refused() -> None:
    with pytest.raises(Misconfigured, match="expected at most"):
        parsed(b"#" * (1 << 20) + b"x", "f", {})
    with pytest.raises(Misconfigured, match="f:2:1: not UTF-8"):
        parsed(b"a: 1\nb: \xff", "f", {})


@given(st.binary(max_size=300) | st.text(alphabet="ab:-[]{}&*!|>'\"#%@`?,<$ \n\t0~", max_size=80).map(str.encode))
@example(b"%YAML 9.9\n---\na")
@example(b"\xef\xbb\xbfa: 1")
@example(b"!!map\nx")
@example(b"&a !!seq {}")
@example(b"? &a b\n: *a\n*a : 3")
def test_any_bytes_are_a_document_or_a_problem_with_a_place(content: bytes) -> None:
    try:
        found, problems = parsed(content, "f", {})
    except Misconfigured as err:
        told = list(err.problems)
    else:
        told = problems.found
        assert found.place(()).startswith("f:")
    assert all(problem.startswith("f:") for problem in told)


@pytest.mark.parametrize("text", ["a:\n\t- b\n", "\ta: 1\n", "a:\n  b: 1\n\tc: 2\n"])
def test_a_tab_is_named_with_its_place(text: str) -> None:
    (problem,) = problems_of(text)
    assert "spaces, not with tabs" in problem
    assert problem.startswith("f:")
