"""What an agent needs to judge and to tell people by itself: rules, silences, the first step of the policies, and the
channels that it may use. Kept by the agent, sealed, and used without the hub as well.

It is signed with a key that follows from the server's own, which only the hub and this agent have: one that was bent,
or made for another server, is none.
"""

from __future__ import annotations

import hmac
from hashlib import blake2b, sha256
from typing import Any

import msgspec

from twinwatch.protocol.policies import Policy, Silence
from twinwatch.protocol.rules import Rule
from twinwatch.protocol.samples import Milliseconds


class DirectChannel(msgspec.Struct, frozen=True, omit_defaults=True):
    """A channel of the organization that its agents may speak on. ``settings`` holds its credentials as they are."""

    id: str
    kind: str
    name: str
    settings: dict[str, Any] = {}


class Bundle(msgspec.Struct, frozen=True, omit_defaults=True):
    """For one server."""

    server_uuid: str = ""
    organization: str = ""
    """Its name, for messages."""
    issued_at: Milliseconds = 0
    rules: tuple[Rule, ...] = ()
    silences: tuple[Silence, ...] = ()
    policies: tuple[Policy, ...] = ()
    """With their first step only, and of that the channels below."""
    channels: tuple[DirectChannel, ...] = ()
    tags: tuple[str, ...] = ()
    rank: int = 0
    """Of the organization's agents, the how manieth is to tell people that the hub is away."""
    hub_watch: tuple[str, ...] = ()
    """Channels on which that is told."""
    link: str = ""
    """Where people see alerts, without a slash at its end; empty: not known."""
    link_key: str = ""
    """Makes the tokens of links for acknowledging."""
    digest: str = ""

    def fingerprint(self) -> str:
        """Sixteen hex digits that change when anything but the time of issue does."""
        content = msgspec.structs.replace(self, digest="", issued_at=0)
        return blake2b(msgspec.msgpack.encode(content, order="deterministic"), digest_size=8).hexdigest()


class SealedBundle(msgspec.Struct, frozen=True):
    """A bundle as it travels: its bytes, and who made them."""

    content: bytes
    """msgpack of the bundle."""
    signature: bytes

    def opened(self, key_digest: bytes) -> Bundle:
        """The bundle.

        Raises: ValueError if it was not signed for the holder of this key, or is none.
        """
        if not hmac.compare_digest(self.signature, _signature(key_digest, self.content)):
            raise ValueError("the signature is not the hub's")
        return msgspec.msgpack.decode(self.content, type=Bundle)


def sealed(bundle: Bundle, key_digest: bytes) -> SealedBundle:
    """The bundle, signed. ``key_digest`` is SHA-256 of the server's key, which is all that the hub keeps of it."""
    content = msgspec.msgpack.encode(bundle)
    return SealedBundle(content, _signature(key_digest, content))


def acknowledge_token(link_key: str, key: str) -> str:
    """The token of a link about the episode with this key: 32 hex digits."""
    return hmac.new(link_key.encode(), f"acknowledge\0{key}".encode(), sha256).hexdigest()[:32]


def _signature(key_digest: bytes, content: bytes) -> bytes:
    return hmac.new(key_digest, b"twinwatch bundle\0" + content, sha256).digest()
