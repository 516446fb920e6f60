"""What a simulated Hikvision device writes: XML in its firmware's namespace, and JSON where it knows that."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'


@dataclass
class Camera:
    """A channel. ``record_status`` None: the firmware does not say it."""

    id: str
    name: str
    online: bool = True
    why: str = "connect"
    record: int | None = 1
    record_status: int | None = 0


@dataclass
class Disk:
    """A disk, or a network store if it has an address. Sizes in MB."""

    id: str
    status: str = "ok"
    capacity: int = 3_815_447
    free: int = 0
    address: str = ""


@dataclass(frozen=True)
class Pages:
    """The pages of one moment. ``old`` writes as firmwares of 2016 do."""

    kind: str
    namespace: str
    cameras: list[Camera]
    disks: list[Disk]
    serial: str
    firmware: str
    time: int
    old: bool = False

    def page(self, path: str) -> bytes | None:
        """The page; None if there is no such path."""
        made = {
            "/ISAPI/System/deviceInfo": self._device,
            "/ISAPI/System/status": self._status,
            "/ISAPI/System/time": self._time,
            "/ISAPI/ContentMgmt/InputProxy/channels": self._channels,
            "/ISAPI/ContentMgmt/InputProxy/channels/status": self._channel_status,
            "/ISAPI/System/Video/inputs/channels": self._inputs,
            "/ISAPI/System/workingstatus/chanStatus": self._working,
            "/ISAPI/ContentMgmt/Storage": self._storage,
            "/ISAPI/Streaming/status": self._streams,
            "/ISAPI/System/Network/interfaces": self._interfaces,
        }.get(path)
        return None if made is None else made()

    def user_check(self, status: str, left: int | None, locked: bool, unlock_seconds: int) -> bytes:
        """``userCheck``; ``left`` None: nothing of tries."""
        said = "OK" if status == "200" else "Unauthorized"
        more = (
            []
            if left is None
            else [
                ("lockStatus", "lock" if locked else "unlock"),
                ("unlockTime", unlock_seconds),
                ("retryLoginTime", left),
            ]
        )
        return self._xml("userCheck", [("statusValue", status), ("statusString", said), *more])

    def alert(self, kind: str, state: str, channel: str) -> bytes:
        """A part of the alert stream."""
        count = 0 if state == "inactive" else 1
        return self._xml(
            "EventNotificationAlert",
            [
                ("channelID", channel),
                ("dateTime", f"{self._local()}+00:00"),
                ("activePostCount", count),
                ("eventType", kind),
                ("eventState", state),
            ],
        )

    def refusal(self, sub_status: str) -> bytes:
        """A request that is not answered."""
        return self._xml(
            "ResponseStatus",
            [("statusCode", 4), ("statusString", "Invalid Operation"), ("subStatusCode", sub_status)],
        )

    def _device(self) -> bytes:
        return self._xml(
            "DeviceInfo",
            [
                ("deviceName", "Gate recorder"),
                ("model", "DS-7608NI-K2"),
                ("serialNumber", self.serial),
                ("macAddress", "00:00:5e:00:53:01"),
                ("firmwareVersion", self.firmware),
                ("deviceType", self.kind),
            ],
        )

    def _status(self) -> bytes:
        memory = ("memoryUsage", "41.0"), ("memoryAvailable", "59.0")
        if not self.old:
            memory = ("memoryUsage", "412.5"), ("memoryAvailable", "611.5")
        return self._xml(
            "DeviceStatus",
            [
                ("currentDeviceTime", self._local()),
                ("deviceUpTime", "12 days, 3:04" if self.old else 1_047_800),
                ("CPUList", [("CPU", [("cpuDescription", "1"), ("cpuUtilization", 27)])]),
                ("MemoryList", [("Memory", [("memoryDescription", "DDR"), *memory])]),
            ],
        )

    def _time(self) -> bytes:
        local = self._local() if self.old else f"{self._local()}+00:00"
        return self._xml("Time", [("timeMode", "NTP"), ("localTime", local), ("timeZone", "CST+0:00:00")])

    def _channels(self) -> bytes:
        source = ("proxyProtocol", "HIKVISION"), ("managePortNo", 8000), ("model", "DS-2CD2143G0-I")
        return self._xml(
            "InputProxyChannelList",
            [
                (
                    "InputProxyChannel",
                    [
                        ("id", one.id),
                        ("name", one.name),
                        ("sourceInputPortDescriptor", [*source, ("ipAddress", f"192.168.254.{one.id}")]),
                    ],
                )
                for one in self.cameras
            ],
        )

    def _channel_status(self) -> bytes:
        return self._xml(
            "InputProxyChannelStatusList",
            [
                (
                    "InputProxyChannelStatus",
                    [
                        ("id", one.id),
                        ("online", "true" if one.online else "false"),
                        ("chanDetectResult", one.why),
                    ],
                )
                for one in self.cameras
            ],
        )

    def _inputs(self) -> bytes | None:
        if self.kind != "DVR":
            return None
        return self._xml(
            "VideoInputChannelList",
            [
                (
                    "VideoInputChannel",
                    [
                        ("id", one.id),
                        ("videoInputEnabled", "true"),
                        ("name", one.name),
                        ("resDesc", "1080P25" if one.online else "NO VIDEO"),
                    ],
                )
                for one in self.cameras
            ],
        )

    def _working(self) -> bytes:
        channels: list[dict[str, Any]] = []
        for one in self.cameras:
            told: dict[str, Any] = {"chanNo": int(one.id), "online": int(one.online), "linkNum": 2, "bitRate": 4096}
            if one.record is not None:
                told["record"] = one.record
            if one.record_status is not None:
                told["recordStatus"] = one.record_status if one.online else 2
            channels.append(told)
        return json.dumps({"ChanStatusList": {"ChanStatus": channels}}).encode()

    def _storage(self) -> bytes:
        disks = [
            (
                "hdd",
                [
                    ("id", one.id),
                    ("hddName", f"hdd{one.id}"),
                    ("hddType", "SATA"),
                    ("status", one.status),
                    ("capacity", one.capacity),
                    ("freeSpace", one.free),
                    ("property", "RW"),
                ],
            )
            for one in self.disks
            if not one.address
        ]
        stores = [
            (
                "nas",
                [
                    ("id", one.id),
                    ("ipAddress", one.address),
                    ("path", "/video"),
                    ("status", one.status),
                    ("capacity", one.capacity),
                    ("freeSpace", one.free),
                ],
            )
            for one in self.disks
            if one.address
        ]
        return self._xml("storage", [("hddList", disks), ("nasList", stores), ("workMode", "quota")])

    def _streams(self) -> bytes:
        return self._xml("StreamingSessionStatusList", [("totalStreamingSessions", 5)])

    def _interfaces(self) -> bytes:
        link = [("MACAddress", "00:00:5e:00:53:01"), ("speed", 1000), ("duplex", "full"), ("MTU", 1500)]
        return self._xml("NetworkInterfaceList", [("NetworkInterface", [("id", 1), ("Extensions", [("Link", link)])])])

    def _local(self) -> str:
        return datetime.fromtimestamp(self.time / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")

    def _xml(self, name: str, content: list[tuple[str, Any]]) -> bytes:
        return (HEAD + _element(name, content, f' version="2.0" xmlns="{self.namespace}"')).encode()


def _element(name: str, content: Any, attributes: str = "") -> str:
    inner = "".join(_element(*one) for one in content) if isinstance(content, list) else escape(str(content))
    return f"<{name}{attributes}>{inner}</{name}>"
