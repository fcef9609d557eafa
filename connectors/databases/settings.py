"""Settings of databases that are pulled: how to log in, and what a feed reads."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, StringConstraints, model_validator

from hub.contracts.address import Address
from hub.contracts.endpoint import Duration, EndpointConfig
from hub.contracts.errors import Misconfigured

Identifier = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r'^[^\x00-\x1f"`\[\];]+$')]
_SELECT = re.compile(r"\s*(select|with)\b", re.IGNORECASE)
_REMARK = re.compile(r"\s*--[ \t]*(reviewed|key):[ \t]*([^\n]*)\n")


def _one_select(sql: str) -> str:
    if not _SELECT.match(sql) or ";" in sql.rstrip().rstrip(";"):
        raise ValueError("a named query is one SELECT without a semicolon inside")
    return sql.rstrip().rstrip(";")


class NamedQuery(EndpointConfig):
    """A query that somebody has read before it runs on an agency's server."""

    sql: Annotated[str, AfterValidator(_one_select)] = Field(min_length=8, max_length=20_000, description="One SELECT that names its columns.")
    reviewed: str = Field(min_length=2, max_length=200, description="Who has reviewed it, and when.")
    key: tuple[Identifier, ...] = Field(default=(), max_length=8, description="Columns that tell its rows apart.")


def _written(value: Any) -> Any:
    """A query as text: who has reviewed it, and its key, stand in remarks above it, `-- reviewed: …` and `-- key: a, b`."""
    if not isinstance(value, str):
        return value
    found: dict[str, Any] = {}
    while remark := _REMARK.match(value):
        words = [word.strip() for word in remark[2].split(",")]
        found[remark[1]] = words if remark[1] == "key" else remark[2].strip()
        value = value[remark.end() :]
    return {**found, "sql": value}


Query = Annotated[NamedQuery, BeforeValidator(_written, json_schema_input_type=str | NamedQuery)]


class DatabaseConfig(EndpointConfig):
    """A database of an agency, read with an account that may only read."""

    host: str = Field(min_length=1, max_length=255, description="Name or address of the server.")
    port: int | None = Field(default=None, ge=1, le=65535, description="The system's usual port by default.")
    database: str = Field(min_length=1, max_length=128, description="Name of the database; for Oracle, its service name.")
    user: str = Field(min_length=1, max_length=128, description="An account that may only read (and write the status column, where a feed does).")
    password: SecretStr = Field(description="A reference: ${env:NAME} or ${file:name}.")
    tls: Literal["verify", "off"] = Field(default="verify", description="off sends passwords and records in clear: beyond this machine it needs because.")
    ca: str = Field(default="", max_length=500, description="File with the certificate of the authority that signed the server's; the system's by default.")
    options: dict[str, str] = Field(default_factory=dict, max_length=20, description="Further connection options, from a short list of allowed ones.")
    timeout: Duration = Field(default=timedelta(minutes=5), description="The longest that one statement may run on their server.")
    rows_per_second: int | None = Field(default=None, ge=10, le=10_000_000, description="Read no faster than this, to spare their server.")
    queries: dict[str, Query] = Field(
        default_factory=dict, max_length=200, description="Reviewed queries that feeds may read by name, each as text under remarks: -- reviewed: who and when."
    )
    because: str = Field(default="", max_length=500, description="Why tls is off.")

    _dialect = ""

    def dialect(self) -> str:
        """SQLAlchemy's word for the system."""
        return self._dialect

    def address(self) -> Address:
        """Where it is. Raises `Misconfigured` for what is not allowed."""
        return Address(
            self.dialect(), self.host, self.database, self.user, self.password.get_secret_value(), self.port, "", self.options, self.tls, self.ca, self.because
        )

    @model_validator(mode="after")
    def _allowed(self) -> Self:
        try:
            self.address()
        except Misconfigured as error:
            raise ValueError(f"{error.message}; {error.hint}") from error
        return self


class MysqlConfig(DatabaseConfig):
    """A MySQL or MariaDB database."""

    text_is: Literal["", "gbk"] = Field(default="", description="gbk: columns declared latin1 hold GBK bytes.")
    _dialect = "mysql"


