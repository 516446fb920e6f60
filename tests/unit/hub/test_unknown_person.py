"""An unknown e-mail must take as long to refuse as a wrong password."""

from __future__ import annotations

import pytest
from argon2.exceptions import VerifyMismatchError

from twinwatch.hub.auth import HASHER, hash_of_nothing


def test_the_hash_of_nothing_costs_what_a_real_one_does_and_fits_no_password() -> None:
    made_up, real = hash_of_nothing(), HASHER.hash("a password")
    assert made_up.rsplit("$", 2)[0] == real.rsplit("$", 2)[0]
    assert [len(part) for part in made_up.split("$")] == [len(part) for part in real.split("$")]
    assert not HASHER.check_needs_rehash(made_up)
    with pytest.raises(VerifyMismatchError):
        HASHER.verify(made_up, "a password")
