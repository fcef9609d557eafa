"""A WSDL is read from pinned files and from nowhere else, whatever it says."""

from __future__ import annotations

import hashlib
import shutil
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, Queue

import pytest
from watchdog.events import FileOpenedEvent, FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from connectors.soap.wsdl import Description, Pins
from hub.contracts.errors import Misconfigured
from tests.city.soap_agency import WSDL

PENALTY = (WSDL / "penalty.wsdl").read_text("utf-8")
IMPORTING = {
    "schema over http": ("<xsd:element name=", '<xsd:import namespace="urn:x" schemaLocation="http://127.0.0.1:{port}/x.xsd"/><xsd:element name='),
    "schema over https": ("<xsd:element name=", '<xsd:import namespace="urn:x" schemaLocation="https://127.0.0.1:{port}/x.xsd"/><xsd:element name='),
    "schema from a file": ("<xsd:element name=", '<xsd:import namespace="urn:x" schemaLocation="file://{canary}"/><xsd:element name='),
    "schema by absolute path": ("<xsd:element name=", '<xsd:import namespace="urn:x" schemaLocation="{canary}"/><xsd:element name='),
    "schema by climbing": ("<xsd:element name=", '<xsd:import namespace="urn:x" schemaLocation="../canary/file"/><xsd:element name='),
    "schema beside that is not pinned": ("<xsd:element name=", '<xsd:import namespace="urn:x" schemaLocation="types/rating.xsd"/><xsd:element name='),
    "schema included": ("<xsd:element name=", '<xsd:include schemaLocation="http://127.0.0.1:{port}/x.xsd"/><xsd:element name='),
    "schema of the XML namespace": ("<xsd:element name=", '<xsd:import namespace="http://www.w3.org/XML/1998/namespace"/><xsd:element name='),
    "WSDL over http": ("<wsdl:types>", '<wsdl:import namespace="urn:x" location="http://127.0.0.1:{port}/x.wsdl"/><wsdl:types>'),
    "WSDL by climbing": ("<wsdl:types>", '<wsdl:import namespace="urn:x" location="../../../../../../../../etc/hostname"/><wsdl:types>'),
    "DTD over http": ("<wsdl:definitions ", '<!DOCTYPE x SYSTEM "http://127.0.0.1:{port}/x.dtd"><wsdl:definitions '),
    "entity of a file": ("<wsdl:definitions ", '<!DOCTYPE x [<!ENTITY y SYSTEM "file://{canary}">]><wsdl:definitions '),
    "parameter entity": ("<wsdl:definitions ", '<!DOCTYPE x [<!ENTITY % y SYSTEM "http://127.0.0.1:{port}/y">%y;]><wsdl:definitions '),
}  # fmt: skip


def pinned(path: Path, **imports: str) -> Pins:
    return Pins(path, digest(path), imports)


def digest(path: Path) -> str:
    return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


def written(home: Path, text: str) -> Path:
    (home / "wsdl").mkdir(exist_ok=True)
    path = home / "wsdl" / "x.wsdl"
    path.write_text(text, encoding="utf-8")
    return path


class Watching(FileSystemEventHandler):
    """What the kernel says is opened below a folder, by whatever library."""

    def __init__(self) -> None:
        self.opened: Queue[str] = Queue()

    def on_opened(self, event: FileSystemEvent) -> None:
        assert isinstance(event, FileOpenedEvent)
        self.opened.put(Path(str(event.src_path)).name)

    def until(self, name: str) -> list[str]:
        found = []
        while (one := self.opened.get(timeout=20)) != name:
            found.append(one)
        return found


