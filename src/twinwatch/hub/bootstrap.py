"""What ``twinwatch up`` needs of a hub's database before the hub runs: a first organization and its keys.

Apart from ``accounts``, so that the process which only looks after the others does not carry the hub's libraries.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from twinwatch.hub.db import Database
from twinwatch.hub.keys import new_key
from twinwatch.hub.statements import Statements
from twinwatch.world.clock import Clock

SQL = Statements("accounts")

LOCAL_KEY_LIFE = timedelta(hours=1)


class Bootstrap(NamedTuple):
    """What ``twinwatch up`` needs to bring its own agent in and to let the first owner in."""

    organization_id: UUID
    enrolment_key: str
    setup_token: str | None
    """For the one-time link; ``None`` once there is an owner."""


async def bootstrap(clock: Clock, database: Database) -> Bootstrap:
    """A first organization if there is none; a set-up token while it has no owner, and a short-lived enrolment
    key for the agent of this machine. Those of an earlier start end with this one."""
    enrolment, setup = new_key("twe"), None
    async with database.as_worker() as connection:
        row = await (await connection.execute(SQL["needs_setup"])).fetchone()
        if row and row["needs_setup"]:
            setup = new_key("twi")
        organization = await (await connection.execute(SQL["first_organization"])).fetchone()
        if organization is None:
            # Who runs their own hub is nobody's customer: no plan holds them back.
            mine = {"name": "My organization", "plan": "enterprise"}
            organization = await (await connection.execute(SQL["add_organization"], mine)).fetchone()
        assert organization is not None  # noqa: S101
        where = {"organization": organization["id"]}
        await connection.execute(SQL["drop_setup_tokens"], where)
        if setup is not None:
            await connection.execute(SQL["add_setup_token"], {**where, "hash": setup.digest})
        await connection.execute(SQL["drop_local_keys"], where)
        key = {
            **where,
            "name": "This machine",
            "prefix": enrolment.prefix,
            "hash": enrolment.digest,
            "expires": datetime.fromtimestamp(clock.now() / 1000, UTC) + LOCAL_KEY_LIFE,
        }
        await connection.execute(SQL["add_local_key"], key)
    return Bootstrap(organization["id"], enrolment.key, setup.key if setup else None)
