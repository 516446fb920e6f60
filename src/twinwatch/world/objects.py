"""The door to object stores that speak S3: put, head, get, delete, list. ``minio`` is imported when it is first used.

The library blocks, so each request has a thread, off the event loop, and a deadline of its own.

Invariants: a request that outlives its deadline is left to end by itself, and while it does not, its store is asked
nothing more, so that one that hangs holds one thread; no thread keeps the process from ending; nothing is tried twice
and no redirect is followed; no key is ever in a message.
Source: https://docs.aws.amazon.com/AmazonS3/latest/API/, https://github.com/minio/minio-py.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Protocol, TypeVar
from urllib.parse import urlsplit

from twinwatch.world.authorities import tls_context
from twinwatch.world.secret import Secret, hidden

if TYPE_CHECKING:
    from minio import Minio

PAGE = 1_000
"""Objects that one request lists, as S3 has it."""
PIECE_BYTES = 64 << 10
REASON_CHARACTERS = 300

T = TypeVar("T")


class ObjectsAway(Exception):
    """No complete answer: name, connection, TLS, time-out. The message says which."""


class ObjectsBusy(ObjectsAway):
    """An earlier request to this store has not ended: nothing was sent."""


class ObjectsRefused(Exception):
    """The store answered with an error. ``code`` is S3's, such as ``AccessDenied`` or ``NoSuchBucket``."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(f"{code}: {message}" if message else code)


class ObjectsMissing(Exception):
    """The library is not installed; the message says what to install."""


@dataclass(frozen=True, slots=True)
class Store:
    """Where the objects are and who asks. ``url`` has a scheme, a host and maybe a port."""

    url: str
    access_key: str
    secret_key: Secret
    region: str = "us-east-1"
    verify: bool = True
    """False: for stores that can show no certificate but one of their own making."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An object was put. ``version`` is empty where the bucket keeps none."""

    seconds: float
    version: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """An object as a listing or a HEAD has it. ``modified`` is ms UTC by the store's clock."""

    name: str
    size_bytes: int
    modified: int


class Objects(Protocol):
    """Asks stores. Every ``seconds`` is what the request itself took.

    All raise ObjectsAway, ObjectsRefused, ObjectsMissing.
    """

    async def put(self, store: Store, bucket: str, name: str, content: bytes, *, timeout_seconds: float) -> Kept:
        """Keep this content under this name."""
        ...

    async def head(self, store: Store, bucket: str, name: str, *, timeout_seconds: float) -> tuple[float, Entry]:
        """What is known of an object: seconds and entry."""
        ...

    async def get(
        self, store: Store, bucket: str, name: str, *, most_bytes: int, timeout_seconds: float
    ) -> tuple[float, bytes]:
        """Its content, at most ``most_bytes`` and one more: seconds and bytes."""
        ...

    async def delete(self, store: Store, bucket: str, name: str, *, version: str = "", timeout_seconds: float) -> float:
        """Delete it, or one version of it for good. The result is the seconds."""
        ...

    async def page(
        self, store: Store, bucket: str, *, prefix: str = "", after: str = "", timeout_seconds: float
    ) -> list[Entry]:
        """At most ``PAGE`` objects whose names begin with ``prefix`` and come after ``after``, by name."""
        ...


