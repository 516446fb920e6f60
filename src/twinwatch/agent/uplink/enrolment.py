"""How a server gets its own key: the enrolment key is exchanged for it, once."""

from __future__ import annotations

import asyncio
import logging

from twinwatch.agent.identity import Registration
from twinwatch.agent.uplink.line import Line, Refused
from twinwatch.agent.uplink.link import Link
from twinwatch.protocol.hello import Register
from twinwatch.world import backoff
from twinwatch.world.http import Unreachable
from twinwatch.world.secret import Secret

LONGEST_PAUSE_SECONDS = 15.0

_log = logging.getLogger("twinwatch.agent.uplink")


class EnrolmentRefused(Exception):
    """The hub takes neither this key nor, with it, this server. Only a person can mend that; the message says how."""


async def enrol(line: Line, key: Secret, message: Register, *, hub: str, link: Link) -> Registration:
    """Register this server, however long the hub is away.

    Raises: EnrolmentRefused.
    """
    attempt = 0
    while True:
        pause = backoff.delay(attempt, message.install_id, most_seconds=LONGEST_PAUSE_SECONDS)
        attempt += 1
        try:
            answer = await line.register(key, message)
        except Unreachable as err:
            link.become("away", logging.WARNING, "hub %s: %s; trying on, ticks are kept meanwhile", hub, err)
        except Refused as err:
            if err.status in (401, 403):
                raise EnrolmentRefused(
                    f"{hub} refuses the enrolment key ({err}); make a new one in the dashboard, under Add a server"
                ) from err
            if err.slug and err.status in (400, 409, 413, 422):
                raise EnrolmentRefused(f"{hub} refuses to register this server ({err})") from err
            link.become("away", logging.WARNING, "hub %s: registration answered %s; trying on", hub, err)
            pause = max(pause, err.retry_after_seconds or 0.0)
        else:
            _log.info("registered with %s as server %s", hub, answer.server_uuid)
            link.become("new", logging.DEBUG, "registered")
            return Registration(hub, answer.server_uuid, answer.server_key, answer.sequence_mark)
        await asyncio.sleep(pause)
