"""Archives: the documents in one ZIP or gzip file become one plain form, after one another, their headings united by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, cast

import polars as pl
from pydantic import Field, SecretStr

from connectors.formats.csv import Block, CsvReader, Cut
from connectors.formats.cut import cut_of_plain
from connectors.formats.gzipped import unpacked_gzip
from connectors.formats.plain import Document, Former, Plain, Widened, heading_line, lines_of, unread_line, widened
from connectors.formats.spool import Spool
from connectors.formats.zipped import ENTRIES, RATIO, TOTAL, Budget, Member, members_of_zip
from hub.contracts.batch import LINE, ORDINAL, RAW
from hub.contracts.endpoint import EndpointConfig
from hub.contracts.errors import Rejected
from hub.contracts.source import Landed

if TYPE_CHECKING:
    from connectors.formats.forms import Expected

_ASIDE = ("__macosx/*", "*/.*", ".*", "thumbs.db", "*/thumbs.db", "desktop.ini", "*/desktop.ini")
"""Members that packers add by themselves, in lower case."""

_IDENTITY = re.compile(r"[0-9]{15,}[Xx]?")
_SHOWN = 100


class ArchiveFormat(EndpointConfig):
    """ZIP and gzip archives, checked before anything is believed."""

    files: str = Field(default="*", description='Which members are meant, by name, like "*.csv"; letter case does not count. All of them must be readable.')
    password: SecretStr | None = Field(default=None, description="Password of an encrypted ZIP archive (WinZip AES, or the old ZipCrypto).")
    encoding: Literal["auto", "utf-8", "gb18030", "cp437"] = Field(default="auto", description="Character set of member names that are not marked as UTF-8.")
    max_entries: int = Field(default=ENTRIES, gt=0, le=ENTRIES, description="Entries; an archive with more is refused.")
    max_total: int = Field(default=TOTAL, gt=0, le=8 << 30, description="Bytes of all members together, unpacked.")
    max_ratio: int = Field(default=RATIO, gt=1, le=1_000, description="How many times its packed size a member may become.")


@dataclass(slots=True)
class _Progress:
    """Headings so far, rows written, and which of them came from which member."""

    titles: dict[str, None]
    begun: bool = False
    rows: int = 0
    parts: list[dict[str, Any]] = field(default_factory=list)
    empty: int = 0


class ArchiveFormer:
    """One archive is one arrival: the plain forms of all members that are meant, in the archive's order; a row's place is its place in its member.

    `inner` tells what a member is (None for delimited text, which `csv` reads). An archive may hold archives, those may not hold any more.
    Members are unpacked into a `Spool`, one at a time. Raises `Rejected`: F001, F003, F010 (unsafe), F011 (encrypted), F005 where no member is meant, and
    what the reader of a member says of it.
    """

    def __init__(
        self, form: Literal["zip", "gzip"], options: ArchiveFormat, expected: Expected, inner: Callable[[Document], Former | None], csv: CsvReader
    ) -> None:
        self.form: str = form
        self._options = options
        self._known = expected.known
        self._inner = inner
        self._csv = csv
        self._within: tuple[Budget, int, int] | None = None  # of the archive that holds this one, and what it had used by then

    def held_by(self, budget: Budget) -> None:
        """This archive was found in another one, whose bounds count for both."""
        self._within = budget, budget.used, budget.entries

    def convert(self, document: Document, titles: Sequence[str] = ()) -> Generator[bytes, None, Plain]:
        """Pieces of the plain form; `parts` of the evidence says which ordinals came from which member."""
        progress = _Progress(dict.fromkeys(titles))
        budget = self._budget()
        with self._members(document, budget) as members:
            meant = [one for one in members if self._meant(one.name)]
            if not meant:
                hint = "correct `archive: {files: …}` of the feed, or ask the agency what it packed"
                raise Rejected(f"none of the archive's {len(members)} members is meant", hint=hint, code="F005")
            for at, member in enumerate(meant):
                with _about(member):
                    yield from self._member(member, budget, progress, meant[at + 1 :])
        evidence = {"members": len(members), "passed over": len(members) - len(meant), "empty": progress.empty, "parts": progress.parts}
        return Plain(self.form, tuple(progress.titles), progress.rows, evidence)

    def _budget(self) -> Budget:
        if self._within is None:
            return Budget(self._options.max_total, self._options.max_ratio, self._options.max_entries)
        budget, used, entries = self._within
        budget.used, budget.entries = used, entries  # as it was when this archive was found, however often it is read
        return budget

    @contextmanager
    def _members(self, document: Document, budget: Budget) -> Iterator[list[Member]]:
        if self.form == "gzip":
            name = re.sub(r"\.gz(ip)?$", "", document.name, flags=re.IGNORECASE)
            yield [Member(1, name, lambda: unpacked_gzip(document.stream, budget))]
            return
        password = self._options.password.get_secret_value() if self._options.password else ""
        with members_of_zip(document.stream, document.size, password=password, encoding=self._options.encoding, budget=budget) as members:
            yield members

    def _meant(self, name: str) -> bool:
        name, base = name.lower(), name.lower().rpartition("/")[2]
        pattern = self._options.files.lower()
        aside = any(fnmatchcase(name, one) for one in _ASIDE)
        return self.form == "gzip" or (not aside and fnmatchcase(name if "/" in pattern else base, pattern))

    def _member(self, member: Member, budget: Budget, progress: _Progress, rest: Sequence[Member]) -> Generator[bytes, None, None]:
        with self._opened(member, budget) as (stream, cut):
            if cut is None:
                progress.empty += 1
                return
            names = _names(cut)
            if not progress.begun:
                progress.titles |= dict.fromkeys(names)
                progress.begun = True
                yield heading_line(tuple(progress.titles))
            elif not progress.titles.keys() >= set(names):
                raise Widened(self._all_titles([*progress.titles, *names], rest, budget))
            first = progress.rows
            for block in self._csv.blocks(stream, cut, start=cut.start, line=cut.line, first=0):
                progress.rows += block.frame.height + block.refused.height
                yield from _lines(block, tuple(progress.titles))
        part = {"name": _IDENTITY.sub("…", member.name), "form": cut.form, "first": first, "rows": progress.rows - first, **_evidence(cut)}
        if len(progress.parts) < _SHOWN:
            progress.parts.append(part)

    def _all_titles(self, titles: list[str], rest: Sequence[Member], budget: Budget) -> tuple[str, ...]:
        for member in rest:
            with _about(member), self._opened(member, budget) as (_, cut):
                titles += _names(cut) if cut is not None else ()
        return tuple(dict.fromkeys(titles))

    @contextmanager
    def _opened(self, member: Member, budget: Budget) -> Iterator[tuple[BinaryIO, Cut | None]]:
        """A member as text that can be cut, with its cut; None where it has no rows."""
        with Spool(member.pieces()) as spool:
            document = Document(cast(BinaryIO, spool), spool.size, member.name)
            former = self._inner(document)
            if isinstance(former, ArchiveFormer):
                if self._within is not None:
                    raise Rejected("an archive in an archive in an archive", hint="pack the documents once", code="F010")
                former.held_by(budget)
            if former is None:
                yield document.stream, self._examined(document)
                return
            text, plain = widened(lambda titles: _formed(former, document, titles))
            with text:
                landed, start = Landed("", text.size), len(heading_line(plain.titles))
                cut = cut_of_plain(plain.form, plain.titles, self._known, landed, start, plain.evidence) if plain.rows else None
                yield cast(BinaryIO, text), cut

    def _examined(self, document: Document) -> Cut | None:
        try:
            return self._csv.examine(document.stream, document.size)
        except Rejected as error:
            if error.code == "F005":
                return None
            raise


@contextmanager
def _about(member: Member) -> Iterator[None]:
    """Errors say which member they are about, by its number and ending: its name may hold personal data."""
    try:
        yield
    except Widened:
        raise
    except Rejected as error:
        ending = re.search(r"\.[A-Za-z0-9]{1,5}$", member.name)
        said = error.message if error.message.startswith("member ") else f"member {member.number}{f' ({ending[0]})' if ending else ''}: {error.message}"
        raise Rejected(said, hint=error.hint, code=error.code) from error


def _formed(former: Former, document: Document, titles: tuple[str, ...]) -> tuple[Spool, Plain]:
    """The plain form of a member, and what was found."""
    ended: list[Plain] = []

    def pieces() -> Iterator[bytes]:
        ended.append((yield from former.convert(document, titles)))

    document.stream.seek(0)
    return Spool(pieces()), ended[0]


def _names(cut: Cut) -> tuple[str, ...]:
    return cut.names[1:] if cut.placed else cut.names


def _evidence(cut: Cut) -> dict[str, Any]:
    """How a member is read, as far as it is not the same for all."""
    return {"found": cut.found} if cut.placed else {"encoding": cut.encoding, "basis": cut.basis, "delimiter": cut.delimiter}


def _lines(block: Block, titles: tuple[str, ...]) -> Iterator[bytes]:
    """A block's rows as lines of the plain form; those that could not be read stand where they were."""
    there = set(block.frame.columns)
    cells = block.frame.select(pl.col(LINE).cast(pl.String), *(pl.col(title) if title in there else pl.lit(None, pl.String).alias(title) for title in titles))
    begin = 0
    for ordinal, line, raw in block.refused.select(ORDINAL, "line", RAW).iter_rows():
        until = int(block.frame[ORDINAL].search_sorted(ordinal))
        if until > begin:
            yield lines_of(cells.slice(begin, until - begin))
        yield unread_line(line, raw, len(titles))
        begin = until
    if begin < cells.height:
        yield lines_of(cells.slice(begin))
