"""The whole product, as a stranger starts it, and a real browser before it.

``twinwatch up`` runs as a process with short intervals; Debian's Chromium is driven by Playwright. Where either the
browser or the built dashboard is missing, these tests are skipped by name and say what is missing.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, StorageState, expect, sync_playwright

from tests.e2e.cast import CATALOGUE, NGINX, SYSTEM, SYSTEMD, UNITS, Told
from tests.e2e.puppet import Puppet, ask, enrolment_key, person, session_of
from tests.e2e.receiver import Receiver, receiving
from twinwatch.hub.api.pages import dashboard_folder
from twinwatch.protocol.heartbeat import Delivery
from twinwatch.testing.ports import free_port

SHOTS = Path("test-results")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
INTERVALS = {
    "TWINWATCH_MONITOR_INTERVAL": "1s",
    "TWINWATCH_PUSH_INTERVAL": "1s",
    "TWINWATCH_HEARTBEAT_INTERVAL": "1s",
    "TWINWATCH_LATE_AFTER": "6",
    "TWINWATCH_DOWN_AFTER": "12",
    # The far end of a channel is on this machine.
    "TWINWATCH_ALLOW_PRIVATE_NETWORKS": "1",
}
SLOW_MS = 20_000
"""So long is waited for what is to be seen, as for what is to be clicked: the machine may be busy with other tests."""
expect.set_options(timeout=SLOW_MS)
EMAIL = "owner@example.org"
PASSWORD = "correct horse battery"


@dataclass
class Stack:
    """``twinwatch up``, running: where it answers and what it printed."""

    url: str
    setup_url: str
    log: Path
    environment: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The product on this machine's real figures."""
    if dashboard_folder() is None:
        pytest.skip("the dashboard is not built: make dashboard")
    folder = Path(tempfile.mkdtemp(prefix="twinwatch-e2e-"))
    folder.chmod(0o755)
    log = folder / "log"
    address = f"127.0.0.1:{free_port()}"
    command = [
        sys.executable,
        "-P",
        "-m",
        "twinwatch.cli",
        "up",
        "--data-dir",
        str(folder / "data"),
        "--listen",
        address,
    ]
    with log.open("wb") as out:
        settings = {**INTERVALS, "TWINWATCH_PUBLIC_URL": f"http://{address}"}
        running = subprocess.Popen(command, env={**os.environ, **settings}, stdout=out, stderr=out)
    try:
        link = re.compile(rb"http://\S+/setup/\?token=\S+")
        wait(lambda: link.search(log.read_bytes()) or running.poll() is not None, 60, log.read_text)
        found = link.search(log.read_bytes())
        assert found, log.read_text()
        yield Stack(f"http://{address}", found[0].decode(), log)
    finally:
        running.send_signal(signal.SIGTERM)
        try:
            code = running.wait(40)
        finally:
            running.kill()
            text = log.read_text(errors="replace")
            shutil.rmtree(folder, ignore_errors=True)
    assert code == 0, text[-3000:]


def wait(claim: Callable[[], object], within_seconds: float, why: Callable[[], str] = lambda: "") -> None:
    """Waits until the claim is true."""
    deadline = time.monotonic() + within_seconds
    while not claim():
        assert time.monotonic() < deadline, why()
        time.sleep(0.1)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for the session."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("no Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@dataclass
class Eyes:
    """Opens pages, and remembers what the browser complained about."""

    browser: Browser
    complaints: list[str] = field(default_factory=list)
    contexts: list[BrowserContext] = field(default_factory=list)

    def page(
        self, *, width: int = 1440, height: int = 900, dark: bool = False, known: StorageState | None = None
    ) -> Page:
        """A page of a browser that has never been here, or remembers what is ``known``."""
        context = self.browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            storage_state=known,
        )
        self.contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(SLOW_MS)
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url}: {error}"))
        page.on(
            "console",
            lambda message: (
                self.complaints.append(f"{page.url}: {message.text} ({message.location['url']})")
                if message.type == "error"
                else None
            ),
        )
        return page

    def shoot(self, page: Page, name: str) -> None:
        """A screenshot for people to look at."""
        SHOTS.mkdir(exist_ok=True)
        page.screenshot(path=SHOTS / f"{name}.png", full_page=True, animations="disabled")


@pytest.fixture
def eyes(browser: Browser) -> Iterator[Eyes]:
    """The browser, which must not have complained about anything by the end of the test."""
    eyes = Eyes(browser)
    yield eyes
    for context in eyes.contexts:
        with contextlib.suppress(Exception):
            context.close()
    assert not eyes.complaints, "\n".join(eyes.complaints)


def sign_in(page: Page, stack: Stack) -> None:
    """Signs the owner in and waits for the servers."""
    page.goto(f"{stack.url}/sign-in/")
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_test_id("server-row").first.wait_for()


def opened(stack: Stack, eyes: Eyes, path: str, *, width: int = 1440, dark: bool = False) -> Page:
    """A page of the owner, who has signed in before; live."""
    session = json.dumps(session_of(stack.url, EMAIL, PASSWORD))
    known = StorageState(
        origins=[{"origin": stack.url, "localStorage": [{"name": "twinwatch.session", "value": session}]}]
    )
    page = eyes.page(width=width, dark=dark, known=known)
    page.goto(stack.url + path)
    page.locator('[data-testid="live"][data-live="open"]').wait_for()
    return page


@pytest.fixture(scope="session")
def told(stack: Stack) -> Told:
    """A puppet among the servers of an owner."""
    if ask(stack.url, "GET", "/api/v1/status")["needs_setup"]:
        token = stack.setup_url.partition("token=")[2]
        owner = {"token": token, "email": EMAIL, "password": PASSWORD, "organization": "Example"}
        ask(stack.url, "POST", "/api/v1/setup", owner)
    token = person(stack.url, EMAIL, PASSWORD)
    organization = ask(stack.url, "GET", "/api/v1/me", token=token)["organizations"][0]["id"]
    puppet = Puppet(stack.url, "puppet", enrolment_key(stack.url, token))
    puppet.register()
    puppet.declare(CATALOGUE)
    return Told(puppet, token, organization)


@pytest.fixture(scope="session")
def receiver(stack: Stack, told: Told) -> Iterator[Receiver]:
    """The far end of the organization's webhook channel, whose name is Hook."""
    with receiving() as receiver:
        channel = {"name": "Hook", "kind": "webhook", "settings": {"url": receiver.url}}
        ask(stack.url, "POST", "/api/v1/channels", {**channel, "organization_id": told.organization}, token=told.token)
        yield receiver


@pytest.fixture
def puppet(told: Told) -> Puppet:
    """Alive, and all is well with it."""
    told.puppet.heartbeat(Delivery(100, 100, 0, 0, 4096, None))
    told.puppet.report(monitors=(SYSTEM, SYSTEMD), checks=(NGINX, *UNITS))
    return told.puppet


@pytest.fixture
def alive(puppet: Puppet) -> Iterator[Puppet]:
    """The same, and it gives signs of life for as long as the test takes."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(1.5):
            puppet.heartbeat()

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    yield puppet
    over.set()
    thread.join()
