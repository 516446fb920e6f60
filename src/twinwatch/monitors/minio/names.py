"""What MinIO calls its figures in metrics of version 2 and 3, and what they are called here. A table.

The two versions name the same figure differently, and never two figures alike, so one table reads both. Names without
``minio.`` are no metrics but what some are made of.
Source: cmd/metrics-v2.go and cmd/metrics-v3*.go of MinIO;
https://min.io/docs/minio/linux/reference/minio-metrics-and-alerts.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

Fold = Literal["sum", "max", "min", "rate"]
DRIVE, SERVER, POOL, SET, BUCKET = "minio.drive", "minio.server", "minio.pool", "minio.set", "minio.bucket"
STATE, TARGET = "minio.state", "minio.target"
_DRIVE = {"drive": DRIVE, "server": SERVER}
_SERVER = {"server": SERVER}
_SET2 = {"pool": POOL, "set": SET}
_SET3 = {"pool_id": POOL, "set_id": SET}
_BUCKET = {"bucket": BUCKET}
_READS: Mapping[str, str] = {"disk.io.direction": "read"}
_WRITES: Mapping[str, str] = {"disk.io.direction": "write"}


class Figure(NamedTuple):
    """What one of MinIO's metrics is here. Series that differ only in labels that are not kept are folded into one."""

    name: str
    fold: Fold = "sum"
    fixed: Mapping[str, str] = {}
    kept: Mapping[str, str] = {}
    scale: float = 1.0


def _errors(kind: str) -> Mapping[str, str]:
    return {"error.type": kind}


