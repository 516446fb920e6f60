"""The kinds of channels of this installation, and what of them agents are given."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from twinwatch.hub.channels import Kinds
from twinwatch.hub.settings import Settings, relay_of
from twinwatch.notify.discover import discover
from twinwatch.notify.settings import schema_of, settings_of

log = logging.getLogger(__name__)


def channel_kinds(settings: Settings) -> Kinds:
    """The kinds of channels of this installation."""
    found = discover()
    for flaw in found.flaws:
        log.warning("channel %s is left out: %s", flaw.source, flaw.reason)

    def for_agents(kind: str, given: Mapping[str, Any]) -> Mapping[str, Any] | None:
        if kind != "email" or given.get("smtp_host"):
            return given
        if not settings.agents_relay:
            return None  # the hub's own mail server is not for the servers of tenants
        relay = relay_of(settings.agents_relay, "TWINWATCH_AGENTS_SMTP_URL")
        return {
            **given,
            "smtp_host": relay.host,
            "smtp_port": relay.port,
            "smtp_security": relay.security,
            "smtp_username": relay.username,
            "smtp_password": relay.password.reveal() if relay.password else "",
            "sender": given.get("sender") or settings.mail_from,
        }

    return Kinds(found.channels, settings_of, schema_of, for_agents)
