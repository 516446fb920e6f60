"""Sign-in for hubs without Supabase: the part of Supabase Auth's interface that its public clients use.

Invariants: passwords are kept as argon2id only; a refresh token is exchanged once, and a second use after the grace
ends the whole session, since one of its two holders is a thief; access tokens are not kept and end by themselves.
Source: the Supabase Auth REST interface (``/token``, ``/user``, ``/logout``) as ``@supabase/auth-js`` calls it.
"""

from __future__ import annotations

import asyncio
import secrets
from base64 import b64encode
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal
from uuid import UUID

import jwt
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from twinwatch.hub.db import Connection, Database
from twinwatch.hub.keys import digest_of
from twinwatch.hub.refusals import Refused, unauthorized
from twinwatch.hub.statements import Statements
from twinwatch.hub.stores.log import instant
from twinwatch.world.clock import Clock
from twinwatch.world.secret import Secret

SQL = Statements("auth")

AUDIENCE = "authenticated"
ACCESS_SECONDS = 3600
REUSE_GRACE = timedelta(seconds=10)
"""Two tabs, or a lost answer, may use a refresh token twice within this time."""

# OWASP's first choice for argon2id: 19 MiB, two passes, one lane. A sign-in costs about 20 ms and no more memory.
HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def hash_of_nothing() -> str:
    """A hash as HASHER makes them, of no password at all: made up, where a computed one costs every start 20 MB."""
    salt, digest = (b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in (16, 32))
    costs = f"m={HASHER.memory_cost},t={HASHER.time_cost},p={HASHER.parallelism}"
    return f"$argon2id$v=19${costs}${salt}${digest}"


NOBODY = hash_of_nothing()
"""Compared with when the e-mail is unknown, so that the time of an answer does not tell."""

Scope = Literal["global", "local", "others"]


@dataclass(frozen=True, slots=True)
class Person:
    """Whom an access token names, and until when, ms UTC."""

    user_id: UUID
    email: str
    session_id: UUID
    until: int


@dataclass(frozen=True, slots=True)
class Device:
    """Where somebody signs in from."""

    user_agent: str
    ip: str | None


