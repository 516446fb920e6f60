"""A hub that probes real servers of this machine, in time that is set by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.service.alert_desk import Desk
from twinwatch.hub.stores.log import milliseconds
from twinwatch.world.net import Family, HostNet, NetFailed, Stream

SHOP = "93.184.216.34"
"""A public address."""


class MappedNet(HostNet):
    """Names have the addresses given here, one list after another; connections to public addresses lead to this
    machine, or fail if the address is in ``cut``. ``touched`` are the addresses that were connected to."""

    def __init__(self, names: Mapping[str, Sequence[Sequence[str]]]) -> None:
        super().__init__()
        self.addresses = {name: [list(answer) for answer in answers] for name, answers in names.items()}
        self.cut: set[str] = set()
        self.touched: list[str] = []

    async def resolve(self, host: str, *, family: Family = "any", timeout_seconds: float) -> tuple[str, ...]:
        answers = self.addresses.get(host)
        if answers is None:
            return await super().resolve(host, family=family, timeout_seconds=timeout_seconds)
        return tuple(answers.pop(0) if len(answers) > 1 else answers[0])

    async def connect(self, address: str, port: int, *, timeout_seconds: float) -> Stream:
        self.touched.append(address)
        if address in self.cut:
            raise NetFailed("connect", "connect-timeout", f"{address}:{port}: no connection within 5 s")
        return await super().connect("127.0.0.1", port, timeout_seconds=timeout_seconds)


class ProbeDesk:
    """Probes of the desk's organization, as a member makes them."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.client = desk.cast.member.client

    async def add(self, name: str, kind: str, settings: dict[str, Any], **fields: Any) -> dict[str, Any]:
        """A new probe, not tried yet unless the hub was quicker."""
        body = {"organization_id": str(self.desk.cast.organization_id), "name": name, "kind": kind, **fields}
        reply = await self.client.post("/api/v1/probes", {**body, "settings": settings})
        assert reply.status == 201, reply
        found: dict[str, Any] = reply.json()
        return found

    async def page(self, port: int, name: str = "shop", **settings: Any) -> dict[str, Any]:
        """A probe of a page on this machine."""
        given = {"url": f"http://127.0.0.1:{port}/", "timeout": "5s", **settings}
        return await self.add(name, "http", given)

    async def seen(self, probe: dict[str, Any]) -> dict[str, Any]:
        """The probe as it stands."""
        reply = await self.client.get(f"/api/v1/probes/{probe['id']}")
        assert reply.status == 200, reply
        found: dict[str, Any] = reply.json()
        return found

    async def tried(self, probe: dict[str, Any], times: int = 1) -> dict[str, Any]:
        """The probe after so many more tries, each when it is due."""
        for _ in range(times):
            ((due,),) = await self.desk.stage.execute("select next_at from public.probes where id = %s", probe["id"])
            wait = (milliseconds(due) + 1 - self.desk.stage.clock.now()) / 1000
            await self.desk.passes(max(wait, 0.0))
        return await self.seen(probe)

    async def alerts(self, state: str = "open") -> list[dict[str, Any]]:
        """Alerts in this state, newest first."""
        reply = await self.client.get(f"/api/v1/alerts?state={state}")
        found: list[dict[str, Any]] = reply.json()["alerts"]
        return found
