"""What is said in YAML about a REST interface, and about the list that one feed reads from it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from connectors.formats.http import AddressText, HttpSettings
from hub.contracts.endpoint import Duration, EndpointConfig

Where = Literal["header", "query"]
_PATH = Field(default="", description="Where it is in the answer, as names joined by dots; found by itself when left out.")


class Basic(EndpointConfig):
    """HTTP Basic (RFC 7617)."""

    user: str = Field(description="User name.")
    password: SecretStr = Field(description="Reference to the password.")


class Bearer(EndpointConfig):
    """A token that never changes by itself (RFC 6750)."""

    token: SecretStr = Field(description="Reference to the token.")


class ApiKey(EndpointConfig):
    """A fixed key in a header or a parameter."""

    value: SecretStr = Field(description="Reference to the key.")
    name: str = Field(default="X-Api-Key", description="Name of the header or parameter.")
    place: Where = Field(default="header", description="`header` or `query`.")


class OAuth2(EndpointConfig):
    """OAuth 2.0 client credentials (RFC 6749, 4.4); the token is kept until it expires."""

    token_url: AddressText = Field(description="Address that gives tokens.")
    client_id: str = Field(description="Our client id.")
    client_secret: SecretStr = Field(description="Reference to our client secret.")
    scope: str = Field(default="", description="Scope to ask for.")


class Gjgxjhpt(EndpointConfig):
    """The national sharing platform's signature: `gjgxjhpt_sign = Base64(HmacSHA256(secret, sid + rid + rtime))`."""

    rid: str = Field(description="Our requester id.")
    sid: str = Field(description="Service id, like s_1200000900000_2108.")
    secret: SecretStr | None = Field(default=None, description="Reference to the app secret, where it is fixed.")
    app_key: SecretStr | None = Field(default=None, description="Reference to the app key, where the secret is fetched with it and changes.")
    secret_path: str = Field(default="", description="Path that gives the current secret for the app key.")
    place: Where = Field(default="header", description="Whether the four values go into headers or parameters.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.secret is None) == (self.app_key is None) or (self.app_key is None) != (not self.secret_path):
            raise ValueError("give secret, or app_key and secret_path")
        return self


class Gateway(EndpointConfig):
    """The provincial gateway's signature: a token, and the time it was made at, are kept and used together."""

    app_id: str = Field(description="Our application id.")
    app_key: SecretStr = Field(description="Reference to the app key.")
    token_path: str = Field(default="/auth/token", description="Path that gives the token.")
    token_at: str = Field(default="body.access_token", description="Where the token is in its answer.")
    life: Duration = Field(default=timedelta(minutes=25), description="How long a token and its time are used.")


class Md5(EndpointConfig):
    """The department dialect: `sign = md5(appKey + secret + requestTime)` in lower case, as parameters."""

    app_key: SecretStr = Field(description="Reference to the app key.")
    secret: SecretStr = Field(description="Reference to the secret.")
    time_format: str = Field(default="ms", description="How requestTime is written: `ms`, `s`, or a pattern like %Y%m%d%H%M%S.")
    app_name: str = Field(default="appKey", description="Name of the parameter that carries the app key.")


class HmacSm3(EndpointConfig):
    """Headers X-App-Key, X-Timestamp (ms), X-Nonce and X-Sign = hex of HMAC-SM3."""

    app_key: SecretStr = Field(description="Reference to the app key.")
    secret: SecretStr = Field(description="Reference to the secret.")
    signed: str = Field(
        default="{app_key}{timestamp}{nonce}",
        description="What is signed, made of {app_key} {timestamp} {nonce} {method} {path} {query} and {body} (hex SM3 of the body).",
    )


class RestConfig(HttpSettings):
    """A REST interface, and at most one way to say who we are."""

    headers: dict[str, str] = Field(default_factory=dict, description="Further headers of every request; no secrets.")
    basic: Basic | None = Field(default=None, description="User and password.")
    bearer: Bearer | None = Field(default=None, description="A fixed token.")
    api_key: ApiKey | None = Field(default=None, description="A fixed key in a header or parameter.")
    oauth2: OAuth2 | None = Field(default=None, description="OAuth 2.0 client credentials.")
    hmac: Gjgxjhpt | None = Field(default=None, description="HMAC-SHA256 of the national sharing platform.")
    gateway: Gateway | None = Field(default=None, description="HMAC-SHA256 of the provincial gateways, with a token.")
    md5: Md5 | None = Field(default=None, description="MD5 signature of a department's interface.")
    hmac_sm3: HmacSm3 | None = Field(default=None, description="HMAC-SM3 signature.")

    @model_validator(mode="after")
    def _at_most_one(self) -> Self:
        ways = (self.basic, self.bearer, self.api_key, self.oauth2, self.hmac, self.gateway, self.md5, self.hmac_sm3)
        if len(ways) - ways.count(None) > 1:
            raise ValueError("give at most one of basic, bearer, api_key, oauth2, hmac, gateway, md5, hmac_sm3")
        return self


class Sized(EndpointConfig):
    """How many rows a page has."""

    size_name: str = Field(default="", description="Name of the parameter that says how many rows a page has, such as pageSize; left out, it is not sent.")
    size: int = Field(default=500, ge=1, le=100_000, description="Rows of a page.")


class Pages(Sized):
    """Pages are asked for by their number."""

    name: str = Field(default="pageNo", description="Name of the parameter that carries the page's number: pageNo, pageNum, currentPage.")
    size_name: str = Field(default="pageSize", description="Name of the parameter that says how many rows a page has; empty, it is not sent.")
    first: int = Field(default=1, ge=0, le=1, description="Number of the first page.")


class Offset(Sized):
    """Pages are asked for by the number of rows before them."""

    name: str = Field(default="offset", description="Name of the parameter that carries the number of rows to leave out.")
    size_name: str = Field(default="limit", description="Name of the parameter that says how many rows a page has; empty, it is not sent.")


class NextCursor(Sized):
    """Each answer says what to ask with for the next page."""

    name: str = Field(default="cursor", description="Name of the parameter that carries the cursor.")
    at: str = Field(description="Where the next cursor is in an answer, like data.next; nothing there is the end.")


class NextLink(Sized):
    """Each answer links to the next page (RFC 8288, rel=next), on the same host."""


class LastId(Sized):
    """Rows come in the order of an id; each request asks for what is behind the last one. The next pull goes on there."""

    name: str = Field(default="lastId", description="Name of the parameter that carries the last id.")
    field: str = Field(description="Column of the rows that holds the id.")
    start: str = Field(default="0", description="What is sent at the very first; empty sends nothing.")


def _format(value: str) -> str:
    if value in ("ms", "s") or ("%Y" in value and "%d" in value):
        return value
    raise ValueError("write ms, s, or a pattern like %Y-%m-%d %H:%M:%S")


TimeFormat = Annotated[str, AfterValidator(_format)]
_FORMAT = Field(default="%Y-%m-%d %H:%M:%S", description="How times are written: `ms` or `s` since 1970, or a pattern; times are those of Shanghai.")


class Since(EndpointConfig):
    """Only what changed since the last pull is asked for, and a little more."""

    name: str = Field(description="Name of the parameter that carries the time from which on rows are wanted, included.")
    field: str = Field(description="Column of the rows that holds the time of their last change.")
    overlap: Duration = Field(default=timedelta(hours=1), description="So much is read again each time, because rows may appear late.")
    start: datetime | None = Field(default=None, description="Time of the very first pull; left out, the first pull asks for everything.")
    format: TimeFormat = _FORMAT
    id_name: str = Field(default="", description="Name of the parameter that carries the id of the last row of that time, where the interface takes one.")
    id_field: str = Field(default="", description="Column of the rows that holds the id.")
    ordered: bool = Field(default=False, description="Rows come oldest first: a long pull may then be cut into parts that are settled one by one.")

    @model_validator(mode="after")
    def _ids(self) -> Self:
        if self.id_name and not (self.id_field and self.ordered):
            raise ValueError("id_name needs id_field and ordered: true")
        return self


class Window(EndpointConfig):
    """One stretch of time after the other is asked for, each a part that is settled by itself."""

    from_name: str = Field(default="startTime", description="Name of the parameter that carries the beginning, included.")
    to_name: str = Field(default="endTime", description="Name of the parameter that carries the end.")
    start: datetime = Field(description="Beginning of the very first stretch.")
    step: Duration = Field(default=timedelta(days=1), description="Length of a stretch.")
    overlap: Duration = Field(default=timedelta(hours=1), description="So much is read again each time, because rows may appear late.")
    format: TimeFormat = _FORMAT

    @model_validator(mode="after")
    def _advances(self) -> Self:
        if self.step < timedelta(seconds=1):
            raise ValueError("step must be a second or more")
        return self


class Ok(EndpointConfig):
    """How an answer says that all is well."""

    field: str = Field(default="code", description="Where the code is in the answer.")
    values: tuple[str, ...] = Field(min_length=1, description='Codes that mean success, in quotes: ["0", "00", "200"].')
    empty: tuple[str, ...] = Field(default=(), description="Codes that mean that there is nothing.")


class Codes(EndpointConfig):
    """What other codes mean; one that is not named here is tried again."""

    unavailable: tuple[str, ...] = Field(default=(), description="Try again later.")
    misconfigured: tuple[str, ...] = Field(default=(), description="Stop until a person acts: wrong parameter, no permission.")
    expired: tuple[str, ...] = Field(default=(), description="Token or secret has expired: fetch it again, once.")


class RestRead(EndpointConfig):
    """One list of a REST interface."""

    path: str = Field(default="", description="Path below the interface's address.")
    method: Literal["GET", "POST"] = Field(default="GET", description="POST sends paging and time in the body, GET in the address.")
    params: dict[str, str] = Field(default_factory=dict, description="Fixed parameters in the address.")
    body: dict[str, str] = Field(default_factory=dict, description="Fixed members of a POST body; a.b is member b of object a.")
    form: bool = Field(default=False, description="The POST body is a web form instead of JSON.")
    rows: str = _PATH
    total: str = Field(default="", description="Where the number of all rows is; usual names are found by themselves. The rows must add up to it.")
    message: str = Field(default="", description="Where an error's text is; name it only where it never holds a person's data, because people are shown it.")
    ok: Ok | None = Field(default=None, description="How an answer with status 200 says whether it is an error.")
    errors: Codes = Field(default_factory=Codes, description="What its error codes mean.")
    pages: Pages | None = Field(default=None, description="Pages by number.")
    offset: Offset | None = Field(default=None, description="Pages by offset.")
    cursor: NextCursor | None = Field(default=None, description="Pages by a cursor in each answer.")
    link: NextLink | None = Field(default=None, description="Pages by a Link header: `link: {}`.")
    last_id: LastId | None = Field(default=None, description="What follows the last id.")
    since: Since | None = Field(default=None, description="Only what changed since the last pull.")
    window: Window | None = Field(default=None, description="One stretch of time after the other.")
    most: int = Field(default=2_000_000, ge=1, le=10_000_000, description="Rows of one pull; more stop the feed.")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.pages, self.offset, self.cursor, self.link, self.last_id).count(None) < 4:
            raise ValueError("give at most one of pages, offset, cursor, link, last_id")
        if (self.since, self.window, self.last_id).count(None) < 2:
            raise ValueError("give at most one of since, window, last_id")
        if self.method == "GET" and (self.body or self.form):
            raise ValueError("body and form belong to method: POST")
        return self
