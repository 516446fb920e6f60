"""Buckets that have to receive objects: how old is the newest?

S3 lists by name and not by time, so the newest is found by looking at all. A run looks at some pages and the next one
goes on there; whatever is new enough ends the question at once. *Too old* is said only after all were seen.
"""

from __future__ import annotations

from twinwatch.monitors import Check, Finding, Moment, Reading
from twinwatch.monitors.minio.options import Expected
from twinwatch.protocol.durations import spelled
from twinwatch.protocol.limits import CHECK_NAME_CHARACTERS
from twinwatch.protocol.metrics import Metric
from twinwatch.world.objects import PAGE, Objects, ObjectsAway, ObjectsRefused, Store

PAGES = 10
"""Listed by one run."""
PAGE_SECONDS = 2.0
OBJECTS = 200_000
"""More are not looked through: their prefix is too wide."""

AGE = "minio.object.age"
EXPECTED = "minio.expected"
METRICS = (Metric(AGE, "s", "Age of the newest object where objects are expected.", good="low"),)


class Expectation:
    """Remembers how far it has looked."""

    def __init__(self, chosen: Expected, store: Store) -> None:
        self._chosen = chosen
        self._store = store
        self._newest: int | None = None
        """Of all objects, when they were last seen whole …"""
        self._whole = False
        """… if they ever were."""
        self._after = ""
        self._seen = 0
        self._candidate: int | None = None

    async def run(self, objects: Objects, moment: Moment) -> list[Finding]:
        """One look.

        Raises: ObjectsMissing.
        """
        name = f"fresh:{self._chosen.shown}"[:CHECK_NAME_CHARACTERS]
        try:
            whole = await self._look(objects)
        except ObjectsAway as err:
            return [Check(name, "unknown", f"{self._store.url}: {err}", "unreachable")]
        except ObjectsRefused as err:
            if err.code == "NoSuchBucket":
                return [Check(name, "down", f"There is no bucket {self._chosen.bucket}", "no-bucket")]
            needs = "its user needs s3:ListBucket" if err.code == "AccessDenied" else "not judged"
            return [Check(name, "unknown", f"Listing {self._chosen.shown}: {err}; {needs}", "refused")]
        newest = max((one for one in (self._newest, self._candidate) if one is not None), default=None)
        if whole:
            newest, self._newest, self._whole = self._candidate, self._candidate, True
            self._begin()
        found: list[Finding] = []
        age = None if newest is None else max(moment.time - newest, 0) / 1000
        if age is not None:
            found.append(Reading(AGE, round(age), {EXPECTED: self._chosen.shown}))
            if age <= self._chosen.within:
                return [*found, Check(name, "up")]
        return [*found, self._late(name, age, whole=whole)]

    def _late(self, name: str, age: float | None, *, whole: bool) -> Check:
        if not whole:
            if self._seen > OBJECTS:
                self._begin()
                message = f"More than {OBJECTS} objects below {self._chosen.shown}: choose a narrower prefix"
                return Check(name, "unknown", message, "too-many")
            if not self._whole:
                return Check(name, "unknown", f"Still looking, {self._seen} objects so far", "looking")
        expected = f"expected one every {spelled(self._chosen.within)}; see what writes it"
        size = f" of {self._chosen.at_least_bytes} bytes or more" if self._chosen.at_least_bytes > 1 else ""
        if age is None:
            return Check(name, "down", f"There is no object{size} in {self._chosen.shown}; {expected}", "none")
        message = f"The newest object{size} in {self._chosen.shown} is {age / 3600:.1f} h old; {expected}"
        return Check(name, "down", message, "too-old")

    async def _look(self, objects: Objects) -> bool:
        """Look at some pages more. Whether all have been seen now."""
        chosen = self._chosen
        for _ in range(PAGES):
            entries = await objects.page(
                self._store, chosen.bucket, prefix=chosen.prefix, after=self._after, timeout_seconds=PAGE_SECONDS
            )
            fitting = [one.modified for one in entries if one.size_bytes >= chosen.at_least_bytes]
            self._candidate = max([*fitting, *([] if self._candidate is None else [self._candidate])], default=None)
            self._seen += len(entries)
            if len(entries) < PAGE:
                return True
            self._after = entries[-1].name
        return False

    def _begin(self) -> None:
        self._after, self._seen, self._candidate = "", 0, None
