"""The network on paper: it gives nothing that the real one cannot."""

from __future__ import annotations

import pytest

from twinwatch.testing.paper_net import LAST_INSTANT, PaperNet
from twinwatch.world.net import NetFailed, TlsFacts, TlsWanted


async def agreed(not_after: int) -> TlsFacts:
    facts = f'{{"version": "TLSv1.3", "cipher": "TLS_AES_256_GCM_SHA384", "not_after": {not_after}}}'
    net = PaperNet({"tcp 192.0.2.1:443": "", "tls 192.0.2.1:443": facts})
    stream = await net.connect("192.0.2.1", 443, timeout_seconds=1)
    return await stream.tls(TlsWanted("shop.example"), timeout_seconds=1)


async def test_a_certificate_ends_within_the_years_that_one_can_name() -> None:
    assert (await agreed(LAST_INSTANT)).not_after == LAST_INSTANT
    with pytest.raises(NetFailed, match="TLS failed"):
        await agreed(LAST_INSTANT + 1)
