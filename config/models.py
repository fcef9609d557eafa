"""The shape of the YAML files, key by key; the JSON Schema for editors is made from these models."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from config.values import BrokerSetting, Cron, Day, DueTime, Every, Listen, Percent, QuietWindow, Texts, YearDays, database_setting
from hub.contracts.endpoint import Duration

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
FieldName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
AgencyCode = Annotated[str, StringConstraints(pattern=r"^[A-Z][0-9]{4}$")]
ItemCode = Annotated[str, StringConstraints(pattern=r"^[A-Z][0-9]{4}-[FZGJ][0-9]{2}-[0-9]{2}$")]
Expression = Annotated[str, StringConstraints(min_length=1, max_length=4000)]
Mask = Literal["name", "party", "id_no", "phone", "account", "address", "all", "none"]


class Part(BaseModel):
    """A part of a file: unknown keys are refused, values are never echoed."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class FieldPart(Part):
    """One field of an item."""

    name: FieldName = Field(description="Identifier; the column's name everywhere.")
    title: str = Field(description="Heading of the standard template.", max_length=200)
    alias: Texts = Field((), description="Other headings that mean the same.")
    type: Literal["text", "long", "number", "date", "time"] = Field("text", description="long is text beyond 2,000 characters.")
    length: int | None = Field(None, ge=1, le=100_000, description="Longest text in characters, or digits of a number.")
    scale: int = Field(0, ge=0, le=9, description="Decimals of a number.")
    need: Literal["M", "C1", "C2", "C3"] | None = Field(None, description="M must be there; of all C1 fields at least one; C2 on a condition.")
    codes: str | dict[str, str] | list[str] | None = Field(None, description="Name of a code list, or the codes themselves.")
    multi: bool = Field(False, description="Several codes may stand in one cell.")
    check: Literal["uscc", "org_code", "reg_no", "id_no"] | None = Field(None, description="Identifier whose form is checked.")
    when: dict[str, str] | None = Field(None, max_length=1, description="Check the identifier only where this field has this value.")
    role: Texts = Field((), description="What the field is for: key, subject.1, event_date, …")
    pii: Literal["P", "S"] | None = Field(None, description="P personal, S sensitive.")
    unit: Literal["元", "万元"] | None = Field(None, description="Unit of an amount.")


class ItemFile(Part):
    """catalogue/*.yaml: one item of the catalogue."""

    item: ItemCode = Field(description="Code, for example A0030-F06-01.")
    name: str = Field(max_length=200)
    name_en: str = Field("", max_length=200)
    agency: AgencyCode | None = Field(None, description="Provider; by default the code's first part.")
    level: Literal["open", "basic", "department", "authorised"] = Field(description="Who may see it.")
    kind: str = Field("", description="One of the ten kinds: 处罚, 许可, …")
    frequency: str = ""
    store: Literal["ent", "psn", "gov", "fin"] | None = Field(None, description="By default from the code's letter.")
    key: str = Field(description="Natural key: doc_no + uscc|reg_no.")
    version: str = "v1"
    public_persons: bool = Field(False, description="Natural persons of an open item may be published.")
    priority: dict[str, int] = Field(default_factory=dict, description="feed: priority; the higher wins.")
    fields: list[FieldPart] = Field(min_length=1, max_length=500)


class CommonFile(Part):
    """catalogue/common.yaml: fields that every item may carry besides its own."""

    fields: list[FieldPart] = Field(max_length=50)


class CodesFile(Part):
    """codes/*.yaml: one code list."""

    codes: Name = Field(description="The list's name.")
    title: str = ""
    entries: dict[str, str] = Field(min_length=1, max_length=20_000, description="code: label")


class AgencyPart(Part):
    """Who somebody is."""

    code: AgencyCode
    name: str = Field(max_length=200)
    name_en: str = ""
    now: str = Field("", description="Present name or successor.")


class AgenciesFile(Part):
    """agencies.yaml: every agency that the city knows."""

    agencies: list[AgencyPart] = Field(max_length=2000)


