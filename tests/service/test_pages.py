"""The dashboard's files and the agent's wheel, as a browser and pip get them."""

from __future__ import annotations

import asyncio
import base64
import csv
import hashlib
import io
import os
import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import aiohttp
import pytest

import twinwatch
from twinwatch.hub.api.pages import Pages, dashboard_folder
from twinwatch.hub.install import WHEEL, install_steps, install_warning
from twinwatch.hub.main import application
from twinwatch.testing.client import Client
from twinwatch.testing.hub_stage import HubStage

SCRIPT = re.compile(r"<script([^>]*)>(.*?)</script>", re.DOTALL)


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """An export like Next.js makes it, and a secret beside it."""
    folder = tmp_path / "export"
    pages = {
        "index.html": "<script>one()</script><script src='/_next/static/a.js'></script><p>home",
        "add/index.html": "<script id=x>two()\n</script>add",
        "404.html": "<script>lost()</script>lost",
        "_next/static/a.js": "a()",
        "icon.svg": "<svg/>",
    }
    for name, text in pages.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (tmp_path / "secret").write_text("hunter2")
    (tmp_path / "export-too").mkdir()
    (tmp_path / "export-too/secret").write_text("hunter2")
    return folder


@pytest.fixture
def browser(export: Path) -> Client:
    app = application(None)
    app.router.default = Pages(export)
    return Client(app)


def allowed(policy: str) -> set[str]:
    """The hashes of inline scripts that a policy lets run."""
    (scripts,) = [part for part in policy.split("; ") if part.startswith("script-src ")]
    assert "'unsafe-inline'" not in scripts
    assert "'unsafe-eval'" not in scripts
    return set(re.findall(r"'sha256-([^']+)'", scripts))


def hashes(html: str) -> set[str]:
    return {
        base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        for attributes, body in SCRIPT.findall(html)
        if " src=" not in attributes
    }


async def test_each_page_may_run_its_own_inline_scripts_and_no_other(browser: Client) -> None:
    for target, status in (("/", 200), ("/add/", 200), ("/add/?id=1", 200), ("/nothing", 404), ("/nothing/", 404)):
        reply = await browser.get(target)
        assert reply.status == status
        expected = hashes(reply.body.decode())
        assert len(expected) == 1
        assert allowed(reply.headers["content-security-policy"]) == expected, target


async def test_every_file_comes_with_the_headers_that_protect_it(browser: Client) -> None:
    for target in ("/", "/add/", "/icon.svg", "/_next/static/a.js", "/nothing"):
        headers = (await browser.get(target)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert "camera=()" in headers["permissions-policy"]
    policy = (await browser.get("/")).headers["content-security-policy"]
    for part in ("default-src 'self'", "object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"):
        assert part in policy


async def test_what_never_changes_is_kept_and_all_else_is_asked_for_again(browser: Client) -> None:
    kept = (await browser.get("/_next/static/a.js")).headers
    assert kept["cache-control"] == "public, max-age=31536000, immutable"
    for target in ("/", "/add/", "/icon.svg", "/nothing", "/_next/static/gone.js"):
        assert (await browser.get(target)).headers["cache-control"] == "no-cache", target
    first = await browser.get("/")
    again = await browser.request("GET", "/", headers={"if-none-match": first.headers["etag"]})
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize(
    "target",
    [
        "/../secret",
        "/..%2fsecret",
        "/%2e%2e/secret",
        "/add/../../secret",
        "/add/..%2f..%2fsecret",
        "/../export-too/secret",
        "//../secret",
        "/..\\secret",
        "/%2Fetc/passwd",
        "//etc/passwd",
        "/%00",
        "/add/%00/../../secret",
        "/" + "x" * 5_000,
        "/" + "x/" * 3_000,
    ],
)
async def test_nothing_outside_the_export_is_served(browser: Client, target: str) -> None:
    reply = await browser.get(target)
    assert reply.status == 404
    assert b"hunter2" not in reply.body
    assert b"root:" not in reply.body


async def test_a_link_out_of_the_export_is_not_followed(export: Path, browser: Client) -> None:
    (export / "way-out").symlink_to(export.parent / "secret")
    assert (await browser.get("/way-out")).status == 404


async def test_strange_addresses_of_a_page_are_remembered_once(browser: Client) -> None:
    """Else anybody could fill the memory with them."""
    from twinwatch.hub.api import pages

    await browser.get("/add/")
    before = pages._policy.cache_info().currsize
    for number in range(20):
        reply = await browser.get(f"/x{number}/../add/")
        assert reply.status == 200
        assert len(allowed(reply.headers["content-security-policy"])) == 1
    assert pages._policy.cache_info().currsize == before


async def test_a_hub_whose_dashboard_was_not_built_says_so() -> None:
    reply = await Client(Pages(None)).get("/")
    assert reply.status == 503
    assert b"make dashboard" in reply.body


async def test_the_built_dashboard_runs_under_its_policy(stage: HubStage) -> None:
    folder = dashboard_folder()
    if folder is None:
        pytest.skip("the dashboard is not built: run `make dashboard`")
    for page in folder.rglob("index.html"):
        target = f"/{page.parent.relative_to(folder).as_posix()}/".replace("/./", "/")
        reply = await stage.client().get(target)
        assert reply.status == 200, target
        html = reply.body.decode()
        assert hashes(html) == allowed(reply.headers["content-security-policy"])
        assert not re.search(r"\son[a-z]+=", re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL))
        sources = re.findall(r'(?:src|href)="([^"#]+)"', html)
        outside = [source for source in sources if not source.startswith("/") or source.startswith("//")]
        assert outside == [], "everything comes from the hub itself"
        for source in sources:
            assert (await stage.client().get(source)).status == 200, source


