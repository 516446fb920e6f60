"""``twinwatch drill`` on a server: has its running agent send a marked test on every channel that it may speak on, and
prints what came of it.

Exit codes: 0 every path delivers; 1 one does not, or there is none; 2 called wrongly, too often, or without the right
to ask; 3 no agent runs there.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping

import msgspec

from twinwatch.agent.asking import Exit, NotAllowed, NotRunning, ask, socket_of
from twinwatch.agent.configuration import Misconfigured
from twinwatch.agent.drilling import Drilled
from twinwatch.agent.plain import plain
from twinwatch.agent.tables import in_columns

PATIENCE_SECONDS = 60.0
"""Longer than any channel takes."""


def command(args: argparse.Namespace, environment: Mapping[str, str] = os.environ) -> int:
    """Ask, print, and say with the exit code whether every path delivers."""
    try:
        path = socket_of(args, environment)
        answer = ask(path, "POST", "/api/v1/drill", timeout_seconds=PATIENCE_SECONDS)
        drilled = msgspec.json.decode(answer, type=Drilled)
    except (Misconfigured, NotAllowed) as err:
        return _end(Exit.MISUSED, err)
    except NotRunning as err:
        return _end(Exit.NOT_RUNNING, err)
    except msgspec.MsgspecError:
        return _end(Exit.NOT_RUNNING, f"{path}: the answer is not this version's; restart the agent")
    sys.stdout.write(f"{answer.decode()}\n" if args.json else "".join(f"{line}\n" for line in described(drilled)))
    return Exit.WELL if drilled.well else Exit.UNWELL


def described(drilled: Drilled) -> list[str]:
    """The drill as lines for people."""
    if not drilled.paths:
        return [
            f"{drilled.server}: this agent has no channel to speak on. Channels of the hub that are marked for agents "
            "reach it with its next heartbeat; its own stand in its file under alerts"
        ]
    rows = [
        (one.name, one.kind, drilled.server, one.outcome, f"{one.seconds:.2f} s", one.reason) for one in drilled.paths
    ]
    lines = in_columns(("CHANNEL", "KIND", "FROM", "OUTCOME", "TOOK", ""), rows)
    noted = "the hub has noted it" if drilled.reported else "the hub has not heard of it"
    good = sum(one.outcome == "delivered" for one in drilled.paths)
    return [plain(line, 1_000) for line in (*lines, "", f"{good} of {len(drilled.paths)} paths deliver; {noted}")]


def _end(code: Exit, reason: object) -> int:
    sys.stderr.write(f"twinwatch: {reason}\n")
    return code
