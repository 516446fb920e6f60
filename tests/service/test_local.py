"""The local server as programs meet it: real sockets, curl's manners, OpenTelemetry's SDK, bad neighbours."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import logging
import random
import socket
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from twinwatch.agent.drilling import Drilled, TooOften
from twinwatch.agent.local import server as server_module
from twinwatch.agent.local.settings import LocalSettings
from twinwatch.testing.local_stage import LocalStage, local_stage
from twinwatch.testing.ports import free_port
from twinwatch.world.secret import Secret

TOKEN = "a-token-of-thirty-two-characters"


@pytest.fixture
async def local(tmp_path: Path) -> AsyncIterator[LocalStage]:
    async with local_stage(tmp_path) as stage:
        yield stage


@pytest.fixture
async def client(local: LocalStage) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(local.url, timeout=aiohttp.ClientTimeout(total=20)) as session:
        yield session


async def problem_of(response: aiohttp.ClientResponse) -> dict[str, Any]:
    assert response.content_type == "application/problem+json"
    problem: dict[str, Any] = json.loads(await response.read())
    assert problem["status"] == response.status
    return problem


async def until(claim: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not claim():  # noqa: ASYNC110 - what is waited for knows no events
            await asyncio.sleep(0.01)


def is_cut(reader: asyncio.StreamReader) -> bool:
    return reader.at_eof() or reader.exception() is not None


async def test_one_line_of_curl_is_a_sample(local: LocalStage) -> None:
    command = ["curl", "--silent", "--fail", "-d", '{"name":"orders.open","value":12}', f"{local.url}/api/v1/metrics"]
    curl = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await curl.communicate()
    assert curl.returncode == 0
    assert json.loads(output) == {"accepted": 1}
    await local.custom.flush()
    assert local.values() == {"orders.open": 12}


async def test_a_list_with_labels_units_and_times_is_taken(local: LocalStage, client: aiohttp.ClientSession) -> None:
    now = local.status.time
    body = [
        {"name": "orders.open", "value": 12, "labels": {"shop": "a"}, "unit": "{order}", "time": now},
        {"name": "orders.made", "value": 100, "kind": "counter", "time": now - 10_000},
        {"name": "orders.made", "value": 150, "kind": "counter", "time": now},
    ]
    async with client.post("/api/v1/metrics", json=body) as response:
        assert response.status == 202
    await local.custom.flush()
    assert local.values() == {"orders.open|a": 12, "orders.made": 5.0}
    async with client.get("/api/v1/catalogue") as response:
        custom = (await response.json())["monitors"][-1]
    assert {metric["name"]: metric["unit"] for metric in custom["metrics"]} == {
        "orders.open": "{order}",
        "orders.made": "{count}/s",
    }


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"name": "a"}, 400, "missing required field `value`"),
        ({"name": "a", "value": "x"}, 400, "Expected `float`"),
        ({"name": "a", "valu": 1, "value": 1}, 400, "unknown field `valu`"),
        ({"name": "a b", "value": 1}, 422, "expected a letter"),
        ({"name": "system.cpu.utilization", "value": 1}, 422, "the monitor 'system' has a metric of this name"),
        ([{"name": "a", "value": 1}, {"name": "a", "value": 1, "time": 5}], 422, "1 of 2 samples refused; 1 others"),
        ([{"name": "a", "value": 1}] * 10_001, 413, "at most 10000"),
    ],
)
async def test_what_is_wrong_is_said(client: aiohttp.ClientSession, body: object, status: int, words: str) -> None:
    async with client.post("/api/v1/metrics", json=body) as response:
        assert response.status == status
        assert words in (await problem_of(response))["detail"]


async def test_prometheus_text_is_taken_on_three_paths(local: LocalStage, client: aiohttp.ClientSession) -> None:
    text = '# TYPE backup_bytes gauge\nbackup_bytes{disk="a"} 5e9\n'
    headers = {"Content-Type": "text/plain; version=0.0.4"}
    for path in ("/api/v1/metrics", "/api/v1/metrics/prometheus"):
        async with client.post(path, data=text, headers=headers) as response:
            assert response.status == 202
    async with client.put("/metrics/job/nightly/path@base64/L3Zhcg==", data=text) as response:
        assert response.status == 202
    await local.custom.flush()
    assert local.values() == {"backup_bytes|a": 5e9, "backup_bytes|a|nightly|/var": 5e9}


async def test_pushgateway_s_own_client_is_served(local: LocalStage) -> None:
    pytest.importorskip("prometheus_client")
    from prometheus_client import CollectorRegistry, Gauge, Histogram, push_to_gateway

    registry = CollectorRegistry()
    Gauge("job_last_success_unixtime", "When it last succeeded", registry=registry).set(5)
    Histogram("job_seconds", "How long it took", registry=registry).observe(2)
    await asyncio.to_thread(push_to_gateway, local.url, "nightly", registry)
    await local.custom.flush()
    assert local.values() == {"job_last_success_unixtime|nightly": 5}


async def test_the_opentelemetry_sdk_exports_unchanged(local: LocalStage) -> None:
    pytest.importorskip("opentelemetry.sdk")
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource

    exporter = OTLPMetricExporter(f"{local.url}/v1/metrics", compression=Compression.Gzip)
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    provider = MeterProvider([reader], Resource.create({"service.name": "shop", "host.name": "web-1"}))
    try:
        meter = provider.get_meter("test")
        made = meter.create_counter("orders.made", "{order}", "Orders made")
        meter.create_gauge("queue.length", "{order}").set(7)
        meter.create_up_down_counter("orders.open", "1").add(3)
        latency = meter.create_histogram("checkout.duration", "s")
        for _ in range(2):
            made.add(10, {"method": "card"})
            for value in (0.1, 0.2, 0.3, 4.0):
                latency.record(value)
            assert await asyncio.to_thread(provider.force_flush, 10_000)
    finally:
        await asyncio.to_thread(provider.shutdown)
    await local.custom.flush()
    values = local.values()
    assert values["queue.length|1|shop"] == 7
    assert values["orders.open|1|shop"] == 3
    assert values["orders.made|card|1|shop"] > 0
    assert values["checkout.duration.count|1|shop"] > 0
    assert values["checkout.duration.mean|1|shop"] == pytest.approx(1.15)
    units = {metric.name: metric.unit for metric in local.custom.declaration.metrics}
    assert units["orders.made"] == "{order}/s"
    assert units["checkout.duration.p95"] == "s"


async def test_otlp_tells_what_it_rejected(client: aiohttp.ClientSession) -> None:
    point = {"asInt": "1", "timeUnixNano": "1000000000"}
    metric = {"name": "old", "gauge": {"dataPoints": [point]}}
    body = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}
    async with client.post("/v1/metrics", json=body) as response:
        assert response.status == 200
        partial = (await response.json())["partialSuccess"]
    assert partial["rejectedDataPoints"] == "1"
    assert "at most 24 h ago" in partial["errorMessage"]


async def test_a_bomb_is_refused_before_it_goes_off(client: aiohttp.ClientSession) -> None:
    bomb = gzip.compress(b" " * (9 << 20))
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    for body, status in ((bomb, 413), (b"x" * (1 << 20) + b"y", 413), (bomb[:50], 400), (b"no gzip", 400)):
        async with client.post("/api/v1/metrics", data=io.BytesIO(body), headers=headers) as response:
            assert response.status == status
            await problem_of(response)


async def test_series_and_exposition_show_what_was_pushed(local: LocalStage, client: aiohttp.ClientSession) -> None:
    await (
        await client.post("/api/v1/metrics", json={"name": "orders.open", "value": 12, "labels": {"a": 'x"'}})
    ).read()
    await local.custom.flush()
    async with client.get("/api/v1/series?metric=orders.open&points=100") as response:
        lines = await response.json()
    (series,) = lines["series"]
    assert len(series["values"]) == lines["points"] <= 100
    assert [value for value in series["values"] if value is not None] == [12]
    async with client.get("/metrics") as response:
        assert 'orders_open{a="x\\""} 12.0\n' in await response.text()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/series", 400),
        ("/api/v1/series?metric=a&since=x", 400),
        ("/api/v1/series?metric=a&since=5&until=4", 400),
        ("/api/v1/series?metric=a&since=1&until=999999999999", 400),
        ("/nothing", 404),
        ("/assets/../settings.py", 404),
        ("/assets/..%2fsettings.py", 404),
        ("/assets/index.html", 404),
        ("/v1/metrics", 405),
        ("/session", 404),
    ],
)
async def test_what_is_not_there_is_a_problem(client: aiohttp.ClientSession, path: str, status: int) -> None:
    async with client.get(path) as response:
        assert response.status == status
        await problem_of(response)


async def test_answers_name_no_version_and_allow_no_foreign_page(client: aiohttp.ClientSession) -> None:
    async with client.get("/api/v1/status", headers={"Origin": "https://evil.example"}) as response:
        assert response.headers["Server"] == "twinwatch"
        assert "Access-Control-Allow-Origin" not in response.headers
    async with client.get("/") as response:
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]


async def test_a_name_that_was_rebound_to_this_machine_is_refused(client: aiohttp.ClientSession) -> None:
    for host in ("evil.example", "evil.example:3000", "127.0.0.1.evil.example", "10.0.0.1", "["):
        async with client.get("/api/v1/status", headers={"Host": host}) as response:
            assert response.status == 403, host
    for host in ("localhost:3000", "127.0.0.1", "[::1]:3000", "127.9.9.9"):
        async with client.get("/api/v1/status", headers={"Host": host}) as response:
            assert response.status == 200, host


async def test_a_foreign_page_cannot_push(client: aiohttp.ClientSession, local: LocalStage) -> None:
    body = b'{"name":"a","value":1}'
    foreign = [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]
    for headers in foreign:
        async with client.post("/api/v1/metrics", data=body, headers=headers) as response:
            assert response.status == 403
    async with client.post("/api/v1/metrics", data=body, headers={"Origin": local.url}) as response:
        assert response.status == 202


async def test_a_foreign_page_may_lead_here_but_not_ask_by_itself(client: aiohttp.ClientSession) -> None:
    foreign = {"Sec-Fetch-Site": "cross-site"}
    for mode, status in (("no-cors", 403), ("cors", 403), ("navigate", 200)):
        async with client.get("/", headers={**foreign, "Sec-Fetch-Mode": mode}) as response:
            assert response.status == status
    async with client.get("/metrics", headers={"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}) as response:
        assert response.status == 200


async def test_an_address_that_is_not_loopback_asks_for_the_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = LocalSettings(listen=f"0.0.0.0:{free_port()}", token=Secret(TOKEN))
    async with local_stage(tmp_path, settings) as stage, aiohttp.ClientSession(stage.url) as client:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Cookie": "twinwatch_local=wrong"}):
            async with client.get("/api/v1/status", headers=headers) as response:
                assert response.status == 401
                assert TOKEN not in await response.text()
        async with client.get("/api/v1/status", headers={"Authorization": f"Bearer {TOKEN}"}) as response:
            assert response.status == 200
        async with client.get("/") as response:
            assert response.status == 401
            assert response.content_type == "text/html"
        async with client.post("/session", data={"token": "wrong"}, allow_redirects=False) as response:
            assert (response.status, response.headers["Location"]) == (303, "/#wrong")
            assert "Set-Cookie" not in response.headers
        async with client.post("/session", data={"token": "x" * 5_000}) as response:
            assert response.status == 413
        async with client.post("/session", data=b"", headers={"Content-Encoding": "gzip"}) as response:
            assert response.status == 415
        async with client.post("/session", data={"token": TOKEN}, allow_redirects=False) as response:
            assert response.status == 303
            cookie = response.headers["Set-Cookie"].partition(";")[0]
            assert TOKEN not in cookie
        async with client.get("/api/v1/status", headers={"Cookie": cookie}) as response:
            assert response.status == 200


@pytest.mark.parametrize("token", [None, Secret("short")])
async def test_without_a_good_token_it_does_not_listen_beyond_loopback(
    tmp_path: Path, token: Secret | None, caplog: pytest.LogCaptureFixture
) -> None:
    settings = LocalSettings(listen=f"0.0.0.0:{free_port()}", token=token)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5), local_stage(tmp_path, settings):
            pytest.fail("it listens")
    assert "local.token" in caplog.text
    assert "short" not in caplog.text


async def test_a_drill_is_held_for_who_may_use_the_socket_and_for_nobody_else(tmp_path: Path) -> None:
    held: list[str] = []

    async def drill() -> Drilled:
        if held:
            raise TooOften("wait a while")
        held.append("once")
        return Drilled("web-1", 1)

    async with local_stage(tmp_path, drill=drill) as stage:
        async with aiohttp.ClientSession(stage.url) as page, page.post("/api/v1/drill") as answer:
            assert answer.status == 404
        connector = aiohttp.UnixConnector(str(stage.socket))
        async with aiohttp.ClientSession("http://agent", connector=connector) as client:
            async with client.get("/api/v1/drill") as answer:
                assert answer.status == 405
            assert held == []
            async with client.post("/api/v1/drill") as answer:
                assert (await answer.json())["server"] == "web-1"
            async with client.post("/api/v1/drill") as answer:
                assert (answer.status, (await answer.json())["detail"]) == (429, "wait a while")


async def test_the_socket_is_its_owner_s_alone_and_a_stale_one_is_replaced(tmp_path: Path) -> None:
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(tmp_path / "agent.sock"))
    stale.close()
    async with local_stage(tmp_path, LocalSettings(enabled=False)) as stage:
        assert stat.S_IMODE(stage.socket.stat().st_mode) == 0o600
        connector = aiohttp.UnixConnector(str(stage.socket))
        async with (
            aiohttp.ClientSession(connector=connector) as client,
            client.get("http://agent/api/v1/status") as response,
        ):
            assert (await response.json())["server_name"] == "web-1"
    assert not stage.socket.exists()


async def test_a_port_that_is_taken_is_said_once_and_had_when_it_is_free(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(server_module, "RETRY_SECONDS", 0.02)
    with socket.socket() as other:
        other.bind(("127.0.0.1", port := free_port()))
        other.listen()
        settings = LocalSettings(listen=f"127.0.0.1:{port}")
        stage = local_stage(tmp_path, settings)
        waiting = asyncio.ensure_future(stage.__aenter__())
        await until(lambda: "another program has this address" in caplog.text)
    running = await waiting
    assert running.url.endswith(f":{port}")
    assert caplog.text.count("another program has this address") == 1
    await stage.__aexit__(None, None, None)


async def test_otlp_has_an_address_of_its_own_where_it_is_asked_for(tmp_path: Path) -> None:
    port, otlp = free_port(), free_port()
    settings = LocalSettings(listen=f"127.0.0.1:{port}", otlp_listen=f"127.0.0.1:{otlp}")
    async with local_stage(tmp_path, settings), aiohttp.ClientSession(f"http://127.0.0.1:{otlp}") as client:
        async with client.post("/v1/metrics", json={}) as response:
            assert (response.status, await response.json()) == (200, {})
        async with client.get("/api/v1/status") as response:
            assert response.status == 404


async def test_slow_clients_and_crowds_are_cut_off(local: LocalStage, monkeypatch: pytest.MonkeyPatch) -> None:
    from twinwatch.agent.local import bodies, connections

    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.1)
    monkeypatch.setattr(bodies, "READ_SECONDS", 0.1)
    address = local.server.addresses[0]
    reader, writer = await asyncio.open_connection(*address)
    writer.write(b"GET / HT")
    await until(lambda: is_cut(reader))
    writer.close()
    reader, writer = await asyncio.open_connection(*address)
    writer.write(b"POST /api/v1/metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n{")
    async with asyncio.timeout(5):
        assert b"408" in await reader.readline()
    writer.close()
    monkeypatch.setattr(connections, "HEAD_SECONDS", 30.0)
    crowd = [await asyncio.open_connection(*address) for _ in range(connections.CONNECTIONS + 5)]
    await until(lambda: sum(is_cut(reader) for reader, _ in crowd) >= 5)
    for _, writer in crowd:
        writer.close()


async def test_noise_on_every_route_is_never_a_failure_of_the_agent(
    local: LocalStage, client: aiohttp.ClientSession
) -> None:
    noise = random.Random(3)
    seeds = [b'{"name":"a","value":1}', b'a{b="c"} 1\n', b'{"resourceMetrics":[{}]}', b"\x0a\x00", b""]
    paths = [
        "/api/v1/metrics",
        "/api/v1/metrics/prometheus",
        "/v1/metrics",
        "/metrics/job/a",
        "/metrics/job/%ff/b",
        "/",
    ]
    medias = ["application/json", "text/plain", "application/x-protobuf", "application/openmetrics-text", "x/y", ""]
    for _ in range(400):
        body = bytearray(noise.choice(seeds) * noise.randrange(1, 4))
        for _ in range(noise.randrange(4)):
            body.insert(noise.randrange(len(body) + 1), noise.randrange(256))
        headers = {"Content-Type": noise.choice(medias), "Content-Encoding": noise.choice(["", "", "gzip", "br"])}
        method, path = noise.choice(["POST", "PUT", "GET", "DELETE", "OPTIONS"]), noise.choice(paths)
        async with client.request(method, path, data=bytes(body), headers=headers) as response:
            assert response.status < 500, (method, path, bytes(body), headers)
    await local.custom.flush()


async def test_what_is_no_http_is_answered_without_a_log_line(
    local: LocalStage, caplog: pytest.LogCaptureFixture
) -> None:
    for noise in (
        b"\x16\x03\x01\x02\x00\x01\xfc",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET " + b"x" * 20_000 + b" HTTP/1.1\r\n\r\n",
    ):
        reader, writer = await asyncio.open_connection(*local.server.addresses[0])
        writer.write(noise + b"\r\n\r\n")
        async with asyncio.timeout(12):
            answer = await reader.read()
        assert b" 400 " in answer.partition(b"\r\n")[0], answer
        writer.close()
    assert caplog.text == ""
