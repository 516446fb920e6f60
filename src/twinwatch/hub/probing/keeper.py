"""Probes as they are saved: settings with their secrets sealed, and opened again for who tries them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
from psycopg.rows import DictRow

from twinwatch.hub import masks
from twinwatch.hub.probing.kinds import SCHEMAS, ProbeKind, settings_of
from twinwatch.hub.vault import Unopened, Vault

REMEMBERED = 20_000
LOST = "The hub's secret is another than when this probe was saved: enter its credentials again."


class Unusable(Exception):
    """The probe cannot be tried as it is. The message says why, without a secret."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """What of a probe goes into its row: the body as JSON, its secrets sealed (with the name of the key), or None."""

    body: str
    secret: bytes | None
    key_id: str | None


class Keeper:
    """Seals and opens. What was opened is kept by version, since understanding settings costs as much as a try."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._opened: dict[UUID, tuple[int, ProbeKind]] = {}

    def sealed(self, probe_id: UUID, version: int, kind: str, settings: Mapping[str, Any]) -> Sealed:
        """For the row of this probe and version. The settings are lawful and whole."""
        hidden, secrets = masks.masked(dict(settings), SCHEMAS[kind])
        sealed = self._vault.seal(probe_id, version, msgspec.json.encode(secrets)) if secrets else None
        body = msgspec.json.encode({"kind": kind, "settings": hidden}).decode()
        return Sealed(body, sealed, self._vault.key_id if sealed else None)

    def shown(self, row: DictRow) -> dict[str, Any]:
        """The settings with ``***`` in place of each secret, by the schema of today too."""
        settings = row["body"].get("settings", {})
        hidden, _ = masks.masked(settings, SCHEMAS.get(row["body"].get("kind", "")))
        found: dict[str, Any] = hidden
        return found

    def target(self, row: DictRow) -> str:
        """What is tried, for people; empty where the settings are not understood."""
        try:
            return settings_of(str(row["body"].get("kind", "")), self.shown(row)).shown
        except ValueError:
            return ""

    def is_lost(self, row: DictRow) -> bool:
        """Whether the secrets were sealed under another secret of the hub's."""
        return row["secret_key_id"] not in (None, self._vault.key_id)

    def whole(self, row: DictRow) -> dict[str, Any]:
        """The settings with their secrets.

        Raises: Unusable.
        """
        settings = dict(row["body"].get("settings", {}))
        if row["secret"] is None:
            return settings
        if self.is_lost(row):
            raise Unusable(LOST)
        try:
            secrets: masks.Secrets = msgspec.json.decode(self._vault.open(row["id"], row["version"], row["secret"]))
        except Unopened:
            raise Unusable(LOST) from None
        restored: dict[str, Any] = masks.restored(settings, secrets)
        return restored

    def opened(self, row: DictRow) -> ProbeKind:
        """The probe of a row, ready to be tried.

        Raises: Unusable.
        """
        known = self._opened.get(row["id"])
        if known is not None and known[0] == row["version"]:
            return known[1]
        try:
            probe = settings_of(str(row["body"].get("kind", "")), self.whole(row))
        except ValueError as err:
            raise Unusable(f"its settings are not lawful: {err}") from None
        self._opened.pop(row["id"], None)
        while len(self._opened) >= REMEMBERED:
            del self._opened[next(iter(self._opened))]
        self._opened[row["id"]] = (row["version"], probe)
        return probe
