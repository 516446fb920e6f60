"""Secrets at rest open only where they were sealed."""

from __future__ import annotations

from uuid import uuid4

import pytest

from twinwatch.hub.vault import NONCE_BYTES, Unopened, Vault
from twinwatch.world.secret import Secret

SERVER = uuid4()
VAULT = Vault(Secret("x" * 32))


def test_what_was_sealed_opens_again_and_is_never_the_same_twice() -> None:
    sealed = VAULT.seal(SERVER, 7, b"hunter2")
    assert VAULT.open(SERVER, 7, sealed) == b"hunter2"
    assert b"hunter2" not in sealed
    assert VAULT.seal(SERVER, 7, b"hunter2")[:NONCE_BYTES] != sealed[:NONCE_BYTES]


def test_it_opens_for_no_other_server_version_or_secret() -> None:
    sealed = VAULT.seal(SERVER, 7, b"hunter2")
    for vault, server, version in (
        (VAULT, uuid4(), 7),
        (VAULT, SERVER, 8),
        (Vault(Secret("y" * 32)), SERVER, 7),
    ):
        with pytest.raises(Unopened):
            vault.open(server, version, sealed)


def test_bent_or_cut_bytes_do_not_open() -> None:
    sealed = VAULT.seal(SERVER, 7, b"hunter2")
    for at in range(len(sealed)):
        with pytest.raises(Unopened):
            VAULT.open(SERVER, 7, sealed[:at])
        with pytest.raises(Unopened):
            VAULT.open(SERVER, 7, sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :])


def test_the_keys_name_follows_from_the_secret() -> None:
    assert VAULT.key_id == Vault(Secret("x" * 32)).key_id
    assert VAULT.key_id != Vault(Secret("y" * 32)).key_id
