"""One ICMP echo request and its answer.

Unprivileged where the kernel allows it (``net.ipv4.ping_group_range``), else over a raw socket, else not at all.
Source: RFC 792, RFC 4443; icmp(7).
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import time

from twinwatch.world.net.steps import NetFailed
from twinwatch.world.net.stream import translated

REQUEST = {socket.AF_INET: 8, socket.AF_INET6: 128}
REPLY = {socket.AF_INET: 0, socket.AF_INET6: 129}
PROTOCOL = {socket.AF_INET: socket.IPPROTO_ICMP, socket.AF_INET6: socket.IPPROTO_ICMPV6}
PAYLOAD = 40
REMEDY = (
    "this user may not ping: allow it with sysctl -w net.ipv4.ping_group_range='0 2147483647', "
    "or give the agent CAP_NET_RAW"
)


async def echo(address: str, sequence: int, timeout_seconds: float) -> float | None:
    """As ``Net.ping`` says."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    connection, raw = _opened(family)
    loop = asyncio.get_running_loop()
    number, mark = os.getpid() & 0xFFFF, os.urandom(PAYLOAD)
    request = packet(family, number, sequence & 0xFFFF, mark)
    try:
        connection.setblocking(False)
        async with asyncio.timeout(timeout_seconds):
            connection.connect((address, 0))
            began = time.perf_counter()
            await loop.sock_sendall(connection, request)
            while True:
                answer = await loop.sock_recv(connection, 1 << 12)
                took = time.perf_counter() - began
                if is_answer(answer, family, sequence & 0xFFFF, mark, raw=raw):
                    return took
    except TimeoutError:
        return None
    except OSError as err:
        failed = translated("ping", address, err)
        if failed.ours:
            raise failed from err
        return None  # a router says that it cannot be reached: it did not answer
    finally:
        connection.close()


def packet(family: int, number: int, sequence: int, mark: bytes) -> bytes:
    """An echo request. The kernel fills in the checksum of IPv6."""
    head = struct.pack("!BBHHH", REQUEST[socket.AddressFamily(family)], 0, 0, number, sequence)
    total = sum(struct.unpack(f"!{(len(head) + len(mark)) // 2}H", head + mark))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    checksum = 0 if family == socket.AF_INET6 else ~total & 0xFFFF
    return head[:2] + struct.pack("!H", checksum) + head[4:] + mark


def is_answer(content: bytes, family: int, sequence: int, mark: bytes, *, raw: bool) -> bool:
    """Whether this is the answer to that request. A raw socket hears everybody's, and the IPv4 header with it."""
    if raw and family == socket.AF_INET and content:
        content = content[(content[0] & 0x0F) * 4 :]
    if len(content) < 8:
        return False
    kind, _, _, _, number = struct.unpack("!BBHHH", content[:8])
    return bool(
        kind == REPLY[socket.AddressFamily(family)] and number == sequence and content[8 : 8 + len(mark)] == mark
    )


def _opened(family: socket.AddressFamily) -> tuple[socket.socket, bool]:
    for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
        try:
            return socket.socket(family, kind, PROTOCOL[family]), kind == socket.SOCK_RAW
        except PermissionError:
            continue
        except OSError as err:
            raise translated("ping", "ping", err) from err
    raise NetFailed("ping", "not-permitted", REMEDY, ours=True)
