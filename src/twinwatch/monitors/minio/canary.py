"""The canary: one object, put, looked at, fetched, compared and deleted, as a user of the store would.

Invariants: what was put is deleted, in this run, or by the next one if this was cut, or by the first one after a
restart if the agent was killed; nothing is deleted but names that only a canary has.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from hashlib import sha256, shake_128
from secrets import token_hex

from twinwatch.monitors import Check, Finding, Moment, Reading
from twinwatch.monitors.minio import options
from twinwatch.protocol.metrics import Metric
from twinwatch.world.objects import Objects, ObjectsAway, ObjectsBusy, ObjectsRefused, Store

BUDGET_SECONDS = 24.0
"""For all steps: a little less than the monitor's deadline, so that a check comes of it."""
SWEEP_SECONDS = 3600.0
STALE_MILLISECONDS = 15 * 60 * 1000
"""Younger ones may be another agent's, under way."""
SWEPT = 20
"""Most leftovers that one run deletes."""
LEFT = 100
"""Most names that are remembered; others are found by their prefix."""
NAME = re.compile(r"(\d{13})-[0-9a-f]{16}")

STEPS = ("put", "head", "get", "delete")
STEP = "minio.canary.step"
DURATION = "minio.canary.duration"
METRICS = (Metric(DURATION, "s", "How long each step of the canary took.", good="low"),)

REMEDIES = {
    "AccessDenied": ("no-rights", "grant its user the canary's policy, see the monitor's documentation"),
    "InvalidAccessKeyId": ("bad-credentials", "there is no such access_key: renew access_key and secret_key"),
    "SignatureDoesNotMatch": ("bad-credentials", "the secret_key is not that of the access_key"),
    "RequestTimeTooSkewed": ("clock", "this server's clock and the store's differ by more than 15 minutes"),
    "NoSuchBucket": ("no-bucket", "make it"),
    "XMinioStorageFull": ("full", "free some space, or add a pool"),
    "QuotaExceeded": ("full", "raise the bucket's quota"),
    "SlowDown": ("busy", "the store is overloaded"),
    "SlowDownWrite": ("quorum", "too few drives are online to write: mc admin info ALIAS"),
    "SlowDownRead": ("quorum", "too few drives are online to read: mc admin info ALIAS"),
}


class Canary:
    """Remembers what it could not delete."""

    def __init__(self, chosen: options.Canary, store: Store) -> None:
        self._chosen = chosen
        self._store = store
        self._left: dict[str, str] = {}
        """Names that may be there still, and their versions."""
        self._swept_at: float | None = None

    async def run(self, objects: Objects, moment: Moment) -> list[Finding]:
        """One try: the check, and how long each step took that was reached.

        Raises: ObjectsMissing.
        """
        took: list[float] = []
        try:
            async with asyncio.timeout(BUDGET_SECONDS):
                await self._sweep(objects, moment)
                await self._try(objects, moment, took)
                if self._left:  # the store did not listen before
                    await self._sweep(objects, moment)
        except TimeoutError:
            check = self._down(took, f"not ended within {BUDGET_SECONDS:g} s", "timeout")
        except ObjectsAway as err:
            check = self._down(took, str(err), "unreachable")
        except ObjectsRefused as err:
            reason, remedy = REMEDIES.get(err.code, ("refused", ""))
            check = self._down(took, f"{err}; {remedy}" if remedy else str(err), reason)
        except _Garbled as err:
            check = self._down(took, str(err), "garbled")
        else:
            check = self._up(sum(took))
        steps = zip(STEPS, took, strict=False)
        return [*(Reading(DURATION, round(seconds, 5), {STEP: step}) for step, seconds in steps), check]

    def _up(self, seconds: float) -> Check:
        slow = self._chosen.slow
        if slow is None or seconds <= slow:
            return Check("canary", "up")
        message = f"Put, head, get and delete took {seconds * 1000:.0f} ms, more than {slow * 1000:.0f} ms"
        return Check("canary", "degraded", message, "slow")

    def _down(self, took: list[float], why: str, reason: str) -> Check:
        step = STEPS[min(len(took), len(STEPS) - 1)].upper()
        return Check("canary", "down", f"{step} in bucket {self._chosen.bucket} of {self._store.url}: {why}", reason)

    async def _try(self, objects: Objects, moment: Moment, took: list[float]) -> None:
        chosen, bucket, within = self._chosen, self._chosen.bucket, self._chosen.timeout
        name = f"{chosen.prefix}{moment.time % 10**13:013d}-{token_hex(8)}"
        content = shake_128(name.encode()).digest(chosen.size_bytes)
        self._left[name] = ""
        try:
            kept = await objects.put(self._store, bucket, name, content, timeout_seconds=within)
        except (ObjectsRefused, ObjectsBusy):
            del self._left[name]
            raise
        self._left[name] = kept.version
        took.append(kept.seconds)
        try:
            seconds, entry = await objects.head(self._store, bucket, name, timeout_seconds=within)
            if entry.size_bytes != len(content):
                raise _Garbled(f"{entry.size_bytes} bytes, {len(content)} were put")
            took.append(seconds)
            seconds, back = await objects.get(
                self._store, bucket, name, most_bytes=len(content), timeout_seconds=within
            )
            if sha256(back).digest() != sha256(content).digest():
                raise _Garbled("what came back is not what was put: its hash differs; check the drives: mc admin heal")
            took.append(seconds)
        except (ObjectsAway, ObjectsRefused, _Garbled):
            with suppress(ObjectsAway, ObjectsRefused):
                await self._delete(objects, name)
            raise
        took.append(await self._delete(objects, name))

    async def _delete(self, objects: Objects, name: str) -> float:
        seconds = await objects.delete(
            self._store,
            self._chosen.bucket,
            name,
            version=self._left.get(name, ""),
            timeout_seconds=self._chosen.timeout,
        )
        self._left.pop(name, None)
        return seconds

    async def _sweep(self, objects: Objects, moment: Moment) -> None:
        """Delete what earlier runs left. That it cannot be done now is no failure: the next run tries again."""
        now = moment.monotonic_seconds
        try:
            for name in list(self._left)[:SWEPT]:
                await self._delete(objects, name)
            if self._swept_at is not None and 0 <= now - self._swept_at < SWEEP_SECONDS:
                return
            entries = await objects.page(
                self._store, self._chosen.bucket, prefix=self._chosen.prefix, timeout_seconds=self._chosen.timeout
            )
            stale = [one.name for one in entries if self._is_stale(one.name, moment.time)]
            for name in stale[:SWEPT]:
                await self._delete(objects, name)
        except ObjectsAway:
            return
        except ObjectsRefused:  # no right to list: what a killed agent left stays there
            pass
        finally:
            for name in list(self._left)[LEFT:]:
                del self._left[name]
        self._swept_at = now

    def _is_stale(self, name: str, now: int) -> bool:
        mark = NAME.fullmatch(name.removeprefix(self._chosen.prefix))
        return mark is not None and int(mark[1]) < now - STALE_MILLISECONDS


class _Garbled(Exception):
    """The store answered, and something else than what was put."""