class LimitsPart(Part):
    """Beyond these a run is held and asks."""

    rejected: Percent | None = Field(default=None, description="Rejected rows.")
    shrink: Percent | None = Field(default=None, description="Rows that a snapshot withdraws.")


class WhenPart(Part):
    """When a feed wakes."""

    cron: Cron | None = Field(None, description="minute hour day month weekday")
    every: Every | None = Field(None, description="A period: 15m.")
    quiet: list[QuietWindow] = Field(default_factory=list, max_length=10, description="Times of the day in which nothing is begun: 08:00-18:00.")
    days: Literal["all", "workdays"] = Field("all", description="workdays: nothing is begun on weekends and holidays, shifted working days count.")
    due: DueTime | None = Field(None, description="How long after the item's event date, or the date field named, records must be here: 7 workdays.")


class SnapshotPart(Part):
    """Each arrival is the whole: a record that is missing from it is gone, and is withdrawn."""

    after: int = Field(1, ge=1, le=100, description="In how many arrivals on end a record must be missing.")


def _snapshot(value: object) -> object:
    return SnapshotPart(after=1) if value is True else None if value is False else value


class FeedPart(Part):
    """One way an agency delivers one item. What it must have is asked for by the reader, so that one gap does not hide other errors."""

    model_config = ConfigDict(json_schema_extra={"required": ["item", "read"]})

    item: str = Field("", description="Code of the item.")
    read: dict[str, Any] = Field(default_factory=dict, description="from: a source; the rest belongs to the source's kind.")
    when: WhenPart | None = None
    map: dict[FieldName, Expression] = Field(default_factory=dict, description="Only where headings differ from the catalogue.")
    only: Expression | None = Field(None, description="Rows that do not fulfil it are filtered.")
    check: list[Expression | dict[str, str]] = Field(default_factory=list, max_length=200)
    limits: LimitsPart | None = None
    snapshot: Annotated[SnapshotPart | None, BeforeValidator(_snapshot)] = Field(
        None, description="true where each arrival names all records that there are; after: 3 waits for three arrivals before it withdraws."
    )
    priority: int = 0
    because: str = ""


class BasisPart(Part):
    """Why an agency may see it."""

    purpose: str = Field(min_length=1, max_length=200)
    document: str = Field(min_length=1, max_length=200)
    start: Day | None = None
    until: Day


class SharePart(Part):
    """What one agency receives. What it must have is asked for by the reader."""

    model_config = ConfigDict(json_schema_extra={"required": ["items", "to", "fields", "deliver"]})

    items: list[str] = Field(default_factory=list, max_length=100, description="Codes of the items.")
    to: str = Field("", description="Code of the agency that receives.")
    basis: BasisPart | None = None
    fields: list[FieldName] = Field(default_factory=list, max_length=500, description="The only fields that may leave.")
    masks: dict[FieldName, Mask] = Field(default_factory=dict, description="none turns masking off and needs because.")
    deliver: dict[str, dict[str, Any]] = Field(default_factory=dict, description="One kind of outlet with its settings.")
    because: str = ""


class ExpectPart(Part):
    """What a test expects of its file."""

    passed: int | None = Field(None, ge=0)
    rejected: dict[str, int] = Field(default_factory=dict, description="code: rows")
    filtered: int | None = Field(None, ge=0)
    warned: dict[str, int] = Field(default_factory=dict)


class TestPart(Part):
    """A file that a feed is tried on."""

    feed: str
    given: str = Field(description="A file below the configuration's directory.")
    expect: ExpectPart


class AgencyFile(Part):
    """agencies/*.yaml: one agency with its sources, feeds, shares and tests."""

    agency: AgencyPart
    sources: dict[Name, dict[str, Any]] = Field(default_factory=dict)
    feeds: dict[Name, FeedPart] = Field(default_factory=dict)
    shares: dict[Name, SharePart] = Field(default_factory=dict)
    tests: list[TestPart] = Field(default_factory=list)


