"""An object store made of text, which still keeps what is put into it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime

import msgspec

from twinwatch.world.objects import PAGE, Entry, Kept, ObjectsAway, ObjectsRefused, Store


class PaperObjects:
    """Buckets from ``sources``: by ``s3 URL BUCKET`` lines of four kinds.

    - ``put 0.004``: how long it takes; of ``put``, ``head``, ``get``, ``delete`` and ``list``.
    - ``get AccessDenied Access Denied.``: that it is refused, with S3's code and message.
    - ``get garbled``: that other content comes back than was put.
    - ``object 1048576 2023-11-14T10:00:00Z backups/shop.tar``: what was there before.
    """

    def __init__(self, sources: Mapping[str, str], *, hangs: bool = False) -> None:
        self.sources = dict(sources)
        self.hangs = hangs
        self.kept: dict[tuple[str, str], bytes] = {}
        """What was put, by bucket and name."""
        self.asked: list[str] = []

    async def put(self, store: Store, bucket: str, name: str, content: bytes, *, timeout_seconds: float) -> Kept:
        """See ``Objects``."""
        seconds = await self._ask(store, bucket, "put", name)
        self.kept[bucket, name] = content
        return Kept(seconds)

    async def head(self, store: Store, bucket: str, name: str, *, timeout_seconds: float) -> tuple[float, Entry]:
        """See ``Objects``."""
        seconds = await self._ask(store, bucket, "head", name)
        return seconds, Entry(name, len(self._content(bucket, name)), 0)

    async def get(
        self, store: Store, bucket: str, name: str, *, most_bytes: int, timeout_seconds: float
    ) -> tuple[float, bytes]:
        """See ``Objects``."""
        seconds = await self._ask(store, bucket, "get", name)
        content = self._content(bucket, name)
        if "get garbled" in self._lines(store, bucket):
            content = content[::-1]
        return seconds, content[: most_bytes + 1]

    async def delete(self, store: Store, bucket: str, name: str, *, version: str = "", timeout_seconds: float) -> float:
        """See ``Objects``."""
        seconds = await self._ask(store, bucket, "delete", name)
        self.kept.pop((bucket, name), None)
        return seconds

    async def page(
        self, store: Store, bucket: str, *, prefix: str = "", after: str = "", timeout_seconds: float
    ) -> list[Entry]:
        """See ``Objects``."""
        await self._ask(store, bucket, "list", prefix)
        found = {name: Entry(name, len(content), 0) for (where, name), content in self.kept.items() if where == bucket}
        for line in self._lines(store, bucket):
            kind, _, rest = line.partition(" ")
            words = rest.split(" ", 2)
            if kind == "object" and len(words) == 3 and words[0].isdecimal():
                found[words[2]] = Entry(words[2], int(words[0]), _instant(words[1]))
        names = sorted(name for name in found if name.startswith(prefix) and name > after)
        return [found[name] for name in names[:PAGE]]

    async def _ask(self, store: Store, bucket: str, step: str, name: str) -> float:
        self.asked.append(f"{step} {bucket}/{name}")
        if self.hangs:
            await asyncio.Event().wait()
        for line in self._lines(store, bucket):
            kind, _, rest = line.partition(" ")
            if kind == step and rest and rest != "garbled":
                seconds = _seconds(rest)
                if seconds is None:
                    code, _, message = rest.partition(" ")
                    raise ObjectsRefused(code, message)
                return seconds
        return 0.0

    def _lines(self, store: Store, bucket: str) -> list[str]:
        text = self.sources.get(f"s3 {store.url} {bucket}")
        if text is None:
            raise ObjectsAway("connection refused")
        return text.split("\n")

    def _content(self, bucket: str, name: str) -> bytes:
        if (bucket, name) not in self.kept:
            raise ObjectsRefused("NoSuchKey", "The specified key does not exist.")
        return self.kept[bucket, name]


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if 0 <= seconds < 1e6 else None


def _instant(text: str) -> int:
    try:
        return round(msgspec.convert(text, datetime).timestamp() * 1000)
    except (msgspec.MsgspecError, OverflowError, ValueError):
        return 0
