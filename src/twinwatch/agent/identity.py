"""Who this agent is to its hub, kept in the state directory: one JSON file, mode 0600, replaced atomically.

It also remembers, hashed, which machine it was made on: two machines with one key would number their batches alike, and
the hub would take the samples of one for repetitions of the other's.

Invariants: ``install_id`` is on the disk before it is first sent, so that a lost answer to a registration makes no
second server; a crash leaves the old file or the new one, never half of one.
"""

from __future__ import annotations

import logging
import os
from hashlib import blake2b
from pathlib import Path
from uuid import uuid4

import msgspec

from twinwatch.world.host import Host, Missing, Refused
from twinwatch.world.secret import Secret

FILE = "identity.json"
BELONGINGS = ("buffer.sqlite3", "configuration.json", "life.json", "alerts.sqlite3", "bundle.sealed", "bundle.key")
"""What of another machine's must not be taken for one's own."""

_log = logging.getLogger(__name__)


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


class Machine(msgspec.Struct, frozen=True):
    """What tells machines apart, hashed; empty where it cannot be read.

    Source: machine-id(5), and the firmware's product uuid, which a clone of a virtual machine gets anew. Root alone may
    read the latter.
    """

    system: str = ""
    product: str = ""

    def is_other(self, known: Machine) -> bool:
        """Whether both are known and differ. A system that was set up anew on the same product is no other."""
        if self.product and known.product:
            return self.product != known.product
        return bool(self.system and known.system and self.system != known.system)


class Identity(msgspec.Struct, frozen=True):
    """The content of the file. ``registration`` is None until a hub has answered."""

    install_id: str
    registration: Registration | None = None
    machine: Machine = Machine()


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


def machine_of(host: Host) -> Machine:
    """The machine that this is."""
    return Machine(_hashed(host, "/etc/machine-id"), _hashed(host, "/sys/class/dmi/id/product_uuid"))


def known_identity(state_dir: Path, host: Host, *, may_enrol: bool) -> Identity:
    """The identity kept in ``state_dir``, if it was made on this machine.

    If it was not, the folder is a copy of another machine's. With ``may_enrol`` this machine then gets an identity of
    its own, and the other's is set aside; else that is refused, with what to do.

    Raises: IdentityUnusable.
    """
    identity = load_identity(state_dir)
    machine = machine_of(host)
    if machine.is_other(identity.machine):
        if not may_enrol:
            raise IdentityUnusable(
                f"{state_dir / FILE}: was made on another machine, so {state_dir} is a copy of that machine's. "
                "Two agents with one key would lose samples: move its content away and start with an enrolment key. "
                f'If this is the same machine after all, remove "machine" from {state_dir / FILE}'
            )
        _log.warning(
            "%s is a copy of another machine's: this one is enrolled as a server of its own, and what the other left "
            "there is set aside with the ending .other-machine",
            state_dir,
        )
        _set_aside(state_dir)
        identity = load_identity(state_dir)
    known = identity.machine
    machine = Machine(machine.system or known.system, machine.product or known.product)
    if machine != known:
        identity = msgspec.structs.replace(identity, machine=machine)
        try:
            keep_identity(state_dir, identity)
        except IdentityUnusable as err:
            _log.warning("%s; which machine this is cannot be remembered", err)
    return identity


def _set_aside(state_dir: Path) -> None:
    try:
        # The identity last: whatever happens on the way, this is found out again.
        for name in (*BELONGINGS, FILE):
            for path in sorted(state_dir.glob(f"{name}*")):
                if ".other-machine" not in path.name:
                    path.rename(_free(path.with_name(f"{path.name}.other-machine")))
    except OSError as err:
        raise IdentityUnusable(f"{state_dir}: {(err.strerror or str(err)).lower()}") from err


def _free(path: Path) -> Path:
    number = 1
    free = path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free


def _hashed(host: Host, path: str) -> str:
    try:
        text = host.read_text(path).strip().lower()
    except (Missing, Refused):
        return ""
    # Neither is to be shown to others as it is (machine-id(5)).
    known = text.strip("0-") and text != "uninitialized"
    return blake2b(text.encode(), digest_size=8, person=b"twinwatch").hexdigest() if known else ""


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
