"""What is said in YAML about a SOAP service, and about what one feed asks of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from connectors.formats.http import AddressText, Networks
from connectors.formats.pace import HoursText, RateText
from connectors.soap.templates import check, holes
from hub.contracts.endpoint import Duration, EndpointConfig

Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Path_ = Annotated[str, Field(pattern=r"^(\.|@?[^/\s@]+(/@?[^/\s@]+)*)$", max_length=200)]


def _beside(value: dict[str, str]) -> dict[str, str]:
    for name in value:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name or "://" in name or path.as_posix() != name:
            raise ValueError("name files beside the WSDL, like types.xsd or xsd/types.xsd")
    return value


def _template(value: Any) -> Any:
    check(value)
    return value


def _pairs(value: tuple[str, ...]) -> tuple[str, ...]:
    check([text.partition("=")[2] for text in value])
    return value


def paired(texts: tuple[str, ...]) -> dict[str, str]:
    """`("user={user}", …)` by name."""
    return {name: value for name, _, value in (text.partition("=") for text in texts)}


Imports = Annotated[dict[str, Digest], AfterValidator(_beside), Field(max_length=100)]
Arguments = Annotated[dict[str, str | int | float | bool | None], AfterValidator(_template), Field(max_length=200)]
Pairs = Annotated[tuple[Annotated[str, Field(pattern=r"^[^=\s]+=")], ...], AfterValidator(_pairs), Field(max_length=32)]
Headers = Annotated[dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")], str], Field(max_length=32)]
SoapHeaders = Annotated[tuple[str, ...], AfterValidator(_template), Field(max_length=16)]
Answers = Literal["text", "xml", "json", "fields"]
_ANSWER = "What the operation returns: a `text`, a text that holds `xml` or `json`, or `fields` of the message itself."


class Verdict(EndpointConfig):
    """Where an answer says that it is a good one."""

    at: Path_ = Field(description="Path of the code in the answer.")
    is_: tuple[str, ...] = Field(alias="is", min_length=1, description="Codes of success.")


class Decisions(EndpointConfig):
    """What the other side's own codes and texts of failure mean: each is a code at `ok.at`, the code of a fault, or a part of a short error text."""

    unavailable: tuple[str, ...] = Field(default=(), description="It may work later. So is everything that is not named.")
    rejected: tuple[str, ...] = Field(default=(), description="This one key of `each` cannot be answered; the others go on.")
    misconfigured: tuple[str, ...] = Field(default=(), description="A person must act: wrong credentials, no permission, unknown service.")


class SoapLogin(EndpointConfig):
    """How a token is got, which `{token}` stands for afterwards."""

    operation: str = Field(default="login", description="Operation that gives the token.")
    wsdl: Path | None = Field(default=None, description="WSDL of the login, where it is a service of its own.")
    digest: Digest | None = Field(default=None, description="SHA-256 of that file.")
    imports: Pairs = Field(default=(), description='Files beside it that it imports: ["types.xsd=sha256:…"].')
    address: AddressText | None = Field(default=None, description="Address of the login, instead of the one that the WSDL names.")
    arguments: Pairs = Field(default=(), description='Its arguments: ["user={user}", "pwd={password}"].')
    headers: Pairs = Field(default=(), description='HTTP headers, for services that take credentials there: ["user={user}"].')
    soap_headers: SoapHeaders = Field(default=(), description="SOAP headers, each a piece of XML.")
    answer: Answers = Field(default="text", description=_ANSWER)
    at: Path_ | None = Field(default=None, description="Path of the text in the message, where it is not the only one.")
    token_at: Path_ | None = Field(default=None, description="Path of the token in the answer; without it the whole text is the token.")
    ok_at: Path_ | None = Field(default=None, description="Path of the code that says whether the login worked.")
    ok_is: tuple[str, ...] = Field(default=(), description="Codes of success there.")
    unavailable: tuple[str, ...] = Field(
        default=(), description="Codes or texts of failures that pass by themselves; any other failure of the login needs a person."
    )
    expired: tuple[str, ...] = Field(default=(), description='Codes or texts that say that a token has expired, like "403:login timeout".')

    @model_validator(mode="after")
    def _pinned(self) -> Self:
        if (self.wsdl is None) != (self.digest is None):
            raise ValueError("wsdl and digest belong together")
        if (self.ok_at is None) != (not self.ok_is):
            raise ValueError("ok_at and ok_is belong together")
        return self


