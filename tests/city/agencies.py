"""Every simulated agency of the example city at once: REST, SOAP, a bulletin board, SFTP and databases on loopback, as they are on a given day."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.city.database_agencies import MARIA_PROGRAM
from tests.city.database_agencies import PASSWORD as DATABASE_PASSWORD
from tests.city.records import defaulter, grade, licence, penalty, rating

if TYPE_CHECKING:
    from aiohttp import web

    from tests.city.bulletin_site import BulletinSite
    from tests.city.database_agencies import DatabaseAgency
    from tests.city.rest_agency import Agencies
    from tests.city.sftp_agency import SftpAgency
    from tests.city.soap_agency import SoapAgency

HOST = "127.0.0.1"
SFTP_USER, SFTP_PASSWORD = "credit", "exchange-demo"
NEEDS = {"rest": ("aiohttp",), "soap": ("aiohttp", "lxml"), "web": ("aiohttp", "openpyxl"), "sftp": ("paramiko",)} | {
    "mysql": ("pymysql", "sqlalchemy", "psutil", "psycopg", "pytest"),
    "oracle": ("oracledb", "cryptography"),
}
"""Libraries of each simulated kind."""

EMULATED = "emulated: a responder speaks the protocol to the real driver; it shows nothing of what Oracle Database itself would do"

_GONE = 4  # the entry of the bulletin board that vanishes on the second day
_FILES = {
    "judgments": ("A0011/pj_202606.xml", "pj_202606.xml", ".ok"),
    "transport": ("A0009/dlys_202606.csv", "dlys_202606.csv", ".ok"),
    "qualifications": ("A0008/zz_202606.zip", "建筑业资质_202606.zip", ""),
}
"""What lies on the SFTP server on the first day, by folder: sample, name, marker."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where they are; 0 takes a free one."""

    rest: int = 18780
    soap: int = 18781
    web: int = 18782
    sftp: int = 18722
    mysql: int = 18706
    oracle: int = 18721


