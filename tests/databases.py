"""Real database servers for tests: MariaDB and PostgreSQL of Debian, started privately on free loopback ports in a temporary folder."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg
import pymysql

from tests.servers import free_ports, guard, requires, unprivileged, wait_until

HOST = "127.0.0.1"
USER, PASSWORD = "hub", "hub-Pass-1"
_START, _STOP = 90.0, 20.0
_PG = Path("/usr/lib/postgresql")


class _Server:
    """A server process of our own in a folder of its own. `kill`, `stop` and `start` keep its data."""

    program: str

    def __init__(self, kind: str, user: str) -> None:
        self._home = Path(tempfile.mkdtemp(prefix=f"hub-{kind}-"))
        self._user = unprivileged(user)
        (self.port,) = free_ports(1)
        self._process: subprocess.Popen[bytes] | None = None
        self._guards: list[subprocess.Popen[bytes]] = []
        if self._user is not None:
            os.chown(self._home, self._user.pw_uid, self._user.pw_gid)

    def __enter__(self) -> Self:
        try:
            self.install()
            self.start()
            self.welcome()
        except BaseException:
            self._clear()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._clear()

    def install(self) -> None:
        """Make the data directory."""
        raise NotImplementedError

    def command(self) -> Sequence[str]:
        """The server's own process, in the foreground."""
        raise NotImplementedError

    def answers(self) -> bool:
        """Whether it takes logins."""
        raise NotImplementedError

    def welcome(self) -> None:
        """Make the hub's user, once."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it on its data and wait until it takes logins."""
        with open(self._home / "output", "ab") as output:
            process = self._process = subprocess.Popen(
                self.command(), cwd=self._home, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, **self.identity()
            )
        self._guards.append(guard(process, self.identity()))
        wait_until(lambda: process.poll() is not None or self.answers(), _START, f"{self.program} starts")
        if process.poll() is not None:
            raise RuntimeError(f"{self.program} ended at once:\n{(self._home / 'output').read_text(errors='replace')[-2000:]}")

    @property
    def pid(self) -> int:
        """Id of the server's process."""
        assert self._process is not None, "it was not started"
        return self._process.pid

    def kill(self) -> None:
        """SIGKILL, as a power failure would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to end in order, at once."""
        self._end(signal.SIGTERM)

    def identity(self) -> dict[str, Any]:
        """Arguments of a process that runs as the server's user."""
        return {} if self._user is None else {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}

    def _end(self, number: signal.Signals) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.send_signal(number)
        try:
            process.wait(_STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(_STOP)

    def _clear(self) -> None:
        self.kill()
        for each in self._guards:
            each.kill()
            each.communicate()
        shutil.rmtree(self._home, ignore_errors=True)


class MariaServer(_Server):
    """MariaDB. `options` are further lines of its configuration."""

    program = "mariadbd"

    def __init__(self, *options: str) -> None:
        requires("/usr/sbin/mariadbd", "database tests run against Debian's mariadb-server")
        super().__init__("maria", "mysql")
        self._options = options

    def install(self) -> None:
        """Its system tables, and settings as durable as in production."""
        lines = (
            "[mariadbd]", f"datadir={self._home}/data", f"socket={self._home}/s", f"pid-file={self._home}/pid", f"port={self.port}", f"bind-address={HOST}",
            "skip-name-resolve", "skip-log-bin", "character-set-server=utf8mb4", "innodb_buffer_pool_size=256M", "innodb_log_file_size=256M",
            "innodb_flush_log_at_trx_commit=1", "max_allowed_packet=64M", "local_infile=1", f"tmpdir={self._home}", "performance_schema=0", *self._options,
        )  # fmt: skip
        (self._home / "my.cnf").write_text("\n".join(lines) + "\n")
        words = ["mariadb-install-db", f"--defaults-file={self._home}/my.cnf", f"--datadir={self._home}/data", "--auth-root-authentication-method=normal"]
        subprocess.run([*words, "--skip-test-db"], check=True, capture_output=True, timeout=120, cwd=self._home, **self.identity())

    def command(self) -> Sequence[str]:
        return ["/usr/sbin/mariadbd", f"--defaults-file={self._home}/my.cnf"]

    def answers(self) -> bool:
        with suppress(OSError, pymysql.Error), socket.create_connection((HOST, self.port), timeout=1) as connection:
            connection.settimeout(2)
            return connection.recv(1) != b""
        return False

    def welcome(self) -> None:
        for host in ("%", "localhost"):
            self.execute(f"CREATE USER '{USER}'@'{host}' IDENTIFIED BY '{PASSWORD}'", f"GRANT ALL ON *.* TO '{USER}'@'{host}'")

    def connect(self, database: str | None = None, **more: Any) -> pymysql.connections.Connection[Any]:
        """A connection as root."""
        return pymysql.connect(host=HOST, port=self.port, user="root", password="", database=database, charset="utf8mb4", autocommit=True, **more)

    def execute(self, *statements: str, database: str | None = None) -> list[tuple[Any, ...]]:
        """Run statements as root; the rows of the last."""
        with self.connect(database) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())

    def database(self, charset: str = "utf8mb4") -> str:
        """A new, empty database; its name."""
        name = f"t{uuid.uuid4().hex[:12]}"
        self.execute(f"CREATE DATABASE {name} CHARACTER SET {charset}")
        return name

    def url(self, database: str) -> str:
        """SQLAlchemy's address of a database, as the hub's user."""
        return f"mysql://{USER}:{PASSWORD}@{HOST}:{self.port}/{database}"

    def settings(self, database: str) -> Mapping[str, Any]:
        """The same as settings of a source."""
        return {"host": HOST, "port": self.port, "user": USER, "password": PASSWORD, "database": database}


