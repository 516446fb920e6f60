"""The wire's first version, as bytes that decode for ever.

``vectors/v1_<message>.bin`` is what an agent of this version sends, ``.json`` the same message as JSON. They are never
rewritten: an agent that nobody has upgraded sends these. ``python tests/contract/test_wire.py`` adds vectors for
messages that have none yet.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinwatch.protocol import limits
from twinwatch.protocol.checks import CheckStanding, ConfigurationStanding, MonitorStanding, Report
from twinwatch.protocol.codec import JSON, MSGPACK, ZSTD, TooLarge, Undecodable, decode, pack, unpack
from twinwatch.protocol.configuration import Configuration, MonitorEntry
from twinwatch.protocol.control import ConfigurationChanged
from twinwatch.protocol.heartbeat import Delivery, Heartbeat, HeartbeatAnswer
from twinwatch.protocol.hello import Register, Registered
from twinwatch.protocol.metrics import Catalogue, Chart, Headline, Metric, MonitorFacts, MonitorKind
from twinwatch.protocol.problem import PROBLEM_PREFIX, Problem
from twinwatch.protocol.rules import Rule
from twinwatch.protocol.samples import Batch, BatchAccepted, Frame, SeriesKey, shape_of
from twinwatch.protocol.version import AGENT_ROUTES

VECTORS = Path(__file__).parent / "vectors"
NOW = 1_767_225_600_000
SERVER = "0b54ff0e-7d1c-4d3c-9a57-2f6d4f8a3c11"

SHAPE = shape_of(
    "system",
    (
        SeriesKey("system.cpu.utilization", {"cpu.mode": "user"}),
        SeriesKey("system.cpu.utilization", {"cpu.mode": "system"}),
        SeriesKey("system.uptime"),
    ),
)
MESSAGES: dict[str, Any] = {
    "register": Register("5f0c6c9e-58a6-4c5e-8f3e-7a8b9c0d1e2f", "web-1 · größe 東京", "0.1.0"),
    "registered": Registered(SERVER, "tws_example_not_a_key", 1_767_225_500_000),
    "heartbeat": Heartbeat(SERVER, NOW, "0.1.0"),
    "heartbeat_answer": HeartbeatAnswer(NOW + 12, "00f1e2d3c4b5a697"),
    "batch": Batch(
        sequence=NOW,
        sent_at=NOW + 30_000,
        frames=[
            Frame(SHAPE.id, [NOW, NOW + 15_000], [[0.25, 0.5], [0.0, None], [86_400, 86_415]]),
            Frame(SHAPE.id, [NOW + 1], [[1e-300], [-0.125], [2**53]]),
        ],
        shapes=[SHAPE],
    ),
    "batch_of_known_shapes": Batch(NOW + 1, NOW + 60_000, [Frame(SHAPE.id, [NOW + 30_000], [[1.0], [0.0], [None]])]),
    "batch_accepted": BatchAccepted(NOW + 1, duplicate=True),
    "catalogue": Catalogue(
        agent_version="0.1.0",
        monitors=(
            MonitorFacts(
                name="system",
                title="System",
                interval_seconds=15.0,
                metrics=(Metric("system.cpu.utilization", "1", "Share of time by mode", good="low"),),
                charts=(
                    Chart("CPU", ("system.cpu.utilization",), by=("cpu.mode",), style="stack", top=1.0),
                    Chart("Network", ("system.network.io",), mirror=("transmit",)),
                ),
                headlines=(Headline("CPU", "system.cpu.utilization"),),
            ),
            MonitorFacts(name="empty", title="Empty", interval_seconds=60.0, metrics=()),
        ),
        host={"os.type": "linux", "host.name": "web-1"},
    ),
    "catalogue_with_kinds": Catalogue(
        agent_version="0.2.0",
        monitors=(),
        kinds=(
            MonitorKind(
                "postgres",
                "PostgreSQL",
                "Watches a database.",
                30.0,
                {"type": "object", "properties": {"password": {"type": "string", "format": "password"}}},
            ),
        ),
        digest="00f1e2d3c4b5a697",
    ),
    "heartbeat_with_delivery": Heartbeat(SERVER, NOW, "0.2.0", Delivery(100, 90, 7, 3, 65_536, NOW - 60_000)),
    "heartbeat_answer_in_full": HeartbeatAnswer(NOW + 12, "00f1e2d3c4b5a697", "a697b5c4d3e2f100", 7),
    "report": Report(
        monitors=(
            MonitorStanding("system", "system", "default", "ok", interval_seconds=15.0, since=NOW - 1_000),
            MonitorStanding("main", "postgres", "hub", "absent", "no socket in /run/postgresql", 30.0, NOW),
        ),
        checks=(
            CheckStanding("systemd:ssh.service", "systemd", "up", since=NOW - 5_000),
            CheckStanding("systemd:web.service", "systemd", "down", "gave up · größe 東京", "start-limit-hit", NOW),
        ),
        configuration=ConfigurationStanding(6, 7, ("monitor main, port: expected a number",)),
        digest="a697b5c4d3e2f100",
    ),
    "configuration": Configuration(
        version=7,
        monitors=(
            MonitorEntry("postgres", "main", interval="30s", timeout="5s", options={"port": 5432, "tags": ["a", None]}),
            MonitorEntry("exec", enabled=False),
        ),
        rules=(
            Rule("disk", "critical", "system.filesystem.utilization", {"system.device": "sda"}, above=0.9, hold="5m"),
            Rule("units", check="systemd:*", states=("down", "unknown")),
        ),
    ),
    "configuration_changed": ConfigurationChanged(7),
    "problem": Problem(PROBLEM_PREFIX + "unknown-shapes", "Unknown shapes", 409, "1 shape", "req_1", None, [SHAPE.id]),
}


@pytest.fixture(params=sorted(MESSAGES))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_first_version_decodes_for_ever(name: str) -> None:
    assert unpack((VECTORS / f"v1_{name}.bin").read_bytes(), type(MESSAGES[name])) == MESSAGES[name]


def test_the_same_message_is_read_from_json(name: str) -> None:
    content = (VECTORS / f"v1_{name}.json").read_bytes()
    assert decode(content, type(MESSAGES[name]), f"{JSON}; charset=utf-8") == MESSAGES[name]


def test_what_is_encoded_today_is_what_was_encoded_then(name: str) -> None:
    then = msgspec.msgpack.decode(decode_raw((VECTORS / f"v1_{name}.bin").read_bytes()))
    now = msgspec.msgpack.decode(decode_raw(pack(MESSAGES[name])))
    assert {field: now[field] for field in then} == then


def decode_raw(body: bytes) -> bytes:
    return bytes(decode(body, msgspec.Raw, MSGPACK, ZSTD))


def test_a_field_of_a_later_version_is_passed_over(name: str) -> None:
    later = {**msgspec.to_builtins(MESSAGES[name]), "of_a_later_version": [1, {"two": None}]}
    assert unpack(pack(later), type(MESSAGES[name])) == MESSAGES[name]


def test_ids_that_follow_from_content_stay_what_they_were() -> None:
    assert AGENT_ROUTES == "/api/v1/agent"
    assert SHAPE.id == (VECTORS / "v1_shape_id.txt").read_text().strip()
    assert MESSAGES["report"].fingerprint() == (VECTORS / "v1_report_fingerprint.txt").read_text().strip()
    assert MESSAGES["catalogue"].fingerprint() == (VECTORS / "v1_catalogue_fingerprint.txt").read_text().strip()


def test_an_int_may_stand_where_a_float_does() -> None:
    frame = unpack(pack({"shape": "x", "times": [1], "columns": [[7]]}), Frame)
    assert frame.columns == [[7.0]]


@pytest.mark.parametrize(("content_type", "encoding"), [("text/html", ""), (MSGPACK, "gzip"), ("", ZSTD), (JSON, ZSTD)])
def test_other_headers_are_undecodable(content_type: str, encoding: str) -> None:
    with pytest.raises(Undecodable):
        decode(pack(MESSAGES["heartbeat"]), Heartbeat, content_type, encoding)


def test_a_bomb_is_refused_before_it_goes_off() -> None:
    with pytest.raises(TooLarge):
        unpack(pack([b"\0" * (limits.DECODED_BYTES + 1)]), Batch)


@given(st.binary(max_size=200))
def test_noise_is_undecodable_and_nothing_else(noise: bytes) -> None:
    for content_type, encoding in ((MSGPACK, ZSTD), (MSGPACK, ""), (JSON, "")):
        try:
            decode(noise, Batch, content_type, encoding)
        except Undecodable:
            pass
        else:
            pytest.fail("noise was taken for a batch")


@given(st.data())
def test_a_batch_cut_or_bent_anywhere_is_a_batch_or_undecodable(data: st.DataObject) -> None:
    body = bytearray(pack(MESSAGES["batch"]))
    body[data.draw(st.integers(0, len(body) - 1))] ^= data.draw(st.integers(1, 255))
    del body[data.draw(st.integers(0, len(body))) :]
    with suppress(Undecodable):
        assert isinstance(unpack(bytes(body), Batch), Batch)


def add_missing_vectors() -> None:
    """Write the vectors that are not there yet."""
    VECTORS.mkdir(exist_ok=True)
    files = {f"v1_{name}.bin": pack(message) for name, message in MESSAGES.items()}
    files |= {f"v1_{name}.json": msgspec.json.encode(message) + b"\n" for name, message in MESSAGES.items()}
    files["v1_shape_id.txt"] = f"{SHAPE.id}\n".encode()
    files["v1_catalogue_fingerprint.txt"] = f"{MESSAGES['catalogue'].fingerprint()}\n".encode()
    files["v1_report_fingerprint.txt"] = f"{MESSAGES['report'].fingerprint()}\n".encode()
    for name, content in files.items():
        if not (VECTORS / name).exists():
            (VECTORS / name).write_bytes(content)


if __name__ == "__main__":
    add_missing_vectors()
