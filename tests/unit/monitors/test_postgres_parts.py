from __future__ import annotations

from typing import Any

import pytest

from tests.unit.monitors.conftest import checks, values
from tests.unit.monitors.postgres_on_paper import SERVER, Watched, sources
from twinwatch.monitors import Check, Finding
from twinwatch.monitors.postgres.backup import ends_in

TABLE = {
    "name": "public.goods",
    "total": 45.0,
    "heap_bytes": 8e8,
    "toast_bytes": 1e6,
    "index_bytes": 2e8,
    "live": 1_000_000.0,
    "dead": 250_000.0,
    "vacuum_at": 200_050.0,
    "vacuumed_seconds": 3600.0,
    "sequential_scans": 10.0,
    "blocks_fetched": 0.0,
    "blocks_hit": 0.0,
}
STATEMENT = {
    "id": "-42",
    "database": "mydb",
    "total": 900.0,
    "calls": 1000.0,
    "milliseconds": 50_000.0,
    "rows": 5000.0,
    "blocks_hit": 1e6,
    "blocks_read": 10.0,
    "temporary_blocks": 0.0,
    "all_calls": 2000.0,
    "all_milliseconds": 60_000.0,
}


def message(found: list[Finding], check: str) -> str:
    return next(one.message for one in found if isinstance(one, Check) and one.name == check)


async def test_the_largest_tables_tell_their_rows_and_how_many_are_left_out() -> None:
    watched = Watched(sources(tables=[TABLE]), top=1)
    await watched.at(0)
    assert "limit 1\n" in watched.door.statements["tables"]
    later = {**TABLE, "sequential_scans": 310.0, "blocks_fetched": 1000.0, "blocks_hit": 900.0}
    found = await watched.at(300, tables=[later])
    told = values(found)
    assert told["postgresql.table.size", "public.goods", "heap"] == 8e8
    assert told["postgresql.table.dead_ratio", "public.goods"] == 0.2
    assert told["postgresql.table.scans", "public.goods", "sequential"] == 1
    assert told["postgresql.table.hit_ratio", "public.goods"] == 0.9
    assert told["postgresql.left_out", "tables"] == 44
    assert checks(found)["vacuum"] == ("up", "")


@pytest.mark.parametrize(
    ("dead", "vacuumed", "state"),
    [(700_000, 90_000, "degraded"), (700_000, None, "degraded"), (700_000, 3600, "up"), (500_000, 900_000, "up")],
)
async def test_vacuum_is_behind_when_dead_rows_pile_up_and_none_has_ended_for_a_day(
    dead: float, vacuumed: float | None, state: str
) -> None:
    found = await Watched(sources(tables=[{**TABLE, "dead": dead, "vacuumed_seconds": vacuumed}])).at(0)
    assert checks(found)["vacuum"][0] == state
    if state == "degraded":
        assert "public.goods (700000 dead rows" in message(found, "vacuum")


async def test_autovacuum_that_is_off_is_told_and_what_runs_has_a_progress() -> None:
    row = {"is_on": False, "room": 3.0, "workers": 2.0, "urgent": 1.0, "seconds": 60.0}
    running = {"database": "mydb", "name": "public.goods", "total": 1.0, "blocks": 1000.0, "scanned": 250.0}
    found = await Watched(sources(autovacuum=[row], vacuums=[running])).at(0)
    assert checks(found)["autovacuum"] == ("degraded", "off")
    told = values(found)
    assert told["postgresql.autovacuum.utilization",] == pytest.approx(0.6667)
    assert told["postgresql.autovacuum.urgent",] == 1
    assert told["postgresql.vacuum.progress", "mydb", "public.goods"] == 0.25