FIGURES: Mapping[str, Figure] = {
    # Drives and nodes
    "minio_cluster_drive_online_total": Figure("minio.drive.count", "max", {STATE: "online"}),
    "minio_cluster_drive_offline_total": Figure("minio.drive.count", "max", {STATE: "offline"}),
    "minio_cluster_health_drives_online_count": Figure("minio.drive.count", "max", {STATE: "online"}),
    "minio_cluster_health_drives_offline_count": Figure("minio.drive.count", "max", {STATE: "offline"}),
    "minio_cluster_drive_total": Figure("drive.all", "max"),
    "minio_cluster_health_drives_count": Figure("drive.all", "max"),
    "minio_cluster_nodes_online_total": Figure("minio.node.count", "max", {STATE: "online"}),
    "minio_cluster_nodes_offline_total": Figure("minio.node.count", "max", {STATE: "offline"}),
    "minio_cluster_health_nodes_online_count": Figure("minio.node.count", "max", {STATE: "online"}),
    "minio_cluster_health_nodes_offline_count": Figure("minio.node.count", "max", {STATE: "offline"}),
    # Erasure sets: version 2 tells what tolerance is made of, version 3 the tolerance itself
    "minio_cluster_health_erasure_set_online_drives": Figure("set.online", "max", kept=_SET2),
    "minio_cluster_health_erasure_set_healing_drives": Figure("set.healing", "max", kept=_SET2),
    "minio_cluster_health_erasure_set_read_quorum": Figure("set.read", "max", kept=_SET2),
    "minio_cluster_health_erasure_set_write_quorum": Figure("set.write", "max", kept=_SET2),
    "minio_cluster_erasure_set_online_drives_count": Figure("set.online", "max", kept=_SET3),
    "minio_cluster_erasure_set_healing_drives_count": Figure("set.healing", "max", kept=_SET3),
    "minio_cluster_erasure_set_read_quorum": Figure("set.read", "max", kept=_SET3),
    "minio_cluster_erasure_set_write_quorum": Figure("set.write", "max", kept=_SET3),
    # Capacity and usage
    "minio_cluster_capacity_usable_free_bytes": Figure("minio.capacity.free", "max"),
    "minio_cluster_capacity_usable_total_bytes": Figure("minio.capacity.size", "max"),
    "minio_cluster_health_capacity_usable_free_bytes": Figure("minio.capacity.free", "max"),
    "minio_cluster_health_capacity_usable_total_bytes": Figure("minio.capacity.size", "max"),
    "minio_cluster_usage_total_bytes": Figure("minio.usage.size", "max"),
    "minio_cluster_usage_object_total": Figure("minio.usage.objects", "max"),
    "minio_cluster_usage_version_total": Figure("minio.usage.versions", "max"),
    "minio_cluster_usage_deletemarker_total": Figure("minio.usage.delete_markers", "max"),
    "minio_cluster_bucket_total": Figure("minio.bucket.count", "max"),
    "minio_cluster_usage_objects_total_bytes": Figure("minio.usage.size", "max"),
    "minio_cluster_usage_objects_count": Figure("minio.usage.objects", "max"),
    "minio_cluster_usage_objects_versions_count": Figure("minio.usage.versions", "max"),
    "minio_cluster_usage_objects_delete_markers_count": Figure("minio.usage.delete_markers", "max"),
    "minio_cluster_usage_objects_buckets_count": Figure("minio.bucket.count", "max"),
    # Buckets
    "minio_bucket_usage_total_bytes": Figure("minio.bucket.size", "max", kept=_BUCKET),
    "minio_bucket_usage_object_total": Figure("minio.bucket.objects", "max", kept=_BUCKET),
    "minio_bucket_quota_total_bytes": Figure("bucket.quota", "max", kept=_BUCKET),
    "minio_cluster_usage_buckets_total_bytes": Figure("minio.bucket.size", "max", kept=_BUCKET),
    "minio_cluster_usage_buckets_objects_count": Figure("minio.bucket.objects", "max", kept=_BUCKET),
    "minio_cluster_usage_buckets_quota_total_bytes": Figure("bucket.quota", "max", kept=_BUCKET),
    # Requests
    **{
        f"minio_{api}_{source}": figure
        for api, v2 in (("s3", True), ("api", False))
        for source, figure in {
            "requests_total": Figure("minio.requests", "rate"),
            "requests_4xx_errors_total": Figure("minio.request.errors", "rate", _errors("4xx")),
            "requests_5xx_errors_total": Figure("minio.request.errors", "rate", _errors("5xx")),
            "requests_canceled_total": Figure("minio.request.errors", "rate", _errors("canceled")),
            "requests_rejected_auth_total": Figure("minio.request.rejected", "rate", _errors("auth")),
            "requests_rejected_header_total": Figure("minio.request.rejected", "rate", _errors("header")),
            "requests_rejected_timestamp_total": Figure("minio.request.rejected", "rate", _errors("timestamp")),
            "requests_rejected_invalid_total": Figure("minio.request.rejected", "rate", _errors("invalid")),
            "requests_inflight_total": Figure("minio.request.inflight"),
            "requests_waiting_total": Figure("minio.request.waiting"),
            f"{'' if v2 else 'requests_'}traffic_received_bytes": Figure(
                "minio.io", "rate", {"network.io.direction": "receive"}
            ),
            f"{'' if v2 else 'requests_'}traffic_sent_bytes": Figure(
                "minio.io", "rate", {"network.io.direction": "transmit"}
            ),
        }.items()
    },
    # Each drive
    "minio_node_drive_used_bytes": Figure("drive.used", "max", kept=_DRIVE),
    "minio_node_drive_total_bytes": Figure("drive.size", "max", kept=_DRIVE),
    "minio_node_drive_errors_timeout": Figure("minio.drive.errors", "rate", _errors("timeout"), _DRIVE),
    "minio_node_drive_errors_ioerror": Figure("minio.drive.errors", "rate", _errors("io"), _DRIVE),
    "minio_node_drive_errors_availability": Figure("minio.drive.errors", "rate", _errors("availability"), _DRIVE),
    "minio_node_drive_io_waiting": Figure("minio.drive.waiting", "max", kept=_DRIVE),
    "minio_node_drive_reads_await": Figure("minio.drive.await", "max", _READS, _DRIVE, 0.001),
    "minio_node_drive_writes_await": Figure("minio.drive.await", "max", _WRITES, _DRIVE, 0.001),
    "minio_system_drive_used_bytes": Figure("drive.used", "max", kept=_DRIVE),
    "minio_system_drive_total_bytes": Figure("drive.size", "max", kept=_DRIVE),
    "minio_system_drive_timeout_errors_total": Figure("minio.drive.errors", "rate", _errors("timeout"), _DRIVE),
    "minio_system_drive_io_errors_total": Figure("minio.drive.errors", "rate", _errors("io"), _DRIVE),
    "minio_system_drive_availability_errors_total": Figure(
        "minio.drive.errors", "rate", _errors("availability"), _DRIVE
    ),
    "minio_system_drive_waiting_io": Figure("minio.drive.waiting", "max", kept=_DRIVE),
    "minio_system_drive_reads_await": Figure("minio.drive.await", "max", _READS, _DRIVE, 0.001),
    "minio_system_drive_writes_await": Figure("minio.drive.await", "max", _WRITES, _DRIVE, 0.001),
    # Replication, healing, scanner
    "minio_node_replication_link_online": Figure("minio.replication.link", "min", kept={"endpoint": TARGET}),
    "minio_node_replication_recent_backlog_count": Figure("minio.replication.backlog"),
    "minio_replication_recent_backlog_count": Figure("minio.replication.backlog"),
    "minio_node_replication_last_minute_queued_count": Figure("minio.replication.queued"),
    "minio_replication_last_minute_queued_count": Figure("minio.replication.queued"),
    "minio_bucket_replication_last_minute_failed_count": Figure("minio.replication.failed", "sum", kept=_BUCKET),
    "minio_heal_objects_errors_total": Figure("minio.heal.failed"),
    "minio_usage_last_activity_nano_seconds": Figure("minio.scanner.silence", "min", scale=1e-9),
    "minio_scanner_last_activity_seconds": Figure("minio.scanner.silence", "min"),
    # The processes
    "minio_node_process_resident_memory_bytes": Figure("minio.process.memory", "max", kept=_SERVER),
    "minio_system_process_resident_memory_bytes": Figure("minio.process.memory", "max", kept=_SERVER),
    "minio_node_process_uptime_seconds": Figure("minio.process.uptime", "min", kept=_SERVER),
    "minio_system_process_uptime_seconds": Figure("minio.process.uptime", "min", kept=_SERVER),
    "minio_node_file_descriptor_open_total": Figure("files.open", "max", kept=_SERVER),
    "minio_node_file_descriptor_limit_total": Figure("files.most", "max", kept=_SERVER),
    "minio_system_process_file_descriptor_open_total": Figure("files.open", "max", kept=_SERVER),
    "minio_system_process_file_descriptor_limit_total": Figure("files.most", "max", kept=_SERVER),
}
