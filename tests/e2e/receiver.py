"""The far end of a webhook channel, and of a probe: keeps what is posted, and answers as a test wants."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Receiver:
    """``url`` is where it listens, ``got`` what came, ``status`` what it answers."""

    url: str
    got: list[dict[str, Any]] = field(default_factory=list)
    status: int = 200

    def alerts(self, title: str) -> list[dict[str, Any]]:
        """What was said of the alerts of this title, in order."""
        return [one for message in list(self.got) for one in message["alerts"] if one["title"] == title]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """One, for as long as the context is open."""

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.got.append(json.loads(body))
            self.send_response(receiver.status)
            self.end_headers()

        def do_GET(self) -> None:
            self.send_response(receiver.status)
            self.end_headers()

        def log_message(self, *said: object) -> None:
            """Nothing: what came is what counts."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    receiver = Receiver(f"http://127.0.0.1:{server.server_port}/hook")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
