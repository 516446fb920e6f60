"""What is made of systemd's words: names, properties, rows, control groups."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from twinwatch.monitors.systemd import groups, names, wording
from twinwatch.monitors.systemd.facts import LARGEST, files_of, number, rows_of, text, unit_of
from twinwatch.monitors.systemd.past import Past
from twinwatch.monitors.systemd.signals import news
from twinwatch.testing.paper import PaperHost
from twinwatch.world.bus import Heard, MatchRule

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
PROPERTIES = st.dictionaries(
    st.sampled_from([
        "LoadState", "ActiveState", "SubState", "Result", "NRestarts", "MemoryCurrent", "TriggeredBy", "Unit",
        "TimersMonotonic", "LastTriggerUSec", "ControlGroup", "ExecMainCode", "ExecMainStatus", "StartLimitBurst",
    ]),
    ANYTHING,
)  # fmt: skip
UNIT_NAMES = st.from_regex(r"[A-Za-z0-9:_.\\@-]{1,40}\.(service|timer|mount)", fullmatch=True)


@given(st.text(max_size=60))
def test_every_name_has_a_path_and_every_path_its_name(name: str) -> None:
    path = names.path_of(name)
    assert path.isascii()
    assert path.removeprefix(names.UNITS + "/").replace("_", "").isalnum() or not name.strip("_")
    if name:
        assert names.name_of(path) == name


def test_paths_are_those_of_systemd() -> None:
    assert names.path_of("dbus.service") == "/org/freedesktop/systemd1/unit/dbus_2eservice"
    assert names.path_of("-.mount") == "/org/freedesktop/systemd1/unit/_2d_2emount"
    assert names.path_of("9p.service") == "/org/freedesktop/systemd1/unit/_39p_2eservice"
    assert names.path_of("a@b\\x2dc.service") == "/org/freedesktop/systemd1/unit/a_40b_5cx2dc_2eservice"
    assert names.name_of("/org/freedesktop/systemd1/job/7") == ""


@given(st.text())
def test_any_path_is_read(path: str) -> None:
    names.name_of(path)
    names.name_of(f"{names.UNITS}/{path}")


def test_names_as_people_write_them() -> None:
    assert [names.full(name) for name in ("nginx", "a.b", "x.timer", "app@*", "-.mount")] == [
        "nginx.service", "a.b.service", "x.timer", "app@*.service", "-.mount",
    ]  # fmt: skip
    assert names.template_of("getty@tty1.service") == "getty@.service"
    assert names.template_of("getty@.service") == ""
    assert names.template_of("nginx.service") == ""
    assert names.is_among("app-1.service", ["app-*"])
    assert not names.is_among("app.service", ["nginx"])
    assert names.is_lawful("nginx.service")
    assert not names.is_lawful("nginx")
    assert not names.is_lawful("a b.service")


@given(UNIT_NAMES, PROPERTIES, PROPERTIES)
def test_no_property_harms(name: str, common: dict[str, object], own: dict[str, object]) -> None:
    unit = unit_of(name, common, own)
    assert unit.name == name
    assert unit.active.isprintable()
    if unit.service is not None:
        assert unit.service.memory is None or 0 <= unit.service.memory < LARGEST
        assert wording.cause(unit.service.result, unit.service)


def test_unset_is_none() -> None:
    assert number({"x": (1 << 64) - 1}, "x") is None
    assert number({"x": True}, "x") is None
    assert number({"x": -1}, "x") is None
    assert number({"x": 0}, "x") == 0
    assert text({"x": "a\nb" + "c" * 500}, "x") == "ab" + "c" * 197


@given(ANYTHING)
def test_any_list_is_read(listed: object) -> None:
    assert rows_of(listed) == []
    files_of(listed)


@given(st.lists(st.lists(st.text() | st.integers(), max_size=11)))
def test_rows_that_are_none_are_left_out(listed: list[list[object]]) -> None:
    row = ["a.service", "words", "loaded", "active", "running", "", "/", 0, "", "/"]
    found = rows_of([*listed, row])
    assert [one.name for one in found if one.name == "a.service"] == ["a.service"]
    assert all(names.is_lawful(one.name) for one in found)


@given(st.sampled_from(["PropertiesChanged", "UnitNew", "UnitRemoved", "JobRemoved", "Reloading", "NameOwnerChanged"]),
       st.lists(ANYTHING, max_size=4), UNIT_NAMES)  # fmt: skip
@example("JobRemoved", [None, None, "", []], "a.service")
def test_no_signal_harms(member: str, body: list[object], name: str) -> None:
    for interface in ("org.freedesktop.systemd1.Manager", "org.freedesktop.DBus.Properties"):
        news(Heard(names.path_of(name), interface, member, body), {})


@given(st.text())
def test_any_file_of_a_control_group_is_read(content: str) -> None:
    found = groups.number_after(content, "oom_kill")
    assert found is None or found >= 0


def test_control_groups_of_both_kinds() -> None:
    host = PaperHost({
        "/sys/fs/cgroup/a.service/memory.events": "low 0\noom_kill 3\n",
        "/sys/fs/cgroup/a.service/memory.stat": "anon 5\ninactive_file 100\n",
        "/sys/fs/cgroup/memory/b.service/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
        "/sys/fs/cgroup/memory/b.service/memory.stat": "inactive_file 1\ntotal_inactive_file 40\n",
        "/sys/secret/memory.events": "oom_kill 9\n",
    })  # fmt: skip
    assert (groups.kills(host, "/a.service"), groups.kills(host, "/b.service")) == (3, 2)
    assert groups.working_set(host, "/a.service", 300) == 200
    assert groups.working_set(host, "/b.service", 30) == 0
    assert groups.working_set(host, "/c.service", 30) is None
    assert groups.kills(host, "/../../secret") is None


@given(st.lists(st.tuples(st.floats(0, 1e4), st.integers(0, 50)), max_size=40))
def test_restarts_in_a_window_are_never_more_than_systemd_counts(seen: list[tuple[float, int]]) -> None:
    past = Past()
    for at, count in seen:
        assert 0 <= past.restarted(at, count, 600.0) <= count


def test_words_for_people() -> None:
    assert wording.signal_name(9) == "SIGKILL"
    assert wording.signal_name(999) == "signal 999"
    assert wording.size(512 << 20) == "512 MiB"
    assert wording.slug("Start_Limit hit!") == "startlimithit"
    assert wording.slug("") == "failed"


def test_match_rules_judge_what_a_signal_carries() -> None:
    rule = MatchRule("type='signal',interface='i',member='m',path_namespace='/a/b'")
    assert rule.admits("/a/b", "i", "m")
    assert rule.admits("/a/b/c", "i", "m")
    assert not rule.admits("/a/bc", "i", "m")
    assert not rule.admits("/a/b", "j", "m")
    assert not rule.admits("/a", "i", "m")
