"""What a pull lands of a table: all of it or nothing, the columns that are wanted, and evidence of what was odd."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.databases.columns import spelt, view_of
from connectors.databases.dialect import Ask, Column, Piece, Relation
from connectors.databases.settings import DatabaseRead, Since
from hub.contracts.errors import Misconfigured, Unavailable
from hub.contracts.source import Finding
from tests.sqlite_database import SqliteDatabase
from tests.unit.pulled_tables import KNOWN, Table


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return Table(tmp_path / "a.sqlite", "id INTEGER PRIMARY KEY, name TEXT, uscc TEXT, memo TEXT")


async def test_text_arrives_exactly_as_it_stands(table: Table) -> None:
    texts = ['"quoted"', "a\nb", "a\r\nb", "tail\r", "a\x1fb", " 前后 ", "𠮷🙂", "合计", "name", '""', "\\N", "NULL", "a,b|c\td"]
    table.add(*((i, text, "x", None) for i, text in enumerate(texts)))

    found = await table.pull()

    assert [row[0] for row in found] == texts


async def test_rows_that_repeat_the_heading_or_say_total_are_rows(table: Table) -> None:
    table.add((1, "name", "uscc", None), (2, "合计", "", None), (3, "合计", "3", None))

    found = await table.pull(columns=["name", "uscc"])

    assert found == [("name", "uscc"), ("合计", None), ("合计", "3")]


async def test_nul_holds_nothing_up(table: Table) -> None:
    table.add((1, "a\0b", "x", None))

    found = await table.pull()

    assert found == [("ab", "x")]
    assert table.evidence["odd"] == {"nul": 1}


async def test_only_columns_that_the_item_knows_are_read(table: Table) -> None:
    table.add((1, "甲", "91", "秘密"))

    await table.pull()

    assert table.evidence["columns"] == ["name", "uscc"]
    assert all("秘密".encode() not in content for content in table.intake.landed.values())


async def test_named_columns_are_read_whatever_the_item_knows(table: Table) -> None:
    table.add((1, "甲", "91", "备注"))

    assert await table.pull(columns=["memo", "name"]) == [("甲", "备注")]


async def test_only_rows_with_a_value(table: Table) -> None:
    table.add((1, "甲", "91", "a"), (2, "乙", "92", "b"))

    assert await table.pull(where={"memo": "b"}) == [("乙", "92")]


async def test_an_equal_table_is_read_once(table: Table) -> None:
    table.add((1, "甲", "91", None))
    first = await table.pull()

    second = await table.pull()

    assert (len(first), second) == (1, [])
    assert len(table.intake.arrivals) == 1


async def test_a_reviewed_query_is_read_like_a_table(table: Table) -> None:
    table.add((1, "甲", "91", None))
    table.settings = {"queries": {"firms": {"sql": "SELECT name, uscc FROM t WHERE id > 0", "reviewed": "王, 2026-11-01"}}}

    assert await table.pull(query="firms") == [("甲", "91")]


async def test_a_query_may_be_written_as_text_under_remarks(table: Table) -> None:
    table.add((1, "甲", "91", None))
    table.settings = {"queries": {"firms": "-- reviewed: 王, 2026-11-01\n-- key: uscc\nSELECT name, uscc FROM t\n"}}

    assert await table.pull(query="firms") == [("甲", "91")]


async def test_a_query_without_a_reviewer_is_refused(table: Table) -> None:
    table.settings = {"queries": {"firms": "SELECT name, uscc FROM t"}}

    with pytest.raises(ValueError, match="reviewed"):
        table.source(query="firms")


async def test_a_query_that_nobody_reviewed_is_misconfigured(table: Table) -> None:
    with pytest.raises(Misconfigured, match="no reviewed query"):
        await table.pull(query="firms")


async def test_a_table_that_is_larger_than_expected_is_refused(table: Table) -> None:
    table.add(*((i, "甲", "91", None) for i in range(5)))

    with pytest.raises(Misconfigured, match="5 rows, more than 4"):
        await table.pull(at_most=4)


class Losing(SqliteDatabase):
    """A database that gives a row less than it counts."""

    def read(self, ask: Ask) -> Iterator[Piece]:
        for piece in super().read(ask):
            lines = piece.lines.splitlines(keepends=True)
            yield Piece(b"".join(lines[1:]), piece.rows - 1, piece.last)


async def test_fewer_rows_than_were_counted_land_nothing(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    table.add((1, "甲", "91", None), (2, "乙", "92", None))
    monkeypatch.setattr(table, "connect", lambda: Losing(table.path))

    with pytest.raises(Unavailable, match="2 rows, and 1 were read"):
        await table.pull()

    assert table.intake.arrivals == {}


async def test_a_table_that_was_renamed_is_misconfigured_with_the_nearest(table: Table) -> None:
    table.add((1, "甲", "91", None))
    await table.pull()

    table.run("ALTER TABLE t RENAME TO t_old")

    with pytest.raises(Misconfigured, match="no table t"):
        await table.pull()


async def test_a_column_that_was_renamed_is_misconfigured_with_the_difference(table: Table) -> None:
    table.add((1, "甲", "91", None))
    await table.pull()

    table.run("ALTER TABLE t RENAME COLUMN uscc TO uscc_new")

    with pytest.raises(Misconfigured, match="lost columns that were read: uscc") as changed:
        await table.pull()
    assert "uscc_new" in changed.value.message


async def test_a_column_that_went_may_be_given_up(table: Table) -> None:
    table.add((1, "甲", "91", None))
    await table.pull()

    table.run("ALTER TABLE t DROP COLUMN uscc")

    assert await table.pull(columns=["name"]) == [("甲",)]


async def test_new_columns_are_evidence(table: Table) -> None:
    table.add((1, "甲", "91", None))
    await table.pull()

    table.run("ALTER TABLE t ADD COLUMN extra TEXT")
    table.run("UPDATE t SET name = '改'")
    await table.pull()

    assert table.evidence["new_columns"] == ["extra"]


async def test_a_changed_type_is_evidence(tmp_path: Path) -> None:
    table = Table(tmp_path / "a.sqlite", "id INTEGER PRIMARY KEY, name TEXT")
    table.add((1, "甲"))
    await table.pull()

    table.run("DROP TABLE t")
    table.run("CREATE TABLE t (id INTEGER PRIMARY KEY, name VARCHAR(20))")
    table.add((1, "乙"))
    await table.pull()

    assert table.evidence["changed_columns"] == {"name": ["TEXT", "VARCHAR(20)"]}


@pytest.mark.parametrize(
    ("read", "said"),
    [
        ({"columns": ["nmae"]}, "no column nmae"),
        ({"where": {"flga": "1"}}, "no column flga"),
        ({"since": {"id": "tongid"}}, "no column tongid"),
        ({"done": {"column": "clzt"}}, "no column clzt"),
    ],
)
async def test_a_column_that_is_not_there_is_misconfigured(table: Table, read: dict[str, Any], said: str) -> None:
    with pytest.raises(Misconfigured, match=said) as missing:
        await table.pull(**read)

    assert missing.value.hint


async def test_a_banned_column_is_never_read_even_where_it_is_named(tmp_path: Path) -> None:
    table = Table(tmp_path / "a.sqlite", "id INTEGER PRIMARY KEY, name TEXT, ZJXY TEXT", known=KNOWN | {"zjxy"})
    table.add((1, "甲", "某教"))

    found = await table.pull()

    assert found == [("甲",)]
    assert table.evidence["denied"] == ["ZJXY"]
    with pytest.raises(Misconfigured, match="R131"):
        await table.pull(columns=["name", "ZJXY"])


async def test_a_table_of_which_the_item_knows_nothing_is_misconfigured(table: Table) -> None:
    table.known = frozenset({"elsewhere"})

    with pytest.raises(Misconfigured, match="knows none of the columns"):
        await table.pull()


async def test_rows_come_no_faster_than_their_server_may_be_asked(table: Table) -> None:
    table.settings, table.piece_rows = {"rows_per_second": 100}, 10
    table.add(*((i, "甲", str(i), None) for i in range(1000)))

    await table.pull()

    assert table.slept == pytest.approx(10)


async def test_clocks_that_differ_are_evidence(table: Table) -> None:
    table.add((1, "甲", "91", None))
    table.theirs = table.theirs.replace(hour=20)

    await table.pull()

    assert table.evidence["clock_ahead_s"] == 8 * 3600


async def test_a_feed_can_be_tried_without_side_effects(table: Table) -> None:
    table.add((1, "甲", "91", None))
    source = table.source()

    findings = [finding async for finding in source.probe()]
    name, content = await source.sample(5)
    await source.close()

    assert [(one.layer, one.fine) for one in findings] == [("reach", True), ("authenticate", True), ("shape", True), ("sample", True)]
    assert (name, content.decode()) == ("sample.jsonl", '{"name":"甲","uscc":"91"}\n')
    assert (table.intake.arrivals, table.intake.notes) == ({}, {})


async def test_a_trial_ends_at_the_layer_that_fails(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    async def layers(connect: object) -> list[Finding]:
        monkeypatch.setattr(table, "connect", connect)
        source = table.source()
        found = [finding async for finding in source.probe()]
        await source.close()
        return found

    away = await layers(lambda: SqliteDatabase(table.path.with_name("away")))
    stranger = await layers(lambda: SqliteDatabase(table.path, password="wrong"))

    assert [(one.layer, one.fine) for one in away] == [("reach", False)]
    assert [(one.layer, one.fine) for one in stranger] == [("reach", True), ("authenticate", False)]


async def test_nothing_is_written_into_their_database(table: Table) -> None:
    table.add((1, "甲", "91", None))
    with closing(sqlite3.connect(table.path)) as connection:
        before = connection.execute("PRAGMA data_version").fetchone()
        await table.pull()

        assert connection.execute("PRAGMA data_version").fetchone() == before


async def test_a_row_beyond_all_measure_is_set_aside_alone(table: Table) -> None:
    table.add((1, "甲", "91", None), (2, "长" * 3_000_000, "92", None), (3, "行\n" * 300_000, "93", None), (4, "丁", "94", None))

    found, refused = await table.sorted()

    assert found == [("甲", "91"), ("丁", "94")]
    assert [(row["code"], row["_ordinal"]) for row in refused] == [("R100", 1), ("R100", 2)]
    assert all("92" in row["_raw"] or "93" in row["_raw"] for row in refused)
    assert all(len(row["_raw"]) < 100 for row in refused)
    assert table.evidence["too_long"] == 2


async def test_large_rows_within_measure_are_read(table: Table) -> None:
    texts = ["长" * 2_500_000, "行\n" * 200_000, '"' * 800_000, "短"]
    table.add(*((i, text, str(i), None) for i, text in enumerate(texts)))

    found = await table.pull()

    assert [row[0] for row in found] == texts
    assert "too_long" not in table.evidence


async def test_a_row_beyond_all_measure_is_marked_as_refused(table: Table) -> None:
    table.add((1, "甲", "0", None), (2, "行\n" * 300_000, "0", None), (3, "丁", "0", None))
    read = {"done": {"column": "uscc"}, "columns": ["name", "uscc"]}
    found, refused = await table.sorted(**read)

    await table.answered(refused=[row["_ordinal"] for row in refused], **read)

    assert [row[1] for row in found] == ["甲", "丁"]
    assert table.rows("SELECT id, uscc FROM t ORDER BY id") == [(1, "1"), (2, "2"), (3, "1")]


async def test_columns_may_be_written_in_the_other_case(tmp_path: Path) -> None:
    table = Table(tmp_path / "b.sqlite", "TONGID INTEGER PRIMARY KEY, NAME TEXT, GXSJ DATETIME, ZT TEXT")
    table.add((1, "甲", "2026-11-24 08:00:00", "0"), (2, "乙", "2026-11-24 09:00:00", "0"), (3, "丙", "2026-11-24 09:00:00", "9"))

    read = {"since": {"time": "gxsj", "id": "tongid"}, "columns": ["name"], "where": {"zt": "0"}}

    assert [row[1] for row in await table.pull(**read)] == ["甲", "乙"]
    assert table.evidence["columns"] == ["TONGID", "NAME", "GXSJ"]


async def test_a_status_column_may_be_written_in_the_other_case(tmp_path: Path) -> None:
    table = Table(tmp_path / "b.sqlite", "TONGID INTEGER, NAME TEXT, ZT TEXT")
    table.add((1, "甲", "0"), (2, "乙", "0"))
    read = {"done": {"column": "zt"}, "id": "tongid"}
    await table.pull(**read)

    await table.answered(refused=[1], **read)

    assert table.rows("SELECT TONGID, ZT FROM t ORDER BY TONGID") == [(1, "1"), (2, "2")]


async def test_a_name_that_two_columns_bear_is_asked_for(tmp_path: Path) -> None:
    relation = Relation("t", (Column("GXSJ", "DATE", "time"), Column("Gxsj", "DATE", "time"), Column("id", "NUMBER", "number")), ("id",))
    exact, doubtful = (DatabaseRead.model_validate({"table": "t", "since": {"time": name, "id": "ID"}}) for name in ("Gxsj", "gxsj"))

    assert spelt(exact, relation).since == Since(time="Gxsj", id="id")
    with pytest.raises(Misconfigured, match="no column gxsj"):
        view_of(spelt(doubtful, relation), relation, KNOWN)


async def test_a_table_without_a_key_is_compared_by_the_id_that_is_named(tmp_path: Path) -> None:
    table = Table(tmp_path / "b.sqlite", "TONGID INTEGER, NAME TEXT")
    table.add((1, "甲"), (2, "乙"))
    read = {"since": {"id": "tongid", "overlap": "0s"}, "compare": "1h"}
    await table.pull(**read)
    table.passes(timedelta(hours=2))
    table.run("UPDATE t SET NAME = '改' WHERE TONGID = 1")

    found = await table.pull(**read)

    assert ("1", "改") in found


async def test_a_query_s_key_may_be_written_in_the_other_case(table: Table) -> None:
    table.add((1, "甲", "91", None))
    sql = "SELECT id AS ID, name, uscc FROM t"
    table.settings = {"queries": {"firms": {"sql": sql, "reviewed": "王科长", "key": ["id"]}, "wrong": {"sql": sql, "reviewed": "王科长", "key": ["idd"]}}}

    assert await table.pull(query="firms") == [("甲", "91")]
    with pytest.raises(Misconfigured, match="no column idd"):
        await table.pull(query="wrong")
