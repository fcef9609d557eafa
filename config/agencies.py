"""Agency files: sources, feeds, shares and tests, with every name in them resolved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from pydantic import BaseModel

from config.connectors import Kinds
from config.expressions import Compiler, Expressions
from config.models import AgencyFile, BasisPart, FeedPart, LimitsPart, SharePart, WhenPart
from config.problems import nearest
from config.resolved import Agency, Feed, FeedTest, Limits, ShareConfig, When
from config.syntax import Document, Node
from config.validation import check
from hub.contracts.denied import HINT, RULE, denied_among
from hub.contracts.headings import normalise_heading
from hub.contracts.item import Item, Kind, Level
from hub.contracts.share import Basis, Share
from transforms.checks import CheckRule
from transforms.expression import Compiled


@dataclass(frozen=True)
class World:
    """What an agency file may refer to."""

    agencies: Mapping[str, Agency]
    items: Mapping[str, Item]
    doubtful: frozenset[str]  # codes of items whose file is not in order
    compiler: Compiler
    kinds: Kinds
    limits: Limits
    files: frozenset[str] | None  # files below the configuration's directory; None where they are not at hand


@dataclass
class Found:
    """What one agency file holds."""

    feeds: dict[str, Feed] = field(default_factory=dict)
    shares: dict[str, ShareConfig] = field(default_factory=dict)
    tests: list[FeedTest] = field(default_factory=list)


class AgencyReader:
    """Resolves one agency file."""

    def __init__(self, document: Document, part: AgencyFile, world: World) -> None:
        assert document.root is not None
        self.document, self.part, self.world, self.root = document, part, world, document.root
        self.code = part.agency.code
        self.sources: dict[str, tuple[str, BaseModel | None]] = {}
        self.called: dict[str, str] = {}  # item: the feed that takes what the agency submits

    def read(self) -> Found:
        """Everything in the file that is sound; what is not is reported in the document."""
        self.sources = {name: self._source(name) for name in self.part.sources}
        found = Found()
        for name, part in self.part.feeds.items():
            if feed := self._feed(name, part):
                found.feeds[feed.name] = feed
        for name, share_part in self.part.shares.items():
            if share := self._share(name, share_part):
                found.shares[share.name] = share
        found.tests = self._tests()
        return found

    def _source(self, name: str) -> tuple[str, BaseModel | None]:
        node, path = self.root.at("sources", name), f"sources.{name}"
        kind = self._one_key(node, path, self.world.kinds.sources, "sources")
        if kind is None:
            return "", None
        return kind, check(self.document, node.entries[kind], self.world.kinds.sources[kind].config, f"{path}.{kind}")

    def _one_key(self, node: Node, path: str, known: Mapping[str, object], noun: str) -> str | None:
        """The one key of a map that names a connector."""
        if node.kind != "map" or len(node.entries) != 1:
            self.document.report(node, path, "wrong-type", f"{path} must be a map with one key, the kind of connector", nearest("", known, noun=noun))
            return None
        kind = next(iter(node.entries))
        if kind not in known:
            self.document.report(node.keys[kind], f"{path}.{kind}", "unknown-connector", f"there is no connector {kind}", nearest(kind, known, noun=noun))
            return None
        return kind

    def _item(self, node: Node, path: str, code: str) -> Item | None:
        if code not in self.world.items and code not in self.world.doubtful:
            self.document.report(node, path, "unknown-item", f"the catalogue has no item {code}", nearest(code, self.world.items, noun="items"))
        return self.world.items.get(code)

    def _feed(self, name: str, part: FeedPart) -> Feed | None:
        node, path = self.root.at("feeds", name), f"feeds.{name}"
        self._required(node, path, "item", "read")
        item = self._item(node.at("item"), f"{path}.item", part.item) if part.item else None
        source = self._read_from(node.at("read"), f"{path}.read") if "read" in node.entries else None
        rules, checks, only = self._expressions(node, path, item, part) if item else ({}, (), None)
        limits = self._limits(node, path, part, replies=source is not None and self.world.kinds.sources[source[0]].replies)
        if item is None or source is None:
            return None
        kind, config, read = source
        known = frozenset(normalise_heading(heading) for f in item.fields for heading in (f.name, f.title, *f.aliases))
        self._report_denied(node.at("read"), f"{path}.read.columns", getattr(read, "columns", ()), known)
        if part.snapshot and getattr(read, "partial", False):
            hint = "leave out since and done where everything is read each time, or leave out snapshot"
            self.document.report(
                node.at("snapshot"), f"{path}.snapshot", "bad-value", "snapshot withdraws what an arrival lacks, and this feed reads parts", hint
            )
        if self.world.kinds.sources[kind].pulls and not (part.when and (part.when.cron or part.when.every)):
            message = f"a feed that pulls ({kind}) has to be told when"
            self.document.report(node.at("when"), f"{path}.when", "missing-key", message, 'add when: {cron: "0 2 * * *"}, or when: {every: 1h}')
        if self.world.kinds.sources[kind].replies and (other := self.called.setdefault(item.code, name)) != name:
            message = f"feed {other} takes submissions of {item.code} already"
            self.document.report(node.at("item"), f"{path}.item", "duplicate-name", message, "an agency submits an item to one feed")
        when = self._when(node.at("when"), f"{path}.when", item, part.when) if part.when else None
        priority = item.priority.get(f"{self.code}.{name}", part.priority)
        snapshot = part.snapshot.after if part.snapshot else 0
        return Feed(f"{self.code}.{name}", self.code, item, kind, config, read, when, rules, checks, only, limits, priority, snapshot)

    def _report_denied(self, node: Node, path: str, headings: Iterable[str], known: frozenset[str]) -> None:
        """No feed may read what must not be collected."""
        for heading in denied_among(headings, known):
            self.document.report(node, path, "denied-field", f"{heading} may not be collected ({RULE})", HINT)

    def _when(self, node: Node, path: str, item: Item, part: WhenPart) -> When:
        due = part.due
        if due is not None:
            dates = [f.name for f in item.fields if f.kind in (Kind.DATE, Kind.TIME)]
            meant = due.field or next((f.name for f in item.fields if "event_date" in f.roles), "")
            if meant not in dates:
                message = f"{item.code} has no date field {meant}" if meant else f"{item.code} has no event date to count from"
                self.document.report(
                    node.at("due"), f"{path}.due", "unknown-field", message, f"say after which: {due.amount} {due.unit} after {dates[0] if dates else '…'}"
                )
            due = replace(due, field=meant)
        return When(part.cron, part.every, due, tuple(part.quiet), part.days == "workdays")

    def _required(self, node: Node, path: str, *keys: str) -> None:
        """Report keys that are missing or empty."""
        for key in keys:
            value = node.entries.get(key)
            if value is None:
                self.document.report(self._name_of(node, path), f"{path}.{key}", "missing-key", f"the key {key} is missing", f"add {key}: …")
            elif not (value.text or value.entries or value.items):
                self.document.report(value, f"{path}.{key}", "bad-value", f"{key} is empty", "write at least one")

    def _name_of(self, node: Node, path: str) -> Node:
        """Where a named part is named: the key of a feed or share."""
        group, _, name = path.partition(".")
        return self.root.at(group).keys.get(name, node)

    def _read_from(self, node: Node, path: str) -> tuple[str, BaseModel, BaseModel] | None:
        if node.kind != "map" or "from" not in node.entries:
            self.document.report(node, f"{path}.from", "missing-key", "the key from is missing", "say which source is read: from: drop")
            return None
        name = node.entries["from"].text
        if name not in self.part.sources:
            hint = nearest(name, self.part.sources, noun="sources")
            self.document.report(node.entries["from"], f"{path}.from", "unknown-source", f"this agency has no source {name}", hint)
            return None
        kind, config = self.sources[name]
        if not kind:
            return None
        read = check(self.document, node, self.world.kinds.sources[kind].read, path, fixed=("from",))
        return (kind, config, read) if config is not None and read is not None else None

    def _expressions(self, node: Node, path: str, item: Item, part: FeedPart) -> tuple[dict[str, Compiled], tuple[CheckRule, ...], Compiled | None]:
        reader = Expressions(self.document, item, self.world.compiler, doubtful=item.code in self.world.doubtful)
        rules: dict[str, Compiled] = {}
        for name in part.map:
            place = node.at("map", name)
            field = item.by_name.get(name)
            if field is None:
                hint = nearest(name, item.by_name, noun="fields")
                self.document.report(node.at("map").keys[name], f"{path}.map.{name}", "unknown-field", f"{item.code} has no field {name}", hint)
            compiled = reader.rule(place, field, f"{path}.map.{name}")
            if compiled is not None:
                self._report_denied(place, f"{path}.map.{name}", compiled.columns, frozenset(map(normalise_heading, compiled.columns)))
            if field is not None and compiled is not None:
                rules[name] = compiled
        lines = node.at("check").items if part.check else []
        checks = [reader.check(line, f"{path}.check.{number}", number) for number, line in enumerate(lines)]
        only = reader.condition(node.at("only"), f"{path}.only") if part.only else None
        return rules, tuple(rule for rule in checks if rule), only

    def _limits(self, node: Node, path: str, part: FeedPart, *, replies: bool) -> Limits:
        own = part.limits or LimitsPart()
        rejected = own.rejected if own.rejected is not None else 1.0 if replies else self.world.limits.rejected
        shrink = self.world.limits.shrink if own.shrink is None else own.shrink
        for name, value in (("rejected", own.rejected), ("shrink", own.shrink)):
            if value is not None and value >= 1 and not part.because:
                self._because(node.at("limits", name), f"{path}.limits.{name}", "100% turns the limit off")
        return Limits(rejected, shrink)

    def _because(self, node: Node, path: str, message: str) -> None:
        self.document.report(node, path, "because-missing", f"{message}, which needs a reason", 'add because: "…" beside it; it is kept in the audit')

    def _share(self, name: str, part: SharePart) -> ShareConfig | None:
        node, path = self.root.at("shares", name), f"shares.{name}"
        self._required(node, path, "items", "to", "fields", "deliver")
        found = [self._item(node.at("items", number), f"{path}.items.{number}", code) for number, code in enumerate(part.items)]
        items = [item for item in found if item]
        if part.to:
            self._receiver(node.at("to"), f"{path}.to", part.to)
        self._granted(node, path, part, items)
        if "deliver" not in node.entries:
            return None
        kind = self._one_key(node.at("deliver"), f"{path}.deliver", self.world.kinds.outlets, "outlets")
        if kind is None:
            return None
        place = node.at("deliver", kind)
        config = check(self.document, place, self.world.kinds.outlets[kind].config, f"{path}.deliver.{kind}")
        if place.entries.get("allow") and not part.because:
            self._because(place.keys["allow"], f"{path}.deliver.{kind}.allow", "allow opens private networks")
        if config is None or not items or len(items) != len(part.items):
            return None
        basis = _basis(part.basis) if part.basis else None
        share = Share(f"{self.code}.{name}", self.code, part.to, tuple(part.items), tuple(part.fields), basis, dict(part.masks))
        return ShareConfig(share, kind, config, part.because)

    def _receiver(self, node: Node, path: str, code: str) -> None:
        if code not in self.world.agencies:
            self.document.report(node, path, "unknown-agency", f"there is no agency {code}", nearest(code, self.world.agencies, noun="agencies"))

    def _granted(self, node: Node, path: str, part: SharePart, items: list[Item]) -> None:
        known = {name for item in items for name in item.by_name}
        places = [(field, node.at("fields", number), f"{path}.fields.{number}") for number, field in enumerate(part.fields)]
        places += [(field, node.at("masks").keys[field], f"{path}.masks.{field}") for field in part.masks]
        for field_name, place, where in places:
            if items and field_name not in known and not self.world.doubtful.intersection(part.items):
                self.document.report(
                    place, where, "unknown-field", f"no item of this share has a field {field_name}", nearest(field_name, known, noun="fields")
                )
        for field_name, mask in part.masks.items():
            if mask == "none" and not part.because:
                self._because(node.at("masks", field_name), f"{path}.masks.{field_name}", "none turns masking off")
        strict = [item.code for item in items if item.level in (Level.DEPARTMENT, Level.AUTHORISED)]
        if strict and part.basis is None and "basis" not in node.entries:
            message = f"{strict[0]} may be shared on a basis only"
            self.document.report(node, f"{path}.basis", "missing-key", message, "add basis: {purpose: …, document: …, until: 2026-12-31}")

    def _tests(self) -> list[FeedTest]:
        tests = []
        for number, part in enumerate(self.part.tests):
            place, path = self.root.at("tests", number), f"tests.{number}"
            if part.feed not in self.part.feeds:
                hint = nearest(part.feed, self.part.feeds, noun="feeds")
                self.document.report(place.at("feed"), f"{path}.feed", "unknown-feed", f"this agency has no feed {part.feed}", hint)
            if self.world.files is not None and part.given not in self.world.files:
                hint = nearest(part.given, self.world.files, noun="files")
                self.document.report(place.at("given"), f"{path}.given", "missing-file", f"there is no file {part.given}", hint)
            expect = part.expect
            tests.append(FeedTest(self.code, f"{self.code}.{part.feed}", part.given, expect.passed, expect.rejected, expect.filtered, expect.warned))
        return tests


def _basis(part: BasisPart) -> Basis:
    return Basis(part.purpose, part.document, part.start, part.until)