@dataclass(slots=True)
class SimulatedCity:
    """`place` keeps what outlives the process: the day, the server's folders and its host key. `samples` are those of the configuration."""

    place: Path
    samples: Path
    day: int = 1
    ports: Ports = field(default_factory=Ports)
    fingerprint: str = ""
    left_out: dict[str, str] = field(default_factory=dict)
    _runners: list[web.AppRunner] = field(default_factory=list)
    _rest: Agencies | None = None
    _soap: SoapAgency | None = None
    _site: BulletinSite | None = None
    _sftp: SftpAgency | None = None
    _databases: dict[str, DatabaseAgency] = field(default_factory=dict)

    async def start(self, wanted: Ports) -> None:
        """Start all of them, each on its port or, where that is taken, on a free one, and from then on always there. What lacks a library is in `left_out`."""
        self.place.mkdir(parents=True, exist_ok=True)
        noted = self.place / "ports.json"  # addresses stand in records and cursors: a town does not move each morning
        known = asdict(wanted) | (json.loads(noted.read_text("ascii")) if noted.exists() else {})
        taken = dict.fromkeys(NEEDS, 0)
        starts = {"rest": self._start_rest, "soap": self._start_soap, "web": self._start_site, "sftp": self._start_sftp}
        starts |= {kind: partial(self._start_database, kind) for kind in ("mysql", "oracle")}
        for kind, begin in starts.items():
            if missing := _missing(kind):
                self.left_out[kind] = f"{missing} is not installed"
            else:
                taken[kind] = await _on(begin, known[kind])
        self.ports = Ports(**taken)
        noted.write_text(json.dumps({kind: port or known[kind] for kind, port in taken.items()}), "ascii")
        kept = self.place / "day"
        await self.turn(int(kept.read_text("ascii")) if kept.exists() else 1)

    async def _start_rest(self, port: int) -> int:
        from tests.city.rest_agency import Agencies, serve

        self._rest = Agencies(licences=[], judgments=[], ratings=[])
        return self._up(await serve(HOST, port, self._rest))

    async def _start_soap(self, port: int) -> int:
        from tests.city.soap_agency import SoapAgency, serve

        self._soap = SoapAgency(0, 0)
        return self._up(await serve(HOST, port, self._soap))

    async def _start_site(self, port: int) -> int:
        from tests.city.bulletin_site import BulletinSite, serve

        self._site = BulletinSite()
        return self._up(await serve(HOST, port, self._site))

    async def _start_sftp(self, port: int) -> int:
        from tests.city.host_key import kept_key
        from tests.city.sftp_agency import SftpAgency

        root = self.place / "sftp"
        for folder in _FILES:
            (root / folder).mkdir(parents=True, exist_ok=True)
        self._sftp = SftpAgency(root, user=SFTP_USER, password=SFTP_PASSWORD, port=port, key=kept_key(self.place / "host_key")).__enter__()
        self.fingerprint = self._sftp.fingerprint
        return self._sftp.port

    async def _start_database(self, kind: str, port: int) -> int:
        from tests.city.database_agencies import DatabaseAgency

        agency = DatabaseAgency(kind, self.place)
        try:
            port = agency.start(port)
        except (OSError, RuntimeError, subprocess.SubprocessError) as error:  # a server that is there and does not run: no reason to do without all others
            self.left_out[kind] = f"its server did not start: {type(error).__name__}"
            return 0
        self._databases[kind] = agency
        return port

    def _up(self, runner: web.AppRunner) -> int:
        self._runners.append(runner)
        return int(runner.addresses[0][1])

    async def turn(self, day: int) -> None:
        """Let it be a day. On the second one records have changed, new ones have come, one of them late, and others are gone; then all stays as it is."""
        self.day = day
        later = day > 1
        if self._rest is not None:
            self._rest.licences = [licence(n, state="2" if later and n == 3003 else "1") for n in range(3001, 3603 if later else 3601)]
            self._rest.judgments = [defaulter(n) for n in range(1, 303 if later else 301)] + ([defaulter(303, late=True)] if later else [])
            self._rest.ratings = [grade(n) for n in range(4001, 4151)]
        if self._soap is not None:
            self._soap.penalties = [penalty(n) for n in range(5001, 5232 if later else 5231)]
            self._soap.ratings = [rating(n) for n in range(6001, 6061)]
        if self._site is not None:
            self._site.gone = {_GONE} if later else set()
        if self._sftp is not None:
            self._lay_out(1)
            if later:
                self._lay_out(2)
        for database in self._databases.values():
            database.turn(later=later)
        (self.place / "day").write_text(str(day), encoding="ascii")

    def marked(self) -> dict[str, dict[str, int]]:
        """What the hub has written into status columns: how many rows have which, by table."""
        return {table: counts for database in self._databases.values() for table, counts in database.marked().items()}

    def _lay_out(self, day: int) -> None:
        """Put the files of a day on the SFTP server, once."""
        done = self.place / f"laid-out-{day}"
        if done.exists():
            return
        if day == 1:
            for folder, (sample, name, marker) in _FILES.items():
                _finish(self.place / "sftp" / folder / name, (self.samples / sample).read_bytes(), marker)
        else:
            permits = (self.samples / _FILES["transport"][0]).read_text("gb18030").splitlines()
            permits[2] = permits[2].replace("2030-12-31", "2035-12-31")
            _finish(self.place / "sftp/transport/dlys_202607.csv", "\r\n".join([*permits[:-1], ""]).encode("gb18030"), ".ok")
        done.touch()

    async def close(self) -> None:
        """End all of them."""
        for database in self._databases.values():
            database.close()
        for runner in self._runners:
            await runner.cleanup()
        if self._sftp is not None:
            self._sftp.__exit__(None, None, None)


def _missing(kind: str) -> str:
    """What a kind lacks on this machine."""
    programs = (MARIA_PROGRAM, "mariadb-install-db") if kind == "mysql" else ()
    absent = [library for library in NEEDS[kind] if find_spec(library) is None] + [program for program in programs if shutil.which(program) is None]
    return absent[0] if absent else ""


async def _on(begin: Callable[[int], Awaitable[int]], port: int) -> int:
    """Start one on its port, or on a free one where another program has that."""
    try:
        return await begin(port)
    except OSError:
        return await begin(0)


def _finish(target: Path, content: bytes, marker: str) -> None:
    """Write a file as an agency does: under another name first, and its marker last."""
    part = target.with_name(target.name + ".tmp")
    part.write_bytes(content)
    shutil.move(part, target)
    if marker:
        target.with_name(target.name + marker).touch()


def secrets() -> dict[str, str]:
    """What the hub must know to be let in, by the names that the example configuration uses. They open nothing but these simulations."""
    found: dict[str, Any] = {"exchange_sftp": SFTP_PASSWORD}
    if all(find_spec(library) for library in NEEDS["rest"]):
        from tests.city.rest_agency import COURT_KEY, GATEWAY_KEY, MD5_KEY, MD5_SECRET

        found |= {"licence_app_key": GATEWAY_KEY, "court_api_key": COURT_KEY, "environment_app_key": MD5_KEY, "environment_secret": MD5_SECRET}
    if all(find_spec(library) for library in NEEDS["soap"]):
        from tests.city.soap_agency import PASSWORD

        found["penalty_password"] = PASSWORD
    found |= {"front_db": DATABASE_PASSWORD, "oracle_db": DATABASE_PASSWORD}
    return found
