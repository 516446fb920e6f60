"""A server that says it is PostgreSQL of an old version, and nothing else.

Source: the message formats of PostgreSQL's frontend/backend protocol 3.0.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator

ENCRYPTION_REQUESTS = (80877103, 80877104)
SAID = {"server_version": "", "server_encoding": "UTF8", "client_encoding": "UTF8", "integer_datetimes": "on"}


@contextlib.contextmanager
def old_postgres(version: str) -> Iterator[int]:
    """Listens on the port that it yields, lets everybody in, and has done whatever it is told to set."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_serve, args=(server, version), daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def _serve(server: socket.socket, version: str) -> None:
    while True:
        try:
            client, _ = server.accept()
        except OSError:
            return
        with client, contextlib.suppress(OSError, EOFError):
            _welcome(client, version)
            while True:
                kind, (size,) = _exactly(client, 1), struct.unpack("!i", _exactly(client, 4))
                _exactly(client, size - 4)
                if kind == b"Q":
                    client.sendall(_message(b"C", b"SET\0") + READY)


def _welcome(client: socket.socket, version: str) -> None:
    while True:
        (size,) = struct.unpack("!i", _exactly(client, 4))
        body = _exactly(client, size - 4)
        if struct.unpack("!i", body[:4])[0] not in ENCRYPTION_REQUESTS:
            break
        client.sendall(b"N")
    answer = _message(b"R", struct.pack("!i", 0))
    for name, value in {**SAID, "server_version": version}.items():
        answer += _message(b"S", f"{name}\0{value}\0".encode())
    client.sendall(answer + _message(b"K", struct.pack("!ii", 1, 1)) + READY)


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def _exactly(client: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = client.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


READY = _message(b"Z", b"I")
