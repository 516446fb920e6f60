"""What a person may set on the minio monitor."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from twinwatch.monitors import Options, SecretText
from twinwatch.monitors.options import lasting
from twinwatch.protocol.durations import Duration

BUCKETS = 50
"""Most canaries, expectations and buckets that may be named."""

Bucket = Annotated[
    str,
    Meta(
        pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._-]{1,61}[a-zA-Z0-9]$",
        max_length=63,
        title="Bucket",
        description="Its name.",
    ),
]
Prefix = Annotated[str, Meta(max_length=500, pattern=r"^[^/\x00-\x1f][^\x00-\x1f]*$")]


class Canary(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An object that is put, looked at, fetched, compared and deleted."""

    bucket: Bucket
    prefix: Annotated[
        Prefix,
        Meta(title="Prefix", description="What the names of the canary's objects begin with; nothing else has it."),
    ] = "twinwatch-canary/"
    size_bytes: Annotated[
        int, Meta(ge=1, le=5 << 20, title="Size", description="Bytes of the object, such as 4096.")
    ] = 4096
    check_interval: Annotated[Duration, Meta(title="Interval", description="How often it is tried.")] = lasting("60s")
    timeout: Annotated[Duration, Meta(title="Timeout", description="How long each step may take.")] = lasting("10s")
    slow: Annotated[
        Duration | None,
        Meta(title="Slow", description="Its check is degraded when all steps together take longer than this."),
    ] = None


class Expected(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A bucket that has to receive objects, such as backups."""

    bucket: Bucket
    within: Annotated[
        Duration, Meta(title="Within", description="The newest object may be so old at most, such as 26h.")
    ]
    prefix: Annotated[
        str, Meta(max_length=500, title="Prefix", description="Only objects whose names begin with this count.")
    ] = ""
    at_least_bytes: Annotated[
        int, Meta(ge=0, le=1 << 50, title="At least", description="Smaller objects, in bytes, do not count.")
    ] = 1
    check_interval: Annotated[Duration, Meta(title="Interval", description="How often it is looked up.")] = lasting(
        "5m"
    )

    @property
    def shown(self) -> str:
        """Bucket and prefix, as its check and its label have them."""
        return f"{self.bucket}/{self.prefix}"


class MinioOptions(Options, frozen=True, kw_only=True):
    """Which store is watched, and how much of it."""

    url: Annotated[
        str,
        Meta(
            pattern=r"^https?://[^\s@/?#]+/?$",
            max_length=500,
            title="URL",
            description="Where it is, such as https://minio.example.org:9000; no user or password in it.",
        ),
    ]
    health: Annotated[
        bool,
        Meta(title="Health", description="Ask MinIO's health endpoints; off for an S3 that is no MinIO."),
    ] = True
    metrics: Annotated[
        Literal["auto", "v3", "v2", "none"],
        Meta(title="Metrics", description="Which of MinIO's metrics are read; auto takes v3 where it is there."),
    ] = "auto"
    metrics_token: Annotated[
        SecretText | None,
        Meta(title="Metrics token", description="From: mc admin prometheus generate ALIAS; none if they are public."),
    ] = None
    buckets: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=100)], ...],
        Meta(max_length=BUCKETS, title="Buckets", description="Whose usage is read; * and ? allowed, none means all."),
    ] = ()
    max_buckets: Annotated[
        int,
        Meta(ge=0, le=200, title="Most buckets", description="The largest ones have readings, the others have not."),
    ] = 20
    replicated_buckets: Annotated[
        tuple[Bucket, ...],
        Meta(max_length=BUCKETS, title="Replicated buckets", description="Whose replication is watched (metrics v3)."),
    ] = ()
    access_key: Annotated[
        str, Meta(max_length=200, title="Access key", description="Of a user that may do what the canary does.")
    ] = ""
    secret_key: Annotated[SecretText | None, Meta(title="Secret key", description="Of that user.")] = None
    region: Annotated[
        str, Meta(min_length=1, max_length=60, title="Region", description="The region that requests are signed for.")
    ] = "us-east-1"
    verify: Annotated[
        bool,
        Meta(
            title="Verify",
            description="Whether its certificate has to be valid; off for one of its own making, in your own network.",
        ),
    ] = True
    canary: Annotated[
        Canary | None, Meta(title="Canary", description="Put, look at, fetch and delete an object as a user would.")
    ] = None
    expected: Annotated[
        tuple[Expected, ...],
        Meta(max_length=BUCKETS, title="Expected objects", description="Buckets that have to receive objects."),
    ] = ()

    def __post_init__(self) -> None:
        if (self.canary is not None or self.expected) and not (self.access_key and self.secret_key):
            raise ValueError("canary and expected need access_key and secret_key")
        if len({one.shown for one in self.expected}) < len(self.expected):
            raise ValueError("expected names a bucket and prefix twice")

    @property
    def base(self) -> str:
        """The URL without a slash at its end."""
        return self.url.rstrip("/")