class Auth:
    """Users, sessions and tokens of this hub."""

    def __init__(self, clock: Clock, database: Database, secret: Secret, issuer: str) -> None:
        self._clock = clock
        self._database = database
        self._secret = secret
        self._issuer = issuer

    async def sign_in(self, email: str, password: str, device: Device) -> dict[str, Any]:
        """A new session for the right password.

        Raises: Refused 400 ``invalid_credentials``, the same for an unknown e-mail and a wrong password.
        """
        now = instant(self._clock.now())
        async with self._database.as_auth() as connection:
            row = await (await connection.execute(SQL["user_by_email"], {"email": email, "now": now})).fetchone()
        known = row["encrypted_password"] if row else NOBODY
        right = await asyncio.to_thread(_matches, known, password)
        if row is None or not right or row["banned"]:
            raise Refused(400, "invalid_credentials", "Wrong e-mail or password", "Invalid login credentials")
        async with self._database.as_auth() as connection:
            if HASHER.check_needs_rehash(known):
                fresh = await asyncio.to_thread(HASHER.hash, password)
                await connection.execute(SQL["change_password_hash"], {"user": row["id"], "password": fresh})
            await connection.execute(SQL["signed_in"], {"user": row["id"], "now": now})
            who = {"user": row["id"], "agent": device.user_agent[:500], "ip": device.ip, "now": now}
            session = await (await connection.execute(SQL["add_session"], who)).fetchone()
            assert session is not None  # noqa: S101
            return await self._issue(connection, session["id"], row["id"], row["email"], parent=None)

    async def refresh(self, token: str) -> dict[str, Any]:
        """The next tokens of a session.

        Raises: Refused 400 ``refresh_token_not_found`` for one unknown, or used before; the latter ends the session.
        """
        now = instant(self._clock.now())
        digest = digest_of(token).hex()
        stolen = None
        async with self._database.as_auth() as connection:
            row = await (await connection.execute(SQL["refresh_token"], {"token": digest, "now": now})).fetchone()
            if row is not None and row["revoked"] and now - row["updated_at"] > REUSE_GRACE:
                stolen = row["session_id"]
                await connection.execute(SQL["end_session"], {"session": stolen})
            elif row is not None:
                if not row["revoked"]:
                    await connection.execute(SQL["revoke_refresh_token"], {"id": row["id"], "now": now})
                return await self._issue(connection, row["session_id"], row["user_id"], row["email"], parent=digest)
        detail = "Invalid Refresh Token: Already Used" if stolen else "Invalid Refresh Token: Refresh Token Not Found"
        raise Refused(400, "refresh_token_not_found", "Signed out", detail)

    async def user(self, person: Person) -> dict[str, Any]:
        """The signed-in user as Supabase describes them.

        Raises: Refused 403 ``session_not_found`` once the session has ended.
        """
        async with self._database.as_auth() as connection:
            cursor = await connection.execute(SQL["user_by_session"], {"session": person.session_id})
            row = await cursor.fetchone()
        if row is None:
            raise Refused(403, "session_not_found", "Signed out", "Session from session_id claim in JWT does not exist")
        return _user(row)

    async def sign_out(self, person: Person, scope: Scope) -> None:
        """Ends this session (``local``), all (``global``) or all but this one (``others``)."""
        statement = {"local": "end_session", "global": "end_sessions", "others": "end_other_sessions"}[scope]
        async with self._database.as_auth() as connection:
            await connection.execute(SQL[statement], {"session": person.session_id, "user": person.user_id})

    def person(self, token: str) -> Person:
        """Whom an access token names.

        Raises: Refused 401 if it is not ours, was changed, or has ended.
        """
        try:
            claims = jwt.decode(
                token,
                self._secret.reveal(),
                algorithms=["HS256"],
                audience=AUDIENCE,
                options={"require": ["exp", "sub", "aud"], "verify_exp": False, "verify_iat": False},
            )
            until = int(claims["exp"]) * 1000
            person = Person(UUID(claims["sub"]), str(claims.get("email", "")), UUID(str(claims["session_id"])), until)
            if until <= self._clock.now():
                raise unauthorized("The access token has ended: refresh it.")
        except (jwt.InvalidTokenError, KeyError, ValueError, OverflowError):
            raise unauthorized("The access token is not valid here: sign in again.") from None
        return person

    async def _issue(
        self, connection: Connection, session: UUID, user: UUID, email: str, *, parent: str | None
    ) -> dict[str, Any]:
        now = self._clock.now()
        refresh = secrets.token_urlsafe(32)
        await connection.execute(
            SQL["add_refresh_token"],
            {
                "session": session,
                "user": user,
                "token": digest_of(refresh).hex(),
                "parent": parent,
                "now": instant(now),
            },
        )
        row = await (await connection.execute(SQL["user_by_session"], {"session": session})).fetchone()
        assert row is not None  # noqa: S101
        expires_at = now // 1000 + ACCESS_SECONDS
        claims = {
            "iss": self._issuer,
            "sub": str(user),
            "aud": AUDIENCE,
            "role": "authenticated",
            "email": email,
            "session_id": str(session),
            "iat": now // 1000,
            "exp": expires_at,
        }
        return {
            "access_token": jwt.encode(claims, self._secret.reveal(), algorithm="HS256"),
            "token_type": "bearer",
            "expires_in": ACCESS_SECONDS,
            "expires_at": expires_at,
            "refresh_token": refresh,
            "user": _user(row),
        }


async def add_user(connection: Connection, email: str, password_hash: str, clock: Clock) -> UUID:
    """Adds a user whose e-mail counts as confirmed, in a transaction of ``as_auth``."""
    row = await (
        await connection.execute(
            SQL["add_user"], {"email": email, "password": password_hash, "now": instant(clock.now())}
        )
    ).fetchone()
    assert row is not None  # noqa: S101
    user_id: UUID = row["id"]
    return user_id


def _matches(known: str, password: str) -> bool:
    try:
        return HASHER.verify(known, password)
    except (VerificationError, InvalidHashError):
        return False


def _user(row: dict[str, Any]) -> dict[str, Any]:
    instants = ("created_at", "updated_at", "last_sign_in_at", "email_confirmed_at")
    user = {name: row[name].isoformat() if row[name] else None for name in instants}
    return {
        **user,
        "id": str(row["id"]),
        "aud": row["aud"],
        "role": row["role"],
        "email": row["email"],
        "app_metadata": row["app_metadata"],
        "user_metadata": row["user_metadata"],
        "identities": [],
    }