class HostObjects:
    """The real door."""

    def __init__(self) -> None:
        self._clients: dict[tuple[Store, float], Minio] = {}
        """By the time that a socket of theirs may be silent too."""
        self._busy: dict[Store, threading.Thread] = {}
        """Threads that were left to themselves."""

    async def put(self, store: Store, bucket: str, name: str, content: bytes, *, timeout_seconds: float) -> Kept:
        """As ``Objects`` says."""

        def put(client: Minio) -> str:
            made = client.put_object(bucket, name, BytesIO(content), len(content))
            return made.version_id or ""

        seconds, version = await self._do(store, put, timeout_seconds)
        return Kept(seconds, version)

    async def head(self, store: Store, bucket: str, name: str, *, timeout_seconds: float) -> tuple[float, Entry]:
        """As ``Objects`` says."""

        def head(client: Minio) -> Entry:
            facts = client.stat_object(bucket, name)
            modified = facts.last_modified
            return Entry(name, facts.size or 0, round(modified.timestamp() * 1000) if modified else 0)

        return await self._do(store, head, timeout_seconds)

    async def get(
        self, store: Store, bucket: str, name: str, *, most_bytes: int, timeout_seconds: float
    ) -> tuple[float, bytes]:
        """As ``Objects`` says."""
        until = time.monotonic() + timeout_seconds

        def get(client: Minio) -> bytes:
            answer = client.get_object(bucket, name)
            found = bytearray()
            try:
                for piece in answer.stream(PIECE_BYTES):
                    found += piece
                    if len(found) > most_bytes or time.monotonic() > until:
                        break
            finally:
                answer.close()
                answer.release_conn()
            return bytes(found[: most_bytes + 1])

        return await self._do(store, get, timeout_seconds)

    async def delete(self, store: Store, bucket: str, name: str, *, version: str = "", timeout_seconds: float) -> float:
        """As ``Objects`` says."""
        seconds, _ = await self._do(
            store, lambda client: client.remove_object(bucket, name, version_id=version or None), timeout_seconds
        )
        return seconds

    async def page(
        self, store: Store, bucket: str, *, prefix: str = "", after: str = "", timeout_seconds: float
    ) -> list[Entry]:
        """As ``Objects`` says."""

        def listed(client: Minio) -> list[Entry]:
            found: list[Entry] = []
            for one in client.list_objects(bucket, prefix=prefix, recursive=True, start_after=after or None):
                modified = round(one.last_modified.timestamp() * 1000) if one.last_modified else 0
                found.append(Entry(one.object_name or "", one.size or 0, modified))
                if len(found) >= PAGE:  # the library would ask for the next page
                    break
            return found

        return (await self._do(store, listed, timeout_seconds))[1]

    async def close(self) -> None:
        """Ends every connection that is not in use."""
        for client in self._clients.values():
            client._http.clear()
        self._clients.clear()

    async def _do(self, store: Store, ask: Callable[[Minio], T], timeout_seconds: float) -> tuple[float, T]:
        """The seconds that it took, and what came of it."""
        if (stuck := self._busy.get(store)) is not None:
            if stuck.is_alive():
                raise ObjectsBusy("an earlier request has not ended")
            del self._busy[store]
        client = self._client(store, timeout_seconds)
        loop = asyncio.get_running_loop()
        done: asyncio.Future[tuple[float, T]] = loop.create_future()

        def settle(outcome: tuple[float, T] | Exception) -> None:
            if done.done():
                return
            if isinstance(outcome, Exception):
                done.set_exception(outcome)
            else:
                done.set_result(outcome)

        def work() -> None:
            began = time.perf_counter()
            outcome: tuple[float, T] | Exception
            try:
                result = ask(client)
                outcome = (time.perf_counter() - began, result)
            except Exception as err:  # noqa: BLE001 - whatever it is, the one who waits is told
                outcome = err
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(settle, outcome)

        thread = threading.Thread(target=work, name="objects", daemon=True)
        thread.start()
        try:
            async with asyncio.timeout(timeout_seconds):
                return await done
        except TimeoutError as err:
            self._busy[store] = thread
            raise ObjectsAway(f"no answer within {timeout_seconds:g} s") from err
        except asyncio.CancelledError:
            self._busy[store] = thread
            raise
        except Exception as err:
            raise _failure(err, store) from err

    def _client(self, store: Store, timeout_seconds: float) -> Minio:
        key = store, timeout_seconds
        if key not in self._clients:
            try:
                self._clients[key] = _made(store, timeout_seconds)
            except ImportError as err:
                raise ObjectsMissing("minio is not installed: pip install 'twinwatch[s3]'") from err
            except ValueError as err:
                raise ObjectsAway(f"{store.url}: expected a scheme, a host and maybe a port") from err
        return self._clients[key]


def _made(store: Store, timeout_seconds: float) -> Minio:
    import urllib3  # noqa: PLC0415 - megabytes, for those who use it
    from minio import Minio  # noqa: PLC0415

    parts = urlsplit(store.url)
    if not store.verify:
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)  # its owner said so
    pool = urllib3.PoolManager(
        num_pools=1,
        maxsize=1,
        timeout=urllib3.Timeout(connect=timeout_seconds, read=timeout_seconds),
        retries=urllib3.Retry(False),
        ssl_context=tls_context(verify=store.verify) if parts.scheme == "https" else None,
    )
    return Minio(
        parts.netloc,
        access_key=store.access_key,
        secret_key=store.secret_key.reveal(),
        secure=parts.scheme == "https",
        region=store.region,
        http_client=pool,
    )


def _failure(err: Exception, store: Store) -> Exception:
    """What the library raised, in this door's words; whatever it does not know is a defect and stays as it is."""
    from minio.error import MinioException, S3Error  # noqa: PLC0415
    from urllib3.exceptions import HTTPError  # noqa: PLC0415

    if isinstance(err, S3Error):
        return ObjectsRefused(_plain(err.code or "Error", store), _plain(err.message or "", store))
    if isinstance(err, MinioException | HTTPError | OSError):
        return ObjectsAway(_plain(str(err) or type(err).__name__, store))
    if isinstance(err, ValueError):  # a name that cannot be; XML that is none
        return ObjectsRefused("Invalid", _plain(str(err), store))
    return err


def _plain(text: str, store: Store) -> str:
    text = hidden(text, store.secret_key)
    return "".join(letter if letter.isprintable() else " " for letter in text)[:REASON_CHARACTERS]
