"""The hub's bundle at rest: sealed with a key of the state directory's, so that a copy of the file alone, in a backup
or a support archive, gives no credentials away. Who can read the whole directory as this user can read the bundle.

Encrypt-then-MAC, both with keyed BLAKE2b, which is a pseudo-random function: a counter's blocks are the stream, under a
fresh 32-byte nonce for each file; a second key, derived from the same one, authenticates nonce and text. See ADR 0012.

Source: RFC 7693; Bellare, Namprempre, "Authenticated Encryption: Relations among Notions", 2000.
"""

from __future__ import annotations

import hmac
import logging
import os
import secrets
from contextlib import suppress
from hashlib import blake2b, sha256
from pathlib import Path

import msgspec

from twinwatch.protocol.bundle import Bundle, SealedBundle

FILE = "bundle.sealed"
KEY_FILE = "bundle.key"
KEY_BYTES = 32
NONCE_BYTES = 32
MAC_BYTES = 32
BLOCK_BYTES = 64
MAGIC = b"twb1"

_log = logging.getLogger(__name__)


class BundleFile:
    """The file below the state directory. ``server_key`` is what the hub signed it for."""

    def __init__(self, state_dir: Path, server_key: str) -> None:
        self._path = state_dir / FILE
        self._key_path = state_dir / KEY_FILE
        self._digest = sha256(server_key.encode()).digest()

    def load(self) -> Bundle | None:
        """What was kept; None where there is nothing lawful, which is then fetched again."""
        try:
            content = opened(self._path.read_bytes(), self._key_path.read_bytes())
            return self.lawful(msgspec.msgpack.decode(content, type=SealedBundle))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, msgspec.MsgspecError) as err:
            _log.warning("%s cannot be used (%s): it is fetched again", self._path, type(err).__name__)
            return None

    def lawful(self, sealed: SealedBundle) -> Bundle:
        """The bundle in it. Raises: ValueError if it is not for this server from its hub."""
        return sealed.opened(self._digest)

    def keep(self, sealed: SealedBundle) -> None:
        """Replace the file, on the disk when this returns. Raises: OSError."""
        _replace(self._path, closed(msgspec.msgpack.encode(sealed), self._key()))

    def _key(self) -> bytes:
        with suppress(FileNotFoundError):
            key = self._key_path.read_bytes()
            if len(key) == KEY_BYTES:
                return key
        key = secrets.token_bytes(KEY_BYTES)
        _replace(self._key_path, key)
        return key


def closed(content: bytes, key: bytes) -> bytes:
    """The content, encrypted and authenticated."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    text = _streamed(content, key, nonce)
    return MAGIC + nonce + text + _mac(key, nonce + text)


def opened(content: bytes, key: bytes) -> bytes:
    """What was closed. Raises: ValueError if a bit of it is another, or the key is."""
    body, mac = content[len(MAGIC) : -MAC_BYTES], content[-MAC_BYTES:]
    if len(key) != KEY_BYTES or not content.startswith(MAGIC) or len(body) < NONCE_BYTES:
        raise ValueError("not a sealed file")
    if not hmac.compare_digest(mac, _mac(key, body)):
        raise ValueError("it was changed, or its key is another")
    return _streamed(body[NONCE_BYTES:], key, body[:NONCE_BYTES])


def _streamed(content: bytes, key: bytes, nonce: bytes) -> bytes:
    own = blake2b(key=key, person=b"twinwatch stream", digest_size=32).digest()
    blocks = range(-(-len(content) // BLOCK_BYTES))
    stream = b"".join(blake2b(nonce + number.to_bytes(8, "big"), key=own).digest() for number in blocks)
    size = len(content)
    return (int.from_bytes(content, "big") ^ int.from_bytes(stream[:size], "big")).to_bytes(size, "big")


def _mac(key: bytes, content: bytes) -> bytes:
    own = blake2b(key=key, person=b"twinwatch proof", digest_size=32).digest()
    return blake2b(content, key=own, digest_size=MAC_BYTES).digest()


def _replace(path: Path, content: bytes) -> None:
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
