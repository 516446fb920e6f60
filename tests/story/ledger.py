"""What the hub holds of a server, counted in the database itself: a reader that hides a duplicate proves nothing."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

import psycopg

from twinwatch.hub.stores.packing import Body, table_of
from twinwatch.hub.stores.reading import decode

BODIES = "select body from samples.sample_log where server_id = %s order by received_at"
BLOCKS = """
select shape, starts, body from samples.segments where server_id = %(server)s
union all select shape, starts, body from samples.days where server_id = %(server)s
"""
SHAPES = """
select sh.id, (
  select array_agg(se.metric order by place) from unnest(sh.series_ids) with ordinality as u (id, place)
  join public.series as se on se.id = u.id
)
from public.shapes as sh where sh.server_id = %s
"""


async def held(owner_url: str, server_id: UUID | str) -> Counter[tuple[str, int]]:
    """How often each (metric, time) is held."""
    async with await psycopg.AsyncConnection.connect(owner_url, autocommit=True) as connection:
        shapes: dict[str, list[str]] = dict(await (await connection.execute(SHAPES, (server_id,))).fetchall())
        async with connection.transaction():
            await connection.execute("set transaction isolation level repeatable read")
            bodies = [row[0] for row in await (await connection.execute(BODIES, (server_id,))).fetchall()]
            blocks = await (await connection.execute(BLOCKS, {"server": server_id})).fetchall()
    found = Counter(
        (metric, time) for frame in decode(bodies) for time in frame.times for metric in shapes[frame.shape]
    )
    for shape, starts, body in blocks:
        found.update((metric, time) for time in table_of(Body(starts, body)).times.tolist() for metric in shapes[shape])
    return found


def times_of(ledger: Counter[tuple[str, int]], metric: str) -> list[int]:
    """The times of one metric's samples, ascending; each must be held exactly once."""
    twice = {key: count for key, count in ledger.items() if count != 1}
    assert not twice, f"held more than once: {list(twice.items())[:5]}"
    return sorted(time for name, time in ledger if name == metric)
