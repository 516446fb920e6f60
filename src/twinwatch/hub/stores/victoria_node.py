"""A VictoriaMetrics as it is spoken to: addresses, tenants, requests. Source: its pages "Single-node version", "Cluster
version" and "MetricsQL".

A cluster has a tenant for each organization, named by the first 64 bits of its id. Series bear their organization as a
label besides, which every question names: two organizations would not meet if those bits were the same.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Iterable, Mapping
from urllib.parse import unquote, urlencode, urlsplit, urlunsplit
from uuid import UUID

import msgspec

from twinwatch.hub.db import DatabaseAway
from twinwatch.world.http import Http, Unreachable

METRIC = "twinwatch_sample"
TIMEOUT_SECONDS = 30.0
UNPROCESSABLE = 422
"""Its answer to a question beyond ``-search.maxSamplesPerQuery`` and its like, besides wrong ones."""
SAID_CHARACTERS = 200

Words = Mapping[str, str]


class Exported(msgspec.Struct):
    """A line of the export API: samples of one series, of which there may be several lines."""

    metric: dict[str, str]
    values: list[float | None]
    timestamps: list[int]


class Result(msgspec.Struct):
    """One series of a query's answer: one point, or a row of them. Times are in seconds."""

    metric: dict[str, str]
    value: tuple[float, str] = (0.0, "")
    values: list[tuple[float, str]] = []


class _Data(msgspec.Struct):
    result: list[Result]


class _Queried(msgspec.Struct):
    data: _Data


class _Labels(msgspec.Struct):
    data: list[str]


EXPORTED = msgspec.json.Decoder(Exported)
QUERIED = msgspec.json.Decoder(_Queried)
LABELS = msgspec.json.Decoder(_Labels)


class Overtaxed(DatabaseAway):
    """The question would have it look at more than it may; smaller ones it answers."""


class Node:
    """One or two addresses: a single node's, or those of a cluster's ``vminsert`` and ``vmselect``.

    Every method raises ``DatabaseAway`` for no answer or a wrong one, ``Overtaxed`` where it says that it is too much;
    the message has no address, a password may stand there.
    """

    def __init__(self, http: Http, addresses: tuple[str, ...]) -> None:
        self._http = http
        self._insert, self._insert_headers = _parted(addresses[0])
        self._select, self._select_headers = _parted(addresses[-1])
        self.is_cluster = len(addresses) > 1

    async def insert(self, organization_id: UUID, lines: Iterable[bytes]) -> None:
        """Imports lines of JSON. On a single node they may be of several organizations."""
        root = f"/insert/{account_of(organization_id)}/prometheus" if self.is_cluster else ""
        url = f"{self._insert}{root}/api/v1/import"
        body = await asyncio.to_thread(b"\n".join, lines)
        await self._ask(url, self._insert_headers, body)

    async def export(self, organization_id: UUID, match: str, since: int, to: int) -> list[Exported]:
        """Samples as they came of ``[since, to)`` in ms UTC, and some from around it."""
        asked = {"match[]": match, "start": str(since // 1000 - 1), "end": str(-(-to // 1000) + 1)}
        body = await self._select_from(organization_id, "export", asked)
        return await asyncio.to_thread(lambda: [EXPORTED.decode(line) for line in body.splitlines()])

    async def query(self, organization_id: UUID, query: str, time: int) -> list[Result]:
        """The answer to a query at a moment in seconds."""
        asked = {"query": query, "time": str(time), "nocache": "1"}
        return QUERIED.decode(await self._select_from(organization_id, "query", asked)).data.result

    async def query_range(
        self, organization_id: UUID, query: str, first: int, last: int, step_seconds: int
    ) -> list[Result]:
        """The answers from a moment in seconds to another, it included."""
        span = {"start": str(first), "end": str(last), "step": f"{step_seconds}s"}
        asked = {"query": query, **span, "nocache": "1"}
        body = await self._select_from(organization_id, "query_range", asked)
        return (await asyncio.to_thread(QUERIED.decode, body)).data.result

    async def label_values(self, organization_id: UUID, label: str) -> list[str]:
        """Every value of a label; of all organizations on a single node."""
        return LABELS.decode(await self._select_from(organization_id, f"label/{label}/values", {})).data

    async def delete(self, organization_id: UUID, match: str) -> None:
        """Ends series with all their samples."""
        root = f"/delete/{account_of(organization_id)}/prometheus" if self.is_cluster else ""
        url = f"{self._select}{root}/api/v1/admin/tsdb/delete_series"
        await self._ask(url, self._select_headers, urlencode({"match[]": match}).encode())

    async def holds(self) -> tuple[int, int]:
        """Samples and bytes that a single node has on disk; 0 for a cluster: its parts tell only whoever asks each."""
        if self.is_cluster:
            return 0, 0
        body = await self._ask(f"{self._select}/metrics", self._select_headers, None)
        lines = body.decode().splitlines()
        rows, sizes = (
            sum(int(float(line.rpartition(" ")[2])) for line in lines if line.startswith(name))
            for name in ('vm_rows{type="storage/', "vm_data_size_bytes{")
        )
        return rows, sizes

    async def _select_from(self, organization_id: UUID, name: str, asked: Words) -> bytes:
        root = f"/select/{account_of(organization_id)}/prometheus" if self.is_cluster else ""
        return await self._ask(f"{self._select}{root}/api/v1/{name}", self._select_headers, urlencode(asked).encode())

    async def _ask(self, url: str, headers: Words, body: bytes | None) -> bytes:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        method = "GET" if body is None else "POST"
        try:
            answer = await self._http.request(
                method, url, headers={**form, **headers}, body=body, timeout_seconds=TIMEOUT_SECONDS
            )
        except Unreachable as err:
            raise DatabaseAway(f"VictoriaMetrics: {err}") from err
        if answer.status not in (200, 204):
            said = answer.body[:SAID_CHARACTERS].decode(errors="replace")
            kind = Overtaxed if answer.status == UNPROCESSABLE else DatabaseAway
            raise kind(f"VictoriaMetrics answered {answer.status}: {said}")
        return answer.body


def addresses_of(text: str) -> tuple[str, ...]:
    """The addresses that an operator gave: one of a single node, or two with a comma between.

    Raises: ValueError, which does not repeat them: a password may stand there.
    """
    found = tuple(one.strip().rstrip("/") for one in text.split(","))
    for one in found:
        if not _is_address(one):
            raise ValueError("an address is not as in http://vm.example.org:8428")
    if len(found) > 2:
        raise ValueError("more than two addresses: one is a single node's, two are a cluster's vminsert and vmselect")
    return found


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and port != 0 and not parts.query + parts.fragment


def account_of(organization_id: UUID) -> str:
    """The organization's tenant on a cluster: ``accountID:projectID``, 32 bits each."""
    first = organization_id.int >> 64
    return f"{first >> 32}:{first & 0xFFFFFFFF}"


def _parted(address: str) -> tuple[str, Words]:
    """The address without its password, and the header that the password goes in."""
    parts = urlsplit(address)
    if not parts.username:
        return address, {}
    word = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return bare, {"Authorization": f"Basic {b64encode(word.encode()).decode()}"}