class SoapConfig(EndpointConfig):
    """A SOAP service, described by a WSDL file that is kept with the configuration and pinned by its digest."""

    wsdl: Path = Field(description="The WSDL file; a relative one is below HOME. Nothing is ever fetched for it.")
    digest: Digest = Field(description='Its SHA-256, "sha256:…" (`sha256sum`): another file is refused.')
    imports: Imports = Field(default_factory=dict, description="Files beside it that it imports, each with its SHA-256. Any other import is refused.")
    service: str | None = Field(default=None, description="Which service of the WSDL, where it has several.")
    port: str | None = Field(default=None, description="Which port of the service, where it has several.")
    address: AddressText | None = Field(default=None, description="Address to call, instead of the one that the WSDL names.")
    allow: Networks = Field(default=(), description="Private or loopback networks (CIDR) that it may lie in; without it only public addresses are called.")
    ca: Path | None = Field(default=None, description="PEM file of the authority that signed its certificate, where it is not a public one.")
    timeout: Duration = Field(default=timedelta(seconds=60), description="How long one call may take, from name look-up to the end of the answer.")
    rate: RateText = Field(default="5/s", description="At most so many calls, evenly spaced: `5/s`, `1/2s`, `300/m`.")
    concurrency: int = Field(default=4, ge=1, le=4, description="Calls under way at the same time, where their order does not matter.")
    quiet: tuple[HoursText, ...] = Field(default=(), description='Hours (Asia/Shanghai) in which it is never called: ["08:00-18:00"].')
    max_body: int = Field(default=64 << 20, gt=0, le=100_000_000, description="Bytes of one answer; a larger one stops the feed.")
    user: str | None = Field(default=None, description="`{user}` stands for it in arguments and headers.")
    password: SecretStr | None = Field(default=None, description="Reference to the password; `{password}` stands for it.")
    token: SecretStr | None = Field(default=None, description="Reference to a token that does not change, where there is no login; `{token}` stands for it.")
    headers: Headers = Field(default_factory=dict, description="HTTP headers of every call but the login.")
    soap_headers: SoapHeaders = Field(default=(), description="SOAP headers of every call but the login, each a piece of XML.")
    login: SoapLogin | None = Field(default=None, description="How a token is got.")

    @model_validator(mode="after")
    def _one_token(self) -> Self:
        if self.token is not None and self.login is not None:
            raise ValueError("give a token or a login, not both")
        return self


class Paging(EndpointConfig):
    """An answer comes in pages; `{page}` or `{offset}`, and `{size}`, stand for the place."""

    first: int = Field(default=1, ge=0, description="Number of the first page.")
    size: int = Field(default=100, ge=1, le=10_000, description="Records of a page.")


class Each(EndpointConfig):
    """One call for each key, which `{key}` stands for."""

    keys: tuple[str, ...] = Field(default=(), max_length=10_000, description="The keys.")
    start: int | None = Field(default=None, ge=0, description="First number of a range of keys.")
    end: int | None = Field(default=None, ge=0, description="Last number of the range.")
    width: int = Field(default=0, ge=0, le=32, description="Digits of a number, filled up with zeros.")
    file: Path | None = Field(default=None, description="Text file with a key in each line (UTF-8, at most 100,000); a relative one is below HOME.")
    column: str | None = Field(default=None, description="Name under which the key is added to the record, where the answer does not repeat it.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if [bool(self.keys), self.start is not None, self.file is not None].count(True) != 1 or (self.start is None) != (self.end is None):
            raise ValueError("give one of keys, start and end, file")
        if self.start is not None and self.end is not None and not 0 <= self.end - self.start < 100_000:
            raise ValueError("a range goes up, and has at most 100,000 numbers")
        return self


class Since(EndpointConfig):
    """Only what changed is asked for, from `{since}` to `{until}`."""

    start: date | datetime = Field(description="Where the first pull begins.")
    overlap: Duration = Field(default=timedelta(days=1), description="So much is asked for again, for records that come late.")
    window: Duration | None = Field(default=None, description="The longest time that one pull asks for; more follow at once.")
    format: str = Field(default="%Y-%m-%d %H:%M:%S", description="How the times are written.")


class SoapRead(EndpointConfig):
    """What one feed asks, and where the records are in the answer.

    In arguments and headers `{token} {user} {password} {page} {offset} {size} {since} {until} {key} {now} {uuid}` stand for values; inside of XML and JSON
    they are escaped as it is right there.
    """

    operation: str = Field(description="Operation to call.")
    arguments: Arguments = Field(
        default_factory=dict, description='Its arguments by name: values, or a text of XML or JSON such as "<REQ><PAGE>{page}</PAGE></REQ>".'
    )
    headers: Headers = Field(default_factory=dict, description="HTTP headers besides those of the service.")
    answer: Answers = Field(default="xml", description=_ANSWER)
    at: Path_ | None = Field(default=None, description="Path of the text in the message, where it is not the only one.")
    rows: Path_ = Field(description="Path of the records: ROWDATA/ROW in XML, data/rows in JSON, return/item in fields.")
    ok: Verdict | None = Field(default=None, description="Where the answer says that it is a good one.")
    errors: Decisions = Field(default_factory=Decisions, description="What the other side's codes of failure mean.")
    nothing: tuple[str, ...] = Field(default=(), description='Codes at `ok.at`, or whole answers, that say that there is no record; "" is the empty answer.')
    total: Path_ | None = Field(default=None, description="Path of the number of records in all, which must agree.")
    page: Paging | None = Field(default=None, description="The answer comes in pages.")
    each: Each | None = Field(default=None, description="One call for each key.")
    since: Since | None = Field(default=None, description="Only what changed is asked for.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.answer == "text":
            raise ValueError("a text alone has no records: say xml, json or fields")
        if self.page and self.each:
            raise ValueError("give page or each, not both")
        used = holes([self.arguments, self.headers])
        needed: Mapping[str, tuple[object, set[str]]] = {
            "page": (self.page, {"page", "offset"}),
            "each": (self.each, {"key"}),
            "since": (self.since, {"since"}),
        }
        for key, (given, names) in needed.items():
            if (given is not None) != bool(used & names):
                raise ValueError(f"`{key}` and {' or '.join('{' + name + '}' for name in sorted(names))} in the arguments belong together")
        return self
