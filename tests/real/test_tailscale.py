"""The tailscale monitor before the real tailscaled, in a tailnet of a real headscale."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.real.conftest import Read, Until
from tests.real.programs import Running, program, said
from tests.unit.monitors.conftest import checks, values
from twinwatch.monitors.options import options_of
from twinwatch.monitors.tailscale import Tailscale
from twinwatch.testing.ports import free_port

CERTIFICATE = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost "
    "-addext subjectAltName=DNS:localhost,IP:127.0.0.1"
)


class Control:
    """A headscale with a relay of its own, on this machine alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"https://localhost:{self.port}"
        self.certificate = folder / "certificate.pem"
        key = folder / "key.pem"
        subprocess.run(
            [*CERTIFICATE.split(), "-keyout", str(key), "-out", str(self.certificate)], check=True, capture_output=True
        )
        self._config = folder / "config.json"
        self._config.write_text(
            json.dumps(
                {
                    "server_url": self.url,
                    "listen_addr": f"127.0.0.1:{self.port}",
                    "metrics_listen_addr": "127.0.0.1:0",
                    "grpc_listen_addr": "127.0.0.1:0",
                    "tls_cert_path": str(self.certificate),
                    "tls_key_path": str(key),
                    "noise": {"private_key_path": str(folder / "noise.key")},
                    "prefixes": {"v4": "100.64.0.0/10", "v6": "fd7a:115c:a1e0::/48"},
                    "derp": {
                        "server": {
                            "enabled": True,
                            "region_id": 999,
                            "region_code": "here",
                            "region_name": "Here",
                            "stun_listen_addr": f"127.0.0.1:{free_port()}",
                            "private_key_path": str(folder / "derp.key"),
                            "automatically_add_embedded_derp_region": True,
                            "ipv4": "127.0.0.1",
                        },
                        "urls": [],
                        "auto_update_enabled": False,
                    },
                    "disable_check_updates": True,
                    "database": {"type": "sqlite", "sqlite": {"path": str(folder / "db.sqlite")}},
                    "dns": {"magic_dns": True, "base_domain": "tail.example", "override_local_dns": False},
                    "unix_socket": str(folder / "headscale.sock"),
                    "policy": {"mode": "database"},
                }
            )
        )
        self.start()
        self.run("users", "create", "ops")
        made = json.loads(self.run("preauthkeys", "create", "--user", "1", "--reusable", "-o", "json"))
        self.key = str(made["key"])

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        self.process = Running([program("headscale"), "-c", str(self._config), "serve"], self.folder / "headscale.log")
        context = ssl.create_default_context(cafile=str(self.certificate))

        def is_there() -> bool:
            with urllib.request.urlopen(f"{self.url}/health", context=context, timeout=5) as answer:
                return bool(answer.status == 200)

        self.process.wait_until(is_there)

    def run(self, *arguments: str) -> str:
        """A command of its own program."""
        return said([program("headscale"), "-c", str(self._config), *arguments])


class Node:
    """A tailscaled of this tailnet, in user space, with a socket of its own."""

    def __init__(self, control: Control, name: str) -> None:
        self._control = control
        self.name = name
        self.folder = control.folder / name
        self.folder.mkdir()
        self.socket = self.folder / "tailscaled.sock"
        self.start()

    def start(self) -> None:
        """Starts it, and waits until it listens."""
        self.process = Running(
            [
                program("tailscaled"),
                "--tun=userspace-networking",
                f"--statedir={self.folder}",
                f"--socket={self.socket}",
                "--port=0",
                "--no-logs-no-support",
            ],
            self.folder / "log",
            SSL_CERT_FILE=str(self._control.certificate),
        )
        self.process.wait_until(self.socket.exists)

    def run(self, *arguments: str) -> str:
        """A command of the program ``tailscale``."""
        return said([program("tailscale"), f"--socket={self.socket}", *arguments])

    def log_in(self, *more: str) -> None:
        """Joins the tailnet."""
        self.run(
            "up",
            "--reset",
            f"--login-server={self._control.url}",
            f"--auth-key={self._control.key}",
            f"--hostname={self.name}",
            *more,
        )

    @property
    def number(self) -> str:
        """What headscale calls it."""
        nodes = json.loads(self._control.run("nodes", "list", "-o", "json"))
        return str(max(node["id"] for node in nodes if node["given_name"] == self.name))

    def monitor(self, **options: Any) -> Tailscale:
        """A monitor that asks its socket, and has no program."""
        given = {"socket": str(self.socket), "command": "no-tailscale-here", **options}
        return Tailscale(options_of(Tailscale, given))


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Control]:
    for name in ("headscale", "tailscaled", "tailscale"):
        program(name)
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make a certificate")
    control = Control(tmp_path_factory.mktemp("tailnet"))
    yield control
    control.process.end()


