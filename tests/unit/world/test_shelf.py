"""What is kept is whole, for the agent's user only, and survives whoever kept it."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest

from twinwatch.world.shelf import CONTENT_BYTES, FolderShelf, MemoryShelf, Shelf, ShelfBroken


@pytest.fixture(params=["memory", "folder"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Shelf:
    return MemoryShelf() if request.param == "memory" else FolderShelf(tmp_path / "monitors")


async def test_what_is_kept_is_read_and_changed(shelf: Shelf) -> None:
    assert await shelf.read("tea-pot") == b""
    await shelf.change("tea-pot", lambda before: before + b"1")
    await shelf.change("tea-pot", lambda before: before + b"2")
    assert await shelf.read("tea-pot") == b"12"
    assert await shelf.read("tea-cup") == b""


async def test_changes_at_the_same_time_see_one_another(shelf: Shelf) -> None:
    await asyncio.gather(*(shelf.change("tea", lambda before: before + b"x") for _ in range(20)))
    assert await shelf.read("tea") == b"x" * 20


@pytest.mark.parametrize("name", ["", "../etc", "A", "a/b", "a.lock", "-a"])
async def test_a_name_that_is_a_path_is_refused(shelf: Shelf, name: str) -> None:
    with pytest.raises(ValueError, match="lower-case"):
        await shelf.change(name, lambda before: before)


async def test_a_change_that_fails_leaves_what_was_there(shelf: Shelf) -> None:
    def fail(before: bytes) -> bytes:
        raise ValueError("no")

    await shelf.change("tea", lambda _: b"1")
    with pytest.raises(ValueError, match="no"):
        await shelf.change("tea", fail)
    assert await shelf.read("tea") == b"1"


async def test_files_are_for_the_agents_user_only_and_outlive_the_shelf(tmp_path: Path) -> None:
    folder = tmp_path / "monitors"
    await FolderShelf(folder).change("tea", lambda _: b"1")
    assert await FolderShelf(folder).read("tea") == b"1"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in folder.iterdir())


async def test_a_folder_that_cannot_be_written_and_a_file_that_is_too_large_are_told(tmp_path: Path) -> None:
    (tmp_path / "monitors").write_text("a file")
    with pytest.raises(ShelfBroken, match="monitors"):
        await FolderShelf(tmp_path / "monitors").change("tea", lambda _: b"1")
    (tmp_path / "large").write_bytes(b"x" * (CONTENT_BYTES + 1))
    with pytest.raises(ShelfBroken, match="larger than"):
        await FolderShelf(tmp_path).read("large")
