"""The hub's copy of the catalogue is kept the agent's own."""

from __future__ import annotations

import msgspec

from twinwatch.agent.uplink.errand import Errand
from twinwatch.agent.uplink.line import Line
from twinwatch.agent.uplink.link import Link
from twinwatch.protocol.heartbeat import HeartbeatAnswer
from twinwatch.protocol.metrics import Catalogue
from twinwatch.world.secret import Secret


class Catalogues:
    """Fingerprints are compared after each answered heartbeat; the catalogue is sent only when they differ."""

    def __init__(self, line: Line, key: Secret, catalogue: Catalogue, *, link: Link, seed: str) -> None:
        self._line = line
        self._key = key
        self._held: str | None = None
        self._catalogue = _signed(catalogue)
        self._errand = Errand(
            "the hub did not take the catalogue", do=self._send, wanted=self._is_wanted, link=link, seed=seed
        )
        self.run = self._errand.run
        link.on_answer(self._heard)

    def changed(self, catalogue: Catalogue) -> None:
        """This is the catalogue from now on."""
        self._catalogue = _signed(catalogue)
        self._errand.wake()

    def _heard(self, answer: HeartbeatAnswer) -> None:
        self._held = answer.catalogue
        self._errand.wake()

    def _is_wanted(self) -> bool:
        return self._held is not None and self._held != self._catalogue.digest

    async def _send(self) -> None:
        sent = self._catalogue
        await self._line.catalogue(self._key, sent)
        self._held = sent.digest


def _signed(catalogue: Catalogue) -> Catalogue:
    return msgspec.structs.replace(catalogue, digest=catalogue.fingerprint())