@pytest.fixture(scope="module")
def web(control: Control) -> Iterator[Node]:
    node = Node(control, "web-1")
    yield node
    node.process.end()


@pytest.fixture(scope="module")
def db(control: Control) -> Iterator[Node]:
    node = Node(control, "db-1")
    node.log_in()
    yield node
    node.process.end()


def later(**time_left: float) -> str:
    return (datetime.now(UTC) + timedelta(**time_left)).strftime("%Y-%m-%dT%H:%M:%SZ")


async def test_a_server_logs_in(web: Node, read: Read, until: Until) -> None:
    monitor = web.monitor()
    assert checks(await read(monitor))["connection"] == ("down", "needs-login")
    web.log_in()
    found = await until(monitor, dict.fromkeys(("connection", "control", "health"), ("up", "")))
    assert values(found)[("tailscale.connected",)] == 1
    assert "key" not in checks(found), "headscale's keys do not expire by themselves"


async def test_a_peer_is_reached_lost_and_back(web: Node, db: Node, read: Read, until: Until) -> None:
    monitor = web.monitor(peers=["db-*"], direct=["db-*"])
    await until(monitor, {"peer:db-1": ("up", "")})
    web.run("ping", "--c=10", "--until-direct", "db-1")
    found = await read(monitor)
    told = values(found)
    assert told["tailscale.peer.online", "db-1"] == told["tailscale.peer.direct", "db-1"] == 1
    assert 0 < told["tailscale.peer.latency", "db-1"] < 2
    db.process.end()
    await until(monitor, {"peer:db-1": ("down", "offline")})
    db.start()
    await until(monitor, {"peer:db-1": ("up", "")})


async def test_a_route_waits_for_approval(control: Control, web: Node, until: Until) -> None:
    route = "10.7.0.0/24"
    web.run("set", f"--advertise-routes={route}")
    try:
        monitor = web.monitor()
        found = await until(monitor, {"routes": ("degraded", "not-approved")})
        assert values(found)[("tailscale.routes.approved",)] == 0
        control.process.wait_until(lambda: route in control.run("nodes", "list-routes", "-o", "json"))
        control.run("nodes", "approve-routes", "-i", web.number, "-r", route)
        # headscale 0.29 tells the others at once, and the node itself only with its next whole map.
        web.process.end()
        web.start()
        await until(monitor, {"routes": ("up", "")})
    finally:
        web.run("set", "--advertise-routes=")


async def test_the_program_says_the_same_as_the_socket(web: Node, db: Node, tmp_path: Path, read: Read) -> None:
    wrapper = tmp_path / "tailscale"
    wrapper.write_text(f'#!/bin/sh\nexec {program("tailscale")} --socket={web.socket} "$@"\n')
    wrapper.chmod(0o755)
    told = checks(await read(web.monitor(peers=["db-1"])))
    by_program = web.monitor(peers=["db-1"], socket=str(tmp_path / "nowhere.sock"), command=str(wrapper))
    assert checks(await read(by_program)) == {name: told[name] for name in told if name != "routes"}


async def test_the_control_server_is_lost_and_back(control: Control, web: Node, until: Until) -> None:
    monitor = web.monitor()
    control.process.end()
    await until(monitor, {"control": ("down", "no-control"), "connection": ("up", "")})
    control.start()
    await until(monitor, {"control": ("up", ""), "connection": ("up", "")})


async def test_a_key_nears_its_end_and_ends(control: Control, web: Node, until: Until) -> None:
    monitor = web.monitor()
    control.run("nodes", "expire", "-i", web.number, "-e", later(days=30), "--force")
    await until(monitor, {"key": ("up", "")})
    control.run("nodes", "expire", "-i", web.number, "-e", later(days=2), "--force")
    found = await until(monitor, {"key": ("degraded", "expires-soon")})
    assert 1.9 * 86_400 < values(found)[("tailscale.key.expires_in",)] < 2 * 86_400
    control.run("nodes", "expire", "-i", web.number, "--force")
    await until(monitor, {"key": ("down", "expired"), "connection": ("down", "key-expired")})
    web.log_in("--force-reauth")
    await until(monitor, {"connection": ("up", "")})


async def test_a_daemon_that_stops_is_told(web: Node, read: Read, until: Until) -> None:
    monitor = web.monitor()
    await until(monitor, {"connection": ("up", "")})
    web.process.end()
    found = checks(await read(monitor))
    assert found["connection"] == ("down", "not-running")
    assert found["health"] == ("unknown", "not-connected")
    web.start()
    await until(monitor, {"connection": ("up", "")})
