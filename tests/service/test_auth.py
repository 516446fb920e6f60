"""Signing in: by the real client, by hand, and by somebody who should not."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import time
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

import jwt
import pytest

from twinwatch.hub.auth import ACCESS_SECONDS, HASHER, REUSE_GRACE
from twinwatch.hub.keys import digest_of, new_key
from twinwatch.testing.client import Client, Reply
from twinwatch.testing.hub_stage import HubStage, Player
from twinwatch.testing.postgres import SECRET

PASSWORD = "correct horse battery staple"
DASHBOARD = Path(__file__).parents[2] / "dashboard"


@pytest.fixture
async def owner(stage: HubStage) -> Player:
    """An owner with a password."""
    player = await stage.person(await stage.organization(), "owner", "Owner@Example.com")
    await stage.execute("update auth.users set encrypted_password = %s", HASHER.hash(PASSWORD))
    return player


async def sign_in(client: Client, email: str = "owner@example.com", password: str = PASSWORD) -> Reply:
    return await client.post("/auth/v1/token?grant_type=password", {"email": email, "password": password})


async def refresh(client: Client, token: str) -> Reply:
    return await client.post("/auth/v1/token?grant_type=refresh_token", {"refresh_token": token})


def error(reply: Reply) -> tuple[int, str]:
    """Status and code, in the words of Supabase Auth."""
    body = reply.json()
    assert body.keys() == {"code", "error_code", "msg"}
    assert body["code"] == reply.status
    return reply.status, body["error_code"]


class TestSupabaseClient:
    async def test_the_dashboards_client_signs_in_refreshes_and_signs_out(self, stage: HubStage, owner: Player) -> None:
        node = shutil.which("node")
        if node is None or not (DASHBOARD / "node_modules/@supabase/auth-js").is_dir():
            pytest.skip("node or dashboard/node_modules is not there: run `make setup`")
        stage.clock.time = time.time_ns() // 1_000_000  # the client compares with its own
        async with stage.served() as url:
            process = await asyncio.create_subprocess_exec(
                *(node, str(Path(__file__).with_name("auth_js.mjs")), str(DASHBOARD / "package.json")),
                *(url, owner.email, PASSWORD),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            async with asyncio.timeout(60):
                told, complaints = await process.communicate()
        assert process.returncode == 0, complaints.decode()
        out = json.loads(told)

        assert out["wrong"]["code"] == out["unknown"]["code"] == "invalid_credentials"
        assert out["wrong"] == out["unknown"]
        assert out["signIn"]["error"] is None
        assert out["signIn"]["email"] == owner.email
        session = out["signIn"]["session"]
        assert session["token_type"] == "bearer"
        assert session["expires_in"] == ACCESS_SECONDS
        assert out["user"]["id"] == str(owner.user_id)
        assert out["user"]["role"] == "authenticated"
        assert out["refresh"]["error"] is None
        assert out["rotated"] is True
        assert out["others"] is None
        assert out["otherAfter"]["name"] in ("AuthSessionMissingError", "AuthApiError")
        assert out["otherRefresh"]["code"] == "refresh_token_not_found"
        assert out["oneAfter"] == owner.email, "signing the others out leaves this device in"
        assert out["signOut"] is None
        assert out["sessionAfter"] is None
        assert out["userAfter"] is not None


class TestSignIn:
    async def test_the_right_password_opens_the_api(self, stage: HubStage, owner: Player) -> None:
        session = (await sign_in(stage.client())).json()
        me = (await stage.client(session["access_token"]).get("/api/v1/me")).json()
        assert me["user"] == {"id": str(owner.user_id), "email": owner.email}
        assert [one["role"] for one in me["organizations"]] == ["owner"]

    async def test_a_wrong_password_and_an_unknown_address_get_the_same_answer(
        self, stage: HubStage, owner: Player
    ) -> None:
        wrong = await sign_in(stage.client(), password=PASSWORD + "!")
        unknown = await sign_in(stage.client(), email="nobody@example.com")
        assert error(wrong) == (400, "invalid_credentials")
        assert wrong.body == unknown.body

    async def test_they_take_the_same_time(self, stage: HubStage, owner: Player) -> None:
        async def seconds(email: str) -> float:
            taken = []
            for number in range(8):
                began = time.perf_counter()
                await sign_in(stage.client(ip=f"198.51.100.{number}"), email, "wrong password")
                taken.append(time.perf_counter() - began)
            return min(taken)

        known, unknown = await seconds(owner.email), await seconds("nobody@example.com")
        assert 0.4 < known / unknown < 2.5, (known, unknown)

    async def test_a_banned_or_deleted_user_is_nobody(self, stage: HubStage, owner: Player) -> None:
        session = (await sign_in(stage.client())).json()
        for change in ("banned_until = 'infinity'", "banned_until = null, deleted_at = now()"):
            await stage.execute(f"update auth.users set {change}")
            assert error(await sign_in(stage.client())) == (400, "invalid_credentials")
            assert error(await refresh(stage.client(), session["refresh_token"])) == (400, "refresh_token_not_found")

    async def test_an_old_hash_is_renewed_by_the_next_sign_in(self, stage: HubStage, owner: Player) -> None:
        from argon2 import PasswordHasher

        await stage.execute(
            "update auth.users set encrypted_password = %s",
            PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PASSWORD),
        )
        assert (await sign_in(stage.client())).status == 200
        ((kept,),) = await stage.execute("select encrypted_password from auth.users")
        assert kept.startswith("$argon2id$")
        assert not HASHER.check_needs_rehash(kept)
        assert (await sign_in(stage.client())).status == 200

    async def test_a_user_who_was_moved_here_without_a_password_cannot_sign_in(
        self, stage: HubStage, owner: Player
    ) -> None:
        for kept in ("", "*", "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"):
            await stage.execute("update auth.users set encrypted_password = %s", kept)
            assert error(await sign_in(stage.client())) == (400, "invalid_credentials")

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"[]",
            b"null",
            b"{",
            b"[" * 5_000,
            b"{}",
            b'{"email": 1, "password": "x"}',
            b'{"email": "owner@example.com"}',
            b'{"email": "", "password": ""}',
            b'{"email": "a\\u0000b", "password": "x"}',
            b'{"email": "\\ud800", "password": "x"}',
            b'{"email": "owner@example.com", "password": "\\ud800"}',
            b'{"email": "owner@example.com", "password": "\\u0000"}',
            b'{"refresh_token": "\\udfff"}',
            b'{"refresh_token": "\\u0000"}',
            b'{"email": "%s", "password": "x"}' % (b"x" * 2_000),
            b" " * 20_000,
            b"\xff\xfe",
        ],
        ids=range(18),
    )
    async def test_an_unlawful_body_is_refused_in_the_clients_words(
        self, stage: HubStage, owner: Player, body: bytes
    ) -> None:
        for grant in ("password", "refresh_token"):
            status, _ = error(await stage.client().post(f"/auth/v1/token?grant_type={grant}", body))
            assert status in (400, 413)

    async def test_an_unknown_grant_is_refused(self, stage: HubStage) -> None:
        assert error(await stage.client().post("/auth/v1/token?grant_type=id_token", {}))[0] == 400
        assert (await stage.client().post("/auth/v1/token", {})).status == 422

    @pytest.mark.parametrize("ip", ["2001:db8::1", "fe80::1%eth0", "testclient", ""])
    async def test_wherever_somebody_comes_from_they_may_sign_in(self, stage: HubStage, owner: Player, ip: str) -> None:
        assert (await sign_in(stage.client(ip=ip))).status == 200

    async def test_no_password_and_no_token_is_ever_logged(
        self, stage: HubStage, owner: Player, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        session = (await sign_in(stage.client())).json()
        await sign_in(stage.client(), password="wrong-secret-word")
        await refresh(stage.client(), session["refresh_token"])
        token = await setup_token(stage)
        choice = {"token": token, "email": "x", "password": "chosen-secret-word", "organization": "x"}
        await stage.client().post("/api/v1/setup", choice)
        await stage.client().post("/api/v1/setup", {**choice, "password": "short"})
        secrets = (PASSWORD, "wrong-secret-word", "chosen-secret-word", token, session["refresh_token"])
        logged = caplog.text + "".join(str(record.__dict__) for record in caplog.records)
        assert [secret for secret in secrets if secret in logged] == []

    async def test_a_refused_password_is_not_repeated_in_the_answer(self, stage: HubStage) -> None:
        choice = {"token": "x", "email": "x@y.zz", "password": "sesame", "organization": "x"}
        reply = await stage.client().post("/api/v1/setup", choice)
        assert reply.problem.slug == "invalid"
        assert b"sesame" not in reply.body


class TestThrottle:
    async def test_guessing_is_slowed_down_and_the_wait_is_told(self, stage: HubStage, owner: Player) -> None:
        for number in range(10):
            reply = await sign_in(stage.client(ip=f"198.51.100.{number}"), password=f"guess {number}")
            assert reply.status == 400
        reply = await sign_in(stage.client())
        assert error(reply) == (429, "rate-limited")
        assert 0 < int(reply.headers["retry-after"]) <= 31
        stage.clock.advance(int(reply.headers["retry-after"]))
        assert (await sign_in(stage.client())).status == 200

    async def test_one_address_cannot_try_many_people(self, stage: HubStage, owner: Player) -> None:
        for number in range(10):
            await sign_in(stage.client(), email=f"guess{number}@example.com")
        assert error(await sign_in(stage.client())) == (429, "rate-limited")
        assert (await sign_in(stage.client(ip="198.51.100.9"))).status == 200, "elsewhere nobody has to wait"

    async def test_who_signs_in_rightly_has_all_tries_again(self, stage: HubStage, owner: Player) -> None:
        for _ in range(4):
            for _ in range(6):
                await sign_in(stage.client(), password="wrong")
            assert (await sign_in(stage.client())).status == 200

    async def test_letters_and_spaces_do_not_make_another_address(self, stage: HubStage, owner: Player) -> None:
        for number in range(10):
            email = "".join(letter.upper() if number >> at & 1 else letter for at, letter in enumerate(owner.email))
            await sign_in(stage.client(ip=f"198.51.100.{number}"), email=email, password="wrong")
        assert (await sign_in(stage.client())).status == 429


class TestSession:
    async def test_a_refresh_token_is_exchanged_for_the_next(self, stage: HubStage, owner: Player) -> None:
        first = (await sign_in(stage.client())).json()
        second = (await refresh(stage.client(), first["refresh_token"])).json()
        third = (await refresh(stage.client(), second["refresh_token"])).json()
        tokens = {one["refresh_token"] for one in (first, second, third)}
        assert len(tokens) == 3
        assert (await stage.client(third["access_token"]).get("/auth/v1/user")).json()["email"] == owner.email

    async def test_two_tabs_may_use_a_token_twice_within_the_grace(self, stage: HubStage, owner: Player) -> None:
        first = (await sign_in(stage.client())).json()
        replies = await asyncio.gather(*(refresh(stage.client(), first["refresh_token"]) for _ in range(4)))
        assert [reply.status for reply in replies] == [200] * 4
        stage.clock.advance(REUSE_GRACE.total_seconds())
        assert (await refresh(stage.client(), first["refresh_token"])).status == 200

    async def test_a_token_used_again_later_ends_the_whole_session(self, stage: HubStage, owner: Player) -> None:
        first = (await sign_in(stage.client())).json()
        other = (await sign_in(stage.client())).json()
        second = (await refresh(stage.client(), first["refresh_token"])).json()
        stage.clock.advance(REUSE_GRACE.total_seconds() + 1)
        assert error(await refresh(stage.client(), first["refresh_token"])) == (400, "refresh_token_not_found")
        assert error(await refresh(stage.client(), second["refresh_token"])) == (400, "refresh_token_not_found")
        gone = await stage.client(second["access_token"]).get("/auth/v1/user")
        assert error(gone) == (403, "session_not_found")
        assert (await refresh(stage.client(), other["refresh_token"])).status == 200, "other sessions go on"

    async def test_tokens_are_kept_as_hashes_only(self, stage: HubStage, owner: Player) -> None:
        session = (await sign_in(stage.client())).json()
        kept = str(await stage.execute("select * from auth.refresh_tokens"))
        assert session["refresh_token"] not in kept
        assert digest_of(session["refresh_token"]).hex() in kept

    async def test_an_unknown_refresh_token_is_refused(self, stage: HubStage, owner: Player) -> None:
        session = (await sign_in(stage.client())).json()
        for token in ("x", session["access_token"][:900], digest_of(session["refresh_token"]).hex()):
            assert error(await refresh(stage.client(), token)) == (400, "refresh_token_not_found")

    @pytest.mark.parametrize(
        ("scope", "this", "other"),
        [("local", False, True), ("others", True, False), ("global", False, False), ("", False, False)],
    )
    async def test_signing_out_ends_the_sessions_that_it_names(
        self, stage: HubStage, owner: Player, scope: str, this: bool, other: bool
    ) -> None:
        stranger = await stage.person(await stage.organization(), "owner")
        sessions = [(await sign_in(stage.client())).json() for _ in range(2)]
        target = f"/auth/v1/logout?scope={scope}" if scope else "/auth/v1/logout"
        assert (await stage.client(sessions[0]["access_token"]).post(target)).status == 204
        for session, lives in zip(sessions, (this, other), strict=True):
            assert (await refresh(stage.client(), session["refresh_token"])).status == (200 if lives else 400)
            assert (await stage.client(session["access_token"]).get("/auth/v1/user")).status == (200 if lives else 403)
        assert (await stranger.client.get("/auth/v1/user")).status == 200

    async def test_an_access_token_ends_by_itself(self, stage: HubStage, owner: Player) -> None:
        session = (await sign_in(stage.client())).json()
        client = stage.client(session["access_token"])
        stage.clock.advance(ACCESS_SECONDS - 1)
        assert (await client.get("/api/v1/me")).status == 200
        stage.clock.advance(1)
        assert (await client.get("/api/v1/me")).problem.slug == "unauthorized"
        assert (await refresh(stage.client(), session["refresh_token"])).status == 200

    async def test_only_tokens_of_this_hub_are_believed(self, stage: HubStage, owner: Player) -> None:
        lawful = {
            "sub": str(owner.user_id),
            "aud": "authenticated",
            "session_id": str(uuid4()),
            "exp": stage.clock.now() // 1000 + 60,
            "email": "x",
        }

        def signed(key: str = SECRET.reveal(), algorithm: str = "HS256", **changes: Any) -> str:
            claims = {name: value for name, value in {**lawful, **changes}.items() if value is not None}
            return jwt.encode(claims, key, algorithm=algorithm)

        def bare(header: dict[str, str]) -> str:
            parts = [urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=").decode() for one in (header, lawful)]
            return ".".join([*parts, ""])

        assert (await stage.client(signed()).get("/api/v1/me")).status == 200
        head, body, signature = signed().split(".")
        forged = {
            "another key": signed("another key that is long enough for HS256"),
            "another algorithm": signed(algorithm="HS512", key=SECRET.reveal() * 2),
            "no algorithm": bare({"alg": "none", "typ": "JWT"}),
            "No algorithm": bare({"alg": "NONE"}),
            "a changed body": f"{head}.{body[:-2]}xx.{signature}",
            "no signature": f"{head}.{body}.",
            "expired": signed(exp=stage.clock.now() // 1000),
            "no end": signed(exp=None),
            "an odd end": signed(exp="soon"),
            "an endless end": signed(exp=float("inf")),
            "another audience": signed(aud="anon"),
            "no audience": signed(aud=None),
            "nobody": signed(sub=None),
            "a name": signed(sub="postgres"),
            "no session": signed(session_id=None),
            "an odd session": signed(session_id=7),
            "rubbish": "x",
            "dots": "..",
            "letters": "é.ü.ß",
            "a server's key": new_key("tws").key,
        }
        for name, token in forged.items():
            for target in ("/api/v1/me", "/api/v1/servers", "/auth/v1/user", "/api/v1/live"):
                reply = await stage.client(token).get(target)
                assert reply.status == 401, (name, target, reply)
                assert reply.problem.slug == "unauthorized"

    async def test_a_token_of_nobody_sees_nothing(self, stage: HubStage, owner: Player) -> None:
        ghost = stage.client(stage.token(uuid4(), "ghost@example.com", uuid4()))
        assert (await ghost.get("/api/v1/me")).json()["organizations"] == []
        assert (await ghost.get("/api/v1/servers")).json()["servers"] == []


async def setup_token(stage: HubStage, organization: str = "My organization") -> str:
    """A one-time link's token, as `twinwatch up` makes one."""
    fresh = new_key("twi")
    await stage.execute(
        "insert into private.setup_tokens (hash, organization_id) values (%s, %s)",
        fresh.digest,
        await stage.organization(organization, "enterprise"),
    )
    return fresh.key


