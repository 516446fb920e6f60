"""Servers that say what a test wants, bytes and pauses alike, and certificates of every kind."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, cast

import pytest

from twinwatch.monitors import Check, Finding, Moment, Monitor, Reading
from twinwatch.monitors.options import options_of
from twinwatch.testing.paper import paper_world
from twinwatch.world.clock import SystemClock
from twinwatch.world.doors import World
from twinwatch.world.net import HostNet, Net

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def net_world(net: Net | None = None) -> World:
    """A world with a real network and a real clock."""
    return paper_world(net=net or HostNet(), clock=SystemClock())


async def run(kind: type[Monitor], options: dict[str, Any], world: World | None = None) -> list[Finding]:
    """One run of a fresh monitor."""
    return await again(kind(options_of(kind, options)), world)


async def again(monitor: Monitor, world: World | None = None) -> list[Finding]:
    """One more run."""
    world = world or net_world()
    return list(await monitor.read(world, Moment(world.clock.now(), world.clock.monotonic())))


def check(findings: list[Finding]) -> Check:
    """The only check."""
    (found,) = [one for one in findings if isinstance(one, Check)]
    return found


def values(findings: list[Finding], metric: str, label: str = "") -> dict[str, float]:
    """The values of a metric by that label."""
    return {
        one.labels.get(label, ""): one.value for one in findings if isinstance(one, Reading) and one.metric == metric
    }


def page(body: bytes = b"fine", *, status: str = "200 OK", headers: tuple[str, ...] = ()) -> bytes:
    """A whole answer."""
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


class Asked:
    """What a server was asked: each request, head and body."""

    def __init__(self) -> None:
        self.requests: list[str] = []


@asynccontextmanager
async def serving(
    answer: bytes | Handler | Callable[[str], bytes],
    *,
    tls: ssl.SSLContext | None = None,
    host: str = "127.0.0.1",
    asked: Asked | None = None,
) -> AsyncIterator[int]:
    """A server on a port of its own. ``answer``: bytes, or what makes them of the request's path, or a handler."""
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            if asyncio.iscoroutinefunction(answer):
                await answer(reader, writer)
                return
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            if asked is not None:
                length = next((line[15:] for line in head.lower().splitlines() if line[:15] == "content-length:"), "0")
                asked.requests.append(head + (await reader.readexactly(int(length))).decode())
            path = head.split(" ")[1]
            said = answer if isinstance(answer, bytes) else cast("Callable[[str], bytes]", answer)(path)
            writer.write(said)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            tasks.discard(task)
            writer.close()
            with suppress(OSError, ssl.SSLError, TimeoutError):
                async with asyncio.timeout(1):
                    await writer.wait_closed()

    server = await asyncio.start_server(handle, host, 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        while tasks:
            await asyncio.wait(tasks, timeout=1)
        with suppress(TimeoutError):
            async with asyncio.timeout(2):
                await server.wait_closed()


def descriptors() -> int:
    """How many this process has open."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


class Authority:
    """Makes certificates. ``file`` is its own."""

    def __init__(self, folder: Path) -> None:
        pytest.importorskip("cryptography")
        from cryptography import x509
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import NameOID

        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
        self.file = folder / "authority.pem"
        self.file.write_bytes(_pem(self._signed(self._name, self._key, -1, 3650, (), authority=True)))

    def context(
        self,
        name: str = "localhost",
        *,
        days: float = 90,
        began: float = -1,
        self_signed: bool = False,
        asks: bool = False,
    ) -> ssl.SSLContext:
        """A server's context with a certificate for that name, valid from ``began`` to ``days`` from now."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.files(name, days=days, began=began, self_signed=self_signed))
        if asks:
            context.load_verify_locations(self.file)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def files(self, name: str, *, days: float = 90, began: float = -1, self_signed: bool = False) -> tuple[Path, Path]:
        """Files of a certificate and its key."""
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import NameOID

        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = self._signed(subject, key, began, days, (name,), self_signed=self_signed)
        certificate, secret = self._folder / f"{name}.{days}.pem", self._folder / f"{name}.{days}.key"
        certificate.write_bytes(_pem(made))
        plain = serialization.NoEncryption()
        secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
        return certificate, secret

    def _signed(
        self, subject: Any, key: Any, began: float, days: float, names: tuple[str, ...], *, authority: bool = False,
        self_signed: bool = False,
    ) -> Any:  # fmt: skip
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes

        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if self_signed else self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + datetime.timedelta(days=min(began, days - 1)))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if authority:
            usage = x509.KeyUsage(
                digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
                key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
            )  # fmt: skip
            builder = builder.add_extension(usage, critical=True)
        issuer = (key if self_signed else self._key).public_key()
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer), critical=False)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([_alt(name) for name in names]), critical=False)
        return builder.sign(key if self_signed else self._key, hashes.SHA256())


def _alt(name: str) -> Any:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: Any) -> bytes:
    from cryptography.hazmat.primitives import serialization

    encoded: bytes = certificate.public_bytes(serialization.Encoding.PEM)
    return encoded
