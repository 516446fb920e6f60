"""Configurations: who may save what, what the agent is given, and that secret values are told to nobody else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from twinwatch.hub.configurations import LOST_RETRY_SECONDS
from twinwatch.protocol import limits
from twinwatch.protocol.checks import ConfigurationStanding, Report
from twinwatch.protocol.configuration import Configuration, MonitorEntry
from twinwatch.protocol.metrics import Catalogue, MonitorKind
from twinwatch.protocol.rules import Rule
from twinwatch.protocol.version import AGENT_ROUTES
from twinwatch.testing.client import Reply
from twinwatch.testing.hub_stage import Cast, HubStage, Player, Voice

SCHEMA = {
    "type": "object",
    "properties": {"host": {"type": "string"}, "pin": {"type": "string", "format": "password"}},
}
KINDS = (MonitorKind("vault", "Vault", "Watches a vault.", 30.0, SCHEMA),)
MONITORS: list[dict[str, Any]] = [
    {"type": "vault", "options": {"host": "v.example", "pin": "hunter2-pin"}},
    {"type": "postgres", "name": "main", "interval": "30s", "options": {"password": "hunter2-pg", "port": 5432}},
    {"type": "exec", "enabled": False},
]
RULES = [
    {"name": "disk", "metric": "system.filesystem.utilization", "above": 0.9, "hold": "5m", "severity": "critical"},
    {"name": "units", "check": "systemd:*", "states": ["down", "unknown"]},
]


def route(voice: Voice) -> str:
    return f"/api/v1/servers/{voice.server_id}/configuration"


async def read(player: Player, voice: Voice) -> Any:
    reply = await player.client.get(route(voice))
    assert reply.status == 200, reply
    return reply.json()


async def save(player: Player, voice: Voice, version: int, monitors: Any = MONITORS, rules: Any = ()) -> Reply:
    wanted = {"version": version, "monitors": list(monitors), "rules": list(rules)}
    return await player.client.put(route(voice), wanted)


@pytest.fixture
async def declared(cast: Cast) -> Cast:
    """The cast, whose agent has said which kinds it could run."""
    assert (await cast.agent.declare(Catalogue("1.0", (), kinds=KINDS))).status == 204
    return cast


class TestReadingAndSaving:
    async def test_before_anything_was_saved_there_is_version_0(self, declared: Cast) -> None:
        assert await read(declared.viewer, declared.agent) == {
            "version": 0,
            "monitors": [],
            "rules": [],
            "updated_at": None,
            "updated_by": None,
            "secrets_lost": False,
            "standing": None,
            "reported_at": None,
            "kinds": [
                {
                    "type": "vault",
                    "title": "Vault",
                    "help": "Watches a vault.",
                    "interval_seconds": 30.0,
                    "options": SCHEMA,
                }
            ],
        }
        assert await declared.agent.configuration() == Configuration()

    async def test_what_is_saved_is_what_the_agent_gets(self, stage: HubStage, declared: Cast) -> None:
        reply = await save(declared.member, declared.agent, 0, MONITORS, RULES)
        assert reply.status == 200
        view = reply.json()
        assert (view["version"], view["updated_at"]) == (1, stage.clock.now())
        assert view["updated_by"] == declared.member.email
        assert view == await read(declared.viewer, declared.agent)
        assert await declared.agent.configuration() == Configuration(
            version=1,
            monitors=(
                MonitorEntry("vault", options={"host": "v.example", "pin": "hunter2-pin"}),
                MonitorEntry("postgres", "main", interval="30s", options={"password": "hunter2-pg", "port": 5432}),
                MonitorEntry("exec", enabled=False),
            ),
            rules=(
                Rule("disk", "critical", "system.filesystem.utilization", above=0.9, hold="5m"),
                Rule("units", check="systemd:*", states=("down", "unknown")),
            ),
        )
        answer = await declared.agent.client.get(f"{AGENT_ROUTES}/configuration")
        assert answer.headers["cache-control"] == "no-store"

    async def test_the_heartbeat_names_the_version(self, cast: Cast) -> None:
        assert "configuration" not in (await cast.agent.heartbeat()).json()
        await save(cast.owner, cast.agent, 0)
        assert (await cast.agent.heartbeat()).json()["configuration"] == 1

    async def test_how_the_agent_took_it_is_shown(self, stage: HubStage, cast: Cast) -> None:
        standing = ConfigurationStanding(3, 4, ("monitor vault, pin: expected 4 digits",))
        assert (await cast.agent.report(Report(configuration=standing))).status == 204
        view = await read(cast.viewer, cast.agent)
        assert view["standing"] == {
            "version": 3,
            "refused": 4,
            "problems": ["monitor vault, pin: expected 4 digits"],
        }
        assert view["reported_at"] == stage.clock.now()

    async def test_who_saves_on_top_of_another_version_is_told(self, cast: Cast) -> None:
        assert (await save(cast.owner, cast.agent, 0)).status == 200
        for version in (0, 2):
            problem = (await save(cast.member, cast.agent, version, [])).problem
            assert (problem.status, problem.slug) == (409, "version")
            assert "version 1" in problem.detail
        assert (await read(cast.owner, cast.agent))["version"] == 1

    async def test_of_those_who_save_at_once_one_wins(self, cast: Cast) -> None:
        for version in (0, 1):
            replies = await asyncio.gather(
                *(save(cast.owner, cast.agent, version, [{"type": f"kind-{one}"}]) for one in range(6))
            )
            assert sorted(reply.status for reply in replies) == [200, *[409] * 5]
        assert (await read(cast.owner, cast.agent))["version"] == 2

    async def test_viewers_read_and_strangers_do_not(self, stage: HubStage, cast: Cast) -> None:
        for version in (0, 1):
            assert (await save(cast.viewer, cast.agent, version)).problem.slug in ("forbidden", "version")
            assert (await save(cast.stranger, cast.agent, version)).problem.slug == "not-found"
            assert (await cast.stranger.client.get(route(cast.agent))).problem.slug == "not-found"
            if version == 0:
                assert (await save(cast.viewer, cast.agent, 0)).problem.slug == "forbidden"
                assert (await save(cast.admin, cast.agent, 0)).status == 200
            assert (await save(cast.viewer, cast.agent, 1)).problem.slug == ("forbidden")
        assert (await stage.client().get(route(cast.agent))).problem.slug == "unauthorized"
        assert (await cast.agent.client.get(route(cast.agent))).problem.slug == "unauthorized"
        assert await cast.other_agent.configuration() == Configuration()

    async def test_a_servers_end_is_its_configurations(self, stage: HubStage, declared: Cast) -> None:
        await save(declared.owner, declared.agent, 0)
        await declared.agent.report(Report())
        await declared.owner.client.delete(f"/api/v1/servers/{declared.agent.server_id}")
        for table in ("configurations", "reports", "checks", "catalogues"):
            left = await stage.execute(f"select 1 from public.{table} where server_id = %s", declared.agent.server_id)
            assert left == []
        assert (await declared.agent.client.get(f"{AGENT_ROUTES}/configuration")).problem.slug == "unauthorized"
        assert (await save(declared.owner, declared.agent, 1)).problem.slug == "not-found"

    async def test_each_change_is_in_the_audit_log_by_names(self, stage: HubStage, declared: Cast) -> None:
        await save(declared.owner, declared.agent, 0, MONITORS, RULES)
        changed = [{**MONITORS[0], "enabled": False}, {"type": "http"}]
        await save(declared.member, declared.agent, 1, changed, RULES)
        logged = await stage.execute(
            "select user_id, subject from public.audit_log where action = 'configuration.save' order by id"
        )
        assert logged == [
            (
                declared.owner.user_id,
                "web-1, version 1: 3 monitors, 2 rules; added vault, main, exec; rules changed; with secrets",
            ),
            (
                declared.member.user_id,
                "web-1, version 2: 2 monitors, 2 rules; added http; removed main, exec; changed vault; with secrets",
            ),
        ]


class TestSecrets:
    async def test_no_answer_log_line_or_row_tells_them(
        self, stage: HubStage, declared: Cast, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("DEBUG")
        said = []
        said.append(await save(declared.owner, declared.agent, 0, MONITORS, RULES))
        said.append(await declared.owner.client.get(route(declared.agent)))
        said.append(await save(declared.owner, declared.agent, 0))
        said.append(await save(declared.viewer, declared.agent, 1))
        bad = [{"type": "postgres", "interval": "hunter2", "options": {"password": "hunter2\0"}}]
        said.append(await save(declared.owner, declared.agent, 1, bad[:1]))
        said.append(
            await save(declared.owner, declared.agent, 1, [{"type": "p", "options": {"password": "hunter2\0"}}])
        )
        said.append(await save(declared.owner, declared.agent, 1, [{"type": "p", "hunter": "hunter2"}]))
        said.append(await declared.owner.client.put(route(declared.agent), {"version": "hunter2"}))
        assert [reply.status for reply in said] == [200, 200, 409, 403, 422, 422, 422, 422]
        for reply in said:
            if b"interval: 'hunter2'" not in reply.body:  # which is no secret place
                assert b"hunter2" not in reply.body
        assert "hunter2" not in caplog.text
        rows = await stage.execute("select c::text from public.configurations c")
        assert rows
        assert "hunter2" not in str(rows)
        assert b"hunter2".hex() not in str(rows)

    async def test_three_stars_keep_what_was_there(self, declared: Cast) -> None:
        view = (await save(declared.owner, declared.agent, 0)).json()
        assert view["monitors"][0]["options"] == {"host": "v.example", "pin": "***"}
        assert view["monitors"][1]["options"] == {"password": "***", "port": 5432}
        view["monitors"][1]["options"]["port"] = 5433
        turned = [view["monitors"][1], view["monitors"][0]]
        assert (await save(declared.member, declared.agent, 1, turned)).status == 200
        told = await declared.agent.configuration()
        assert [monitor.options for monitor in told.monitors] == [
            {"password": "hunter2-pg", "port": 5433},
            {"host": "v.example", "pin": "hunter2-pin"},
        ]
        turned[0]["options"]["password"] = "another"
        assert (await save(declared.member, declared.agent, 2, turned)).status == 200
        assert (await declared.agent.configuration()).monitors[0].options["password"] == "another"

    async def test_three_stars_where_nothing_was_kept_are_refused(self, declared: Cast) -> None:
        await save(declared.owner, declared.agent, 0)
        for monitor in (
            {"type": "postgres", "name": "second", "options": {"password": "***"}},
            {"type": "http", "name": "main", "options": {"password": "***"}},
        ):
            problem = (await save(declared.owner, declared.agent, 1, [monitor])).problem
            assert problem.slug == "invalid"
            assert "password" in problem.detail

    async def test_a_value_that_turns_out_to_be_secret_is_masked_from_then_on(self, cast: Cast) -> None:
        monitors = [{"type": "vault", "options": {"pin": "1234"}}]
        view = (await save(cast.owner, cast.agent, 0, monitors)).json()
        assert view["monitors"][0]["options"] == {"pin": "1234"}, "of a kind that nobody has declared"
        await cast.agent.declare(Catalogue("1.0", (), kinds=KINDS))
        view = await read(cast.owner, cast.agent)
        assert view["monitors"][0]["options"] == {"pin": "***"}
        assert (await save(cast.owner, cast.agent, 1, view["monitors"])).status == 200
        assert (await cast.agent.configuration()).monitors[0].options == {"pin": "1234"}

    async def test_a_secret_stays_one_when_the_agent_calls_it_so_no_more(self, stage: HubStage, declared: Cast) -> None:
        view = (await save(declared.owner, declared.agent, 0, MONITORS[:1])).json()
        plain = {"type": "object", "properties": {"host": {"type": "string"}, "pin": {"type": "string"}}}
        await declared.agent.declare(Catalogue("1.1", (), kinds=(MonitorKind("vault", "Vault", "", 30.0, plain),)))
        for version in (1, 2):
            reply = await save(declared.member, declared.agent, version, view["monitors"])
            assert reply.json()["monitors"] == view["monitors"]
        assert (await declared.agent.configuration()).monitors[0].options["pin"] == "hunter2-pin"
        assert "hunter2" not in str(await stage.execute("select c::text from public.configurations c"))

    async def test_a_kept_secret_does_not_follow_to_another_host(self, declared: Cast) -> None:
        assert (await save(declared.owner, declared.agent, 0)).status == 200
        elsewhere = [{"type": "vault", "options": {"host": "thief.example", "pin": "***"}}]
        refused = await save(declared.owner, declared.agent, 1, elsewhere)
        assert (refused.status, b"same host" in refused.body) == (422, True)
        entered = [{"type": "vault", "options": {"host": "new.example", "pin": "hunter2-new"}}]
        assert (await save(declared.owner, declared.agent, 1, entered)).status == 200

    async def test_kept_secrets_count_toward_the_size(self, declared: Cast) -> None:
        def monitors(name: str, password: str) -> list[dict[str, Any]]:
            return [{"type": name, "name": f"{name}{n}", "options": {"password": password}} for n in range(20)]

        assert (await save(declared.owner, declared.agent, 0, monitors("a", "x" * 8_000))).status == 200
        refused = await save(declared.owner, declared.agent, 1, monitors("a", "***") + monitors("b", "x" * 8_000))
        assert (refused.status, refused.problem.limit) == (422, limits.CONFIGURATION_BYTES)

    async def test_with_another_hub_secret_the_loss_is_said_and_can_be_mended(
        self, stage: HubStage, declared: Cast
    ) -> None:
        await save(declared.owner, declared.agent, 0)
        await save(declared.stranger, declared.other_agent, 0, [{"type": "exec"}])
        await stage.execute(
            "update public.configurations set secret_key_id = 'ffffffffffffffff' where secret is not null"
        )
        refused = await declared.agent.client.get(f"{AGENT_ROUTES}/configuration")
        assert (refused.status, refused.problem.slug) == (503, "secrets-lost")
        assert refused.headers["retry-after"] == str(LOST_RETRY_SECONDS)
        view = await read(declared.viewer, declared.agent)
        assert view["secrets_lost"] is True
        assert (await save(declared.owner, declared.agent, 1, view["monitors"])).problem.slug == "secrets-lost"
        assert (await declared.other_agent.configuration()).version == 1, "one without secrets goes on"
        assert (await save(declared.owner, declared.agent, 1)).status == 200
        assert (await read(declared.viewer, declared.agent))["secrets_lost"] is False
        assert (await declared.agent.configuration()).monitors[0].options["pin"] == "hunter2-pin"

    async def test_sealed_bytes_that_were_moved_or_bent_are_not_garbage(self, stage: HubStage, declared: Cast) -> None:
        await save(declared.owner, declared.agent, 0)
        await stage.execute("update public.configurations set secret = set_byte(secret, 20, get_byte(secret, 20) # 1)")
        refused = await declared.agent.client.get(f"{AGENT_ROUTES}/configuration")
        assert (refused.status, refused.problem.slug) == (503, "secrets-lost")


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


class TestBounds:
    @pytest.mark.parametrize(
        ("monitors", "words"),
        [
            ([{"type": ""}], "type"),
            ([{"type": "a\nb"}], "control characters"),
            ([{"type": "x" * 129}], "128"),
            ([{"type": "http"}, {"type": "http"}], "2 times"),
            ([{"type": "http", "name": "exec"}, {"type": "exec"}], "2 times"),
            ([{"type": "http", "interval": "4s"}], "from 5 s to 3600 s"),
            ([{"type": "http", "interval": "2h"}], "from 5 s to 3600 s"),
            ([{"type": "http", "interval": "soon"}], "expected a duration"),
            ([{"type": "http", "timeout": "0s"}], "timeout"),
            ([{"type": "http", "options": {"a": "\0"}}], "NUL"),
            ([{"type": "http", "options": {"a": "x" * 10_001}}], "10000"),
            ([{"type": "http", "options": deep(3)}], "dictionary"),
            ([{"type": "http", "options": {"a": deep(40)}}], "nested deeper"),
            ([{"type": "http", "options": {"a": 1 << 70}}], "64 bits"),
            ([{"type": "http", "surprise": 1}], "surprise"),
            ([{"name": "http"}], "type"),
            ([{"type": str(n)} for n in range(limits.MONITORS_PER_SERVER + 1)], "200"),
        ],
    )
    async def test_unlawful_monitors_are_refused_by_name(self, cast: Cast, monitors: Any, words: str) -> None:
        reply = await save(cast.owner, cast.agent, 0, monitors)
        assert reply.status == 422
        assert words in reply.problem.detail
        assert (await read(cast.owner, cast.agent))["version"] == 0

    @pytest.mark.parametrize(
        ("rule", "words"),
        [
            ({"name": "r"}, "either metric, check"),
            ({"name": "r", "metric": "m", "check": "c", "above": 1}, "either metric, check"),
            ({"name": "r", "metric": "m"}, "above, below or no_data"),
            ({"name": "r", "check": "c", "above": 1}, "are for metrics"),
            ({"name": "r", "check": "c", "states": []}, "at least one"),
            ({"name": "r", "check": "c", "states": ["down", "down"]}, "each once"),
            ({"name": "r", "check": "c", "states": ["up"]}, "states"),
            ({"name": "r", "check": "c", "hold": "8d"}, "hold"),
            ({"name": "r", "check": "c", "severity": "loud"}, "severity"),
            ({"name": "", "check": "c"}, "name"),
            ({"name": "r", "metric": "m", "above": 1, "labels": {"a\0": "b"}}, "label"),
        ],
    )
    async def test_unlawful_rules_are_refused(self, cast: Cast, rule: Any, words: str) -> None:
        reply = await save(cast.owner, cast.agent, 0, [], [rule])
        assert reply.status == 422
        assert words in reply.problem.detail

    async def test_numbers_that_are_none_are_refused(self, cast: Cast) -> None:
        body = b'{"version": 0, "monitors": [], "rules": [{"name": "r", "metric": "m", "above": NaN}]}'
        assert (await cast.owner.client.put(route(cast.agent), body)).status == 422
        body = b'{"version": 0, "monitors": [{"type": "x", "options": {"a": Infinity}}], "rules": []}'
        assert (await cast.owner.client.put(route(cast.agent), body)).status == 422
        body = b'{"version": 0, "monitors": [{"type": "x", "options": {"a": "\\ud800"}}], "rules": []}'
        assert (await cast.owner.client.put(route(cast.agent), body)).status == 422
        body = b'{"version": 0, "monitors": [{"type": "x", "\\ud800": 1}], "rules": []}'
        assert (await cast.owner.client.put(route(cast.agent), body)).status == 422
        body = b'{"version": 0, "rules": [], "monitors": [{"type": "x", "options": {"a": ' + b"[" * 100_000
        assert (await cast.owner.client.put(route(cast.agent), body)).status in (400, 422)

    async def test_a_configuration_has_a_largest_size(self, cast: Cast) -> None:
        texts = {f"o{number}": "x" * 9_000 for number in range(20)}
        assert (await save(cast.owner, cast.agent, 0, [{"type": "big", "options": texts}])).status == 200
        more = {f"o{number}": "x" * 9_000 for number in range(30)}
        problem = (await save(cast.owner, cast.agent, 1, [{"type": "big", "options": more}])).problem
        assert (problem.slug, problem.limit) == ("limit", limits.CONFIGURATION_BYTES)
        reply = await cast.owner.client.put(route(cast.agent), b" " * (2 * limits.CONFIGURATION_BYTES + 1))
        assert (reply.problem.slug, reply.problem.limit) == ("too-large", 2 * limits.CONFIGURATION_BYTES)


class TestKinds:
    @pytest.mark.parametrize(
        "kinds",
        [
            (MonitorKind("", "T", "", 1.0),),
            (MonitorKind("a\0", "T", "", 1.0),),
            (MonitorKind("a", "T\0", "", 1.0),),
            (MonitorKind("a", "T", "", float("inf")),),
            (MonitorKind("a", "T", "", 0.0),),
            (MonitorKind("a", "T", "", 1.0, {"a": "\0"}),),
            (MonitorKind("a", "T", "", 1.0, {"a": deep(60)}),),
            (MonitorKind("a", "T", "", 1.0, {"a": float("nan")}),),
            (MonitorKind("a", "T", "", 1.0, {"a": b"bytes"}),),
            (MonitorKind("a", "T", "", 1.0), MonitorKind("a", "T", "", 1.0)),
            tuple(MonitorKind(str(number), "T", "", 1.0) for number in range(201)),
            tuple(MonitorKind(str(number), "T", "", 1.0, {"a": "x" * 9_000}) for number in range(70)),
        ],
    )
    async def test_unlawful_kinds_are_refused(self, cast: Cast, kinds: tuple[MonitorKind, ...]) -> None:
        reply = await cast.agent.declare(Catalogue("1.0", (), kinds=kinds))
        assert reply.status == 422
        assert reply.problem.slug in ("invalid", "limit")

    async def test_the_overview_does_not_read_them(self, stage: HubStage, declared: Cast) -> None:
        ((body, kinds),) = await stage.execute(
            "select body, kinds from public.catalogues where server_id = %s", declared.agent.server_id
        )
        assert "kinds" not in body
        assert [kind["type"] for kind in kinds] == ["vault"]
