"""A host made of text: what a monitor reads is a dictionary, so that a test can change any byte of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import msgspec

from twinwatch.world.commands import OUTPUT_BYTES, CommandFailed, Ended
from twinwatch.world.doors import World
from twinwatch.world.host import Host, Kernel, Missing, Refused
from twinwatch.world.http import Answer, Socket, Unreachable
from twinwatch.world.mail import MailAway, MailRefused, Relay, Taken
from twinwatch.world.pushed import Heard
from twinwatch.world.space import Space
from twinwatch.world.timekeeping import Timekeeping

LIMIT_BYTES = 1 << 20
SIGNED_IN = " (signed in)"


class PaperHost(Host):
    """Answers from ``files`` (by absolute path) and ``spaces`` (by mount point). ``hangs``: statvfs never answers."""

    def __init__(
        self, files: Mapping[str, str], spaces: Mapping[str, Space] | None = None, *, hangs: bool = False
    ) -> None:
        super().__init__()
        self.files = dict(files)
        self.spaces = dict(spaces or {})
        self.hangs = hangs
        self.refused: set[str] = set()
        """Paths that are there but may not be read."""

    @classmethod
    def of(cls, root: Path) -> PaperHost:
        """The host that is recorded below ``root``."""
        files = {f"/{path.relative_to(root)}": path.read_text() for path in root.rglob("*") if path.is_file()}
        files.pop("/kernel.json", None)
        spaces = json.loads(files.pop("/statvfs.json", "{}"))
        return cls(files, {path: Space(**space) for path, space in spaces.items()})

    def but(self, path: str, text: str | None) -> PaperHost:
        """The same host with one file changed, or without it if ``text`` is None."""
        files = {**self.files, path: text or ""}
        if text is None:
            del files[path]
        return PaperHost(files, self.spaces, hangs=self.hangs)

    def read_text(self, path: str, limit_bytes: int = LIMIT_BYTES) -> str:
        """See ``Host``."""
        if path in self.refused:
            raise Refused(f"{path}: Permission denied")
        if path not in self.files:
            raise Missing(path)
        if len(self.files[path].encode()) > limit_bytes:
            raise Refused(f"{path}: larger than {limit_bytes} bytes")
        return self.files[path]

    def list(self, path: str) -> list[str]:
        """See ``Host``."""
        if path in self.refused:
            raise Refused(f"{path}: Permission denied")
        names = {file[len(path) + 1 :].partition("/")[0] for file in self.files if file.startswith(path + "/")}
        if not names:
            raise Missing(path)
        return sorted(names)

    def exists(self, path: str) -> bool:
        """See ``Host``."""
        return path in self.files or any(file.startswith(path + "/") for file in self.files)

    async def statvfs(self, paths: Sequence[str], *, timeout_seconds: float) -> dict[str, Space]:
        """See ``Host``. One that hangs does not even keep to ``timeout_seconds``."""
        if self.hangs:
            await asyncio.Event().wait()
        return {path: self.spaces[path] for path in paths if path in self.spaces}

    def timekeeping(self) -> Timekeeping:
        """See ``Host``; from a file ``/timekeeping.json``."""
        try:
            said = msgspec.json.decode(self.read_text("/timekeeping.json"), type=dict[str, float | bool])
            return Timekeeping(bool(said["synchronized"]), said["offset_seconds"], said["error_seconds"])
        except (msgspec.MsgspecError, KeyError) as err:
            raise Refused(f"adjtimex: {err}") from err

    def kernel(self) -> Kernel:
        """See ``Host``."""
        return Kernel("x86_64", 4096, 100)


def paper_world(host: Host | None = None, **doors: Any) -> World:
    """A world whose host is made of text and whose other doors lead nowhere, but for those given by name."""
    nowhere = PaperHttp({})
    return World(**{"clock": PaperClock(), "host": host or PaperHost({}), "http": nowhere, **doors})


class PaperClock:
    """A clock that stands still until it is set."""

    def __init__(self, now: int = 1_700_000_000_000, monotonic_seconds: float = 1000.0) -> None:
        self.time = now
        self.monotonic_seconds = monotonic_seconds

    def now(self) -> int:
        """See ``Clock``."""
        return self.time

    def monotonic(self) -> float:
        """See ``Clock``."""
        return self.monotonic_seconds


class PaperHttp:
    """Answers from ``sources``: by ``METHOD URL`` a whole answer: ``200``, lines of headers, an empty line, a body.

    ``METHOD URL (signed in)`` is what a request with an ``Authorization`` header is answered, if it is there.
    """

    def __init__(self, sources: Mapping[str, str], *, hangs: bool = False) -> None:
        self.sources = dict(sources)
        self.hangs = hangs
        self.asked: list[str] = []

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
        timeout_seconds: float,
    ) -> Answer:
        """See ``Http``."""
        self.asked.append(f"{method} {url}")
        if self.hangs:
            await asyncio.Event().wait()
        page = self.sources.get(f"{method} {url}")
        if "Authorization" in (headers or {}):
            page = self.sources.get(f"{method} {url}{SIGNED_IN}", page)
        if page is None:
            raise Unreachable("connection refused")
        head, gap, text = page.partition("\n\n")
        status, *lines = head.split("\n")
        if not gap or not (status[:3].isascii() and status[:3].isdigit() and len(status) >= 3):
            raise Unreachable("the connection was cut within the answer")
        fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        return Answer(int(status[:3]), text.encode("utf-8", "replace"), fields)

    async def websocket(self, url: str, *, headers: dict[str, str] | None = None, timeout_seconds: float) -> Socket:
        """See ``Http``. There are none on paper."""
        raise Unreachable("connection refused")


class PaperPushes:
    """What services pushed: by ``pushed SERVICE`` in ``sources`` a JSON list of ``[name, labels, value, rising]``."""

    def __init__(self, sources: Mapping[str, str]) -> None:
        self.sources = dict(sources)

    def newest(self, service: str) -> list[Heard]:
        """See ``PushBoard``."""
        try:
            told = msgspec.json.decode(
                self.sources.get(f"pushed {service}", "[]"), type=list[tuple[str, dict[str, str], float, bool]]
            )
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return []
        return [Heard(name, labels, value, rising, 0.0) for name, labels, value, rising in told]


class PaperCommands:
    """Programs from ``sources``: by ``$ argument argument …`` a first line ``exit N`` and what the program writes."""

    def __init__(self, sources: Mapping[str, str], *, hangs: bool = False) -> None:
        self.sources = dict(sources)
        self.hangs = hangs

    async def run(
        self,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        timeout_seconds: float,
        output_bytes: int = OUTPUT_BYTES,
        content: bytes = b"",
    ) -> Ended:
        """See ``Commands``."""
        if self.hangs:
            await asyncio.Event().wait()
        page = self.sources.get("$ " + " ".join(arguments))
        if page is None:
            raise CommandFailed(f"{arguments[0]}: no such file or directory")
        first, _, output = page.partition("\n")
        code = first.removeprefix("exit ")
        if not (code.removeprefix("-").isascii() and code.removeprefix("-").isdigit() and len(code) < 5):
            raise CommandFailed(f"{arguments[0]}: not ended within {timeout_seconds:g} s")
        return Ended(int(code), output[:output_bytes], cut=len(output) > output_bytes)


@dataclass(frozen=True, slots=True)
class PaperLetter:
    """A message that was handed over. ``relay`` None: by the door's own."""

    message: EmailMessage
    relay: Relay | None
    sender: str
    recipients: tuple[str, ...]


class PaperMail:
    """Keeps what is sent. ``answers`` are taken in order, each an outcome to return or to raise; then all is taken."""

    def __init__(self, answers: Sequence[Taken | MailAway | MailRefused] = (), *, hangs: bool = False) -> None:
        self.answers = list(answers)
        self.hangs = hangs
        self.letters: list[PaperLetter] = []

    async def send(
        self,
        message: EmailMessage,
        *,
        relay: Relay | None,
        sender: str,
        recipients: Sequence[str],
        timeout_seconds: float,
    ) -> Taken:
        """See ``Mail``."""
        if self.hangs:
            await asyncio.sleep(timeout_seconds)
            raise MailAway(f"no answer within {timeout_seconds:g} s")
        answer = self.answers.pop(0) if self.answers else Taken(f"queued as {len(self.letters) + 1}")
        if isinstance(answer, Exception):
            raise answer
        self.letters.append(PaperLetter(message, relay, sender, tuple(recipients)))
        return answer
