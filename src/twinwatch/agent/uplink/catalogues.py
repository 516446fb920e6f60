"""The loop that keeps the hub's copy of the catalogue the agent's own."""

from __future__ import annotations

import logging

import msgspec

from twinwatch.agent.uplink.heartbeats import Heartbeats
from twinwatch.agent.uplink.line import Line, Refused
from twinwatch.agent.uplink.link import Link
from twinwatch.protocol.metrics import Catalogue
from twinwatch.world.http import Unreachable
from twinwatch.world.secret import Secret

_log = logging.getLogger("twinwatch.agent.uplink")


class Catalogues:
    """The loop. It compares fingerprints after each answered heartbeat, and sends only when they differ."""

    def __init__(self, line: Line, key: Secret, catalogue: Catalogue, *, heartbeats: Heartbeats, link: Link) -> None:
        self._line = line
        self._key = key
        self._fingerprint = catalogue.fingerprint()
        self._catalogue = msgspec.structs.replace(catalogue, digest=self._fingerprint)
        self._heartbeats = heartbeats
        self._link = link
        self._refused = False

    async def run(self) -> None:
        """Watch and send until cancelled."""
        while True:
            self._link.heard.clear()
            await self._link.heard.wait()
            if self._heartbeats.catalogue_held != self._fingerprint:
                await self._send()

    async def _send(self) -> None:
        try:
            await self._line.catalogue(self._key, self._catalogue)
        except (Unreachable, Refused) as err:
            if self._link.up and not self._refused:
                _log.warning("the hub did not take the catalogue (%s); it is sent after each heartbeat", err)
            self._refused = self._link.up
        else:
            self._refused = False
