"""Who this agent is to its hub, kept in the state directory: one JSON file, mode 0600, replaced atomically.

Invariants: ``install_id`` is on the disk before it is first sent, so that a lost answer to a registration makes no
second server; a crash leaves the old file or the new one, never half of one.
"""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

import msgspec

from twinwatch.world.secret import Secret

FILE = "identity.json"


class IdentityUnusable(Exception):
    """The file is damaged or cannot be read or written; the message says what to do."""


class Registration(msgspec.Struct, frozen=True):
    """What a hub answered to the registration."""

    hub: str
    server_uuid: str
    server_key: str
    sequence_mark: int = 0

    @property
    def key(self) -> Secret:
        """The server key as the secret that it is."""
        return Secret(self.server_key)

    def __repr__(self) -> str:
        return f"Registration(hub={self.hub!r}, server_uuid={self.server_uuid!r}, server_key=***)"


class Identity(msgspec.Struct, frozen=True):
    """The content of the file. ``registration`` is None until a hub has answered."""

    install_id: str
    registration: Registration | None = None


def load_identity(state_dir: Path) -> Identity:
    """The identity kept in ``state_dir``; a new one is made, and kept, where there is none.

    Raises: IdentityUnusable.
    """
    path = state_dir / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Identity)
    except FileNotFoundError:
        identity = Identity(install_id=str(uuid4()))
        keep_identity(state_dir, identity)
        return identity
    except msgspec.MsgspecError as err:
        raise IdentityUnusable(f"{path}: damaged ({err}); move it away to enrol this server again") from err
    except OSError as err:
        raise IdentityUnusable(f"{path}: {(err.strerror or str(err)).lower()}") from err


def keep_identity(state_dir: Path, identity: Identity) -> None:
    """Replace the file, on the disk when this returns.

    Raises: IdentityUnusable.
    """
    path = state_dir / FILE
    fresh = path.with_name(f"{FILE}.new")
    try:
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(msgspec.json.encode(identity))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        folder = os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as err:
        raise IdentityUnusable(f"{path}: {(err.strerror or str(err)).lower()}") from err
