"""Where a database is and how it is logged into: built from fields, never from a driver's own connection string.

A driver's options can read files, run statements and turn certificates off (CVE-2023-34468, CVE-2023-40037): so drivers and options are taken from a
list of what is allowed, and a connection beyond this machine is encrypted and its server's name checked, unless somebody says why not.
"""

from __future__ import annotations

import ipaddress
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import URL
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from hub.contracts.errors import Misconfigured

Tls = Literal["verify", "off"]

DRIVERS: Mapping[str, str] = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql", "mariadb": "mysql+pymysql", "oracle": "oracle+oracledb"}
"""The driver that stands behind each word; other dialects are named with their driver."""

OPTIONS: Mapping[str, frozenset[str]] = {
    "postgresql": frozenset(("application_name", "connect_timeout", "target_session_attrs", "keepalives_idle", "keepalives_interval", "keepalives_count")),
    "mysql": frozenset(("charset", "connect_timeout")),
    "oracle": frozenset(("encoding", "expire_time", "sdu", "tcp_connect_timeout")),
    "": frozenset(("charset", "connect_timeout", "encoding", "schema", "timeout")),  # any other dialect
}
"""Options that may be set, by dialect. Not among them, on purpose: `local_infile`, `init_command`, `read_default_file`, `unix_socket`, `sslmode`, …"""

PORTS: Mapping[str, int] = {"postgresql": 5432, "mysql": 3306, "oracle": 1521}
_NAME = re.compile(r"[a-z][a-z0-9_]*(\+[a-z][a-z0-9_]*)?")
_TLS_HINT = 'let the server offer TLS, or write tls: "off" and say because: …'


@dataclass(frozen=True, slots=True)
class Address:
    """One database of a server. `dialect` is SQLAlchemy's word ("postgresql", "mysql", "oracle", "dm"); `driver` only where it is not the usual one.

    `database` is the database's name; for Oracle its service name. `ca` is a file with the certificates of the authority that signed the server's.
    Raises `Misconfigured` for what is not allowed.
    """

    dialect: str
    host: str
    database: str
    user: str
    password: str = field(default="", repr=False)
    port: int | None = None
    driver: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    tls: Tls = "verify"
    ca: str = ""
    because: str = ""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.drivername):
            raise Misconfigured(f"{self.drivername!r} is no database dialect", hint="write postgresql, mysql, oracle, or the dialect's own name")
        if not self.host or any(c in self.host for c in "/\\@?,; "):
            raise Misconfigured("a database needs the name or address of its host", hint="write host: db.example; sockets and lists of hosts are not taken")
        for name in self.options:
            if name not in self.allowed:
                hint = f"allowed are {', '.join(sorted(self.allowed))}"
                raise Misconfigured(f"option {name!r} is not allowed on a connection to {self.dialect}", hint=hint)
        if self.tls == "off" and not self.local and not self.because.strip():
            raise Misconfigured(f"passwords and records would travel in clear to {self.host}", hint=_TLS_HINT)

    @property
    def drivername(self) -> str:
        """SQLAlchemy's name of dialect and driver."""
        return f"{self.dialect}+{self.driver}" if self.driver else DRIVERS.get(self.dialect, self.dialect)

    @property
    def family(self) -> str:
        """One of "postgresql", "mysql" (MariaDB too), "oracle", or "" for any other dialect."""
        word = "mysql" if self.dialect == "mariadb" else self.dialect
        return word if word in OPTIONS else ""

    @property
    def allowed(self) -> frozenset[str]:
        """Options that may be set."""
        return OPTIONS[self.family]

    @property
    def local(self) -> bool:
        """Whether it is on this machine: then no wire is listened to, and TLS is not asked for."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return False

    @property
    def encrypted(self) -> bool:
        """Whether the connection must be encrypted; on this machine only where `ca` asks for it."""
        return self.tls == "verify" and (not self.local or bool(self.ca))

    def url(self) -> URL:
        """For `sqlalchemy.create_engine`, with `connect_args()`."""
        query = dict(self.options)
        database: str | None = self.database
        if self.family == "oracle":
            query["service_name"], database = self.database, None
        return URL.create(self.drivername, self.user, self.password or None, self.host, self.port or PORTS.get(self.family), database, query)

    def connect_args(self) -> dict[str, Any]:
        """Driver arguments that make the connection encrypted, and that bound how long it may take to come about."""
        wait = "tcp_connect_timeout" if self.family == "oracle" else "connect_timeout"
        arguments: dict[str, Any] = {} if not self.family or wait in self.options else {wait: 10}
        if not self.encrypted:
            return arguments
        if self.family == "postgresql":
            return arguments | {"sslmode": "verify-full", "sslrootcert": self.ca or "system"}
        context = ssl.create_default_context(cafile=self.ca or None)
        if self.family == "mysql":
            return arguments | {"ssl": context}
        if self.family == "oracle":
            return arguments | {"protocol": "tcps", "ssl_context": context}
        raise Misconfigured(f"the hub cannot tell how {self.dialect} encrypts", hint=_TLS_HINT)

    @property
    def place(self) -> str:
        """Where it is, for messages: no user, no password."""
        return f"{self.host}:{self.port or PORTS.get(self.family, '?')}/{self.database}"


def address_of(text: str, because: str = "") -> Address:
    """The address that a URL means: `postgresql://user:password@host:port/database?tls=off&connect_timeout=5`.

    It is taken apart into fields, so that only what is allowed gets to the driver; `tls` and `ca` may stand among the options. Raises `Misconfigured`.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise Misconfigured("a database URL cannot be read", hint="write dialect://user:${env:PASSWORD}@host:port/database") from error
    options = {name: value for name, value in url.query.items() if isinstance(value, str)}
    if len(options) < len(url.query):
        raise Misconfigured("an option stands twice in a database URL", hint="name each once")
    tls, ca = options.pop("tls", "verify"), options.pop("ca", "")
    if tls not in ("verify", "off"):
        raise Misconfigured(f"tls={tls!r} in a database URL", hint="write verify or off")
    dialect, _, driver = url.drivername.partition("+")
    if DRIVERS.get(dialect) == url.drivername:
        driver = ""
    return Address(
        dialect, url.host or "", url.database or options.pop("service_name", ""), url.username or "", str(url.password or ""), url.port, driver, options,
        "off" if tls == "off" else "verify", ca, because,
    )  # fmt: skip
