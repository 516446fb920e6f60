"""What a door to object stores owes: the one of paper, and the real one before a server of the tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from twinwatch.testing.minio import ACCESS_KEY, SECRET_KEY, MinioServer
from twinwatch.testing.paper_objects import PaperObjects
from twinwatch.world.objects import PAGE, HostObjects, Objects, ObjectsAway, ObjectsRefused, Store
from twinwatch.world.secret import Secret

Opened = tuple[Objects, Store]


@pytest.fixture(params=["paper", "real"])
async def opened(request: pytest.FixtureRequest) -> AsyncIterator[Opened]:
    if request.param == "paper":
        store = Store("http://paper", ACCESS_KEY, Secret(SECRET_KEY))
        yield PaperObjects({"s3 http://paper shop": "", "s3 http://paper closed": "put AccessDenied As told."}), store
        return
    pytest.importorskip("minio", reason="needs pip install 'twinwatch[s3]'")
    door = HostObjects()
    async with MinioServer(buckets={"shop": {}}).serving() as server:
        yield door, Store(server.url, ACCESS_KEY, Secret(SECRET_KEY))
        await door.close()


async def test_what_is_put_is_there_until_it_is_deleted(opened: Opened) -> None:
    door, store = opened
    content = bytes(range(256)) * 20
    kept = await door.put(store, "shop", "a b/ü.bin", content, timeout_seconds=5)
    assert kept.seconds >= 0
    assert kept.version == ""
    seconds, entry = await door.head(store, "shop", "a b/ü.bin", timeout_seconds=5)
    assert (seconds >= 0, entry.name, entry.size_bytes) == (True, "a b/ü.bin", len(content))
    seconds, back = await door.get(store, "shop", "a b/ü.bin", most_bytes=len(content), timeout_seconds=5)
    assert back == content
    assert await door.delete(store, "shop", "a b/ü.bin", timeout_seconds=5) >= 0
    with pytest.raises(ObjectsRefused) as caught:
        await door.get(store, "shop", "a b/ü.bin", most_bytes=1, timeout_seconds=5)
    assert caught.value.code == "NoSuchKey"


async def test_what_is_not_there_is_deleted_all_the_same(opened: Opened) -> None:
    door, store = opened
    await door.delete(store, "shop", "nothing", timeout_seconds=5)


async def test_too_long_an_object_is_cut_one_byte_beyond_the_bound(opened: Opened) -> None:
    door, store = opened
    await door.put(store, "shop", "long", b"x" * 200_000, timeout_seconds=5)
    _, back = await door.get(store, "shop", "long", most_bytes=100, timeout_seconds=5)
    assert back == b"x" * 101


async def test_a_listing_goes_by_name_and_goes_on_after_one(opened: Opened) -> None:
    door, store = opened
    for name in ("b/1", "a/2", "a/1", "c"):
        await door.put(store, "shop", name, name.encode(), timeout_seconds=5)
    entries = await door.page(store, "shop", timeout_seconds=5)
    assert [(one.name, one.size_bytes) for one in entries] == [("a/1", 3), ("a/2", 3), ("b/1", 3), ("c", 1)]
    entries = await door.page(store, "shop", prefix="a/", after="a/1", timeout_seconds=5)
    assert [one.name for one in entries] == ["a/2"]
    assert len(entries) < PAGE


async def test_a_bucket_that_is_not_there_is_told(opened: Opened) -> None:
    door, store = opened
    with pytest.raises((ObjectsRefused, ObjectsAway)):
        await door.put(store, "nowhere", "a", b"", timeout_seconds=5)
