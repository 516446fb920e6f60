"""Secret values at rest: sealed under a key that follows from the hub's secret, and bound to the row they stand in.

Invariants: what is sealed for one server and version opens for no other; a value that was bent, moved, or sealed under
another secret is ``Unopened``, never garbage.
Source: AES-256-GCM (NIST SP 800-38D) with random 96-bit nonces; HKDF-SHA256 (RFC 5869).
"""

from __future__ import annotations

import os
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from twinwatch.world.secret import Secret

NONCE_BYTES = 12
KEY_INFO = b"twinwatch configuration secrets"
KEY_ID_INFO = b"twinwatch configuration secrets, name of the key"


class Unopened(Exception):
    """These bytes were not sealed here, for this."""


class Vault:
    """Seals and opens. ``key_id`` tells this key from others and gives nothing of it away."""

    def __init__(self, secret: Secret) -> None:
        self._box = AESGCM(_derived(secret, KEY_INFO, 32))
        self.key_id = _derived(secret, KEY_ID_INFO, 8).hex()

    def seal(self, server_id: UUID, version: int, content: bytes) -> bytes:
        """The content, encrypted: nonce, then ciphertext with its tag."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._box.encrypt(nonce, content, _place(server_id, version))

    def open(self, server_id: UUID, version: int, sealed: bytes) -> bytes:
        """What was sealed for this server and version.

        Raises: Unopened.
        """
        try:
            return self._box.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _place(server_id, version))
        except (InvalidTag, ValueError):
            raise Unopened from None


def _derived(secret: Secret, info: bytes, size: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=size, salt=None, info=info).derive(secret.reveal().encode())


def _place(server_id: UUID, version: int) -> bytes:
    return server_id.bytes + version.to_bytes(8, "big")
