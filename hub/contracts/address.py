"""Where a database is and how it is logged into: built from fields, never from a driver's own connection string.

A driver's options can read files, run statements and turn certificates off (CVE-2023-34468, CVE-2023-40037): so drivers and options are taken from a
list of what is allowed, and a connection beyond this machine is encrypted and its server's name checked, unless somebody says why not.
"""

from __future__ import annotations

import ipaddress
import re
import ssl
from collections.abc import Callable, Mapping
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
FILES: frozenset[str] = frozenset(("sqlite", "duckdb", "access", "shillelagh", "csvdb", "gsheets"))
"""Dialects that open files, or whatever a statement names, instead of a server."""

_SECONDS = range(1, 601)
_HOST = re.compile(r"[\w.\-]{1,255}|\[?[0-9A-Fa-f:.]{2,45}\]?")
_SERVICE = re.compile(r"[\w.$#\-]{1,128}")
_WORD = re.compile(r"[\w .:+\-]{1,64}")
_NAME = re.compile(r"[a-z][a-z0-9_]*(\+[A-Za-z][A-Za-z0-9_]*)?")
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
        self._check_driver()
        if not _HOST.fullmatch(self.host):
            raise Misconfigured("a database needs the name or address of its host", hint="write host: db.example; sockets and lists of hosts are not taken")
        if not self.database or not f"{self.database}{self.user}{self.ca}".isprintable():
            raise Misconfigured("a database needs its name", hint="write database: credit, in characters that can be seen")
        if self.family == "oracle" and not _SERVICE.fullmatch(self.database):
            raise Misconfigured(
                "the database of Oracle is its service name", hint="write it alone, without brackets and equal signs: a descriptor is not taken"
            )
        for name, value in self.options.items():
            self._check_option(name, value)
        if self.tls == "off" and not self.local and not self.because.strip():
            raise Misconfigured(f"passwords and records would travel in clear to {self.host}", hint=_TLS_HINT)

    def _check_driver(self) -> None:
        """A family's own driver alone: others let the server ask for files of this machine, or name TLS otherwise."""
        if not _NAME.fullmatch(self.drivername):
            raise Misconfigured(f"{self.drivername!r} is no database dialect", hint="write postgresql, mysql, oracle, or the dialect's own name")
        if self.dialect in FILES:
            raise Misconfigured(f"{self.dialect} opens files and is no database server", hint="write postgresql, mysql, oracle, or another server's dialect")
        if self.family and self.drivername not in (DRIVERS[self.dialect], DRIVERS[self.family]):
            raise Misconfigured(f"the driver {self.driver} is not taken for {self.dialect}", hint=f"leave it out: {DRIVERS[self.dialect]} is used")

    def _check_option(self, name: str, value: str) -> None:
        if name not in self.allowed:
            raise Misconfigured(f"option {name!r} is not allowed on a connection to {self.dialect}", hint=f"allowed are {', '.join(sorted(self.allowed))}")
        if not _WORD.fullmatch(value) or ("timeout" in name and not (value.isdecimal() and int(value) in _SECONDS)):
            raise Misconfigured(
                f"option {name} of a connection to {self.dialect} has no proper value", hint="write a plain word, or whole seconds from 1 to 600"
            )

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
            return arguments | {"sslmode": "verify-full", "sslrootcert": self.ca or "system", "gssencmode": "disable"}
        context = self._trusting()
        if self.family == "mysql":
            return arguments | {"ssl": context}
        if self.family == "oracle":
            return arguments | {"protocol": "tcps", "ssl_context": context}
        raise Misconfigured(f"the hub cannot tell how {self.dialect} encrypts", hint=_TLS_HINT)

    def _trusting(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self.ca or None)
        except OSError as error:  # ssl.SSLError is one
            raise Misconfigured(f"the certificate of the authority for {self.host} cannot be read", hint="correct `ca`: a file in PEM form") from error

    @property
    def place(self) -> str:
        """Where it is, for messages: no user, no password."""
        return f"{self.host}:{self.port or PORTS.get(self.family, '?')}/{self.database}"


def address_of(text: str, because: str = "", opened: Callable[[str], str] = str) -> Address:
    """The address that a URL means: `postgresql://user:password@host:port/database?tls=off&connect_timeout=5`.

    It is taken apart into fields, so that only what is allowed gets to the driver; `tls` and `ca` may stand among the options. `opened` opens a secret
    reference in place of the password once it is apart, so that no character of a password means anything to the URL. Raises `Misconfigured`.
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
        dialect, url.host or "", url.database or options.pop("service_name", ""), url.username or "", opened(str(url.password)) if url.password else "", url.port, driver, options,
        "off" if tls == "off" else "verify", ca, because,
    )  # fmt: skip
