"""Policies are read and written whole: what one person saves is not undone by another who had read the list before."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from twinwatch.testing.client import Reply
from twinwatch.testing.hub_stage import Cast, HubStage

STEPS = [{"channels": ["kind:email"]}]


class Folder:
    """The policies of the cast's organization, as its owner reads and writes them."""

    def __init__(self, cast: Cast) -> None:
        self._client = cast.owner.client
        self._target = f"/api/v1/policies?organization_id={cast.organization_id}"

    async def read(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self._client.get(self._target)).json()
        return found

    async def write(self, policies: list[dict[str, Any]], **version: str | None) -> Reply:
        return await self._client.put(self._target, {"policies": policies, **version})

    async def names(self) -> list[str]:
        return [policy["name"] for policy in (await self.read())["policies"]]


@pytest.fixture
async def folder(stage: HubStage, cast: Cast) -> Folder:
    await stage.default_policies(cast.organization_id)
    return Folder(cast)


def named(name: str) -> dict[str, Any]:
    return {"name": name, "steps": STEPS}


async def test_a_list_that_was_changed_since_it_was_read_is_not_written_over(folder: Folder) -> None:
    read = await folder.read()
    added = await folder.write([*read["policies"], named("Theirs")], version=read["version"])
    assert added.status == 200
    late = await folder.write([*read["policies"], named("Mine")], version=read["version"])
    assert (late.status, late.problem.slug) == (409, "version")
    assert (await folder.names())[-1] == "Theirs"
    # What is saved answers with the version that the next one stands on.
    again = await folder.write([*added.json()["policies"], named("Mine")], version=added.json()["version"])
    assert again.status == 200
    assert (await folder.names())[-2:] == ["Theirs", "Mine"]


async def test_every_change_makes_another_version_and_the_same_list_the_same(folder: Folder) -> None:
    read = await folder.read()
    first, *others = read["policies"]
    changes = [
        [*others, first],
        [{**first, "name": "Renamed"}, *others],
        [{**first, "repeat_seconds": 60}, *others],
        others,
        [],
    ]
    versions = {read["version"]}
    for change in changes:
        versions.add((await folder.write(change)).json()["version"])
    assert len(versions) == 1 + len(changes)
    assert (await folder.write(read["policies"])).json()["version"] == read["version"]


@pytest.mark.parametrize("version", [{}, {"version": None}])
async def test_who_names_no_version_replaces_whatever_there_is(folder: Folder, version: dict[str, None]) -> None:
    assert (await folder.write([named("Only")], **version)).status == 200
    assert await folder.names() == ["Only"]


@pytest.mark.parametrize("version", ["", "nonsense", "x" * 64])
async def test_a_version_that_never_was_is_refused(folder: Folder, version: str) -> None:
    assert (await folder.write([], version=version)).problem.slug == "version"
    assert len(await folder.names()) == 3


async def test_of_many_who_write_at_once_on_one_version_one_succeeds(folder: Folder) -> None:
    read = await folder.read()
    writers = [
        folder.write([*read["policies"], named(f"Writer {number}")], version=read["version"]) for number in range(12)
    ]
    replies = await asyncio.gather(*writers)
    assert sorted(reply.status for reply in replies) == [200] + [409] * 11
    (winner,) = [place for place, reply in enumerate(replies) if reply.status == 200]
    assert (await folder.names())[3:] == [f"Writer {winner}"]


async def test_who_reads_again_after_a_refusal_loses_nobodys(folder: Folder) -> None:
    async def add(name: str) -> None:
        while True:
            read = await folder.read()
            reply = await folder.write([*read["policies"], named(name)], version=read["version"])
            if reply.status == 200:
                return
            assert reply.problem.slug == "version"

    await asyncio.gather(*(add(f"Writer {number}") for number in range(8)))
    assert sorted((await folder.names())[3:]) == [f"Writer {number}" for number in range(8)]


async def test_only_an_owner_or_admin_may_write_whatever_the_version(cast: Cast, folder: Folder) -> None:
    read = await folder.read()
    target = f"/api/v1/policies?organization_id={cast.organization_id}"
    for player in (cast.member, cast.viewer, cast.stranger):
        for version in (read["version"], "other"):
            reply = await player.client.put(target, {"policies": [], "version": version})
            assert reply.problem.slug == "forbidden", player.email
    assert await folder.read() == read
