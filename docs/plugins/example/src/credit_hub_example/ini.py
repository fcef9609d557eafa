"""A file of sections (INI), pulled whole each time: every section is one record, every option a cell."""

from __future__ import annotations

import configparser
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

from pydantic import Field

from connectors.formats.pulling import Harvest, Pulled, PullSource, Row, json_lines
from connectors.formats.worker import Worker
from connectors.kinds import SourceKind
from hub.contracts.endpoint import EndpointConfig
from hub.contracts.errors import Rejected, Unavailable
from hub.contracts.source import Finding, Intake, Source

_LARGEST = 16 << 20


class IniConfig(EndpointConfig):
    """A file on this machine."""

    path: Path = Field(description="The file; a relative one is below HOME.")


class IniRead(EndpointConfig):
    """Which of its sections are records."""

    sections: str = Field(default="", description="How their names begin; all by default.")


class IniPuller:
    """Reads the file in a thread of its own, and turns what can go wrong into the hub's three errors."""

    def __init__(self, path: Path, prefix: str) -> None:
        self._path = path
        self._prefix = prefix
        self._worker = Worker("ini", 1)

    async def pull(self, after: Any, harvest: Harvest) -> Pulled:
        """All sections; there is no place to go on from."""
        text = await self._worker.do(self._text)
        digest = await harvest.keep(text.encode())
        await harvest.add(self._rows(text))
        return Pulled(evidence={"file": digest})

    async def probe(self) -> AsyncGenerator[Finding, None]:
        """Whether the file can be read, and how many records it holds."""
        try:
            rows = list(self._rows(await self._worker.do(self._text)))
        except (Rejected, Unavailable) as error:
            yield Finding("reach", fine=False, said=error.message, hint=error.hint)
            return
        yield Finding("reach", fine=True, said=f"{self._path.name} can be read")
        yield Finding("sample", fine=bool(rows), said=f"{len(rows)} sections", hint="" if rows else "is `sections` right?")

    async def sample(self, rows: int) -> tuple[str, bytes]:
        """The first sections."""
        found = list(self._rows(await self._worker.do(self._text)))
        return "sample.jsonl", json_lines(found[:rows])

    async def close(self) -> None:
        """Let the thread go."""
        self._worker.close()

    def _text(self) -> str:
        try:
            with self._path.open("rb") as file:
                content = file.read(_LARGEST + 1)
        except OSError as error:
            raise Unavailable(f"{self._path.name} cannot be read: {error.strerror}", hint="is the file where `path` says?") from error
        if len(content) > _LARGEST:
            raise Rejected(f"{self._path.name} is larger than {_LARGEST} bytes", hint="ask for several files", code="F003")
        try:
            return content.decode()
        except UnicodeDecodeError as error:
            raise Rejected(f"{self._path.name} is not UTF-8", hint="save it as UTF-8", code="F002") from error

    def _rows(self, text: str) -> Iterator[Row]:
        parser = configparser.ConfigParser(interpolation=None)
        parser.optionxform = str  # type: ignore[assignment,method-assign]  # headings keep their letters as they are
        try:
            parser.read_string(text)
        except configparser.Error as error:
            raise Rejected(f"{self._path.name} is no INI file", hint="sections look like [1], cells like 企业名称 = …", code="F001") from error
        for section in parser.sections():
            if section.startswith(self._prefix):
                yield {"section": section, **parser[section]}


def _build(config: IniConfig, read: IniRead, *, feed: str, item: str, known: frozenset[str], intake: Intake, home: Path, batch_rows: int) -> Source:
    puller = IniPuller(home / config.path, read.sections)
    return PullSource(puller, feed=feed, item=item, known=known, intake=intake, batch_rows=batch_rows)


INI = SourceKind(IniConfig, IniRead, _build, pulls=True)