class ThickMode(EndpointConfig):
    """Oracle's own client library, for servers older than 12.1 and for native network encryption. One choice for the whole process."""

    lib_dir: str = Field(default="", max_length=500, description="Directory of the client library; the system's search path by default.")


class OracleConfig(DatabaseConfig):
    """An Oracle database; `database` is its service name."""

    driver: Literal["oracledb", "cx_oracle"] = Field(default="oracledb", description="cx_oracle is understood as oracledb, its successor.")
    thick: ThickMode | None = Field(default=None, description="Use Oracle's own client library.")
    _dialect = "oracle"


class PostgresConfig(DatabaseConfig):
    """A PostgreSQL database."""

    _dialect = "postgresql"


class SqlConfig(DatabaseConfig):
    """Any database that has a SQLAlchemy dialect: 达梦, 人大金仓, OceanBase. The slow, general way."""

    name: str = Field(
        pattern=r"^[a-z][a-z0-9_]*(\+[A-Za-z][A-Za-z0-9_]*)?$", description="The dialect's name, with its driver where it has several: dm+dmPython."
    )

    def dialect(self) -> str:
        """The name that SQLAlchemy knows it by."""
        return self.name.partition("+")[0]

    def address(self) -> Address:
        """Where it is, with the driver that was named."""
        found = super().address()
        driver = self.name.partition("+")[2]
        return Address(
            found.dialect, found.host, found.database, found.user, found.password, found.port, driver, found.options, found.tls, found.ca, found.because
        )


class Since(EndpointConfig):
    """Read only what is new: by an id that grows, or by a time and an id."""

    time: Identifier | None = Field(default=None, description="Column of the last change: tong_time, gxsj.")
    id: Identifier = Field(description="Column that tells rows of the same moment apart, and grows: tongid.")
    overlap: Duration = Field(default=timedelta(minutes=10), description="Read so much again, for rows that are committed late; equal ones are left out.")
    begin: str = Field(default="", max_length=40, description="Where to begin at first: a time, or an id; everything by default.")


class Done(EndpointConfig):
    """A status column that the hub writes once the rows are settled (处理状态)."""

    column: Identifier = Field(description="The status column: clzt, flag.")
    waiting: str = Field(default="0", max_length=40, description="Its value in rows that wait to be read.")
    taken: str = Field(default="1", max_length=40, description="Written into rows that are accounted for in a store.")
    refused: str = Field(default="2", max_length=40, description="Written into rows that were set aside.")


class DatabaseRead(EndpointConfig):
    """What a feed reads of a database: a table or view, or a reviewed query."""

    table: Identifier | None = Field(default=None, description="Table or view.")
    schema_: Identifier | None = Field(default=None, alias="schema", description="Its schema or owner; the account's own by default.")
    query: str | None = Field(default=None, max_length=64, description="Name of a reviewed query of the source.")
    columns: tuple[Identifier, ...] = Field(default=(), max_length=500, description="Columns to read; by default those that the item or the feed's map knows.")
    where: dict[Identifier, str | int] = Field(default_factory=dict, max_length=10, description="column: value. Only rows where each is so.")
    since: Since | None = Field(default=None, description="Read only what is new; without it, everything each time.")
    compare: Duration | None = Field(default=None, description="With since: how often to compare all of the table by sums of buckets, and read what differs.")
    done: Done | None = Field(default=None, description="Read rows that wait, and write their status once they are settled.")
    id: Identifier | None = Field(default=None, description="Column that tells rows apart, where the database knows no primary key; needed for done.")
    at_most: int = Field(default=20_000_000, ge=1, description="A table of more rows is refused: somebody may have named the wrong one.")

    @property
    def partial(self) -> bool:
        """Whether an arrival holds a part of the rows only."""
        return self.since is not None or self.done is not None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.table is None) == (self.query is None):
            raise ValueError("name a table (or view), or a query, and not both")
        if self.since is not None and self.done is not None:
            raise ValueError("rows are told new by since, or by done, not by both")
        if self.compare is not None and self.since is None:
            raise ValueError("compare belongs to since: without it everything is read each time")
        if self.schema_ is not None and self.table is None:
            raise ValueError("schema belongs to table")
        return self
