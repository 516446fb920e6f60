"""How an agent comes in, speaks, and is refused: register, heartbeat, catalogue, and the bodies they travel in."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twinwatch.hub.agents import KEY_SECONDS
from twinwatch.hub.lawful import LAST_INSTANT, check_catalogue, check_text
from twinwatch.hub.refusals import Refused
from twinwatch.protocol import codec, limits
from twinwatch.protocol.heartbeat import Delivery, Heartbeat, HeartbeatAnswer
from twinwatch.protocol.hello import Register, Registered
from twinwatch.protocol.life import Life, PreviousLife
from twinwatch.protocol.metrics import Catalogue, Chart, Headline, Metric, MonitorFacts
from twinwatch.protocol.problem import PROBLEM_TYPE
from twinwatch.protocol.samples import BatchAccepted, shape_of
from twinwatch.protocol.version import AGENT_ROUTES
from twinwatch.testing.client import Client
from twinwatch.testing.hub_stage import Cast, HubStage, Voice, say

CATALOGUE = Catalogue(
    "1.0",
    (
        MonitorFacts(
            "test",
            "Test",
            15.0,
            (Metric("test.a", "1", "a", "low"), Metric("test.b", "By", "b")),
            (Chart("A", ("test.a",), top=1.0),),
            (Headline("A", "test.a"),),
        ),
    ),
    {"os.type": "linux"},
)


def hello(**changes: str) -> Register:
    return msgspec.structs.replace(Register(str(uuid4()), "web-1", "1.0"), **changes)


async def servers(stage: HubStage) -> list[Any]:
    return await stage.execute("select id, name, agent_version, organization_id from public.servers order by name")


class TestRegister:
    async def test_a_new_installation_becomes_a_server_of_the_keys_organization(self, stage: HubStage) -> None:
        organization = await stage.organization()
        reply = await say(stage.client(await stage.enrolment_key(organization)), "register", hello())
        assert reply.status == 201
        registered = msgspec.json.decode(reply.body, type=Registered)
        assert registered.server_key.startswith("tws_")
        assert registered.sequence_mark == 0
        assert await servers(stage) == [(UUID(registered.server_uuid), "web-1", "1.0", organization)]

    async def test_the_same_installation_stays_the_same_server_and_its_old_key_dies(self, stage: HubStage) -> None:
        organization = await stage.organization()
        install = uuid4()
        old = await stage.agent(organization, install_id=install)
        assert (await old.push((stage.clock.now(), (1.0, 2.0)), sequence=7)).status == 200
        new = await stage.agent(organization, install_id=install)
        assert new.server_id == old.server_id
        assert new.sequence == 7, "the mark goes on"
        assert len(await servers(stage)) == 1
        assert (await old.heartbeat()).problem.slug == "unauthorized"
        assert (await new.heartbeat()).status == 200

    async def test_the_same_installation_in_another_organization_is_another_server(self, stage: HubStage) -> None:
        install = uuid4()
        one = await stage.agent(await stage.organization("One"), install_id=install)
        other = await stage.agent(await stage.organization("Other"), install_id=install)
        assert one.server_id != other.server_id
        assert (await one.heartbeat()).status == 200

    async def test_registering_again_keeps_the_name_that_people_gave(self, stage: HubStage, cast: Cast) -> None:
        ((install,),) = await stage.execute("select install_id from public.servers where id = %s", cast.agent.server_id)
        await cast.owner.client.patch(f"/api/v1/servers/{cast.agent.server_id}", {"name": "Kitchen"})
        again = await stage.agent(cast.organization_id, "web-1", install_id=install)
        assert again.server_id == cast.agent.server_id
        view = (await cast.owner.client.get(f"/api/v1/servers/{cast.agent.server_id}")).json()
        assert view["name"] == "Kitchen"

    async def test_a_key_that_does_not_enrol_is_refused(self, stage: HubStage, cast: Cast) -> None:
        expired = await stage.enrolment_key(cast.organization_id)
        await stage.execute("update public.enrolment_keys set expires_at = to_timestamp(0)")
        for key in ("", "twe_unknown", cast.agent.client.token, cast.owner.client.token, expired):
            reply = await say(stage.client(key), "register", hello())
            assert reply.problem.slug == "unauthorized", key
            assert reply.headers["www-authenticate"] == "Bearer"
        assert len(await servers(stage)) == 2

    async def test_a_revoked_key_enrols_nobody_and_its_servers_stay(self, stage: HubStage, cast: Cast) -> None:
        wanted = {"organization_id": str(cast.organization_id), "name": "laptops"}
        issued = (await cast.owner.client.post("/api/v1/enrolment-keys", wanted)).json()
        reply = await say(stage.client(issued["key"]), "register", hello())
        voice = Voice(stage.client(reply.json()["server_key"]), stage.clock, UUID(reply.json()["server_uuid"]))
        (listed,) = [one for one in (await enrolment_keys(cast)) if one["id"] == issued["id"]]
        assert listed["last_used_at"] == stage.clock.now()
        assert (await cast.owner.client.delete(f"/api/v1/enrolment-keys/{issued['id']}")).status == 204
        assert (await say(stage.client(issued["key"]), "register", hello())).problem.slug == "unauthorized"
        assert (await voice.heartbeat()).status == 200

    async def test_an_install_id_must_be_a_uuid(self, stage: HubStage) -> None:
        client = stage.client(await stage.enrolment_key(await stage.organization()))
        for wrong in ("", "1", "x" * 36, "\0", "🦊" * 36):
            assert (await say(client, "register", hello(install_id=wrong))).problem.slug == "invalid"

    @pytest.mark.parametrize(
        ("field", "value", "slug", "limit"),
        [
            ("server_name", "", "invalid", None),
            ("server_name", "a\0b", "invalid", None),
            ("server_name", "a\nb", "invalid", None),
            ("server_name", "\x7f", "invalid", None),
            ("server_name", "x" * 201, "limit", 200),
            ("agent_version", "", "invalid", None),
            ("agent_version", "1" * 65, "limit", 64),
            ("agent_version", "1\x1b[31m", "invalid", None),
        ],
    )
    async def test_names_that_no_database_or_person_could_read_are_refused(
        self, stage: HubStage, field: str, value: str, slug: str, limit: int | None
    ) -> None:
        client = stage.client(await stage.enrolment_key(await stage.organization()))
        problem = (await say(client, "register", hello(**{field: value}))).problem
        assert (problem.slug, problem.limit) == (slug, limit)
        assert await servers(stage) == []

    async def test_any_lawful_name_is_kept_as_it_is(self, stage: HubStage) -> None:
        client = stage.client(await stage.enrolment_key(await stage.organization()))
        names = sorted(
            ["Zoë's Büro", "サーバー", "🦊" * 200, "'; drop table servers; --", "a%(x)s{}", "\u200ba", "x" * 200]
        )
        for name in names:
            assert (await say(client, "register", hello(server_name=name))).status == 201
        assert sorted(name for _, name, _, _ in await servers(stage)) == names


async def enrolment_keys(cast: Cast) -> list[Any]:
    target = f"/api/v1/enrolment-keys?organization_id={cast.organization_id}"
    listed: list[Any] = (await cast.owner.client.get(target)).json()
    return listed


class TestHeartbeat:
    async def test_a_sign_of_life_is_noted_by_the_hubs_clock(self, stage: HubStage, cast: Cast) -> None:
        stage.clock.advance(10)
        reply = await cast.agent.heartbeat(timestamp=stage.clock.now() - 90_000)
        answer = msgspec.json.decode(reply.body, type=HeartbeatAnswer)
        assert answer.bundle
        assert msgspec.structs.replace(answer, bundle="") == HeartbeatAnswer(stage.clock.now(), "")
        view = (await cast.viewer.client.get(f"/api/v1/servers/{cast.agent.server_id}")).json()
        assert view["last_heartbeat_at"] == stage.clock.now()
        assert view["clock_skew_seconds"] == -90.0
        assert view["state"] == "up"

    async def test_the_answer_names_the_catalogue_that_the_hub_holds(self, stage: HubStage, cast: Cast) -> None:
        assert (await cast.agent.declare(CATALOGUE)).status == 204
        assert (await cast.agent.heartbeat()).json()["catalogue"] == CATALOGUE.fingerprint()

    @pytest.mark.parametrize("timestamp", [0, 1, 1 << 40, 1 << 53])
    async def test_a_clock_however_wrong_does_not_silence_a_server(
        self, stage: HubStage, cast: Cast, timestamp: int
    ) -> None:
        assert (await cast.agent.heartbeat(timestamp=timestamp)).status == 200
        view = (await cast.viewer.client.get(f"/api/v1/servers/{cast.agent.server_id}")).json()
        assert view["state"] == "up"

    @pytest.mark.parametrize(
        "said",
        [
            {"delivery": Delivery(1, 0, 1, 0, 0, LAST_INSTANT + 1)},
            {"life": Life(booted_at=LAST_INSTANT + 1)},
            {"life": Life(started_at=LAST_INSTANT + 1)},
            {"life": Life(previous=PreviousLife(started_at=LAST_INSTANT + 1))},
            {"life": Life(previous=PreviousLife(last_at=LAST_INSTANT + 1))},
        ],
    )
    async def test_an_instant_that_no_calendar_has_is_refused(self, cast: Cast, said: dict[str, Any]) -> None:
        """Browsers could not write it, and the page of the server would not open."""
        beat = Heartbeat(str(cast.agent.server_id), 0, "1.0")
        reply = await cast.agent.say("heartbeat", msgspec.structs.replace(beat, **said))
        assert (reply.status, reply.problem.slug) == (422, "invalid")
        assert (await cast.agent.heartbeat(delivery=Delivery(1, 0, 1, 0, 0, LAST_INSTANT))).status == 200

    async def test_a_number_beyond_all_clocks_is_refused(self, cast: Cast) -> None:
        body = b'{"server_uuid": "%s", "timestamp": 1%s, "agent_version": "1.0"}'
        raw = body % (str(cast.agent.server_id).encode(), b"0" * 400)
        reply = await cast.agent.client.post(f"{AGENT_ROUTES}/heartbeat", raw)
        assert reply.problem.slug == "undecodable"

    async def test_a_key_speaks_for_its_own_server_only(self, cast: Cast) -> None:
        beat = Heartbeat(str(cast.other_agent.server_id), 0, "1.0")
        assert (await cast.agent.say("heartbeat", beat)).problem.slug == "forbidden"

    async def test_who_shows_no_server_key_is_refused(self, stage: HubStage, cast: Cast) -> None:
        enrolment = await stage.enrolment_key(cast.organization_id)
        messages: dict[str, object] = {
            "heartbeat": Heartbeat(str(cast.agent.server_id), 0, "1.0"),
            "samples": cast.agent.batch((stage.clock.now(), (1.0, 2.0))),
            "catalogue": CATALOGUE,
        }
        for route, message in messages.items():
            for token in ("", "tws_unknown", enrolment, cast.owner.client.token, "\xe9\xff"):
                reply = await say(stage.client(token), route, message)
                assert reply.problem.slug == "unauthorized", (route, token)
            basic = {"authorization": f"Basic {cast.agent.client.token}"}
            reply = await stage.client().request("POST", f"{AGENT_ROUTES}/{route}", headers=basic)
            assert reply.problem.slug == "unauthorized"

    async def test_a_deleted_server_is_told_so_at_once(self, stage: HubStage, cast: Cast) -> None:
        await cast.agent.heartbeat()
        assert (await cast.owner.client.delete(f"/api/v1/servers/{cast.agent.server_id}")).status == 204
        assert (await cast.agent.heartbeat()).problem.slug == "unauthorized"
        assert (await cast.agent.push((stage.clock.now(), (1.0, 2.0)))).problem.slug == "unauthorized"
        assert (await cast.agent.declare(CATALOGUE)).problem.slug == "unauthorized"
        assert (await cast.other_agent.heartbeat()).status == 200

    async def test_what_is_remembered_of_a_key_is_asked_again_in_time(self, stage: HubStage, cast: Cast) -> None:
        """Another hub on the same database may have changed it."""
        assert (await cast.agent.heartbeat()).status == 200
        await stage.execute("delete from public.server_keys where server_id = %s", cast.agent.server_id)
        stage.clock.advance(KEY_SECONDS - 1)
        assert (await cast.agent.heartbeat()).status == 200
        stage.clock.advance(2)
        assert (await cast.agent.heartbeat()).problem.slug == "unauthorized"

    async def test_a_server_deleted_behind_the_hubs_back_is_refused_too(self, stage: HubStage, cast: Cast) -> None:
        """As another hub on the same database does it: the key is still remembered here."""
        tick = (stage.clock.now(), (1.0, 2.0))
        assert (await cast.agent.push(tick)).status == 200
        await stage.execute("delete from public.servers where id = %s", cast.agent.server_id)
        assert (await cast.agent.push(tick)).problem.slug == "unauthorized"
        assert (await cast.agent.declare(CATALOGUE)).problem.slug == "unauthorized"
        cast.agent.shape = shape_of("new", cast.agent.shape.series)
        assert (await cast.agent.push(tick)).problem.slug == "unauthorized"
        assert (await cast.agent.heartbeat()).problem.slug == "unauthorized"


class TestCatalogue:
    async def test_a_hub_repeats_the_digest_of_a_newer_agent(self, cast: Cast) -> None:
        """It drops fields that it does not know, and would else ask for the same catalogue at each heartbeat."""
        newer = {**msgspec.to_builtins(CATALOGUE), "digest": "feedfacefeedface", "a_later_field": 1}
        assert (await cast.agent.client.post("/api/v1/agent/catalogue", newer)).status == 204
        assert (await cast.agent.heartbeat()).json()["catalogue"] == "feedfacefeedface"

    async def test_the_newest_catalogue_is_what_people_see(self, stage: HubStage, cast: Cast) -> None:
        target = f"/api/v1/servers/{cast.agent.server_id}/catalogue"
        before = (await cast.viewer.client.get(target)).json()
        assert before == {"fingerprint": "", "agent_version": "1.0", "host": {}, "monitors": []}
        await cast.agent.declare(Catalogue("0.9", ()))
        await cast.agent.declare(CATALOGUE)
        after = (await cast.viewer.client.get(target)).json()
        assert after["fingerprint"] == CATALOGUE.fingerprint()
        assert after["host"] == {"os.type": "linux"}
        (monitor,) = after["monitors"]
        assert [metric["name"] for metric in monitor["metrics"]] == ["test.a", "test.b"]
        assert monitor["charts"] == [
            {"title": "A", "metrics": ["test.a"], "by": [], "style": "line", "mirror": [], "top": 1.0}
        ]
        assert monitor["headlines"] == [{"title": "A", "metric": "test.a"}]

    async def test_a_catalogue_may_be_large(self, cast: Cast) -> None:
        metrics = tuple(Metric(f"m.{number}", "1", "h" * 200) for number in range(5_000))
        assert (await cast.agent.declare(Catalogue("1.0", (MonitorFacts("m", "M", 15.0, metrics),)))).status == 204

    @pytest.mark.parametrize(
        ("catalogue", "slug", "limit"),
        [
            (Catalogue("1.0", (MonitorFacts("m", "M", 15.0, ()),) * 201), "limit", 200),
            (
                Catalogue("1.0", (MonitorFacts("m", "M", 15.0, (Metric("m", "1", ""),) * 5_001),)),
                "limit",
                5_000,
            ),
            (Catalogue("1.0", (), {str(number): "x" for number in range(101)}), "limit", 100),
            (Catalogue("1.0", (), {"a": "x" * 1_001}), "limit", 1_000),
            (Catalogue("1.0", (), {"a": "\0"}), "invalid", None),
            (Catalogue("1.0", (), {"\0": "a"}), "invalid", None),
            (Catalogue("\0", ()), "invalid", None),
            (Catalogue("1.0", (MonitorFacts("m\0", "M", 15.0, ()),)), "invalid", None),
            (Catalogue("1.0", (MonitorFacts("m", "M", float("nan"), ()),)), "invalid", None),
            (Catalogue("1.0", (MonitorFacts("m", "M", float("inf"), ()),)), "invalid", None),
            (Catalogue("1.0", (MonitorFacts("m", "M", -1.0, ()),)), "invalid", None),
            (
                Catalogue("1.0", (MonitorFacts("m", "M", 1.0, (), (Chart("c", (), top=float("nan")),)),)),
                "invalid",
                None,
            ),
        ],
        ids=range(12),
    )
    async def test_an_unlawful_catalogue_is_refused_whole(
        self, cast: Cast, catalogue: Catalogue, slug: str, limit: int | None
    ) -> None:
        problem = (await cast.agent.declare(catalogue)).problem
        assert (problem.slug, problem.limit) == (slug, limit)
        target = f"/api/v1/servers/{cast.agent.server_id}/catalogue"
        assert (await cast.viewer.client.get(target)).json()["fingerprint"] == ""

    async def test_whatever_catalogue_was_taken_the_list_of_servers_can_be_read(
        self, stage: HubStage, cast: Cast
    ) -> None:
        text = st.text(max_size=5)
        number = st.floats() | st.integers(-3, 3).map(float)
        catalogues = st.builds(
            Catalogue,
            agent_version=text,
            monitors=st.lists(
                st.builds(
                    MonitorFacts,
                    name=text,
                    title=text,
                    interval_seconds=number,
                    metrics=st.lists(st.builds(Metric, text, text, text), max_size=2).map(tuple),
                    charts=st.lists(
                        st.builds(Chart, title=text, metrics=st.just(("a",)), top=st.none() | number), max_size=2
                    ).map(tuple),
                    headlines=st.lists(st.builds(Headline, text, text), max_size=2).map(tuple),
                ),
                max_size=2,
            ).map(tuple),
            host=st.dictionaries(text, text, max_size=2),
        )
        taken: list[Catalogue] = []

        @given(catalogues)
        @settings(max_examples=300, deadline=None, derandomize=True)
        def law(catalogue: Catalogue) -> None:
            try:
                sent = msgspec.msgpack.decode(msgspec.msgpack.encode(catalogue), type=Catalogue)
                check_catalogue(sent)
            except (Refused, UnicodeError):
                return
            taken.append(sent)

        law()
        assert len(taken) > 5
        for catalogue in taken[:: max(1, len(taken) // 25)]:
            assert (await cast.agent.declare(catalogue)).status == 204
            assert (await cast.viewer.client.get("/api/v1/servers")).status == 200
            target = f"/api/v1/servers/{cast.agent.server_id}/catalogue"
            assert (await cast.viewer.client.get(target)).json()["fingerprint"] == catalogue.fingerprint()


def bodies(stage: HubStage, cast: Cast) -> dict[str, object]:
    """A lawful message of each route that a server key may use."""
    return {
        "heartbeat": Heartbeat(str(cast.agent.server_id), stage.clock.now(), "1.0"),
        "samples": cast.agent.batch((stage.clock.now(), (1.0, None))),
        "catalogue": CATALOGUE,
    }


async def post(client: Client, route: str, body: bytes, kind: str = codec.JSON, encoding: str = "") -> Any:
    headers = {"content-type": kind, "content-encoding": encoding}
    return await client.request("POST", f"{AGENT_ROUTES}/{route}", body, headers=headers)


class TestBodies:
    @pytest.mark.parametrize("kind", [codec.JSON, codec.MSGPACK, "Application/JSON; charset=utf-8"])
    @pytest.mark.parametrize("encoding", ["", "identity", "zstd", "ZSTD"])
    async def test_each_route_takes_json_and_msgpack_compressed_or_not(
        self, stage: HubStage, cast: Cast, kind: str, encoding: str
    ) -> None:
        library = msgspec.msgpack if kind == codec.MSGPACK else msgspec.json
        enrolling = stage.client(await stage.enrolment_key(cast.organization_id))
        for route, message in {**bodies(stage, cast), "register": hello()}.items():
            body = library.encode(message)
            if encoding.lower() == "zstd":
                body = zstandard.ZstdCompressor().compress(body)
            client = enrolling if route == "register" else cast.agent.client
            reply = await post(client, route, body, kind, encoding)
            assert reply.status in (200, 201, 204), (route, reply)

    @pytest.mark.parametrize(
        ("accept", "kind"),
        [
            ("", codec.JSON),
            ("*/*", codec.JSON),
            (codec.JSON, codec.JSON),
            (codec.MSGPACK, codec.MSGPACK),
            (f"{codec.MSGPACK}, {codec.JSON};q=0.5", codec.MSGPACK),
            ("text/html", codec.JSON),
        ],
    )
    async def test_the_answer_is_in_the_encoding_that_was_asked_for(
        self, stage: HubStage, cast: Cast, accept: str, kind: str
    ) -> None:
        reply = await say(cast.agent.client, "samples", bodies(stage, cast)["samples"], accept=accept)
        assert reply.headers["content-type"] == kind
        library = msgspec.msgpack if kind == codec.MSGPACK else msgspec.json
        assert library.decode(reply.body, type=BatchAccepted) == BatchAccepted(cast.agent.sequence)

    async def test_problems_are_json_whatever_was_asked_for(self, stage: HubStage) -> None:
        reply = await say(stage.client("tws_x"), "heartbeat", Heartbeat("x", 0, "1"), accept=codec.MSGPACK)
        assert reply.headers["content-type"] == PROBLEM_TYPE
        assert reply.problem.slug == "unauthorized"

    async def test_a_newer_agent_may_say_more_than_this_hub_knows(self, stage: HubStage, cast: Cast) -> None:
        beat = {"server_uuid": str(cast.agent.server_id), "timestamp": 0, "agent_version": "9", "mood": ["fine"]}
        assert (await cast.agent.client.post(f"{AGENT_ROUTES}/heartbeat", beat)).status == 200

    @pytest.mark.parametrize(
        ("body", "kind", "encoding", "slug"),
        [
            (b"", codec.JSON, "", "undecodable"),
            (b"{", codec.JSON, "", "undecodable"),
            (b"[]", codec.JSON, "", "undecodable"),
            (b"null", codec.MSGPACK, "", "undecodable"),
            (b"\xff" * 100, codec.MSGPACK, "", "undecodable"),
            (b"\xff" * 100, codec.JSON, "", "undecodable"),
            (b"[" * 100_000, codec.JSON, "", "undecodable"),
            (b"\x91" * 100_000, codec.MSGPACK, "", "undecodable"),
            (b'{"server_uuid": "\\ud800", "timestamp": 1, "agent_version": "1"}', codec.JSON, "", None),
            (b'{"server_uuid": "x", "timestamp": 1, "agent_version": "\\ud800"}', codec.JSON, "", None),
            (b"x", "text/plain", "", "undecodable"),
            (b"x", "", "", "undecodable"),
            (b"not zstd", codec.MSGPACK, "zstd", "undecodable"),
            (b"", codec.MSGPACK, "zstd", "undecodable"),
            (zstandard.ZstdCompressor().compress(b"{}") + b"more", codec.JSON, "zstd", "undecodable"),
            (b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd", codec.JSON, "zstd", "undecodable"),
            (zstandard.ZstdCompressor(write_content_size=False).compress(b"{}"), codec.JSON, "zstd", "undecodable"),
            (b"{}", codec.JSON, "gzip", "undecodable"),
            (b"{}", codec.JSON, "zstd, zstd", "undecodable"),
        ],
        ids=range(19),
    )
    async def test_what_cannot_be_understood_is_refused_with_a_reason(
        self, cast: Cast, body: bytes, kind: str, encoding: str, slug: str | None
    ) -> None:
        for route in ("heartbeat", "samples", "catalogue"):
            problem = (await post(cast.agent.client, route, body, kind, encoding)).problem
            assert problem.status in (400, 403, 422)
            assert slug is None or problem.slug == slug
            assert problem.detail

    async def test_a_body_beyond_the_bound_is_refused_while_it_arrives(self, cast: Cast) -> None:
        piece = b" " * 65_536
        pieces = [piece] * (limits.BODY_BYTES // len(piece) + 1)
        problem = (
            await cast.agent.client.request(
                "POST", f"{AGENT_ROUTES}/samples", headers={"content-type": codec.JSON}, pieces=pieces
            )
        ).problem
        assert (problem.status, problem.slug, problem.limit) == (413, "too-large", limits.BODY_BYTES)

    async def test_a_body_of_exactly_the_bound_is_read(self, cast: Cast) -> None:
        raw = json.dumps({"server_uuid": str(cast.agent.server_id), "timestamp": 0, "agent_version": "1"}).encode()
        assert (await post(cast.agent.client, "heartbeat", raw.ljust(limits.BODY_BYTES))).status == 200

    @pytest.mark.parametrize("size", [limits.DECODED_BYTES + 1, 1 << 30])
    async def test_a_bomb_is_refused_before_it_unfolds(self, cast: Cast, size: int) -> None:
        compressor = zstandard.ZstdCompressor(level=1).compressobj(size=size)
        piece = bytes(1 << 20)
        bomb = b"".join(compressor.compress(piece[: min(len(piece), size - at)]) for at in range(0, size, len(piece)))
        bomb += compressor.flush()
        assert len(bomb) < limits.BODY_BYTES
        problem = (await post(cast.agent.client, "samples", bomb, codec.MSGPACK, "zstd")).problem
        assert (problem.status, problem.slug, problem.limit) == (413, "too-large", limits.DECODED_BYTES)

    async def test_a_bomb_that_lies_about_its_size_is_refused(self, cast: Cast) -> None:
        honest = zstandard.ZstdCompressor().compress(bytes(200))
        lying = bytearray(honest)
        lying[5] = 10  # the content size in the frame's header
        problem = (await post(cast.agent.client, "samples", bytes(lying), codec.MSGPACK, "zstd")).problem
        assert problem.slug == "undecodable"

    async def test_no_key_appears_in_any_answer(self, stage: HubStage, cast: Cast) -> None:
        key = cast.agent.client.token
        for route in ("heartbeat", "samples", "catalogue"):
            reply = await post(cast.agent.client, route, key.encode(), key, key)
            assert key.encode() not in reply.body.replace(b"Content-Encoding '" + key.encode(), b"")


@given(st.text(st.characters(codec=None), max_size=20), st.integers(0, 20), st.booleans())
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_text_that_passes_can_be_stored_and_any_other_is_refused(text: str, most: int, empty: bool) -> None:
    try:
        check_text("it", text, most, empty=empty)
    except Refused as refused:
        refused.detail.encode()
        return
    assert "\0" not in text
    text.encode()
    assert len(text) <= most
