"""Which network addresses a configured URL may lead to: looked up once, checked, and then connected to as checked."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypedDict
from urllib.parse import urlsplit

from connectors.formats.worker import Worker
from hub.contracts.errors import Misconfigured, Unavailable

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolve = Callable[[str, int], Sequence[str]]
_LITERAL = frozenset("0123456789abcdefABCDEF.:xX")

# Never called without being allowed, beyond what `is_global` refuses already (RFC 6598, 6052, 8215, 3056, 4380).
_CLOSED = tuple(ip_network(n) for n in ("100.64.0.0/10", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32"))


class Resolved(TypedDict):
    """One checked address, in the form that the HTTP client takes."""

    hostname: str
    host: str
    port: int
    family: int
    proto: int
    flags: int


class Destination:
    """Host and port of one URL. `resolve` looks names up (blocking, in a thread of our own); tests pass their own."""

    def __init__(self, url: str, allow: Sequence[Network] = (), resolve: Resolve | None = None) -> None:
        parts = urlsplit(url)
        self.host = parts.hostname or ""
        self.port = parts.port or (443 if parts.scheme == "https" else 80)
        self.name = f"{parts.scheme}://{parts.netloc}"
        self._plain = parts.scheme == "http"
        self._allow = tuple(allow)
        self._resolve = resolve or look_up
        self._worker = Worker("resolve", 1)

    async def addresses(self) -> list[Resolved]:
        """Every address of the host, each of them checked: one that is not permitted spoils all.

        Raises `Misconfigured` for a forbidden address, `Unavailable` when the name cannot be looked up at present.
        """
        found = await self._worker.do(self._found)
        for address in found:
            self._check(address)
        return [self._entry(address) for address in found]

    def _found(self) -> list[Address]:
        try:
            answers = [self.host] if _is_literal(self.host) else list(self._resolve(self.host, self.port))
            found = [ip_address(a.partition("%")[0]) for a in answers]
        except OSError as error:
            raise Unavailable(f"the name {self.host} could not be looked up", hint="check the name and the name server") from error
        except ValueError as error:
            raise Misconfigured(f"{self.host} is not an address that can be called", hint="write a host name or a plain IP address") from error
        if not found:
            raise Unavailable(f"the name {self.host} has no address", hint="check the name and the name server")
        return found

    def _check(self, address: Address) -> None:
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        real: Address = mapped or address
        allowed = any(real in network for network in self._allow)
        if not allowed and not is_public(real):
            hint = "if the receiver really is inside, name its network: `allow: [10.20.0.0/16]`"
            raise Misconfigured(f"{self.host} leads to a private or reserved address", hint=hint)
        if self._plain and not allowed:
            raise Misconfigured(f"{self.host} would be called without encryption", hint="use https, or name its network with `allow`")

    def _entry(self, address: Address) -> Resolved:
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        return {"hostname": self.host, "host": str(address), "port": self.port, "family": family, "proto": socket.IPPROTO_TCP, "flags": flags}

    def close(self) -> None:
        """End the resolver's thread."""
        self._worker.close()


def is_public(address: Address) -> bool:
    """True for an address of the open internet; not for loopback, private, link-local, multicast, reserved, shared or translated ones."""
    closed = any(address.version == n.version and address in n for n in _CLOSED)
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified or closed)


def look_up(host: str, port: int) -> list[str]:
    """All addresses of a name, without repeats."""
    return list(dict.fromkeys(str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))


def _is_literal(host: str) -> bool:
    """True for anything that could be read as a number rather than a name: only the canonical form is taken then."""
    return ":" in host or (set(host) <= _LITERAL and host[:1].isdigit() and host.rpartition(".")[2][:1].isdigit())
