"""A service as its WSDL file describes it: read from pinned files only, and used to write requests; zeep never gets to the network."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Never

from zeep import Client, Settings
from zeep.exceptions import ExternalReferenceForbidden
from zeep.loader import parse_xml
from zeep.transports import Transport
from zeep.wsdl.bindings.soap import SoapBinding

from connectors.soap.markup import parse
from connectors.soap.wire import decoded
from hub.contracts.errors import HubError, Misconfigured, Rejected

_ROOT = "/wsdl/"
_LARGEST = 4 << 20  # bytes of one file
_HINT = "have the agency send the WSDL again, with every file that it imports, and pin them with `digest` and `imports`"


@dataclass(frozen=True, slots=True)
class Pins:
    """A WSDL file, its digest ("sha256:…"), and the files beside it that it may import, each with its own."""

    path: Path
    digest: str
    imports: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it goes over the wire."""

    body: bytes
    headers: Mapping[str, str]


class Description:
    """One port of a service. Blocking, and for one thread only. Raises `Misconfigured` for files that are not what was pinned, or that cannot be used."""

    def __init__(self, pins: Pins, *, service: str | None = None, port: str | None = None) -> None:
        self._name = pins.path.name
        settings = Settings(
            strict=True, raw_response=True, forbid_dtd=True, forbid_entities=True, forbid_external=True, xml_huge_tree=False, force_https=False
        )  # fmt: skip
        self._settings = settings
        self._pinned = _Pinned(_read(pins))
        with self._border("cannot be used"):
            self._client = Client(_ROOT + self._name, transport=self._pinned, settings=settings)  # type: ignore[no-untyped-call]
            binding, self.address = self._port(service, port)
            self._operations = self._client.create_service(binding.name, self.address)  # type: ignore[no-untyped-call]
            self.operations = frozenset(name for name, _ in self._operations)

    def request(self, operation: str, arguments: Mapping[str, Any], soap_headers: Sequence[str] = ()) -> Request:
        """The request for an operation, every argument checked against the description."""
        if operation not in self.operations:
            raise Misconfigured(f"{self._name} describes no operation {operation}", hint=f"it has {', '.join(sorted(self.operations)[:20])}")
        with self._border(f"does not take these arguments for {operation}"):
            extra = {"_soapheaders": [parse_xml(one, self._pinned, settings=self._settings) for one in soap_headers]} if soap_headers else {}
            written: Request = self._operations[operation](**arguments, **extra)
        return written

    def _port(self, service: str | None, port: str | None) -> tuple[Any, str]:
        for name, each in self._client.wsdl.services.items():
            for port_name, one in each.ports.items():
                if service in (None, name) and port in (None, port_name) and isinstance(one.binding, SoapBinding):
                    return one.binding, str(one.binding_options["address"] or "")
        raise Misconfigured(f"{self._name} describes no SOAP port by this name", hint="check `service` and `port`")

    @contextmanager
    def _border(self, what: str) -> Iterator[None]:
        try:
            yield
        except HubError:
            raise
        except ExternalReferenceForbidden as error:
            hint = f"{_HINT}; give imports a relative location, and write xsd:string for soapenc:string in the pinned copy"
            raise Misconfigured(f"{self._name} imports something from the network; nothing was fetched", hint=hint) from error
        except Exception as error:  # zeep lets AttributeError, KeyError, lxml's and its own errors out, as the WSDL may be: none of them leaves this file
            raise Misconfigured(f"{self._name} {what}: {type(error).__name__}", hint=_HINT) from error


class _Pinned(Transport):
    """Gives the pinned files only, and hands a request back instead of sending it."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.session.adapters.clear()  # nothing that could be mounted would be right
        self._files = files

    def load(self, url: str) -> bytes:
        """A pinned file."""
        if url not in self._files:
            raise Misconfigured("the WSDL imports a file that is not pinned; nothing was fetched", hint=_HINT)
        return self._files[url]

    def post(self, address: str, message: bytes, headers: Mapping[str, str]) -> Request:
        """The request, for our own HTTP client."""
        return Request(message, dict(headers))

    def get(self, address: str, params: Any, headers: Any) -> Never:
        """SOAP is POST only."""
        raise Misconfigured("the WSDL's port is no SOAP port", hint="name a SOAP port with `port`")


def _read(pins: Pins) -> dict[str, bytes]:
    """Every pinned file under the address by which zeep asks for it."""
    wanted = {pins.path.name: pins.digest, **pins.imports}
    return {_ROOT + name: _checked(pins.path.parent / name, name, digest) for name, digest in wanted.items()}


def _checked(path: Path, name: str, digest: str) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise Misconfigured(f"the file {name} cannot be read: {error.strerror}", hint="put it below HOME, where `wsdl` says") from error
    if (found := "sha256:" + hashlib.sha256(content).hexdigest()) != digest:
        hint = f"somebody changed it: look at it, then pin {found}" if len(content) <= _LARGEST else "it is far too large for a WSDL"
        raise Misconfigured(f"the file {name} is not the one that was pinned", hint=hint)
    try:
        parse(decoded(content)[0], called=name, encoding="utf-8")
    except Rejected as error:
        raise Misconfigured(error.message, hint=_HINT) from error
    return content
