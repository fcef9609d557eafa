"""The statements of a MySQL or MariaDB pull: names are quoted as reflected, values are bound."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from connectors.databases.dialect import Ask, Column, Place, Relation
from connectors.databases.mysql_types import bound, cell, word
from hub.contracts.errors import Misconfigured

Statement = tuple[str, tuple[Any, ...]]
"""Text with %s for each value, and the values."""


class Statements:
    """`quote` makes an identifier of a name, with % doubled; `gbk` says that columns declared latin1 hold GBK."""

    def __init__(self, quote: Callable[[str], str], *, gbk: bool) -> None:
        self._quote = quote
        self._gbk = gbk

    def rows(self, ask: Ask, bounds: Sequence[Statement] = ()) -> Statement:
        """One binary text per row; cells between 0xFF."""
        where, values = self._where(ask, bounds)
        order = f" ORDER BY {', '.join(self._ordered(_column(ask.relation, name)) for name in ask.order)}" if ask.order else ""
        limit = f" LIMIT {int(ask.limit)}" if ask.limit is not None else ""
        return f"SELECT {self._line(ask.relation, ask.columns)} FROM {self.source(ask.relation)}{where}{order}{limit}", values

    def end_of_page(self, ask: Ask, low: Any, rows: int) -> Statement:
        """The key of the last of the next rows after `low` (None: from the start); no row where there are fewer."""
        key = self._quote(ask.relation.key[0])
        where, values = self._where(ask, self._between(ask, low, None))
        return f"SELECT {key} FROM {self.source(ask.relation)}{where} ORDER BY {key} LIMIT 1 OFFSET {rows - 1}", values

    def page(self, ask: Ask, low: Any, high: Any) -> Statement:
        """Rows after `low` up to `high` (None: without such a bound): how many, their keys, and one binary text of them all, each ended by 0xFC.

        They come as the server finds them: to sort them it would write them into a file.
        """
        where, values = self._where(ask, self._between(ask, low, high))
        line = f"{self._line(ask.relation, ask.columns)[:-1]},0xFC)"
        keys = f"GROUP_CONCAT({self._quote(ask.relation.key[0])} SEPARATOR ',')" if ask.order else "''"
        return f"SELECT COUNT(*), {keys}, GROUP_CONCAT({line} SEPARATOR '') FROM {self.source(ask.relation)}{where}", values

    def stretch(self, ask: Ask, low: Any, high: Any) -> Statement:
        """The same rows, one binary text each."""
        return self.rows(ask, self._between(ask, low, high))

    def count(self, ask: Ask) -> Statement:
        """How many rows."""
        where, values = self._where(ask)
        source = self.source(ask.relation)
        if ask.limit is None:
            return f"SELECT COUNT(*) FROM {source}{where}", values
        return f"SELECT COUNT(*) FROM (SELECT 1 FROM {source}{where} LIMIT {int(ask.limit)}) AS `counted`", values

    def sums(self, ask: Ask, of: int) -> Statement:
        """Per bucket: its number, rows, and two sums of halves of the rows' MD5, exact whatever their order."""
        where, values = self._where(ask)
        digest = f"MD5({self._line(ask.relation, ask.columns)})"
        halves = ", ".join(f"SUM(CAST(CONV({side}({digest},16),16,10) AS UNSIGNED))" for side in ("LEFT", "RIGHT"))
        return f"SELECT {self._bucket(ask.relation, of)} AS `bucket`, COUNT(*), {halves} FROM {self.source(ask.relation)}{where} GROUP BY `bucket`", values

    def mark(self, relation: Relation, column: str, value: str, key: str, keys: Sequence[str], expected: str) -> Statement:
        """Write `value` where `key` is among `keys` and `column` is still `expected`."""
        written, compared = _column(relation, column), _column(relation, key)
        new, first = bound(written, value, self._gbk) if value else ("NULL", None)
        places = [bound(compared, text, self._gbk) for text in keys]
        still, args = self._equal(written, expected)
        listed = ", ".join(place for place, _ in places)
        sql = f"UPDATE {self.source(relation)} SET {self._quote(column)} = {new} WHERE {self._quote(key)} IN ({listed}) AND {still}"
        return sql, (*((first,) if value else ()), *(each for _, each in places), *args)

    def sample(self, relation: Relation, columns: Sequence[str], rows: int) -> Statement:
        """Bytes of some columns, as they stand in the first rows there are."""
        raw = ", ".join(f"CAST({self._quote(_column(relation, name).name)} AS BINARY)" for name in columns)
        return f"SELECT {raw} FROM {self.source(relation)} LIMIT {rows}", ()

    def shape(self, sql: str) -> Statement:
        """A query without its rows."""
        return f"SELECT * FROM {_derived(sql)} LIMIT 0", ()

    def charsets(self, sql: str, names: Sequence[str]) -> Statement:
        """One row: the character set of each column of a query, whether it has rows or not."""
        words = ", ".join(f"CHARSET(`query`.{self._quote(name)})" for name in names)
        return f"SELECT {words} FROM (SELECT 1 AS `one`) AS `one` LEFT JOIN (SELECT * FROM {_derived(sql)} LIMIT 1) AS `query` ON TRUE", ()

    def source(self, relation: Relation) -> str:
        """What stands behind FROM."""
        if relation.sql:
            return _derived(relation.sql)
        return f"{self._quote(relation.schema)}.{self._quote(relation.name)}" if relation.schema else self._quote(relation.name)

    def _between(self, ask: Ask, low: Any, high: Any) -> list[Statement]:
        key = self._quote(ask.relation.key[0])
        return [(f"{key} {sign} %s", (value,)) for sign, value in ((">", low), ("<=", high)) if value is not None]

    def _line(self, relation: Relation, names: Sequence[str]) -> str:
        cells = [cell(self._quote(name), _column(relation, name), self._gbk) for name in names]
        cells[0] = f"CAST({cells[0]} AS BINARY)"  # binary wins: nothing is converted, and 0xFF may stand
        return f"CONCAT({',0xFF,'.join(cells)})"

    def _ordered(self, column: Column) -> str:
        """ENUM and SET come in order of their numbers, but are compared as text."""
        name = self._quote(column.name)
        return f"CAST({name} AS CHAR)" if word(column.declared) in ("enum", "set") else name

    def _bucket(self, relation: Relation, of: int) -> str:
        if not relation.key:
            raise Misconfigured(f"{relation.name} has no primary key to part its rows by", hint="name the column that tells rows apart: id: …")
        return f"MOD(CRC32({self._line(relation, relation.key)}),{int(of)})"

    def _where(self, ask: Ask, bounds: Sequence[Statement] = ()) -> Statement:
        found: list[Statement] = [*bounds, *(self._equal(_column(ask.relation, name), value) for name, value in ask.equals.items())]
        if ask.after is not None:
            found.append(self._after(ask.relation, ask.after))
        if ask.until is not None:
            column = _column(ask.relation, ask.until[0])
            place, value = bound(column, ask.until[1], self._gbk)
            found.append((f"{self._quote(column.name)} <= {place}", (value,)))
        if ask.buckets is not None:
            wanted, of = ask.buckets
            listed = ",".join(str(int(number)) for number in sorted(wanted)) or "NULL"
            found.append((f"{self._bucket(ask.relation, of)} IN ({listed})", ()))
        text = " AND ".join(part for part, _ in found)
        return (f" WHERE {text}" if text else ""), tuple(value for _, values in found for value in values)

    def _equal(self, column: Column, text: str) -> Statement:
        name = self._quote(column.name)
        if text:
            place, value = bound(column, text, self._gbk)
            return f"{name} = {place}", (value,)
        return (f"({name} IS NULL OR {name} = '')" if column.sort == "text" else f"{name} IS NULL"), ()

    def _after(self, relation: Relation, after: Place) -> Statement:
        """Strictly later, column by column, in a form that an index can be used for."""
        head, *tail = zip(after.columns, after.values, strict=True)
        column = _column(relation, head[0])
        name = self._quote(column.name)
        place, value = bound(column, head[1], self._gbk)
        if not tail:
            return f"{name} > {place}", (value,)
        rest, values = self._after(relation, Place(tuple(name for name, _ in tail), tuple(value for _, value in tail)))
        return f"({name} >= {place} AND ({name} > {place} OR {rest}))", (value, value, *values)


def _derived(sql: str) -> str:
    return f"(\n{sql.replace('%', '%%')}\n) AS `reviewed`"


def _column(relation: Relation, name: str) -> Column:
    found = relation.column(name)
    if found is None:
        raise Misconfigured(f"{relation.name} has no column {name}", hint=f"it has {', '.join(column.name for column in relation.columns[:40])}")
    return found
