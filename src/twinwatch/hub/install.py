"""How a new server gets its agent: from this hub, at this hub's version, needing nothing but Python and a registry.

The hub serves its own package as a wheel without the hub's rooms, made from what is installed here. So the command
that the dashboard shows works from a source tree, a virtual environment or a container alike, and agent and hub
never differ by accident.
Source: the binary distribution format (PEP 427) and ``RECORD`` (PEP 376).
"""

from __future__ import annotations

import base64
import hashlib
import io
import shlex
import zipfile
from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from urllib.parse import urlsplit

import twinwatch
from twinwatch.hub.views import InstallStep
from twinwatch.world.addresses import is_loopback

WHEEL = f"twinwatch-{twinwatch.__version__}-py3-none-any.whl"
LEFT_OUT = ("hub", "testing")
FOLDER = "~/.local/share/twinwatch"


def install_steps(url: str, key: str) -> list[InstallStep]:
    """Commands for a new server's terminal; the key travels in the environment, since others can list arguments."""
    plain = " --allow-plain-http" if _is_plain(url) else ""
    hub = shlex.quote(url)
    return [
        InstallStep(
            title="Install the agent",
            command=f"python3 -m venv {FOLDER} && {FOLDER}/bin/pip install {hub}/install/{WHEEL}",
        ),
        InstallStep(
            title="Start it",
            command=f"TWINWATCH_ENROLMENT_KEY={key} {FOLDER}/bin/twinwatch agent run --hub {hub}{plain}",
        ),
    ]


def install_warning(url: str) -> str | None:
    """What would keep another machine from following these steps, or make it unwise."""
    if is_loopback(urlsplit(url).hostname or ""):
        return (
            "This hub listens on this machine only. For other servers start it with --listen 0.0.0.0:8400 and "
            "--public-url set to an address that they can reach."
        )
    if _is_plain(url):
        return "This hub is reached without TLS: anyone on the way can read the key. Put it behind HTTPS."
    return None


def _is_plain(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "http" and not is_loopback(parts.hostname or "")


@cache
def agent_wheel() -> bytes:
    """The wheel's bytes: the package less the hub, and the metadata it was installed with."""
    installed = distribution("twinwatch")
    package = Path(twinwatch.__file__).parent
    files: dict[str, bytes] = {}
    for path in sorted(package.rglob("*")):
        inner = path.relative_to(package)
        if path.is_file() and inner.parts[0] not in LEFT_OUT and "__pycache__" not in inner.parts:
            files[f"twinwatch/{inner.as_posix()}"] = path.read_bytes()
    info = f"twinwatch-{twinwatch.__version__}.dist-info"
    files[f"{info}/METADATA"] = (installed.read_text("METADATA") or "").encode()
    files[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: twinwatch\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{info}/entry_points.txt"] = (installed.read_text("entry_points.txt") or "").encode()
    record = "".join(f"{name},{_digest(body)},{len(body)}\n" for name, body in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    wheel = io.BytesIO()
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in files.items():
            archive.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), body, zipfile.ZIP_DEFLATED)
    return wheel.getvalue()


def _digest(body: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=").decode()
