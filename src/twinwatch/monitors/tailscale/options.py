"""What a person may set on the tailscale monitor."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from twinwatch.monitors import Options, Program
from twinwatch.monitors.options import lasting
from twinwatch.protocol.durations import Duration

Patterns = tuple[Annotated[str, Meta(min_length=1, max_length=200)], ...]


class TailscaleOptions(Options, frozen=True, kw_only=True):
    """What of the tailnet is watched."""

    socket: Annotated[
        str,
        Meta(
            pattern=r"^/[^\x00-\x1f]+$",
            max_length=100,
            title="Socket",
            description="Where tailscaled listens; it is asked there, without a process and without rights.",
        ),
    ] = "/var/run/tailscale/tailscaled.sock"
    command: Annotated[
        Program,
        Meta(
            min_length=1,
            max_length=4096,
            title="Command",
            description="The tailscale program, or its full path; it is run only where the socket cannot be asked.",
        ),
    ] = "tailscale"
    peers: Annotated[
        Patterns,
        Meta(
            max_length=100,
            title="Peers",
            description="Peers that have to be online: host names, with * and ?, or tags such as tag:db.",
        ),
    ] = ()
    direct: Annotated[
        Patterns,
        Meta(
            max_length=100,
            title="Direct",
            description="Those of them that have to be reached without a relay, named likewise.",
        ),
    ] = ()
    max_peers: Annotated[
        int, Meta(ge=1, le=100, title="Most peers", description="More chosen peers than this are left out, and told.")
    ] = 50
    ping: Annotated[
        bool,
        Meta(title="Ping", description="Ask chosen peers that are online for an answer, and how long it takes."),
    ] = True
    key_expires_within: Annotated[
        Duration,
        Meta(title="Key expiry", description="A check is degraded when a node key expires within this time."),
    ] = lasting("14d")
