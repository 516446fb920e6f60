"""How a VictoriaMetrics is spoken to: which address, which tenant, and no password where somebody reads it."""

from __future__ import annotations

from uuid import UUID

import pytest

from twinwatch.hub.db import DatabaseAway
from twinwatch.hub.stores.victoria_node import Node, account_of
from twinwatch.testing.paper import PaperHttp

ORGANIZATION = UUID("00000001-0000-4002-8000-000000000003")
TENANT = "1:16386"
CLUSTER = ("http://in:8480", "http://out:8481")


async def test_a_cluster_has_a_tenant_for_each_organization() -> None:
    assert account_of(ORGANIZATION) == TENANT
    paper = PaperHttp(
        {
            f"POST http://in:8480/insert/{TENANT}/prometheus/api/v1/import": "204\n\n",
            f"POST http://out:8481/select/{TENANT}/prometheus/api/v1/export": "200\n\n",
            f"POST http://out:8481/delete/{TENANT}/prometheus/api/v1/admin/tsdb/delete_series": "204\n\n",
        }
    )
    node = Node(paper, CLUSTER)
    await node.insert(ORGANIZATION, [b"{}"])
    assert await node.export(ORGANIZATION, "x", 0, 1) == []
    await node.delete(ORGANIZATION, "x")
    assert len(paper.asked) == 3


async def test_the_size_of_a_cluster_is_not_known_and_not_asked_for() -> None:
    assert await Node(PaperHttp({}), CLUSTER).holds() == (0, 0)


async def test_a_password_goes_into_a_header_and_nowhere_else() -> None:
    paper = PaperHttp({"POST http://vm:8428/api/v1/import (signed in)": "204\n\n"})
    node = Node(paper, ("http://who:s%40ecret@vm:8428",))
    await node.insert(ORGANIZATION, [])
    assert paper.asked == ["POST http://vm:8428/api/v1/import"]
    with pytest.raises(DatabaseAway) as caught:
        await node.label_values(ORGANIZATION, "server")
    assert "ecret" not in f"{caught.value!r} {caught.value.__cause__!r} {node!r}"


async def test_a_wrong_answer_is_told_as_one_that_passes() -> None:
    paper = PaperHttp({"POST http://vm:8428/api/v1/import": "429\n\ntoo much"})
    with pytest.raises(DatabaseAway, match="answered 429: too much"):
        await Node(paper, ("http://vm:8428",)).insert(ORGANIZATION, [])