class Trap:
    """Notes every connection and every opened file of this process while it is set, and what the kernel sees opened below `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.events: list[tuple[str, str]] = []
        self.set = False
        self.thread = threading.get_ident()
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.set and threading.get_ident() == self.thread and event in ("open", "socket.connect", "socket.getaddrinfo", "urllib.Request"):
            self.events.append((event, str(arguments[0])))


@pytest.fixture
def trap(tmp_path: Path) -> Iterator[tuple[Trap, Watching, int]]:
    folder = tmp_path / "canary"
    folder.mkdir()
    (folder / "file").write_text("canary")
    watching = Watching()
    observer = Observer()
    observer.schedule(watching, str(folder), event_filter=[FileOpenedEvent])
    observer.start()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        trap = Trap(folder)
        yield trap, watching, server.getsockname()[1]
        with pytest.raises(BlockingIOError):
            server.accept()
    observer.stop()
    observer.join()


def test_every_description_of_the_city_can_be_used() -> None:
    rating = pinned(WSDL / "rating.wsdl", **{"types/rating.xsd": digest(WSDL / "types" / "rating.xsd")})

    found = {name: Description(pinned(WSDL / f"{name}.wsdl")).operations for name in ("penalty", "auth", "bsync", "verify")}

    assert found == {"penalty": {"login", "exportPenaltyXml"}, "auth": {"login"}, "bsync": {"service"}, "verify": {"verify"}}
    assert Description(rating).operations == {"getRating", "getRatingJson"}


@pytest.mark.parametrize("case", list(IMPORTING))
def test_an_import_is_refused_and_nothing_is_fetched_or_opened(case: str, tmp_path: Path, trap: tuple[Trap, Watching, int]) -> None:
    set_trap, watching, port = trap
    there, instead = IMPORTING[case]
    path = written(tmp_path, PENALTY.replace(there, instead.replace("{port}", str(port)).replace("{canary}", str(tmp_path / "canary" / "file")), 1))
    shutil.copytree(WSDL / "types", path.parent / "types")
    pins = pinned(path)
    Description(pinned(WSDL / "penalty.wsdl"))  # whatever the libraries open once is open now

    set_trap.set = True
    with pytest.raises(Misconfigured) as error:
        Description(pins)
    set_trap.set = False

    (set_trap.folder / "sentinel").write_text("")
    assert watching.until("sentinel") == []
    assert [(event, name) for event, name in set_trap.events if not name.endswith((".py", ".pyc"))] == [("open", str(path))]
    assert error.value.hint


def test_the_trap_itself_works(trap: tuple[Trap, Watching, int]) -> None:
    set_trap, watching, _ = trap
    set_trap.set = True

    (set_trap.folder / "file").read_text()
    set_trap.set = False
    (set_trap.folder / "sentinel").write_text("")

    assert watching.until("sentinel") == ["file"]
    assert len(set_trap.events) == 1
    with pytest.raises(Empty):
        watching.opened.get_nowait()


def test_another_file_than_the_pinned_one_is_refused_and_named(tmp_path: Path) -> None:
    path = written(tmp_path, PENALTY)
    pins = pinned(path)
    path.write_text(PENALTY + " ", encoding="utf-8")

    with pytest.raises(Misconfigured) as error:
        Description(pins)

    assert digest(path) in error.value.hint


def test_a_missing_file_is_named_without_its_folder(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured) as error:
        Description(Pins(tmp_path / "none.wsdl", "sha256:" + "0" * 64, {}))

    assert "none.wsdl" in error.value.message
    assert str(tmp_path) not in error.value.message


@pytest.mark.parametrize(
    "text",
    [
        "", "no XML", "<a/>", PENALTY.replace('type="tns:PenaltyWebServicePortType"', 'type="tns:Nobody"'), PENALTY.replace("<wsdl:portType name=", "<wsdl:portType nam="),
        PENALTY.replace('element="tns:login"', 'element="tns:nobody"'), PENALTY.replace('binding="tns:', 'binding="nobody:'), PENALTY.replace("wsdl:service", "wsdl:servic"),
        PENALTY.replace("schemas.xmlsoap.org/soap/http", "schemas.xmlsoap.org/soap/smtp"), PENALTY.replace('type="xsd:string"', 'type="xsd:nothing"'),
    ],
)  # fmt: skip
def test_an_odd_description_is_misconfigured_whatever_zeep_makes_of_it(text: str, tmp_path: Path) -> None:
    path = written(tmp_path, text)

    with pytest.raises(Misconfigured) as error:
        Description(pinned(path)).request("login", {"user": "u"})

    assert error.value.hint


def test_a_request_is_what_the_description_asks_for() -> None:
    description = Description(pinned(WSDL / "penalty.wsdl"))

    request = description.request("exportPenaltyXml", {"token": "t", "xml": "<a>&amp;</a>"}, ['<auth xmlns="urn:h"><token>t</token></auth>'])

    assert b"&lt;a&gt;&amp;amp;&lt;/a&gt;" in request.body
    assert b'<auth xmlns="urn:h"><token>t</token></auth>' in request.body
    assert request.headers["SOAPAction"] == '"urn:exportPenaltyXml"'


@pytest.mark.parametrize(("operation", "arguments"), [("nobody", {}), ("login", {"pasword": "x"}), ("login", {"user": {"a": "b"}})])
def test_a_request_that_the_description_does_not_know_is_refused_before_it_is_sent(operation: str, arguments: dict[str, object]) -> None:
    with pytest.raises(Misconfigured) as error:
        Description(pinned(WSDL / "penalty.wsdl")).request(operation, arguments)

    assert error.value.hint