class DatabasePart(Part):
    """A database by its address, and why it may be used as it is."""

    url: str = Field(max_length=1000, description='`"postgresql://user:${env:PASSWORD}@host:5432/database"`, or a file below HOME that ends in .sqlite.')
    because: str = Field("", max_length=500, description="Why its connection may be unencrypted (`?tls=off`).")

    @model_validator(mode="after")
    def _allowed(self) -> Self:
        database_setting(self.url, self.because)
        return self


def _database(value: object) -> object:
    return {"url": value} if isinstance(value, str) else value


DatabaseSetting = Annotated[DatabasePart, BeforeValidator(_database, json_schema_input_type=str | DatabasePart)]


class StoresPart(Part):
    """Where the four central stores are."""

    ent: DatabaseSetting = Field(default="stores/ent.sqlite", validate_default=True)
    psn: DatabaseSetting = Field(default="stores/psn.sqlite", validate_default=True)
    gov: DatabaseSetting = Field(default="stores/gov.sqlite", validate_default=True)
    fin: DatabaseSetting = Field(default="stores/fin.sqlite", validate_default=True)


class KeepPart(Part):
    """How long things are kept."""

    landing: Duration = timedelta(days=730)
    done: Duration = timedelta(days=30)
    journal: Duration = timedelta(days=90)


class DefaultsPart(Part):
    """What feeds have unless they say otherwise."""

    limits: LimitsPart = LimitsPart()


class GatewayPart(Part):
    """Where agencies call us."""

    listen: Listen = Field("127.0.0.1:8701", description="Address of the gateway; put a proxy with TLS in front of it.")
    connections: int = Field(256, ge=1, le=10_000, description="Open connections at most.")
    per_address: int = Field(64, ge=1, le=10_000, description="Open connections of one address at most; a proxy is one address.")
    uploads: int = Field(32, ge=1, le=1000, description="Submissions received at the same time at most; each takes up to 8 MiB of memory.")
    head: Duration = Field(timedelta(seconds=10), description="A request's headers must be complete by then; so long may a connection be idle.")
    idle: Duration = Field(timedelta(seconds=30), description="A body may pause so long.")
    body: Duration = Field(timedelta(minutes=10), description="A body must be complete by then.")
    because: str = Field("", description="Why it may listen beyond this machine without TLS.")

    @model_validator(mode="after")
    def _sheltered(self) -> Self:
        host = self.listen.rpartition(":")[0].strip("[]")
        if host not in ("localhost", "::1") and not host.startswith("127.") and not self.because.strip():
            raise ValueError("keys and records would travel in clear beyond this machine: listen on 127.0.0.1 behind a TLS proxy, or say because: …")
        return self


class CalendarYear(Part):
    """The working days of one year (节假日安排)."""

    holidays: list[YearDays] = Field(default_factory=list, max_length=60, description="Days off: 10-01..10-07.")
    workdays: list[YearDays] = Field(default_factory=list, max_length=60, description="Days of a weekend on which people work (调休上班).")


class CalendarFile(Part):
    """calendar.yaml: working days by year. Without one of your own, the packaged one holds."""

    years: dict[int, CalendarYear] = Field(max_length=100)


class HubFile(Part):
    """hub.yaml: the city and the machine."""

    city: str = Field(max_length=100)
    broker: BrokerSetting = Field("embedded", description="embedded, or an amqp URL whose password is a reference.")
    state: DatabaseSetting = Field(
        default="hub.sqlite", validate_default=True, description="The hub's own state: a file below HOME, or a database URL that several processes share."
    )
    stores: StoresPart = StoresPart()
    listen: Listen = Field("127.0.0.1:8700", description="Console and interfaces.")
    defaults: DefaultsPart = DefaultsPart()
    keep: KeepPart = KeepPart()
    gateway: GatewayPart | None = Field(None, description="Agencies may call the hub here; without it they cannot.")