async def test_bloat_is_estimated_only_where_it_is_wanted_and_shown() -> None:
    rows = [{"name": "public.goods", "bytes": 1e9, "needed_bytes": 2e8}, {"name": "public.small", "bytes": 2e6}]
    watched = Watched(sources(bloat=rows))
    await watched.at(0)
    assert "bloat" not in watched.door.asked
    watched = Watched(sources(bloat=rows), bloat=True)
    found = await watched.at(0)
    assert values(found)["postgresql.table.bloat_ratio", "public.goods"] == 0.8
    assert ("postgresql.table.bloat_ratio", "public.small") not in values(found)
    assert checks(found)["bloat"] == ("degraded", "bloated")
    found = await watched.at(300, bloat=rows[1:])
    assert checks(found)["bloat"] == ("unknown", "no-right")
    assert "grant pg_read_all_data to monitor" in message(found, "bloat")


async def test_an_index_that_is_not_valid_is_named() -> None:
    faults = {"invalid": 5.0, "invalid_names": ["a", "b", "c", "d"], "unused": 2.0, "unused_bytes": 3e8}
    found = await Watched(sources(index_faults=[faults])).at(0)
    assert checks(found)["indexes"] == ("degraded", "invalid")
    assert "a, b, c and 1 more" in message(found, "indexes")
    assert values(found)["postgresql.index.unused_size",] == 3e8


async def test_statements_are_known_by_number_and_by_text_only_where_that_is_wanted() -> None:
    server = {**SERVER, "statements_schema": 'odd"schema'}
    watched = Watched(sources(server=[server], statements=[STATEMENT]))
    await watched.at(0)
    assert 'from "odd""schema".pg_stat_statements(false)' in watched.door.statements["statements"]
    later = {**STATEMENT, "calls": 1100.0, "milliseconds": 60_000.0, "all_calls": 2200.0, "all_milliseconds": 80_000.0}
    told = values(await watched.at(60, statements=[later]))
    assert "texts" not in watched.door.asked
    assert told["postgresql.statement.mean", "-42", "mydb"] == 0.1
    assert told["postgresql.statement.time", "-42", "mydb"] == pytest.approx(0.1667)
    assert told["postgresql.query.mean",] == 0.1
    assert told["postgresql.left_out", "statements"] == 899

    texts = [{"id": "-42", "text": "select  $1\n from goods"}]
    watched = Watched(sources(server=[server], statements=[STATEMENT], texts=texts), statement_texts=True)
    await watched.at(0)
    assert "array[-42]" in watched.door.statements["texts"]
    told = values(await watched.at(60, statements=[later]))
    assert told["postgresql.statement.mean", "-42", "mydb", "select $1 from goods"] == 0.1


async def test_a_statement_that_is_far_slower_than_ever_is_told() -> None:
    server = {**SERVER, "statements_schema": "public"}
    watched = Watched(sources(server=[server], statements=[STATEMENT]))
    await watched.at(0)
    slow = {**STATEMENT, "calls": 1020.0, "milliseconds": 60_000.0}
    found = await watched.at(60, statements=[slow])
    assert checks(found)["statements"] == ("degraded", "slower")
    assert "-42 in mydb (0.5 s instead of 0.05 s)" in message(found, "statements")


@pytest.mark.parametrize("evil", ["1); drop table goods; --", "", "१", "x" * 300, None])
async def test_what_is_no_number_is_no_statement(evil: Any) -> None:
    server = {**SERVER, "statements_schema": "public"}
    watched = Watched(sources(server=[server], statements=[{**STATEMENT, "id": evil}]), statement_texts=True)
    found = await watched.at(0)
    assert checks(found)["statements"] == ("up", "")
    assert "texts" not in watched.door.asked or "drop" not in watched.door.statements["texts"]


