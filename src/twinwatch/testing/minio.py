"""A MinIO on a real port: S3 with version 4 signatures, health endpoints and metrics, and the faults that it is told.

It answers as MinIO does, as far as the monitor and ``minio-py`` look: the statuses, headers and error documents of
cmd/healthcheck-handler.go, cmd/generic-handlers.go and cmd/api-errors.go.
Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html.
"""

from __future__ import annotations

import asyncio
import hmac
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from hashlib import md5, sha256
from urllib.parse import parse_qsl, quote, unquote
from xml.sax.saxutils import escape

from aiohttp import web

ACCESS_KEY = "twinwatch"
SECRET_KEY = "a-secret-key-of-the-tests"  # noqa: S105
TOKEN = "a-token-for-the-metrics"  # noqa: S105
MAX_KEYS = 1_000
_XML = '<?xml version="1.0" encoding="UTF-8"?>\n'


@dataclass
class Object:
    """One object, or one version of it."""

    content: bytes
    modified: datetime
    version: str = ""


@dataclass
class MinioServer:
    """What the server holds and how it is. Everything may be changed while it runs."""

    drives: int = 4
    offline: int = 0
    token: str | None = TOKEN
    """What the metrics ask for; None: they are public."""
    buckets: dict[str, dict[str, list[Object]]] = field(default_factory=dict)
    """By name, by key: versions, newest last."""
    versioned: set[str] = field(default_factory=set)
    fails: dict[str, tuple[int, str]] = field(default_factory=dict)
    """By method (``PUT``) or ``LIST``: status and code with which it is refused."""
    hangs: set[str] = field(default_factory=set)
    """Methods, or paths, that never get an answer."""
    cuts: set[str] = field(default_factory=set)
    """Methods, or paths, whose answer ends in its middle."""
    has_version_3: bool = True
    requests: list[str] = field(default_factory=list)
    url: str = ""

    @property
    def write_quorum(self) -> int:
        """Drives of the set, of which half hold parity: one more than half."""
        return self.drives // 2 + 1

    @property
    def read_quorum(self) -> int:
        """Half of the drives."""
        return self.drives // 2

    @asynccontextmanager
    async def serving(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[MinioServer]:
        """Runs it on a port of the system's choice."""
        runner = web.ServerRunner(web.Server(self._answer), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    def holds(self, bucket: str) -> list[str]:
        """The keys in a bucket, with all their versions."""
        return sorted(key for key, versions in self.buckets[bucket].items() for _ in versions)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path
        self.requests.append(f"{request.method} {request.raw_path}")
        kind = "LIST" if "list-type" in request.query else request.method
        if {path, kind} & self.hangs:
            await asyncio.Event().wait()
        if path.startswith("/minio/"):
            answer = self._health(request) if path.startswith("/minio/health/") else self._metrics(request)
        else:
            answer = await self._s3(request, kind)
        if {path, kind} & self.cuts:
            return await self._cut(request, answer)
        return answer

    async def _cut(self, request: web.BaseRequest, whole: web.Response) -> web.StreamResponse:
        body = bytes(whole.body) if isinstance(whole.body, bytes) else b""
        answer = web.StreamResponse(status=whole.status, headers=whole.headers)
        answer.content_length = len(body) + 100
        await answer.prepare(request)
        await answer.write(body[: len(body) // 2])
        if request.transport is not None:
            request.transport.close()
        return answer

    def _health(self, request: web.BaseRequest) -> web.Response:
        online = self.drives - self.offline
        if request.query.get("maintenance") == "true":
            online -= 1
        match request.path.removeprefix("/minio/health/"):
            case "live" | "ready":
                return web.Response()
            case "cluster":
                needed, headers = self.write_quorum, {"X-Minio-Write-Quorum": str(self.write_quorum)}
            case "cluster/read":
                needed, headers = self.read_quorum, {"X-Minio-Read-Quorum": str(self.read_quorum)}
            case _:
                return web.Response(status=404)
        bad = 412 if "maintenance" in request.query else 503
        return web.Response(status=200 if online >= needed else bad, headers=headers)

    def _metrics(self, request: web.BaseRequest) -> web.Response:
        version_3 = request.path.startswith("/minio/metrics/v3/")
        if version_3 and not self.has_version_3:
            return _error(403, "AccessDenied", request.path)  # an object of a bucket named minio, as it seems
        if self.token is not None and request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.json_response({"Code": "AccessDenied", "Message": "Access Denied."}, status=403)
        pages = self._version_3() if version_3 else self._version_2()
        page = request.path.removeprefix("/minio/metrics/v3" if version_3 else "/minio/v2/metrics")
        if page not in pages:
            return web.Response(status=404, text="Metrics Resource Not found")
        lines = [f"{name} {value:g}" for name, value in pages[page].items() if value or not version_3]
        return web.Response(text="\n".join(lines) + "\n", content_type="text/plain")

    def _version_3(self) -> dict[str, dict[str, float]]:
        labels = '{pool_id="0",set_id="0"}'
        return {
            "/cluster/health": {
                "minio_cluster_health_drives_count": self.drives,
                "minio_cluster_health_drives_online_count": self.drives - self.offline,
                "minio_cluster_health_drives_offline_count": self.offline,
                "minio_cluster_health_nodes_online_count": 1,
                "minio_cluster_health_capacity_usable_total_bytes": 1e12,
                "minio_cluster_health_capacity_usable_free_bytes": 4e11,
            },
            "/cluster/erasure-set": {
                f"minio_cluster_erasure_set_online_drives_count{labels}": self.drives - self.offline,
                f"minio_cluster_erasure_set_read_quorum{labels}": self.read_quorum,
                f"minio_cluster_erasure_set_write_quorum{labels}": self.write_quorum,
            },
            "/cluster/usage/buckets": {
                f'minio_cluster_usage_buckets_total_bytes{{bucket="{name}"}}': sum(
                    len(one.content) for versions in keys.values() for one in versions
                )
                for name, keys in self.buckets.items()
            },
        }

    def _version_2(self) -> dict[str, dict[str, float]]:
        labels = '{pool="0",set="0"}'
        return {
            "/cluster": {
                "minio_cluster_drive_total": self.drives,
                "minio_cluster_drive_online_total": self.drives - self.offline,
                "minio_cluster_drive_offline_total": self.offline,
                f"minio_cluster_health_erasure_set_online_drives{labels}": self.drives - self.offline,
                f"minio_cluster_health_erasure_set_read_quorum{labels}": self.read_quorum,
                f"minio_cluster_health_erasure_set_write_quorum{labels}": self.write_quorum,
            },
            "/node": {},
            "/bucket": {},
        }

    async def _s3(self, request: web.BaseRequest, kind: str) -> web.Response:
        content = await request.read()
        if refusal := _unsigned(request, content):
            return _error(403, refusal, request.path)
        if kind in self.fails:
            status, code = self.fails[kind]
            return _error(status, code, request.path)
        _, bucket, *rest = unquote(request.raw_path.partition("?")[0]).split("/", 2)
        key = rest[0] if rest else ""
        if bucket not in self.buckets:
            return _error(404, "NoSuchBucket", request.path)
        if self.drives - self.offline < (self.write_quorum if kind in ("PUT", "DELETE") else self.read_quorum):
            return _error(503, "SlowDownWrite" if kind in ("PUT", "DELETE") else "SlowDownRead", request.path)
        keys = self.buckets[bucket]
        match kind:
            case "LIST":
                return self._list(bucket, request)
            case "PUT":
                return self._put(bucket, key, content)
            case "DELETE":
                self._delete(bucket, key, request.query.get("versionId", ""))
                return web.Response(status=204)
        if not keys.get(key):
            return _error(404, "NoSuchKey", request.path)
        found = keys[key][-1]
        headers = {"ETag": f'"{_etag(found.content)}"', "Last-Modified": format_datetime(found.modified, usegmt=True)}
        return web.Response(body=found.content, headers=headers)

    def _put(self, bucket: str, key: str, content: bytes) -> web.Response:
        versions = self.buckets[bucket].setdefault(key, [])
        version = f"{len(versions) + 1:032x}" if bucket in self.versioned else ""
        if not version:
            versions.clear()
        versions.append(Object(content, datetime.now(UTC), version))
        headers = {"ETag": f'"{_etag(content)}"', **({"x-amz-version-id": version} if version else {})}
        return web.Response(headers=headers)

    def _delete(self, bucket: str, key: str, version: str) -> None:
        versions = self.buckets[bucket].get(key, [])
        if bucket in self.versioned and not version:
            versions.append(Object(b"", datetime.now(UTC), "marker"))
        else:
            versions[:] = [one for one in versions if version and one.version != version]

    def _list(self, bucket: str, request: web.BaseRequest) -> web.Response:
        prefix = request.query.get("prefix", "")
        after = request.query.get("continuation-token") or request.query.get("start-after", "")
        keys = sorted(
            key for key, held in self.buckets[bucket].items() if held and key.startswith(prefix) and key > after
        )
        page = keys[: min(int(request.query.get("max-keys", MAX_KEYS)), MAX_KEYS)]
        rows = []
        for key in page:
            newest = self.buckets[bucket][key][-1]
            stamp = newest.modified.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
            rows.append(
                f"<Contents><Key>{escape(quote(key))}</Key><LastModified>{stamp}</LastModified>"
                f"<ETag>&quot;{_etag(newest.content)}&quot;</ETag><Size>{len(newest.content)}</Size></Contents>"
            )
        more = len(keys) > len(page)
        token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
        return web.Response(
            text=f'{_XML}<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>{bucket}</Name>'
            f"<IsTruncated>{str(more).lower()}</IsTruncated><EncodingType>url</EncodingType>{token}{''.join(rows)}"
            "</ListBucketResult>",
            content_type="application/xml",
        )


def _etag(content: bytes) -> str:
    return md5(content, usedforsecurity=False).hexdigest()


def _error(status: int, code: str, resource: str) -> web.Response:
    text = f"{_XML}<Error><Code>{code}</Code><Message>As told.</Message><Resource>{escape(resource)}</Resource>"
    return web.Response(
        status=status, text=f"{text}<RequestId>1</RequestId><HostId>2</HostId></Error>", content_type="application/xml"
    )


def _unsigned(request: web.BaseRequest, content: bytes) -> str:
    """S3's code for a request that is not rightly signed, empty if it is."""
    scheme, _, rest = request.headers.get("Authorization", "").partition(" ")
    parts = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    credential = parts.get("Credential", "").split("/")
    if scheme != "AWS4-HMAC-SHA256" or len(credential) != 5:
        return "AccessDenied"
    access_key, day, region, service, end = credential
    if access_key != ACCESS_KEY:
        return "InvalidAccessKeyId"
    digest = request.headers["x-amz-content-sha256"]
    if digest not in ("UNSIGNED-PAYLOAD", sha256(content).hexdigest()):
        return "XAmzContentSHA256Mismatch"
    signed = parts["SignedHeaders"].split(";")
    path, _, query = request.raw_path.partition("?")
    pairs = sorted((quote(name, "-_.~"), quote(value, "-_.~")) for name, value in parse_qsl(query, True))
    canonical = "\n".join(
        [
            request.method,
            path,
            "&".join(f"{name}={value}" for name, value in pairs),
            *(f"{name}:{' '.join(request.headers[name].split())}" for name in signed),
            "",
            parts["SignedHeaders"],
            digest,
        ]
    )
    scope = f"{day}/{region}/{service}/{end}"
    text = f"AWS4-HMAC-SHA256\n{request.headers['x-amz-date']}\n{scope}\n{sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{SECRET_KEY}".encode()
    for word in (day, region, service, end):
        key = hmac.new(key, word.encode(), sha256).digest()
    right = hmac.new(key, text.encode(), sha256).hexdigest()
    return "" if hmac.compare_digest(right, parts["Signature"]) else "SignatureDoesNotMatch"
