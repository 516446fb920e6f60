from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.unit.monitors.conftest import checks, values
from twinwatch.monitors import Finding, Moment
from twinwatch.monitors.exposition import read
from twinwatch.monitors.learning import Learner
from twinwatch.monitors.options import options_of
from twinwatch.monitors.prometheus import Prometheus
from twinwatch.testing.paper import PaperHttp, paper_world

URL = "http://127.0.0.1:9100/metrics"


def page(text: str, status: int = 200, kind: str = "text/plain; version=0.0.4") -> str:
    return f"{status}\ncontent-type: {kind}\n\n{text}"


def scraper(**target: Any) -> Prometheus:
    return Prometheus(options_of(Prometheus, {"targets": [{"url": URL, **target}]}))


async def scrape(monitor: Prometheus, text: str | None, seconds: float = 0.0) -> list[Finding]:
    sources = {} if text is None else {f"GET {URL}": text}
    return await monitor.read(paper_world(http=PaperHttp(sources)), Moment(0, seconds))


async def test_counters_are_rates_and_gauges_are_themselves() -> None:
    monitor = scraper()
    text = '# TYPE a_total counter\na_total{{x="1"}} {}\n# TYPE b_bytes gauge\nb_bytes 5\n'
    assert ("a_total", "1", "127.0.0.1:9100") not in values(await scrape(monitor, page(text.format(10))))
    found = values(await scrape(monitor, page(text.format(40)), 15.0))
    assert found["a_total", "1", "127.0.0.1:9100"] == 2
    assert found["b_bytes", "127.0.0.1:9100"] == 5
    units = {metric.name: metric.unit for metric in monitor.learned.metrics}
    assert units == {"a_total": "{count}/s", "b_bytes": "By"}


async def test_a_counter_that_fell_says_nothing_once() -> None:
    monitor = scraper()
    rates = []
    for number, counter in enumerate((100, 160, 5, 35)):
        text = f"# TYPE a_total counter\na_total {counter}\n"
        rates.append(values(await scrape(monitor, page(text), 15.0 * number)).get(("a_total", "127.0.0.1:9100")))
    assert rates == [None, 4, None, 2]


async def test_a_histogram_is_a_rate_a_mean_and_quantiles_of_what_was_new() -> None:
    monitor = scraper(name="app")
    text = (
        "# TYPE t_seconds histogram\n"
        't_seconds_bucket{{le="1"}} {0}\nt_seconds_bucket{{le="2"}} {1}\nt_seconds_bucket{{le="+Inf"}} {1}\n'
        "t_seconds_sum {2}\nt_seconds_count {1}\n"
    )
    await scrape(monitor, page(text.format(1000, 1000, 1)))
    found = values(await scrape(monitor, page(text.format(1000, 1030, 46)), 15.0))
    assert found["t_seconds.count", "app"] == 2
    assert found["t_seconds.mean", "app"] == 1.5
    assert found["t_seconds.p50", "app"] == 1.5


async def test_allow_and_deny_choose_by_name() -> None:
    text = "# TYPE node_a gauge\nnode_a 1\n# TYPE node_b gauge\nnode_b 2\ngo_c 3\n"
    found = await scrape(scraper(allow=["node_*"], deny=["*_b"]), page(text))
    assert {name for name, *_ in values(found) if not name.startswith("prometheus.")} == {"node_a"}


async def test_more_series_than_allowed_are_told_and_the_same_ones_stay() -> None:
    monitor = scraper(max_series=3)
    text = "".join(f'a{{n="{number}"}} {number}\n' for number in range(10))
    for _ in range(3):
        found = await scrape(monitor, page(text))
        kept = {labels[1] for labels in values(found) if labels[0] == "a"}
        assert kept == {"0", "1", "2"}
        assert checks(found) == {"127.0.0.1:9100": ("degraded", "too-many-series")}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "unreachable"),
        (page("", 503), "wrong-status"),
        (page("what is this?\n"), "not-understood"),
        (page("a 1\nb{ 2\n"), "not-understood"),
    ],
)
async def test_what_is_no_scrape_is_down_and_says_why(answer: str | None, reason: str) -> None:
    found = await scrape(scraper(), answer)
    assert checks(found) == {"127.0.0.1:9100": ("down", reason)}
    assert not values(found)


async def test_credentials_are_sent_and_never_said() -> None:
    sent: list[Mapping[str, str]] = []

    class Listening(PaperHttp):
        async def request(self, method: str, url: str, **rest: Any) -> Any:
            sent.append(rest["headers"])
            return await super().request(method, url, **rest)

    for target in ({"bearer_token": "tkn-123"}, {"username": "me", "password": "pw-123"}):
        found = await scraper(**target).read(paper_world(http=Listening({})), Moment(0, 0.0))
        assert "123" not in repr(found)
    assert [headers["Authorization"] for headers in sent] == ["Bearer tkn-123", "Basic bWU6cHctMTIz"]


async def test_each_target_is_read_apart_from_the_others() -> None:
    some = [{"url": URL, "check_interval": "1m"}, {"url": "http://127.0.0.1:9187/metrics", "name": "postgres"}]
    parts = Prometheus.split(options_of(Prometheus, {"targets": some}))
    assert [(part.name, part.interval_seconds) for part in parts] == [("127.0.0.1:9100", 60.0), ("postgres", None)]


def test_a_source_of_ever_new_series_stays_within_its_bound() -> None:
    learner = Learner({}, series=100)
    for turn in range(50):
        text = "".join(f'a{{turn="{turn}",n="{number}"}} 1\n' for number in range(150))
        readings = learner.learn(read(text), float(turn))
        assert len(readings) == 100
        assert learner.left_out == 50
    assert len(learner.declaration.metrics) == 1
