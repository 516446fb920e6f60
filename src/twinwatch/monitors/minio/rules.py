"""What of MinIO alerts by default: what stops or endangers reading and writing, at once; the rest after a while."""

from __future__ import annotations

from twinwatch.monitors.minio.figures import ERROR_RATIO, SILENCE, UTILIZATION
from twinwatch.protocol.rules import Rule

RULES = (
    Rule("not answering", "critical", check="live", times=2, message="MinIO on {server}: {message}"),
    Rule("write quorum lost", "critical", check="write-quorum", message="MinIO on {server}: {message}"),
    Rule("read quorum lost", "critical", check="read-quorum", message="MinIO on {server}: {message}"),
    Rule("no drive to spare", "critical", check="erasure", message="MinIO on {server}: {message}"),
    Rule(
        "drives offline",
        check="drives",
        states=("degraded", "down"),
        hold="1m",
        clear_hold="2m",
        message="MinIO on {server}: {message}",
    ),
    Rule(
        "nodes offline",
        check="nodes",
        states=("degraded", "down"),
        hold="1m",
        clear_hold="2m",
        message="MinIO on {server}: {message}",
    ),
    Rule("healing for long", check="healing", states=("degraded",), message="MinIO on {server}: {message}"),
    Rule(
        "replication target away",
        check="replication",
        states=("degraded",),
        hold="5m",
        message="MinIO on {server}: {message}",
    ),
    Rule(
        "replication fails",
        metric="minio.replication.failed",
        above=0,
        hold="15m",
        message="MinIO on {server} could not replicate {value} in a minute, for {for}; "
        "see which: mc replicate status ALIAS/BUCKET",
    ),
    Rule(
        "filling up",
        metric=UTILIZATION,
        above=0.85,
        above_clear=0.83,
        hold="5m",
        message="MinIO on {server} is {value} full; free space, or add a pool before it is 95 %",
    ),
    Rule(
        "nearly full",
        "critical",
        metric=UTILIZATION,
        above=0.95,
        above_clear=0.93,
        hold="2m",
        message="MinIO on {server} is {value} full and will refuse writes: free space now, or add a pool",
    ),
    Rule(
        "full soon",
        metric="minio.capacity.full_in",
        below=48 * 3600.0,
        below_clear=72 * 3600.0,
        hold="15m",
        message="MinIO on {server} is full in {value} if it goes on like this: see what writes so much",
    ),
    Rule(
        "requests fail",
        metric=ERROR_RATIO,
        above=0.05,
        above_clear=0.02,
        hold="3m",
        message="MinIO on {server}: {value} of the requests end in a 5xx error; see its log, and the drives",
    ),
    Rule(
        "clocks differ",
        metric="minio.request.rejected",
        labels={"error.type": "timestamp"},
        above=0,
        hold="10m",
        message="MinIO on {server} rejects requests for their time: see whether its clock and its clients' are right",
    ),
    Rule(
        "scanner silent",
        metric=SILENCE,
        above=24 * 3600.0,
        hold="10m",
        message="The scanner of MinIO on {server} did nothing for {value}: usage, healing and expiry stand still",
    ),
    Rule(
        "metrics not readable",
        check="metrics",
        states=("degraded", "down"),
        hold="10m",
        message="MinIO on {server}: {message}",
    ),
    Rule("canary dead", "critical", check="canary", times=2, recover=2, message="{server}: {message}"),
    Rule("canary slow", check="canary", states=("degraded",), hold="5m", message="{server}: {message}"),
    Rule("objects missing", "critical", check="fresh:*", message="{server}: {message}"),
)
