"""How a server comes to be known: an enrolment key is exchanged for a uuid and a key of the server's own."""

from __future__ import annotations

import msgspec


class Register(msgspec.Struct, frozen=True):
    """Sent once, with the enrolment key as bearer. Sent again with the same ``install_id`` it names the same server."""

    install_id: str
    """A uuid that the agent makes and keeps before it first registers, so that a lost answer makes no second server."""
    server_name: str
    agent_version: str


class Registered(msgspec.Struct, frozen=True):
    """``server_key`` is shown this once; the hub keeps only its hash."""

    server_uuid: str
    server_key: str
    sequence_mark: int = 0
    """Highest batch number the hub holds for this server; the next one must be higher."""
