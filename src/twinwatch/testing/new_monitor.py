"""A monitor to start from, that works, with a capture and its test.

``make new-monitor NAME``, or ``python -m twinwatch.testing.new_monitor NAME [--package FOLDER]``.

Without ``--package`` it goes into this source tree; with it, into a Python package of its own whose entry point makes
every agent that it is installed beside find it.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from string import Template

from twinwatch import __version__
from twinwatch.monitors.discover import GROUP

NAME = re.compile(r"[a-z][a-z0-9_]{1,39}")
SOURCE = "/proc/sys/kernel/random/entropy_avail"

MONITOR = Template('''"""The $name monitor: what it watches, in one sentence."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from twinwatch.monitors import Absent, Check, Finding, Moment, Options, Reading, Unreadable
from twinwatch.protocol.metrics import Chart, Headline, Metric
from twinwatch.world.doors import World
from twinwatch.world.host import Missing, Refused


class ${kind}Options(Options, frozen=True, kw_only=True):
    """What a person may set. Descriptions become the labels of forms."""

    path: Annotated[str, Meta(pattern="^/", title="File", description="The file that holds the number.")] = (
        "$source"
    )
    least: Annotated[int, Meta(ge=0, title="Least", description="Below this the check is down.")] = 1


class $kind:
    """Watches a number in a file. Replace this with what it watches; the first sentence is shown to people.

    Source: where the figures come from, with a link.
    Cost: one read.
    Rights: none.
    """

    name: ClassVar[str] = "$name"
    title: ClassVar[str] = "$title"
    Options: ClassVar[type[Options]] = ${kind}Options
    interval_seconds: ClassVar[float] = 30.0
    deadline_seconds: ClassVar[float] = 10.0
    metrics: ClassVar[tuple[Metric, ...]] = (Metric("$name.level", "{item}", "What it counts.", good="high"),)
    charts: ClassVar[tuple[Chart, ...]] = (Chart("$title level", ("$name.level",)),)
    headlines: ClassVar[tuple[Headline, ...]] = ()

    def __init__(self, options: ${kind}Options) -> None:
        self._options = options

    async def read(self, world: World, moment: Moment) -> list[Finding]:
        """One run."""
        path = self._options.path
        try:
            text = world.host.read_text(path).strip()
        except Missing as err:
            raise Absent(f"{path} is not there") from err
        except Refused as err:
            raise Unreadable(str(err)) from err
        if not (text.isascii() and text.isdigit() and len(text) <= 15):
            raise Unreadable(f"{path}: {text[:40]!r}: expected a number")
        level = int(text)
        return [Reading("$name.level", level), self._check(level)]

    def _check(self, level: int) -> Check:
        if level >= self._options.least:
            return Check("level", "up")
        message = f"The level is {level}, expected at least {self._options.least}"
        return Check("level", "down", message, "too-low")
''')

TEST = Template("""from __future__ import annotations

from $module import $kind
from twinwatch.monitors import Check, Moment, Reading
from twinwatch.monitors.options import options_of
from twinwatch.testing.paper import PaperHost, paper_world


async def test_the_number_is_read_and_judged() -> None:
    monitor = $kind(options_of($kind, {"path": "/number", "least": 5}))
    world = paper_world(PaperHost({"/number": "3\\n"}))
    assert await monitor.read(world, Moment(0, 0.0)) == [
        Reading("$name.level", 3),
        Check("level", "down", "The level is 3, expected at least 5", "too-low"),
    ]
""")

CONTRACT = Template('''"""What every monitor owes, tried on the captures beside this file."""

from pathlib import Path

from $module import $kind
from twinwatch.testing.cases import cases_in
from twinwatch.testing.contract import MonitorContract


class Test$kind(MonitorContract):
    cases = cases_in(Path(__file__).parent / "captures", {"$name": $kind})
''')

PROJECT = Template("""[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "$distribution"
version = "0.1.0"
description = "A monitor for Twinwatch"
requires-python = ">=3.11"
dependencies = ["twinwatch>=$version"]

[project.optional-dependencies]
dev = ["twinwatch[testing]"]

[project.entry-points."$group"]
$name = "$module:$kind"

[tool.hatch.build.targets.wheel]
packages = ["src/$module"]

[tool.pytest.ini_options]
testpaths = ["tests"]
asyncio_mode = "auto"
asyncio_default_fixture_loop_scope = "function"
""")

CONFTEST = '''"""Failures inside the contract are explained as those of the tests themselves are."""

import pytest

pytest.register_assert_rewrite("twinwatch.testing.contract")
'''

README = Template("""# $distribution

A monitor for Twinwatch. `pip install .` beside the agent (into the same environment), then in its configuration:

```yaml
monitors:
  - type: $name
```

Tests: `pip install -e '.[dev]'`, then `pytest`.
""")


def files_of(name: str) -> dict[str, str]:
    """The files of a monitor within this source tree, by path."""
    words = words_of(name, f"twinwatch.monitors.{name}")
    capture = capture_of(f"tests/captures/{name}-example", name)
    return {
        f"src/twinwatch/monitors/{name}.py": MONITOR.substitute(words),
        f"tests/unit/monitors/test_{name}.py": TEST.substitute(words),
        **capture,
    }


def package_of(name: str) -> dict[str, str]:
    """The files of a package of its own, by path."""
    module = f"twinwatch_{name}"
    words = words_of(name, module)
    return {
        "pyproject.toml": PROJECT.substitute(words),
        "README.md": README.substitute(words),
        f"src/{module}/__init__.py": MONITOR.substitute(words),
        f"src/{module}/py.typed": "",
        "tests/conftest.py": CONFTEST,
        f"tests/test_{name}.py": TEST.substitute(words),
        "tests/test_contract.py": CONTRACT.substitute(words),
        **capture_of("tests/captures/example", name),
    }


def words_of(name: str, module: str) -> dict[str, str]:
    """What the templates are filled with."""
    return {
        "name": name,
        "kind": "".join(word.capitalize() for word in name.split("_")),
        "title": name.replace("_", " ").capitalize(),
        "module": module,
        "distribution": f"twinwatch-{name.replace('_', '-')}",
        "source": SOURCE,
        "version": __version__,
        "group": GROUP,
    }


def capture_of(folder: str, name: str) -> dict[str, str]:
    """Two moments of the machine that the monitor watches."""
    about = json.dumps({"seconds": 30.0, "monitor": name, "options": {}})
    return {
        f"{folder}/capture.json": about + "\n",
        f"{folder}/first{SOURCE}": "256\n",
        f"{folder}/second{SOURCE}": "240\n",
    }


def write(files: dict[str, str], folder: Path) -> None:
    """Writes the files below the folder; none if one of them is there already.

    Raises: FileExistsError.
    """
    for path in files:
        if (folder / path).exists():
            raise FileExistsError(f"{folder / path} is there already: choose another name")
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m twinwatch.testing.new_monitor", description=__doc__)
    parser.add_argument("name", help="such as tea or coffee_machine; it is the type in the configuration file")
    parser.add_argument("--package", type=Path, metavar="FOLDER", help="make a package of its own there")
    chosen = parser.parse_args(arguments)
    if not NAME.fullmatch(chosen.name):
        parser.error(f"name {chosen.name!r}: expected 2 to 40 lower-case letters, digits and _, a letter first")
    files = package_of(chosen.name) if chosen.package else files_of(chosen.name)
    folder = chosen.package or Path.cwd()
    try:
        write(files, folder)
    except OSError as err:
        sys.stderr.write(f"{err}\n")
        return 1
    for path in files:
        sys.stdout.write(f"{folder / path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
