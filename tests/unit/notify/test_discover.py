from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from typing import ClassVar

import pytest

from twinwatch.notify import Delivered, Note, Outcome, Settings
from twinwatch.notify.discover import GROUP, discover, flaw_of, kind_named
from twinwatch.notify.slack import Slack
from twinwatch.world.doors import Outside
from twinwatch.world.plugins import Flaw


class Pigeon:
    """A lawful channel of somebody else's."""

    name: ClassVar[str] = "pigeon"
    title: ClassVar[str] = "Pigeon"
    Settings: ClassVar[type[Settings]] = Settings
    gap_seconds: ClassVar[float] = 60.0
    deadline_seconds: ClassVar[float] = 5.0
    extra: ClassVar[str] = ""
    hears_acknowledgements: ClassVar[bool] = False

    def __init__(self, settings: object) -> None: ...

    def render(self, note: Note) -> str:
        return note.id

    async def send(self, note: Note, outside: Outside) -> Outcome:
        return Delivered()

    def reaches(self) -> str:
        return "the loft"


class Impostor(Pigeon):
    name: ClassVar[str] = "slack"


class Mute(Pigeon):
    send = None  # type: ignore[assignment]


class Nameless(Pigeon):
    name: ClassVar[str] = "a b"


class Endless(Pigeon):
    deadline_seconds: ClassVar[float] = 0.0


class Hasty(Pigeon):
    gap_seconds: ClassVar[float] = -1.0


class Formless(Pigeon):
    Settings: ClassVar[type[Settings]] = dict  # type: ignore[assignment]


def plugin(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, GROUP)


def test_the_folder_is_searched() -> None:
    found = discover([])
    assert found.channels["slack"] is Slack
    assert found.channels.keys() == {"email", "slack", "sms", "webhook", "pagerduty", "apprise"}
    assert found.flaws == ()


def test_plugins_are_found_beside_the_built_in_ones() -> None:
    found = discover([plugin("pigeon", f"{__name__}:Pigeon")])
    assert found.channels.keys() == {*discover([]).channels, "pigeon"}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("no_such_module:Pigeon", "cannot be loaded: ModuleNotFoundError"),
        (f"{__name__}:plugin", "expected a class"),
        (f"{__name__}:Impostor", "the name 'slack' is taken by twinwatch.notify.slack.Slack"),
        (f"{__name__}:Mute", "expected 'async def send(self, note, outside)'"),
        (f"{__name__}:Nameless", "expected letters, digits"),
        (f"{__name__}:Endless", "deadline_seconds 0.0"),
        (f"{__name__}:Hasty", "gap_seconds -1.0"),
        (f"{__name__}:Formless", "expected a subclass of twinwatch.notify.Settings"),
        (f"{__name__}:EntryPoint", "lacks name, title, Settings"),
    ],
)
def test_a_plugin_that_is_of_no_use_is_told_and_harms_no_other(value: str, reason: str) -> None:
    found = discover([plugin("odd", value), plugin("pigeon", f"{__name__}:Pigeon")])
    (flaw,) = found.flaws
    assert flaw.source == f"entry point odd = {value}"
    assert reason in flaw.reason
    assert found.channels["pigeon"].title == "Pigeon"
    assert found.channels["slack"] is Slack


def test_every_built_in_channel_is_lawful() -> None:
    assert [flaw_of(channel) for channel in discover([]).channels.values()] == [None] * 6


def test_one_kind_is_had_without_the_others() -> None:
    program = (
        "import sys; from twinwatch.notify.discover import kind_named; print(kind_named('sms', []).title); "
        "print([name for name in ('email', 'slack', 'apprise') if f'twinwatch.notify.{name}' in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "SMS (Twilio)\n[]\n"
    assert kind_named("slack", []) is Slack
    pigeon = kind_named("pigeon", [plugin("pigeon", f"{__name__}:Pigeon")])
    assert getattr(pigeon, "title", "") == "Pigeon"


@pytest.mark.parametrize("name", ["nosuch", "wording", "apprise_child", "a b", "", "..slack", "os"])
def test_a_name_that_no_channel_has_is_told(name: str) -> None:
    flaw = kind_named(name, [plugin("odd", "no_such_module:Pigeon")])
    assert isinstance(flaw, Flaw)
    assert flaw.reason.startswith("there is no channel of this name (entry point odd")
