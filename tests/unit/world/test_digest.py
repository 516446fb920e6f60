"""Digest authentication, with the examples of RFC 7616 and RFC 2617."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinwatch.world.digest import Challenge, Digest, challenge_of
from twinwatch.world.secret import Secret

NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
OPAQUE = "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"
CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
HEADER = (
    f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=SHA-256, nonce="{NONCE}", '
    f'opaque="{OPAQUE}", Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=MD5, '
    f'nonce="{NONCE}", opaque="{OPAQUE}"'
)


def _digest(challenge: Challenge, user: str = "Mufasa", password: str = "Circle of Life") -> Digest:
    return Digest(challenge, user, Secret(password), cnonce=lambda: CNONCE)


def test_the_stronger_of_two_challenges_is_answered_as_in_rfc_7616() -> None:
    challenge = challenge_of(HEADER)
    assert challenge == Challenge("http-auth@example.org", NONCE, OPAQUE, "SHA-256", "auth")
    answer = _digest(challenge).answer("GET", "/dir/index.html")
    assert 'response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"' in answer
    assert "nc=00000001" in answer
    assert "Circle of Life" not in answer


def test_md5_is_answered_as_in_rfc_7616() -> None:
    challenge = Challenge("http-auth@example.org", NONCE, OPAQUE, "MD5", "auth")
    answer = _digest(challenge).answer("GET", "/dir/index.html")
    assert 'response="8ca523f5e9506fed4657c9700eebdbec"' in answer


def test_a_server_without_qop_is_answered_as_in_rfc_2069() -> None:
    challenge = Challenge(
        "testrealm@host.com", "dcd98b7102dd2f0e8b11d0f600bfb0c093", "5ccc069c403ebaf9f0171e9517f40e41", ""
    )
    answer = _digest(challenge, password="CircleOfLife").answer("GET", "/dir/index.html")
    assert 'response="1949323746fe6a43ef61f9606e7febea"' in answer
    assert "algorithm" not in answer
    assert "cnonce" not in answer


def test_a_nonce_is_used_again_with_the_next_count() -> None:
    digest = _digest(Challenge("r", "n", qop="auth"))
    assert "nc=00000001" in digest.answer("GET", "/")
    assert "nc=00000002" in digest.answer("GET", "/")


@pytest.mark.parametrize(
    "header",
    [
        "",
        'Basic realm="x"',
        'Digest realm="x"',
        'Digest realm="x", nonce="n", algorithm=MD4',
        'Digest realm="x", nonce="n", qop="auth-int"',
        'Digest realm="x", nonce="n\x00"',
        "Negotiate",
    ],
)
def test_a_challenge_that_cannot_be_answered_is_none(header: str) -> None:
    assert challenge_of(header) is None


def test_a_challenge_beside_another_scheme_is_found() -> None:
    found = challenge_of('Basic realm="a, b", Digest realm="q\\"uote", nonce="n", stale=TRUE')
    assert found == Challenge('q"uote', "n", algorithm="", stale=True)
    assert 'realm="q\\"uote"' in _digest(found).answer("GET", "/")


@given(st.text(max_size=300))
def test_noise_is_no_challenge_or_one_that_can_be_answered(header: str) -> None:
    found = challenge_of(f"Digest {header}")
    if found is not None:
        assert "\n" not in _digest(found).answer("GET", "/")
