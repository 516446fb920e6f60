"""How many samples are kept, counted now and then: a count reads something of every row."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from uuid import UUID

from twinwatch.hub.stores import SampleStore, Stats
from twinwatch.world.clock import Clock

FRESH_SECONDS = 60.0
SHARE = 100
"""A count is of use for so many times as long as it took: counting is a hundredth of what the database does at most."""
REMEMBERED = 1_000


class Holdings:
    """What the store holds, by organization and of all; one count at a time."""

    def __init__(self, clock: Clock, store: SampleStore) -> None:
        self._clock = clock
        self._store = store
        self._counting = asyncio.Lock()
        self._found: OrderedDict[UUID | None, tuple[float, Stats]] = OrderedDict()
        """Until when each is of use, by the monotonic clock."""

    async def of(self, organization_id: UUID | None = None) -> Stats:
        """What is kept of the organization, or of all: a minute old at most, or older where counting takes long.
        Raises: DatabaseAway."""
        async with self._counting:
            now = self._clock.monotonic()
            found = self._found.get(organization_id)
            if found is None or now > found[0]:
                stats = await self._store.stats(organization_id)
                took = self._clock.monotonic() - now
                found = (now + took + max(FRESH_SECONDS, SHARE * took), stats)
                self._found[organization_id] = found
                self._found.move_to_end(organization_id)
                while len(self._found) > REMEMBERED:
                    self._found.popitem(last=False)
            return found[1]
