"""What every database that is pulled promises, written once."""

from __future__ import annotations

import csv
import io
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from connectors.databases.dialect import SEPARATOR, Ask, Database, Piece, Place, Relation
from hub.contracts.errors import Misconfigured, Unavailable

MORNING = datetime(2026, 11, 24, 8)
HOSTILE = ("it's", "a b", "名称（全称）", "100%s", "x:y", "--x", "a`b", "select", "order", "ü‘’", "{a}", "$1", "?", "x" * 30)
"""Names that a quoted identifier may have; `;`, quotation marks and brackets are refused by the configuration already."""


def cells(pieces: Iterator[Piece] | Sequence[Piece]) -> list[tuple[str | None, ...]]:
    """Rows of pieces as any reader of RFC 4180 sees them; empty is None."""
    text = b"".join(piece.lines for piece in pieces).decode()
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=SEPARATOR, strict=True)
    return [tuple(cell or None for cell in row) for row in rows]


class DatabaseContract:
    """Subclass with the hooks, and the promises are tested. Sorts of columns: id, text, long, number, big, date, time; `big` has `digits` digits."""

    digits = 38
    name_most = 30  # characters of a name that the system takes
    names_refused = ""  # characters that no name read here may have
    microseconds = True
    nul = False  # whether its text can hold NUL; it is taken out then, and said
    snapshots = True  # whether `begin` gives one view of everything
    counts_marked = True
    longest = 20_000  # characters of a long text

    def database(self) -> Database:
        """A new, unconnected one."""
        raise NotImplementedError

    def stranger(self) -> Database:
        """One with a wrong password."""
        raise NotImplementedError

    def nowhere(self) -> Database:
        """One that nobody listens at."""
        raise NotImplementedError

    def make_table(self, name: str, columns: Mapping[str, str], rows: Sequence[Sequence[Any]], key: Sequence[str] = ("id",)) -> None:
        """A table with columns of these sorts (each may be null) and rows, committed over a connection of its own. `key` may be empty."""
        raise NotImplementedError

    def insert(self, name: str, rows: Sequence[Sequence[Any]]) -> None:
        """Further rows, committed at once."""
        raise NotImplementedError

    def put(self, name: str, column: str, value: Any, number: int) -> None:
        """Write into the row whose `id` is `number`, committed at once."""
        raise NotImplementedError

    def remove(self, name: str, number: int) -> None:
        """Delete that row, committed at once."""
        raise NotImplementedError

    def plain_query(self, name: str) -> str:
        """A SELECT of `id` and `name` of a table, under these names exactly as `relation` would spell them."""
        return f"SELECT id, name FROM {name}"

    @pytest.fixture
    def db(self) -> Iterator[Database]:
        with closing(self.database()) as database:
            yield database

    @pytest.fixture
    def table(self) -> str:
        return f"t_{uuid.uuid4().hex[:10]}"

    def filled(self, table: str, rows: int) -> None:
        """Ids from 1, with names; times of which each two rows share one."""
        made = [(i, f"企业{i}", datetime(2026, 11, 24, 8, i // 2 // 60, i // 2 % 60), "0" if i % 3 else "1") for i in range(1, rows + 1)]
        self.make_table(table, {"id": "id", "name": "text", "at": "time", "flag": "text"}, made)

    def ask(self, db: Database, table: str, *columns: str, **more: Any) -> Ask:
        """An ask for columns of a table."""
        relation = db.relation(table)
        return Ask(relation, columns or tuple(column.name for column in relation.columns), **more)

    def test_says_what_it_is_and_what_time_it_has(self, db: Database) -> None:
        server, clock = db.server(), db.clock()

        assert any(character.isdigit() for character in server)
        assert abs((datetime.fromisoformat(clock) - datetime.now()).total_seconds()) < 86_400

    def test_a_table_is_found_with_its_columns_and_key(self, db: Database, table: str) -> None:
        columns = {"id": "id", "name": "text", "amount": "number", "on_day": "date", "at": "time"}
        self.make_table(table, columns, [])

        relation = db.relation(table)

        assert relation.name == table
        assert relation.key == ("id",)
        assert [(column.name, column.sort) for column in relation.columns] == [
            ("id", "number"), ("name", "text"), ("amount", "number"), ("on_day", self.sort_of_date()), ("at", "time"),
        ]  # fmt: skip
        assert all(column.declared for column in relation.columns)

    def sort_of_date(self) -> str:
        """Where DATE holds a time of day, it is one."""
        return "date"

    def test_a_table_that_is_not_there_is_misconfigured_with_the_nearest(self, db: Database) -> None:
        near = f"penalty_{uuid.uuid4().hex[:8]}"
        self.make_table(near, {"id": "id"}, [])

        with pytest.raises(Misconfigured) as missing:
            db.relation(near + "s")

        assert near in missing.value.message + missing.value.hint

    def test_text_comes_exactly_as_it_stands(self, db: Database, table: str) -> None:
        texts = [
            "企业",
            " 前后 ",
            'say "hi"',
            "a\nb",
            "a\r\nb",
            "tail\r",
            f"a{SEPARATOR}b",
            "𠮷🙂",
            "a\\nb",
            "a\tb",
            "\\N",
            "NULL",
            "'",
            '"',
            '""',
            ",",
            "%s :x {}",
            "0012",
        ]
        self.make_table(table, {"id": "id", "name": "text", "note": "long"}, [(i, text, text) for i, text in enumerate(texts, 1)])

        found = cells(db.read(self.ask(db, table, order=("id",))))

        assert found == [(str(i), text, text) for i, text in enumerate(texts, 1)]

    def test_nothing_and_empty_text_are_empty_cells(self, db: Database, table: str) -> None:
        columns = {"id": "id", "name": "text", "note": "long", "amount": "number", "on_day": "date", "at": "time"}
        self.make_table(table, columns, [(1, None, None, None, None, None), (2, "", "", None, None, None)])

        pieces = list(db.read(self.ask(db, table, order=("id",))))

        assert b"".join(piece.lines for piece in pieces) == b"1\x1f\x1f\x1f\x1f\x1f\n2\x1f\x1f\x1f\x1f\x1f\n"
        assert pieces[-1].last == ("2", None, None, None, None, None)

    def test_long_text_is_whole(self, db: Database, table: str) -> None:
        text = "长文本\n" * (self.longest // 4)
        self.make_table(table, {"id": "id", "note": "long"}, [(1, text), (2, "短")])

        assert cells(db.read(self.ask(db, table, order=("id",)))) == [("1", text), ("2", "短")]

    def test_numbers_lose_nothing(self, db: Database, table: str) -> None:
        most = Decimal("9" * self.digits)
        least = most.copy_negate()
        amounts = [Decimal("0"), Decimal("-0.0000000001"), Decimal("12345678901234567890.0123456789"), Decimal("-5"), Decimal("100"), Decimal("0.5")]
        self.make_table(table, {"id": "id", "amount": "number", "big": "big"}, [(i, amount, least if i % 2 else most) for i, amount in enumerate(amounts, 1)])

        found = cells(db.read(self.ask(db, table, "amount", "big", order=("id",))))

        assert [Decimal(amount or "") for amount, _ in found] == amounts
        assert all(set(amount or "") <= set("-.0123456789") for amount, _ in found), "plain digits, no exponent"
        assert [big for _, big in found] == [str(least if i % 2 else most) for i in range(1, len(amounts) + 1)]

    def test_dates_and_times_have_one_form(self, db: Database, table: str) -> None:
        fraction = datetime(2026, 2, 28, 23, 59, 59, 123456 if self.microseconds else 0)
        self.make_table(table, {"id": "id", "on_day": "date", "at": "time"}, [(1, date(1949, 10, 1), datetime(2026, 11, 24)), (2, date(2026, 2, 28), fraction)])

        found = cells(db.read(self.ask(db, table, "on_day", "at", order=("id",))))

        assert [day[:10] for day, _ in found if day] == ["1949-10-01", "2026-02-28"]
        assert [at and datetime.fromisoformat(at) for _, at in found] == [datetime(2026, 11, 24), fraction]
        assert found[0][1] == "2026-11-24 00:00:00"

    def test_nul_is_taken_out_and_said(self, db: Database, table: str) -> None:
        if not self.nul:
            return
        self.make_table(table, {"id": "id", "name": "text"}, [(1, "a\0b")])
        db.begin()

        found = cells(db.read(self.ask(db, table, order=("id",))))
        odd = db.oddities()
        db.end()

        assert found == [("1", "ab")]
        assert odd.said

    def test_many_rows_come_in_order_piece_by_piece(self, db: Database, table: str) -> None:
        self.filled(table, 3_000)

        pieces = list(db.read(self.ask(db, table, order=("id",))))

        found = cells(pieces)
        assert [row[0] for row in found] == [str(i) for i in range(1, 3_001)]
        assert sum(piece.rows for piece in pieces) == 3_000
        assert [piece.last for piece in pieces if piece.rows][-1] == found[-1]
        assert all(len(piece.lines) < 16 << 20 for piece in pieces)

    def test_a_table_without_rows_gives_none(self, db: Database, table: str) -> None:
        self.filled(table, 0)

        assert cells(db.read(self.ask(db, table))) == []
        assert db.count(self.ask(db, table)) == 0

    def test_going_on_behind_a_place_with_ties_misses_nothing_and_repeats_nothing(self, db: Database, table: str) -> None:
        self.filled(table, 50)
        ask = self.ask(db, table, "id", "at", order=("at", "id"), limit=7)
        found: list[tuple[str | None, ...]] = []

        while True:
            pieces = list(db.read(ask))
            rows = cells(pieces)
            found += rows
            last = next((piece.last for piece in reversed(pieces) if piece.last is not None), None)
            if last is None or len(rows) < 7:
                break
            assert last[0] is not None
            assert last[1] is not None
            ask = self.ask(db, table, "id", "at", order=("at", "id"), limit=7, after=Place(("at", "id"), (last[1], last[0])))

        assert [row[0] for row in found] == [str(i) for i in range(1, 51)]

    def test_going_on_behind_a_time_alone(self, db: Database, table: str) -> None:
        self.filled(table, 10)

        found = cells(db.read(self.ask(db, table, "id", order=("at", "id"), after=Place(("at",), ("2026-11-24 08:00:03",)))))

        assert [row[0] for row in found] == ["8", "9", "10"]

    def test_numbers_are_compared_as_numbers(self, db: Database, table: str) -> None:
        self.filled(table, 12)

        assert cells(db.read(self.ask(db, table, "id", order=("id",), after=Place(("id",), ("9",))))) == [("10",), ("11",), ("12",)]

    def test_what_is_later_or_has_no_value_is_left_out(self, db: Database, table: str) -> None:
        self.filled(table, 6)
        self.put(table, "at", None, 2)
        ask = self.ask(db, table, "id", order=("id",), until=("at", "2026-11-24 08:00:02"))

        found, counted = cells(db.read(ask)), db.count(ask)

        assert [row[0] for row in found] == ["1", "3", "4", "5"]
        assert counted == 4

    def test_only_rows_with_a_value(self, db: Database, table: str) -> None:
        self.filled(table, 9)
        ask = self.ask(db, table, "id", order=("id",), equals={"flag": "1"})

        found, counted = cells(db.read(ask)), db.count(ask)

        assert [row[0] for row in found] == ["3", "6", "9"]
        assert counted == 3

    def test_values_are_bound(self, db: Database, table: str) -> None:
        self.filled(table, 3)

        for hostile in ("0' OR '1'='1", "0'; DROP TABLE x; --", "%s", ":x", "\\"):
            assert cells(db.read(self.ask(db, table, equals={"flag": hostile}))) == []

    def test_names_are_quoted(self, db: Database, table: str) -> None:
        names = [name for name in HOSTILE if len(name) <= self.name_most and not set(name) & set(self.names_refused)]
        self.make_table(table, {"id": "id", **dict.fromkeys(names, "text")}, [(1, *names), (2, *names)])
        ask = self.ask(db, table, *names, order=(names[0],), equals={names[1]: names[1]}, after=Place((names[2], names[3]), ("\x01", "\x01")))

        assert cells(db.read(ask)) == [tuple(names)] * 2
        assert len(db.sums(self.ask(db, table, *names), 4)) >= 1

    def test_a_table_may_have_any_name(self, db: Database) -> None:
        for spelt in ("罚 款-表", "a'b", "%s", "select"):
            name = f"{spelt}{uuid.uuid4().hex[:8]}"
            self.make_table(name, {"id": "id", "name": "text"}, [(1, "x")])

            assert cells(db.read(self.ask(db, name))) == [("1", "x")]

    def test_names_must_be_spelt_as_they_are(self, db: Database, table: str) -> None:
        self.filled(table, 1)

        for name in (f'{table}"; --', f"{table} x", f"(select 1) {table}", f"{table}'", f"{table}`"):
            with pytest.raises(Misconfigured):
                db.relation(name)

    def test_buckets_part_the_rows(self, db: Database, table: str) -> None:
        self.filled(table, 200)
        whole = self.ask(db, table, "id", "name")

        sums = db.sums(whole, 16)
        found = {bucket: cells(db.read(self.ask(db, table, "id", "name", buckets=(frozenset({bucket}), 16)))) for bucket in sums}
        several = cells(db.read(self.ask(db, table, "id", "name", buckets=(frozenset(sorted(sums)[:3]), 16))))

        assert set(sums) <= set(range(16))
        assert len(sums) > 8
        assert {bucket: len(rows) for bucket, rows in found.items()} == {bucket: rows for bucket, (rows, _) in sums.items()}
        assert sorted(int(row[0] or 0) for rows in found.values() for row in rows) == list(range(1, 201))
        assert sorted(several) == sorted(row for bucket in sorted(sums)[:3] for row in found[bucket])

    def test_a_sum_changes_with_any_value_and_with_nothing_else(self, db: Database, table: str) -> None:
        self.filled(table, 60)
        before = db.sums(self.ask(db, table), 8)
        same = db.sums(self.ask(db, table), 8)

        self.put(table, "name", None, 7)
        after = db.sums(self.ask(db, table), 8)
        self.put(table, "name", "企业7", 7)
        restored = db.sums(self.ask(db, table), 8)

        changed = [bucket for bucket in after if after[bucket] != before.get(bucket)]
        assert before == same == restored
        assert len(changed) == 1
        assert "7" in {row[0] for row in cells(db.read(self.ask(db, table, buckets=(frozenset(changed), 8))))}

    def test_cells_that_change_places_change_the_sum(self, db: Database, table: str) -> None:
        self.make_table(table, {"id": "id", "name": "text", "note": "text"}, [(1, "a", None)])
        before = db.sums(self.ask(db, table), 4)

        self.put(table, "name", None, 1)
        self.put(table, "note", "a", 1)

        assert db.sums(self.ask(db, table), 4) != before

    def test_within_a_snapshot_nothing_changes(self, db: Database, table: str) -> None:
        if not self.snapshots:
            return
        self.filled(table, 20)
        ask = self.ask(db, table, order=("id",))
        db.begin()
        before = db.count(ask)

        self.insert(table, [(21, "企业21", MORNING, "0")])
        self.put(table, "name", "改", 5)
        self.remove(table, 6)
        counted, found = db.count(ask), cells(db.read(ask))
        db.end()

        assert before == counted == len(found) == 20
        assert found[4][1] == "企业5"
        assert db.count(ask) == 20
        assert cells(db.read(ask))[4][1] == "改"

    def test_a_reader_that_stops_early_leaves_a_connection_that_works(self, db: Database, table: str) -> None:
        self.filled(table, 3_000)

        stream = db.read(self.ask(db, table, order=("id",)))
        first = next(stream)
        stream.close()  # type: ignore[attr-defined]

        assert first.rows
        assert db.count(self.ask(db, table)) == 3_000

    def test_marks_only_rows_that_are_still_as_expected(self, db: Database, table: str) -> None:
        self.filled(table, 9)
        relation = db.relation(table)

        first = db.mark(relation, "flag", "2", key="id", keys=["1", "2", "3", "99"], expected="0")
        again = db.mark(relation, "flag", "2", key="id", keys=["1", "2", "3"], expected="0")

        assert cells(db.read(self.ask(db, table, "id", "flag", order=("id",))))[:4] == [("1", "2"), ("2", "2"), ("3", "1"), ("4", "0")]
        if self.counts_marked:
            assert (first, again) == (2, 0)

    def test_marks_many_rows(self, db: Database, table: str) -> None:
        self.filled(table, 2_500)

        db.mark(db.relation(table), "flag", "9", key="id", keys=[str(i) for i in range(1, 2_501)], expected="0")

        assert db.count(self.ask(db, table, equals={"flag": "9"})) == 2_500 - 2_500 // 3

    def test_a_query_is_a_relation(self, db: Database, table: str) -> None:
        self.filled(table, 12)

        relation = db.query("reviewed", self.plain_query(table))
        names = tuple(column.name for column in relation.columns)
        ask = Ask(relation, names, order=(names[0],), after=Place((names[0],), ("9",)))

        assert [name.lower() for name in names] == ["id", "name"]
        assert cells(db.read(ask)) == [("10", "企业10"), ("11", "企业11"), ("12", "企业12")]
        assert db.count(ask) == 3

    def test_a_query_that_is_wrong_or_no_single_select_is_misconfigured(self, db: Database, table: str) -> None:
        self.filled(table, 1)

        for sql in (f"SELECT nothing_like_it FROM {table}", "SELECT 1; SELECT 2", f"DELETE FROM {table}"):
            with pytest.raises(Misconfigured):
                db.query("reviewed", sql)
        assert db.count(self.ask(db, table)) == 1

    def test_a_column_that_is_gone_meanwhile_is_misconfigured(self, db: Database, table: str) -> None:
        self.filled(table, 1)
        relation = db.relation(table)
        gone = Relation(relation.name, (*relation.columns, relation.columns[0].__class__("gone", "text", "text")), relation.key, relation.schema)

        with pytest.raises(Misconfigured):
            cells(db.read(Ask(gone, ("id", "gone"))))
        assert db.count(self.ask(db, table)) == 1

    def test_a_wrong_password_is_misconfigured(self) -> None:
        with closing(self.stranger()) as database, pytest.raises(Misconfigured) as refused:
            database.server()

        assert refused.value.hint

    def test_a_server_that_is_away_is_unavailable(self) -> None:
        with closing(self.nowhere()) as database, pytest.raises(Unavailable) as away:
            database.server()

        assert away.value.hint

    def test_ending_and_closing_twice_is_safe(self, db: Database, table: str) -> None:
        self.filled(table, 1)
        db.end()
        db.begin()
        db.end()
        db.end()
        db.close()

        assert db.count(self.ask(db, table)) == 1, "a call opens it anew"
        db.close()
        db.close()