class TestWheel:
    async def test_the_wheel_is_whole_and_holds_nothing_of_the_hub(self, stage: HubStage) -> None:
        reply = await stage.client().get(f"/install/{WHEEL}")
        assert reply.status == 200
        with zipfile.ZipFile(io.BytesIO(reply.body)) as archive:
            assert archive.testzip() is None
            names = archive.namelist()
            (record,) = [name for name in names if name.endswith(".dist-info/RECORD")]
            listed = {row[0]: row[1:] for row in csv.reader(archive.read(record).decode().splitlines())}
            assert set(listed) == set(names)
            for name in names:
                if name == record:
                    assert listed[name] == ["", ""]
                    continue
                body = archive.read(name)
                digest = base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=").decode()
                assert listed[name] == [f"sha256={digest}", str(len(body))]
            assert [name for name in names if "/hub/" in name or "/testing/" in name or "__pycache__" in name] == []
            assert "twinwatch/agent/buffer.sql" in names
            metadata = archive.read(record.replace("RECORD", "METADATA")).decode()
        assert f"\nVersion: {twinwatch.__version__}\n" in metadata

    async def test_the_same_hub_gives_the_same_bytes(self, stage: HubStage) -> None:
        first, second = [await stage.client().get(f"/install/{WHEEL}") for _ in range(2)]
        assert first.body == second.body
        assert (await stage.client().get("/install/twinwatch-0-py3-none-any.whl")).problem.slug == "not-found"

    async def test_pip_installs_it_and_the_agent_in_it_runs(self, stage: HubStage, tmp_path: Path) -> None:
        async with (
            stage.served() as url,
            aiohttp.ClientSession() as session,
            session.get(f"{url}/install/{WHEEL}") as answer,
        ):
            (tmp_path / WHEEL).write_bytes(await answer.read())
        target = tmp_path / "site"

        def run(*arguments: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [sys.executable, *arguments],
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
                env={**os.environ, "PYTHONPATH": str(target), "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
                cwd=tmp_path,
            )

        options = ("--no-deps", "--no-index", "--no-compile", "--target", str(target))
        installed = await asyncio.to_thread(run, "-m", "pip", "install", *options, str(tmp_path / WHEEL))
        assert installed.returncode == 0, installed.stderr
        told = await asyncio.to_thread(run, "-c", "import twinwatch.agent.main; print(twinwatch.__file__)")
        assert told.stdout.startswith(str(target)), told
        version = await asyncio.to_thread(run, "-m", "twinwatch.cli", "--version")
        assert version.stdout.strip() == f"twinwatch {twinwatch.__version__}"
        without = await asyncio.to_thread(run, "-m", "twinwatch.cli", "up")
        assert without.returncode == 2
        assert "twinwatch[hub,embedded]" in without.stderr


@pytest.mark.parametrize(
    ("url", "warns"),
    [
        ("http://127.0.0.1:8400", "this machine only"),
        ("http://localhost:8400", "this machine only"),
        ("http://[::1]:8400", "this machine only"),
        ("http://hub.example", "without TLS"),
        ("http://192.168.1.5:8400", "without TLS"),
        ("https://hub.example", None),
    ],
)
def test_the_commands_fit_the_address(url: str, warns: str | None) -> None:
    warning = install_warning(url)
    assert (warning is None) if warns is None else (warning is not None and warns in warning)
    install, start = install_steps(url, "twe_key")
    assert shlex.split(install.command)[-1] == f"{url}/install/{WHEEL}"
    assert "twe_key" not in install.command
    assert start.command.startswith("TWINWATCH_ENROLMENT_KEY=twe_key ")
    assert ("--allow-plain-http" in start.command) == (warns == "without TLS")


def test_an_address_cannot_break_out_of_its_command() -> None:
    for step in install_steps("https://hub.example/$(reboot);`id`' x", "twe_key"):
        assert "'https://hub.example/$(reboot);`id`'\"'\"' x" in step.command