async def test_io_is_told_by_process_and_buffers_by_state() -> None:
    row = {"who": "client backend", "read": 100.0, "hit": 900.0, "write": 0.0, "milliseconds": 1000.0}
    buffers = {"used": 900.0, "unused": 100.0, "dirty": 50.0, "pinned": 1.0}
    server = {**SERVER, "buffers_schema": "public"}
    watched = Watched(sources(io=[row], buffers=[buffers], server=[server], slru=[{"name": "xact", "hit": 5.0}]))
    await watched.at(0)
    later = {**row, "read": 700.0, "milliseconds": 31_000.0}
    told = values(await watched.at(60, io=[later], slru=[{"name": "xact", "hit": 65.0}]))
    assert told["postgresql.io.operations", "client backend", "read"] == 10
    assert ("postgresql.io.operations", "client backend", "write") not in told
    assert told["postgresql.io.time", "client backend"] == 0.5
    assert told["postgresql.slru.blocks", "xact", "hit"] == 1
    assert told["postgresql.buffers.utilization", "dirty"] == 0.05


async def test_settings_that_wait_or_change_are_named_without_their_values() -> None:
    settings = [{"name": "work_mem", "mark": "a"}, {"name": "port", "mark": "b"}]
    loaded = {"loaded_seconds": 60.0, "pending": 0.0, "pending_names": None}
    watched = Watched(sources(settings=settings, configuration=[loaded]))
    found = await watched.at(0)
    assert message(found, "configuration") == ""
    assert ("postgresql.configuration.changed",) not in values(found)
    found = await watched.at(60, settings=[{"name": "work_mem", "mark": "c"}])
    assert values(found)["postgresql.configuration.changed",] == 2
    assert message(found, "configuration") == "Changed in the last day: port, work_mem"
    pending = {**loaded, "pending": 1.0, "pending_names": ["shared_buffers"]}
    found = await watched.at(120, configuration=[pending])
    assert checks(found)["configuration"] == ("degraded", "pending-restart")
    assert "shared_buffers" in message(found, "configuration")
    assert message(await watched.at(90_000, configuration=[loaded]), "configuration") == ""


@pytest.mark.parametrize(
    ("said", "ends"),
    [
        (
            '[{"backup": [{"error": false, "timestamp": {"start": 1, "stop": 1699990000}}], "name": "main"}]',
            [1699990000],
        ),
        ('[{"backup": [{"error": true, "timestamp": {"start": 1, "stop": 1699990000}}], "name": "main"}]', []),
        ('[{"backup_name": "base_1", "time": "x", "finish_time": "2023-11-14T19:26:40Z"}]', [1699990000]),
        ('{"main": [{"status": "DONE", "end_time": "Tue Nov 14", "end_time_timestamp": "1699990000"}]}', [1699990000]),
        ('{"main": [{"status": "FAILED", "end_time_timestamp": "1699990000"}]}', []),
        ("done\n2023-11-14T20:26:40+01:00\n", [1699990000]),
        ("1699990000", [1699990000]),
        ("", []),
        ("never", []),
        ("nan", []),
        ("[" * 100_000, []),
    ],
)
def test_the_end_of_a_backup_is_found_in_what_the_programs_say(said: str, ends: list[float]) -> None:
    assert ends_in(said) == ends


async def test_a_backup_that_is_too_old_is_down_and_one_that_is_not_known_unknown() -> None:
    watched = Watched(sources(), backup_file="/var/lib/backup/last", backup_within="1h")
    found = await watched.at(0)
    assert checks(found)["backup"] == ("unknown", "unreadable")
    assert "/var/lib/backup/last: is not there" in message(found, "backup")
    watched.files["/var/lib/backup/last"] = "2023-11-14T22:13:20Z"  # now
    found = await watched.at(60)
    assert checks(found)["backup"] == ("up", "")
    found = await watched.at(3700)
    assert checks(found)["backup"] == ("down", "too-old")
    assert values(found)["postgresql.backup.age",] == 3700


async def test_a_backup_program_that_fails_is_told_in_its_own_words() -> None:
    watched = Watched(sources(), backup_command="/usr/bin/pgbackrest info --output=json")
    watched.programs["$ /usr/bin/pgbackrest info --output=json"] = "exit 37\nno stanza"
    found = await watched.at(0)
    assert checks(found)["backup"] == ("unknown", "unreadable")
    assert "/usr/bin/pgbackrest ended with 37: no stanza" in message(found, "backup")
