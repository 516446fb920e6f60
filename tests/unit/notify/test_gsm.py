from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinwatch.notify.gsm import BASIC, EXTENDED, bounded, spelled, units


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("nginx failed", "nginx failed"),
        ("Zürich – „Dach“ … 90 °C", 'Zürich - "Dach" ... 90 degC'),
        ("serveur é è ê ç", "serveur é è e c"),
        ("Łódź đ œ", "Lodz d oe"),
        ("≥ 90 % [x] €", ">= 90 % [x] €"),
        ("up 🔥 now", "up  now"),
        ("½ ①", "1/2 1"),
        ("сервер", None),
        ("漢字", None),
        ("ελλάδα", None),
    ],
)
def test_letters_lose_their_marks_and_other_scripts_stay(text: str, plain: str | None) -> None:
    assert spelled(text) == plain


def test_the_alphabet_has_its_hundred_and_twenty_seven_signs() -> None:
    assert (len(BASIC), len(EXTENDED)) == (127, 10), "one of the 128 is the escape"


def test_signs_of_the_extension_take_two_places() -> None:
    assert units("abc") == 3
    assert units("a[€]") == 7
    assert units("漢") == 1
    assert units("🔥") == 2, "a surrogate pair"
    assert units("漢[") == 2, "no escape where nothing is escaped"


@given(st.text(max_size=200), st.integers(4, 160))
def test_what_is_bounded_fits_and_is_a_beginning(text: str, most: int) -> None:
    found = bounded(text, most)
    assert units(found) <= most
    assert text.startswith(found.removesuffix("…").removesuffix("...").rstrip()) or found == text


@given(st.text(max_size=200))
def test_what_is_spelled_is_in_the_alphabet(text: str) -> None:
    found = spelled(text)
    assert found is None or set(found) <= BASIC | EXTENDED
