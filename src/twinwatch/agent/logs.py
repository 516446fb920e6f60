"""How the agent's log looks: for people on a terminal, with journald's priorities, or a line of JSON each."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

FORMATS = ("human", "json")


def open_log(form: str = "", level: str = "info", environment: Mapping[str, str] = os.environ) -> None:
    """Log to standard error. ``form`` is ``human``, ``json``, or empty for what ``TWINWATCH_LOG_FORMAT`` says, else
    ``human``. Where journald reads, it dates the lines itself and gets priorities instead."""
    form = form or environment.get("TWINWATCH_LOG_FORMAT", "").strip().lower()
    handler = logging.StreamHandler(sys.stderr)
    if form == "json":
        handler.setFormatter(JsonFormatter())
    elif environment.get("JOURNAL_STREAM"):
        handler.setFormatter(JournalFormatter("%(message)s"))
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%Y-%m-%d %H:%M:%S"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


class JournalFormatter(logging.Formatter):
    """Source: sd-daemon(3), the ``<priority>`` prefix of a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record, each of its lines with the priority before it."""
        return "\n".join(f"<{_priority(record)}>{line}" for line in super().format(record).splitlines())


class JsonFormatter(logging.Formatter):
    """A line of JSON: ``time`` (RFC 3339, UTC), ``level``, ``logger``, ``message`` and, with a traceback, ``error``."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        said = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            said["error"] = self.formatException(record.exc_info)
        return msgspec.json.encode({key: _encodable(text) for key, text in said.items()}).decode()


def _priority(record: logging.LogRecord) -> int:
    if record.levelno >= logging.ERROR:
        return 3
    if record.levelno >= logging.WARNING:
        return 4
    return 6 if record.levelno >= logging.INFO else 7


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