class TestSetup:
    CHOICE: ClassVar = {"email": " First@Example.com ", "password": PASSWORD, "organization": " Acme "}

    async def test_the_link_makes_the_first_owner_once(self, stage: HubStage) -> None:
        token = await setup_token(stage)
        assert (await stage.client().get("/api/v1/status")).json()["needs_setup"] is True
        reply = await stage.client().post("/api/v1/setup", {"token": token, **self.CHOICE})
        assert (reply.status, reply.json()) == (201, {})
        assert (await stage.client().get("/api/v1/status")).json()["needs_setup"] is False
        session = (await sign_in(stage.client(), "first@example.com")).json()
        me = (await stage.client(session["access_token"]).get("/api/v1/me")).json()
        assert me["user"]["email"] == "First@Example.com"
        (organization,) = me["organizations"]
        assert (organization["name"], organization["role"], organization["plan"]) == ("Acme", "owner", "enterprise")
        again = await stage.client().post("/api/v1/setup", {"token": token, **self.CHOICE})
        assert (again.status, again.problem.slug) == (409, "setup-done")
        assert await stage.execute("select action, subject from public.audit_log") == [
            ("organization.setup", "First@Example.com")
        ]

    async def test_the_owner_hears_of_alerts_from_the_first_minute(self, stage: HubStage) -> None:
        await stage.client().post("/api/v1/setup", {"token": await setup_token(stage), **self.CHOICE})
        client = stage.client((await sign_in(stage.client(), "first@example.com")).json()["access_token"])
        where = f"organization_id={(await client.get('/api/v1/me')).json()['organizations'][0]['id']}"
        (channel,) = (await client.get(f"/api/v1/channels?{where}")).json()["channels"]
        assert (channel["kind"], channel["settings"]) == ("email", {"recipients": ["First@Example.com"]})
        told = (await client.get(f"/api/v1/policies?{where}")).json()["policies"]
        assert [one["severities"] for one in told] == [["critical"], ["down"], ["warning"]]
        assert (await client.post(f"/api/v1/channels/{channel['id']}/test")).json()["delivered"] is True
        assert [one.occasion for one in stage.post_office.heard("First@Example.com")] == ["test"]

    async def test_a_link_that_is_not_the_newest_opens_nothing(self, stage: HubStage) -> None:
        await setup_token(stage)
        for token in ("", "twi_x", "\0", "é" * 100):
            reply = await stage.client().post("/api/v1/setup", {"token": token, **self.CHOICE})
            assert (reply.status, reply.problem.slug) == (403, "setup-token"), token
        assert await stage.execute("select 1 from auth.users") == []

    async def test_two_who_open_the_link_at_once_make_one_owner(self, stage: HubStage) -> None:
        token = await setup_token(stage)
        replies = await asyncio.gather(
            *(
                stage.client().post("/api/v1/setup", {"token": token, **self.CHOICE, "email": f"{n}@example.com"})
                for n in range(4)
            )
        )
        assert sorted(reply.status for reply in replies)[0] == 201
        assert {reply.status for reply in replies} <= {201, 403, 409}
        assert len(await stage.execute("select 1 from public.members")) == 1
        assert len(await stage.execute("select 1 from auth.users")) == 1

    @pytest.mark.parametrize(
        "change",
        [
            {"email": "nobody"},
            {"email": "a b@example.com"},
            {"email": "a@b"},
            {"email": "a@@b.cc"},
            {"email": "a\0@example.com"},
            {"email": "x" * 250 + "@example.com"},
            {"email": ""},
            {"password": "too short"},
            {"password": "x" * 201},
            {"organization": " "},
            {"organization": "a\nb"},
            {"organization": "x" * 101},
            {"email": "\ud800@example.com"},
            {"password": "\ud800" * 12},
            {"organization": "\ud800"},
            {"email": None},
            {"password": 1234567890},
        ],
        ids=range(17),
    )
    async def test_a_choice_that_cannot_be_costs_nothing(self, stage: HubStage, change: dict[str, Any]) -> None:
        token = await setup_token(stage)
        body = json.dumps({"token": token, **self.CHOICE, **change}).encode()
        reply = await stage.client().post("/api/v1/setup", body)
        assert (reply.status, reply.problem.slug) == (422, "invalid")
        assert (await stage.client().post("/api/v1/setup", {"token": token, **self.CHOICE})).status == 201

    async def test_an_address_that_is_taken_costs_nothing(self, stage: HubStage) -> None:
        token = await setup_token(stage)
        await stage.execute("insert into auth.users (email, encrypted_password) values ('first@EXAMPLE.com', '*')")
        reply = await stage.client().post("/api/v1/setup", {"token": token, **self.CHOICE})
        assert (reply.status, reply.problem.slug) == (422, "invalid")
        other = {"token": token, **self.CHOICE, "email": "second@example.com"}
        assert (await stage.client().post("/api/v1/setup", other)).status == 201

    async def test_guessing_links_is_slowed_down(self, stage: HubStage) -> None:
        for _ in range(10):
            await stage.client().post("/api/v1/setup", {"token": "guess", **self.CHOICE})
        reply = await stage.client().post("/api/v1/setup", {"token": "guess", **self.CHOICE})
        assert reply.problem.slug == "rate-limited"
        assert int(reply.headers["retry-after"]) > 0
