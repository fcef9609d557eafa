"""How a delimited file is cut (encoding, dialect, heading): found once, kept as evidence, so that the same bytes are always cut the same way."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Annotated, Any, BinaryIO, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from connectors.formats import charset, records
from connectors.formats.charset import Charset
from hub.contracts.endpoint import EndpointConfig
from hub.contracts.errors import Rejected
from hub.contracts.headings import normalise_heading
from hub.contracts.source import Landed

DELIMITERS = (",", "\t", "|", "^", ";", "\x1b", "@|@", "||")
BARE = ("|", "^", "\x1b", "@|@", "||")  # dialects that are usually written without quoting
ALIASES = {"gbk": "gb18030", "utf-16": "utf-16-le"}
SAMPLE = 1 << 20
MAX_LINE = 8 << 20
MAX_COLUMNS = 2_000
TAIL = 64 << 10
HEADING_DEPTH = 20  # a heading further down than this is not looked for
TOTALS = ("合计", "总计", "小计", "共计", "制表人", "填表人", "填报人", "审核人", "制表日期", "填表日期")
TEMPLATE_HINT = "use the standard template, or map the agency's headings in the feed's `map:`"


def _delimiter(value: str) -> str:
    if not 1 <= len(value) <= 8 and value != "auto":
        raise ValueError("a delimiter has 1 to 8 characters")
    if any(c in value for c in '\r\n"') or not value.isascii():
        raise ValueError("a delimiter holds no line end, no quotation mark and only ASCII")
    return value


class CsvFormat(EndpointConfig):
    """Delimited text. Everything is found by itself unless it is named here."""

    encoding: Literal["auto", "utf-8", "gb18030", "gbk", "utf-16", "utf-16-le", "utf-16-be"] = Field(
        default="auto", description="Character set; gbk is read as GB 18030."
    )
    delimiter: Annotated[str, AfterValidator(_delimiter)] = Field(
        default="auto", description='One or more characters between cells, "\\t" for a tab, "\\e" for 0x1B.'
    )
    quote: Literal["auto", '"', "none"] = Field(default="auto", description="Whether cells may be quoted (RFC 4180).")
    header: bool = Field(default=True, description="Whether a line names the columns; without one, `columns` does.")
    columns: tuple[str, ...] = Field(default=(), description="Headings of a file that has none of its own.")
    skip: int = Field(default=0, ge=0, le=1000, description="Lines to pass over before the heading.")
    totals: tuple[str, ...] = Field(default=TOTALS, description="First cell of the closing lines that are no records.")

    @model_validator(mode="after")
    def _columns_named(self) -> Self:
        if self.header == bool(self.columns):
            raise ValueError("name `columns` if and only if `header: false`")
        return self


@dataclass(frozen=True, slots=True)
class Cut:
    """Evidence of how a file is cut. Rows begin at byte `start` (line `line`); from byte `tail` on only totals follow. `titles` are as written.

    Where the document is no delimited text, `plain` is the digest of its plain form, which all places refer to, `form` what it is, `placed` says that
    the first cell of each row is its place in the document, and `found` what else is known of it.
    """

    encoding: str
    basis: str  # why this encoding
    mark: int  # bytes of the byte order mark
    delimiter: str
    quote: bool
    titles: tuple[str, ...]
    matched: int  # how many titles the item knows
    start: int
    line: int
    tail: int
    size: int
    plain: str = ""
    form: str = "csv"
    placed: bool = False
    found: dict[str, Any] = field(default_factory=dict)

    def to_wire(self) -> dict[str, Any]:
        """JSON-able evidence for the ledger."""
        return asdict(self) | {"titles": list(self.titles)}

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Self:
        """Inverse of `to_wire`."""
        kept = {one.name: wire[one.name] for one in fields(cls) if one.name in wire}
        return cls(**{**kept, "titles": tuple(wire["titles"])})

    @property
    def names(self) -> tuple[str, ...]:
        """Titles as column names: empty ones numbered, repeated ones numbered, none that looks like a working column of the hub."""
        names: list[str] = []
        for position, title in enumerate(self.titles, 1):
            name = title.strip().lstrip("_") or f"column_{position}"
            while name in names:
                name = f"{name}_{position}"
            names.append(name)
        return tuple(names)


@dataclass(frozen=True, slots=True)
class _Heading:
    score: tuple[int, bool, int, int, int]  # titles known, text fits, lines with as many cells, minus empty titles, columns
    encoding: Charset
    delimiter: str
    quote: bool
    titles: tuple[str, ...]
    start: int
    line: int


def cut_of_plain(form: str, titles: Sequence[str], known: frozenset[str], plain: Landed, start: int, found: dict[str, Any]) -> Cut:
    """How the plain form of a document is cut; its rows begin at byte `start`. Raises `Rejected` F006 where the item knows none of its headings."""
    matched = len({name for name in map(normalise_heading, titles) if name in known})
    if len(titles) > MAX_COLUMNS:
        raise Rejected(f"{len(titles)} columns, more than {MAX_COLUMNS}", hint=TEMPLATE_HINT, code="F006")
    if known and not matched:
        raise Rejected("the document holds no heading that the item knows", hint=TEMPLATE_HINT, code="F006")
    names = ("⟨place⟩", *titles)  # no heading of anybody: one of an agency may well be `place`
    return Cut("utf-8", "plain form", 0, "\x1f", True, names, matched, start, 2, plain.size, plain.size, plain.digest, form, placed=True, found=found)


def examine(stream: BinaryIO, size: int, options: CsvFormat, known: frozenset[str]) -> Cut:
    """Find out how a file is cut. `known` are the item's headings, normalised.

    Raises `Rejected`: F001 (no line ends), F002 (no text in that encoding), F003 (a line over 8 MiB), F005 (no data row), F006 (heading unknown or
    more than 2,000 columns).
    """
    if size == 0:
        raise Rejected("the file is empty", hint="ask the agency to send it again", code="F005")
    sample = _sample(stream, size)
    found = _charsets(stream, sample, size, options)
    heading = max((h for c in found for h in _headings(sample, size, c, options, known)), key=lambda h: h.score, default=None)
    encoding = heading.encoding if heading is not None else found[0]
    charset.to_utf8(_whole_lines(sample, encoding.encoding, size)[encoding.mark :], encoding.encoding, start=encoding.mark)
    if heading is None:
        raise Rejected("the file holds no data row", hint="an empty delivery needs no file; otherwise ask the agency to send it again", code="F005")
    _check_heading(heading, options, known)
    tail = _tail(stream, size, heading, options)
    if tail <= heading.start or heading.start >= size:
        raise Rejected("the file has a heading and no data row", hint="an empty delivery needs no file; otherwise ask the agency to send it again", code="F005")
    return Cut(
        heading.encoding.encoding,
        heading.encoding.basis,
        heading.encoding.mark,
        heading.delimiter,
        heading.quote,
        heading.titles,
        heading.score[0],
        heading.start,
        heading.line,
        tail,
        size,
    )


def _check_heading(heading: _Heading, options: CsvFormat, known: frozenset[str]) -> None:
    if len(heading.titles) > MAX_COLUMNS:
        raise Rejected(f"line {heading.line - 1}: {len(heading.titles)} columns, more than {MAX_COLUMNS}", hint=TEMPLATE_HINT, code="F006")
    if options.header and known and heading.score[0] == 0:
        raise Rejected(f"none of the first {HEADING_DEPTH} lines holds a heading that the item knows", hint=TEMPLATE_HINT, code="F006")


def _sample(stream: BinaryIO, size: int) -> bytes:
    """The first MiB, or more where the first line is longer, ending at a newline or at the end of the file."""
    stream.seek(0)
    sample = stream.read(SAMPLE)
    while b"\n" not in sample and len(sample) < size:
        if len(sample) > MAX_LINE:
            raise too_long(1)
        sample += stream.read(SAMPLE)
    if b"\n" not in sample and b"\r" in sample[:-1]:
        raise Rejected("lines end in CR alone", hint="ask for line ends CR LF or LF", code="F001")
    return sample


def too_long(line: int) -> Rejected:
    """The error for a line that cannot be a record."""
    return Rejected(f"line {line} is longer than {MAX_LINE >> 20} MiB", hint="the line ends are missing, or this is no delimited text", code="F003")


def _whole_lines(sample: bytes, encoding: str, size: int) -> bytes:
    ends = charset.line_ends(sample, encoding)
    return sample if len(sample) >= size or not len(ends) else sample[: int(ends[-1])]


def _charsets(stream: BinaryIO, sample: bytes, size: int, options: CsvFormat) -> list[Charset]:
    """Encodings that the file may be in: mark, declared, else strict UTF-8, else strict GB 18030. A declared one is tried as it is."""
    marked = charset.marked(sample)
    if options.encoding != "auto":
        return [_declared(options.encoding, marked)]
    if marked is not None:
        return [marked]
    lines = _foreign(stream, sample, size)
    if lines.isascii():
        return [Charset("utf-8", 0, "ASCII throughout")]
    fits = {encoding: charset.is_text(lines, encoding) for encoding in ("utf-8", "gb18030")}
    return [Charset(e, 0, f"strict {e}, no mark" if fits[e] else "its heading fits, not all of its text", fits[e]) for e in fits]


def _declared(encoding: str, marked: Charset | None) -> Charset:
    name = ALIASES.get(encoding, encoding)
    if marked is None:
        return Charset(name, 0, "declared")
    if encoding != "utf-16" and marked.encoding != name:
        raise Rejected(f"declared {encoding}, but the file starts with {marked.basis} ({marked.encoding})", hint="correct `encoding`", code="F002")
    return Charset(marked.encoding, marked.mark, f"declared, {marked.basis}")


def _foreign(stream: BinaryIO, sample: bytes, size: int) -> bytes:
    """Whole lines holding the first characters beyond ASCII; the sample where there are none."""
    lines = _whole_lines(sample, "utf-8", size)
    if not lines.isascii() or len(sample) >= size:
        return lines
    stream.seek(len(lines))
    rest = b""
    while piece := stream.read(SAMPLE):
        rest = rest[rest.rfind(b"\n") + 1 :][-MAX_LINE:] + piece
        if not piece.isascii():
            return rest[: rest.rfind(b"\n") + 1 or None] if len(piece) == SAMPLE else rest
    return lines


def _headings(sample: bytes, size: int, found: Charset, options: CsvFormat, known: frozenset[str]) -> Iterator[_Heading]:
    raw = charset.readable(_whole_lines(sample, found.encoding, size)[found.mark :], found.encoding)
    ends = charset.line_ends(raw, found.encoding)
    text = charset.repaired(raw.decode(found.encoding).encode())
    for delimiter in DELIMITERS if options.delimiter == "auto" else (options.delimiter.replace("\\e", "\x1b"),):
        yield from _headings_by(text, ends, found, delimiter, options, known)


def _headings_by(text: bytes, ends: records.Offsets, found: Charset, delimiter: str, options: CsvFormat, known: frozenset[str]) -> Iterator[_Heading]:
    """Candidate headings among the first lines under one delimiter."""
    single, joined = single_delimiter(text, delimiter)
    quote = _quotes(joined, single, delimiter, options)
    begin = _after_lines(joined, options.skip)
    layout = records.lay_out(joined[begin:], single, quote=quote, final=True)
    seen = 0
    for i in range(min(len(layout.starts), 10 * HEADING_DEPTH)):
        cells = records.split(joined[begin + int(layout.starts[i]) : begin + int(layout.ends[i])], single, quote=quote)
        if not any(c.strip() for c in cells):
            continue
        titles = tuple(c.strip("\r\n\t \ufeff") for c in cells)
        matched = len({n for n in map(normalise_heading, titles if options.header else options.columns) if n in known})
        even = int((layout.cells[i : i + 50] == len(cells)).sum())
        after = options.skip + (int(layout.lines[i + 1]) if i + 1 < len(layout.lines) else layout.used_lines)
        line = after if options.header else options.skip + int(layout.lines[i])
        start = found.mark + (int(ends[line - 1]) if 0 < line <= len(ends) else 0 if line == 0 else 1 << 62)
        names = titles if options.header else options.columns
        score = (matched if options.header else int(len(cells) == len(names)), found.fits, even * min(len(cells) - 1, 1), -titles.count(""), len(cells) - i)
        yield _Heading(score, found, delimiter, quote, names, start, line + 1)
        seen += 1
        if seen == HEADING_DEPTH or not options.header:
            return


def single_delimiter(text: bytes, delimiter: str) -> tuple[int, bytes]:
    """The delimiter as one byte, and the text with it: longer ones are replaced by a control character that the text does not hold."""
    if len(delimiter) == 1:
        return ord(delimiter), text
    free = next(c for c in range(0x1F, 0, -1) if c not in (9, 10, 13) and bytes([c]) not in text)
    return free, text.replace(delimiter.encode(), bytes([free]))


def _after_lines(text: bytes, lines: int) -> int:
    position = 0
    for _ in range(lines):
        position = text.find(b"\n", position) + 1 or len(text)
    return position


def _quotes(text: bytes, delimiter: int, written: str, options: CsvFormat) -> bool:
    """Whether cells are quoted: where it is left open, bare dialects are quoted only if some cell is quoted and no mark is stray."""
    if options.quote != "auto":
        return options.quote == '"'
    if b'"' not in text:
        return written not in BARE
    mark = re.escape(bytes([delimiter]))
    inside = rb'[^"\n]' if written in BARE else rb'[^"]'
    quoted = re.search(rb'(?:^|%b)"(?:%b++|"")*+"(?:%b|\r?$)' % (mark, inside, mark), text, re.MULTILINE)
    return quoted is not None


def _tail(stream: BinaryIO, size: int, heading: _Heading, options: CsvFormat) -> int:
    """Byte where the closing lines begin that are no records (totals, who filled it in); `size` where there are none."""
    encoding = heading.encoding.encoding
    begin = max(heading.start, size - TAIL)
    begin -= (begin - heading.start) % 2
    stream.seek(begin)
    raw = stream.read(size - begin)
    ends = [0, *map(int, charset.line_ends(raw, encoding))]
    if ends[-1] < len(raw):
        ends.append(len(raw))
    words = re.compile(rf"\s*(?:{'|'.join(map(re.escape, options.totals))})\s*(?:[:：].*)?") if options.totals else None
    tail = size
    for first, last in zip(ends[-2::-1], ends[:0:-1], strict=True):
        if first == 0 and begin > heading.start:
            break
        line = raw[first:last].decode(encoding, "ignore").strip("\r\n")
        cell = next((c for c in line.replace('"', "").split(heading.delimiter) if c.strip()), "")
        if cell and (words is None or words.fullmatch(cell) is None):
            break
        tail = begin + first if cell or tail < size or first == 0 else tail
    return tail
