"""A directory of YAML files in, one resolved configuration or all of its problems out.

hub.yaml            the city and the machine
calendar.yaml       working days; the packaged ones where it is missing
agencies.yaml       every agency that the city knows
codes/*.yaml        one code list each
catalogue/*.yaml    one item each; catalogue/common.yaml overrides the fields that every item may carry
agencies/*.yaml     one agency each, with its sources, feeds, shares and tests
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TypeVar

from config.agencies import AgencyReader, Found, World
from config.bundle import COMMON_FIELDS, read_bundle, sample_files, version_of, with_common
from config.catalogue import Codes, read_codes, read_common, read_items
from config.connectors import Kinds, registered
from config.expressions import Compiler
from config.models import AgenciesFile, AgencyFile, AgencyPart, CalendarFile, HubFile, Part
from config.problems import Problem
from config.resolved import Agency, HubConfig, Keep, Limits
from config.syntax import Document, Node
from config.validation import check
from hub.calendar import WorkingDays

Model = TypeVar("Model", bound=Part)


@dataclass(frozen=True)
class Loaded:
    """What became of a configuration: `hub` is None where there are problems. `bundle` holds every YAML file by name, so that it can be built again."""

    hub: HubConfig | None
    problems: tuple[Problem, ...]
    version: str
    bundle: dict[str, bytes]


def load(directory: Path, *, kinds: Kinds | None = None) -> Loaded:
    """Read and check a directory. Never raises for what is in it; every problem of a run is reported at once."""
    bundle, problems = read_bundle(directory)
    with _collector_waiting():
        return _build(bundle, problems, kinds or registered(), sample_files(directory))


def load_bundle(bundle: Mapping[str, bytes], *, kinds: Kinds | None = None) -> Loaded:
    """The same from memory: an older version, as it was."""
    with _collector_waiting():
        return _build(with_common(bundle), [], kinds or registered(), None)


@contextmanager
def _collector_waiting() -> Iterator[None]:
    """The garbage collector would walk the growing trees again and again, which is half the time of a large city; nothing here makes garbage in rings."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _build(bundle: dict[str, bytes], problems: list[Problem], kinds: Kinds, files: frozenset[str] | None) -> Loaded:
    documents = {name: Document(name, content) for name, content in bundle.items()}
    if "hub.yaml" not in bundle:
        problems = [*problems, Problem("hub.yaml", 1, 1, "", "missing-file", "there is no hub.yaml here", "run `run_hub.py init`, or give --config")]
    version = version_of(bundle)
    hub = _Build(documents, kinds, files).hub(version)
    problems = sorted({*problems, *(problem for document in documents.values() for problem in document.problems)})
    return Loaded(None if problems else hub, tuple(problems), version, bundle)


