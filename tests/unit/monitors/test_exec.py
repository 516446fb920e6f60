from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.monitors.conftest import checks, values
from twinwatch.monitors import Check, Finding, Moment
from twinwatch.monitors.exec import Exec
from twinwatch.monitors.options import options_of
from twinwatch.monitors.perfdata import LABELS, Performance, read
from twinwatch.testing.paper import PaperCommands, paper_world


async def run(page: str | None, *, environment: dict[str, str] | None = None) -> list[Finding]:
    options = {"commands": [{"name": "probe", "command": ["/bin/probe"], "environment": environment or {}}]}
    sources = {} if page is None else {"$ /bin/probe": page}
    world = paper_world(commands=PaperCommands(sources))
    return await Exec(options_of(Exec, options)).read(world, Moment(0, 0.0))


@pytest.mark.parametrize(
    ("code", "state"),
    [
        (0, ("up", "")),
        (1, ("degraded", "warning")),
        (2, ("down", "critical")),
        (3, ("unknown", "unknown")),
        (127, ("unknown", "failed")),
        (-9, ("unknown", "killed")),
    ],
)
async def test_an_exit_code_is_a_state(code: int, state: tuple[str, str]) -> None:
    assert checks(await run(f"exit {code}\nsaid this|a=1"))["probe"] == state


async def test_the_first_line_is_the_message_and_performance_data_are_readings() -> None:
    found = await run(
        "exit 0\nDISK OK - free | /=2643MB;5948;5958;0;5968 'inodes of \"/\"'=8%;;\nlong text\nmore|t=12ms"
    )
    assert Check("probe", "up", "DISK OK - free") in found
    told = values(found)
    assert told["exec.value.bytes", "probe", "/"] == 2643 * 1024**2
    assert told["exec.value.percent", "probe", 'inodes of "/"'] == 8
    assert told["exec.value.seconds", "probe", "t"] == 0.012


async def test_a_program_that_is_not_there_is_unknown_and_says_so() -> None:
    assert await run(None) == [Check("probe", "unknown", "/bin/probe: no such file or directory", "not-run")]


async def test_what_was_handed_to_a_program_is_not_shown() -> None:
    found = await run("exit 2\ncannot sign in with hunter22|x=1", environment={"PASSWORD": "hunter22"})
    assert Check("probe", "down", "cannot sign in with ***", "critical") in found


async def test_each_program_runs_apart_from_the_others() -> None:
    some = [{"name": "a", "command": ["/a"]}, {"name": "b", "command": ["/b"], "check_interval": "5m"}]
    parts = Exec.split(options_of(Exec, {"commands": some}))
    assert [(part.name, part.interval_seconds) for part in parts] == [("a", None), ("b", 300.0)]


def test_labels_and_units_as_the_guidelines_have_them() -> None:
    message, found = read("ok|'it''s one'=-1.5;~:10;@5:6;; time=3us size=1KB c=42c bad=U other=1,5 =5 x")
    assert message == "ok"
    assert found == [
        Performance("it's one", "value", -1.5),
        Performance("time", "seconds", 3e-6),
        Performance("size", "bytes", 1024),
        Performance("c", "counter", 42),
        Performance("other", "value", 1.5),
    ]


@given(st.text(max_size=400) | st.text(alphabet="|=';. 019MBsce%\n-", max_size=400))
def test_whatever_a_program_writes_is_lawful(output: str) -> None:
    message, found = read(output)
    assert "\n" not in message
    assert len(found) <= LABELS
    assert len({one.label for one in found}) == len(found)
    assert all(one.label and one.label.isprintable() for one in found)
