"""A person at the public API: sets the hub up, signs in, asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import aiohttp

from bench.rig import Failed

EMAIL = "owner@localhost"
PASSWORD = "a passphrase of the bench"
SECONDS = 30.0


class Person:
    """The first owner of the hub at ``url``."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(SECONDS))
        self.organization_id = ""

    async def set_up(self, token: str) -> None:
        """Chooses e-mail and password with the one-time link, and signs in with them."""
        owner = {"email": EMAIL, "password": PASSWORD}
        await self.ask("POST", "/api/v1/setup", json={"token": token, "organization": "Bench", **owner})
        signed_in = await self.ask("POST", "/auth/v1/token?grant_type=password", json=owner)
        self._session.headers["Authorization"] = f"Bearer {signed_in['access_token']}"
        self.organization_id = (await self.ask("GET", "/api/v1/me"))["organizations"][0]["id"]

    async def enrolment_key(self) -> str:
        """A new key that lets servers join."""
        wanted = {"organization_id": self.organization_id, "name": "bench"}
        key: str = (await self.ask("POST", "/api/v1/enrolment-keys", json=wanted))["key"]
        return key

    async def points(self, server_id: str, metrics: Sequence[str], since: int, to: int, most: int) -> Any:
        """The answer to a range query, times in ms UTC."""
        asked = [("metric", name) for name in metrics]
        asked += [("since", str(since)), ("to", str(to)), ("points", str(most))]
        return await self.ask("GET", f"/api/v1/servers/{server_id}/range", params=asked)

    async def ask(self, method: str, path: str, **more: Any) -> Any:
        """The JSON that a request is answered with.

        Raises: Failed for a refusal.
        """
        async with self._session.request(method, self._url + path, **more) as answer:
            if answer.status >= 300:
                raise Failed(f"{method} {path}: {answer.status} {(await answer.text())[:500]}")
            return await answer.json()

    async def forget(self, path: str) -> None:
        """Deletes what is there.

        Raises: Failed for a refusal.
        """
        async with self._session.delete(self._url + path) as answer:
            if answer.status >= 300:
                raise Failed(f"DELETE {path}: {answer.status} {(await answer.text())[:500]}")

    async def close(self) -> None:
        """Closes the connections."""
        await self._session.close()
