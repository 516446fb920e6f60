"""Links that messages carry: to see an alert, and to say that one sees to it.

A link for acknowledging holds a token that follows from a key of its server, which the hub derives and the server's
agent is given with its bundle, so that both make the same. Opening it shows a page with a button: what looks into mails
opens links, but presses nothing.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from uuid import UUID

from twinwatch.protocol.bundle import acknowledge_token
from twinwatch.world.secret import Secret


class Links:
    """Makes and judges them. ``address`` is where people reach the hub, empty if it does not know."""

    def __init__(self, secret: Secret, address: str) -> None:
        self._secret = secret.reveal().encode()
        self.address = address

    def key_of(self, owner: UUID) -> str:
        """What the tokens about a server's alerts are made with; of an organization's where there is no server."""
        return hmac.new(self._secret, b"twinwatch links\0" + owner.bytes, sha256).hexdigest()

    def to_alert(self, alert_id: UUID) -> str:
        """Where the alert is seen."""
        return f"{self.address}/alert/?id={alert_id}" if self.address else ""

    def to_alerts(self) -> str:
        """Where all open alerts are seen."""
        return f"{self.address}/alerts/" if self.address else ""

    def to_acknowledge(self, owner: UUID, key: str) -> str:
        """Where somebody says that they see to it, signed in or not."""
        token = acknowledge_token(self.key_of(owner), key)
        return f"{self.address}/acknowledge/?key={key}&token={token}" if self.address else ""

    def is_lawful(self, owner: UUID, key: str, token: str) -> bool:
        """Whether this hub, or the agent, made the link."""
        return hmac.compare_digest(acknowledge_token(self.key_of(owner), key).encode(), token.encode(errors="replace"))