class _Build:
    """Puts the parts together in the order in which they refer to each other."""

    def __init__(self, documents: Mapping[str, Document], kinds: Kinds, files: frozenset[str] | None) -> None:
        self.documents, self.kinds, self.files = documents, kinds, files

    def hub(self, version: str) -> HubConfig | None:
        """Everything resolved; None where `hub.yaml` cannot be read."""
        main = self._whole("hub.yaml", HubFile, "city: …")
        codes = read_codes(self._in("codes"))
        common = read_common(self.documents.get(COMMON_FIELDS), codes)
        items, doubtful = read_items(self._in("catalogue"), common, codes)
        owners = self._owners()
        world = World(self._agencies(owners), items, doubtful, Compiler(codes), self.kinds, _limits(main), self.files)
        found = [AgencyReader(self.documents[name], part, world).read() for name, part in owners.items()]
        calendar = self._calendar()
        return _hub(version, main, codes, world, found, calendar) if main else None

    def _calendar(self) -> WorkingDays:
        """The working days that the configuration knows."""
        part = self._whole("calendar.yaml", CalendarFile, "years: {2026: {holidays: [10-01..10-07], workdays: [10-10]}}")
        root = self.documents["calendar.yaml"].root if part else None
        days: dict[str, set[date]] = {"holidays": set(), "workdays": set()}
        for year, known in part.years.items() if part else ():
            for kind, spans in (("holidays", known.holidays), ("workdays", known.workdays)):
                for number, span in enumerate(spans):
                    try:
                        days[kind].update(span.in_year(year))
                    except ValueError as error:
                        assert root is not None, "a file with parts has a root"
                        place, path = root.at("years", str(year), kind, number), f"years.{year}.{kind}.{number}"
                        self.documents["calendar.yaml"].report(place, path, "bad-value", f"{year} has no such day: {error}", "write month-day: 02-28")
        return WorkingDays(frozenset(days["holidays"]), frozenset(days["workdays"]), frozenset(part.years if part else ()))

    def _in(self, folder: str) -> list[Document]:
        return [document for name, document in sorted(self.documents.items()) if name.startswith(f"{folder}/") and name != COMMON_FIELDS]

    def _whole(self, name: str, model: type[Model], start: str) -> Model | None:
        """A file as its model; an empty one is reported."""
        document = self.documents.get(name)
        if document is None:
            return None
        if document.root is None:
            if not document.problems:
                document.report((1, 1), "", "wrong-type", "the file is empty", f"start with {start}")
            return None
        return check(document, document.root, model, "")

    def _owners(self) -> dict[str, AgencyFile]:
        """Agency files by file name; an agency has one file."""
        owners: dict[str, AgencyFile] = {}
        for document in self._in("agencies"):
            part = self._whole(document.file, AgencyFile, "agency: {code: A0030, name: …}")
            if part is None or document.root is None:
                continue
            other = next((name for name, known in owners.items() if known.agency.code == part.agency.code), None)
            if other:
                place = document.root.at("agency", "code")
                document.report(place, "agency.code", "duplicate-name", f"{part.agency.code} has a file already: {other}", "an agency has one file")
            else:
                owners[document.file] = part
        return owners

    def _agencies(self, owners: Mapping[str, AgencyFile]) -> dict[str, Agency]:
        known: dict[str, Agency] = {}
        master = self._whole("agencies.yaml", AgenciesFile, "agencies: [{code: A0030, name: …}]")
        root = self.documents["agencies.yaml"].root if master else None
        for number, part in enumerate(master.agencies if master else []):
            if part.code in known:
                self._twice(root, number, part)
            known[part.code] = _agency(part)
        for owner in owners.values():
            known.setdefault(owner.agency.code, _agency(owner.agency))
        return known

    def _twice(self, root: Node | None, number: int, part: AgencyPart) -> None:
        if root is not None:
            place = root.at("agencies", number, "code")
            self.documents["agencies.yaml"].report(place, f"agencies.{number}.code", "duplicate-name", f"{part.code} is there twice", "keep one of the two")


def _agency(part: AgencyPart) -> Agency:
    return Agency(part.code, part.name, part.name_en, part.now)


def _limits(main: HubFile | None) -> Limits:
    given = main.defaults.limits if main else None
    if given is None:
        return Limits()
    return Limits(Limits().rejected if given.rejected is None else given.rejected, Limits().shrink if given.shrink is None else given.shrink)


def _hub(version: str, main: HubFile, codes: Codes, world: World, found: list[Found], calendar: WorkingDays) -> HubConfig:
    return HubConfig(
        version=version,
        city=main.city,
        broker=main.broker,
        state=main.state.url,
        stores={name: part.url for name, part in main.stores},
        because_of={name: part.because for name, part in (("state", main.state), *main.stores) if part.because},
        listen=main.listen,
        keep=Keep(main.keep.landing, main.keep.done, main.keep.journal),
        calendar=calendar,
        agencies=world.agencies,
        codes=codes,
        items=world.items,
        feeds={name: feed for part in found for name, feed in part.feeds.items()},
        shares={name: share for part in found for name, share in part.shares.items()},
        tests=tuple(test for part in found for test in part.tests),
        gateway=main.gateway,
    )