class PostgresServer(_Server):
    """PostgreSQL. `options` are further lines of its configuration."""

    program = "postgres"

    def __init__(self, *options: str) -> None:
        found = sorted(_PG.glob("*/bin/postgres")) if _PG.is_dir() else []
        requires(found[-1] if found else "postgres", "database tests run against Debian's postgresql")
        super().__init__("postgres", "postgres")
        self._bin = found[-1].parent
        self._options = options

    def install(self) -> None:
        words = [str(self._bin / "initdb"), "-D", f"{self._home}/data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        subprocess.run(words, check=True, capture_output=True, timeout=120, cwd=self._home, **self.identity())
        lines = (
            f"port = {self.port}", f"listen_addresses = '{HOST}'", f"unix_socket_directories = '{self._home}'", "shared_buffers = 256MB", "max_wal_size = 2GB",
            "synchronous_commit = on", "fsync = on", "logging_collector = off", "log_min_messages = warning", *self._options,
        )  # fmt: skip
        rules = ("local all all trust", f"host all postgres {HOST}/32 trust", f"host all all {HOST}/32 scram-sha-256")
        (self._home / "data" / "pg_hba.conf").write_text("\n".join(rules) + "\n")
        with (self._home / "data" / "postgresql.conf").open("a") as settings:
            settings.write("\n".join(lines) + "\n")

    def command(self) -> Sequence[str]:
        return [str(self._bin / "postgres"), "-D", f"{self._home}/data"]

    def answers(self) -> bool:
        with suppress(psycopg.OperationalError):
            psycopg.connect(host=HOST, port=self.port, user="postgres", dbname="postgres", connect_timeout=2).close()
            return True
        return False

    def welcome(self) -> None:
        self.execute(f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}' CREATEDB")

    def stop(self) -> None:
        """Fast shutdown: connections are cut."""
        self._end(signal.SIGINT)

    def _end(self, number: signal.Signals) -> None:
        """A postmaster that is killed leaves children behind that hold its memory for a moment."""
        super()._end(signal.SIGQUIT if number is signal.SIGKILL else number)

    def connect(self, database: str = "postgres") -> psycopg.Connection[Any]:
        """A connection as the superuser."""
        return psycopg.connect(host=HOST, port=self.port, user="postgres", dbname=database, autocommit=True)

    def execute(self, *statements: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run statements as the superuser; the rows of the last."""
        with self.connect(database) as connection:
            rows: list[tuple[Any, ...]] = []
            for statement in statements:
                cursor = connection.execute(statement)  # type: ignore[call-overload]
                rows = cursor.fetchall() if cursor.description else []
            return rows

    def database(self) -> str:
        """A new, empty database that belongs to the hub's user; its name."""
        name = f"t{uuid.uuid4().hex[:12]}"
        self.execute(f"CREATE DATABASE {name} OWNER {USER}")
        return name

    def url(self, database: str) -> str:
        """SQLAlchemy's address of a database, as the hub's user."""
        return f"postgresql://{USER}:{PASSWORD}@{HOST}:{self.port}/{database}"

    def settings(self, database: str) -> Mapping[str, Any]:
        """The same as settings of a source."""
        return {"host": HOST, "port": self.port, "user": USER, "password": PASSWORD, "database": database}
