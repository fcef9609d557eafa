"""The gateway in its city: who may call for what, and what becomes of what they say."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import orjson

from config.resolved import Feed
from connectors.gateway.limits import GatewayLimits
from connectors.gateway.server import GatewayServer
from connectors.gateway.settings import GatewayConfig, GatewayRead
from connectors.gateway.source import GatewaySource
from hub.contracts.blocking import to_its_end
from hub.contracts.errors import Misconfigured, Unavailable
from hub.contracts.gateway import Caller, Offer, RowError, SigningKey, SubmissionReceipt, Terms, Ticket
from hub.contracts.source import Landed, LandingWriter
from hub.credentials import Credentials
from hub.intake import HEARD, FeedIntake
from hub.submissions import Submissions, name_of
from monitoring.health import room_left
from routes.city import City
from routes.nodes import ask_elsewhere

_NOTED_EVERY_S = 60.0
_KIND = "gateway"


class CityReception:
    """Answers the server from the city's present configuration. `room` says whether landing has room; `ticks` gives monotonic seconds."""

    def __init__(self, city: City, *, room: Callable[[], bool | str] | None = None, ticks: Callable[[], float] = time.monotonic) -> None:
        self._city = city
        self._credentials = Credentials(city.state, city.keys, city.clock)
        self._submissions = Submissions(city.ledger)
        self._room = room or (lambda: room_left(city.home))
        self._ticks = ticks
        self._turned_away: dict[str, int] = {}
        self._noted_at = float("-inf")

    async def recognise(self, key: str) -> Caller | None:
        """The caller of an API key in force."""
        return await self._credentials.recognise(key)

    async def signing(self, key_id: str) -> SigningKey | None:
        """What signatures of a key in force are checked with."""
        return await self._credentials.signing(key_id)

    async def first_use(self, caller: Caller, nonce: str) -> bool:
        """False where the nonce was used before."""
        return await self._credentials.first_use(caller, nonce)

    async def turned_away(self, why: str) -> None:
        """Count it; once a minute at most the counts become an event, so that nobody can fill the disk by guessing."""
        self._turned_away[why] = self._turned_away.get(why, 0) + 1
        if self._ticks() - self._noted_at >= _NOTED_EVERY_S:
            counted, self._turned_away, self._noted_at = self._turned_away, {}, self._ticks()
            self._city.observer.tell("turned_away", _KIND, **counted)
            await self._city.ledger.note("turned_away", _KIND, **counted)

    def terms(self, agency: str) -> Terms | None:
        """The most generous rate of its gateway sources; signed where any of them asks for it."""
        configs = [f.source_config for f in self._feeds(agency) if isinstance(f.source_config, GatewayConfig)]
        if not configs:
            return None
        widest = max(configs, key=lambda config: config.per_second)
        return Terms(widest.per_second, widest.burst, any(config.signed == "required" for config in configs))

    def offers(self, agency: str) -> Mapping[str, Offer]:
        """What its feeds take, the first feed of an item counting."""
        found: dict[str, Offer] = {}
        for feed in self._feeds(agency):
            if isinstance(feed.read, GatewayRead):
                found.setdefault(feed.item.code, Offer(feed.item, feed.name, feed.read.max_size))
        return found

    def _feeds(self, agency: str) -> Sequence[Feed]:
        return [feed for feed in self._city.config.feeds.values() if feed.agency == agency and feed.kind == _KIND]

    def refuse_when_closed(self, offer: Offer) -> None:
        """Raise `Unavailable` while the feed is paused or there is no room."""
        if self._city.standing.of(f"feed:{offer.feed}").state == "paused":
            raise Unavailable("this item is not taken at the moment", hint="`run_hub.py feed resume`", retry_after=60)
        if (left := self._room()) is not True:
            raise Unavailable("there is no room to take it", hint=str(left), code="disk-full", retry_after=60)

    def writer(self) -> LandingWriter:
        """A new object in landing."""
        return self._city.landing.writer()

    async def begin(self, caller: Caller, offer: Offer, operation: str, key: str) -> Ticket:
        """Write down that a submission begins."""
        return await self._submissions.begin(caller, offer, operation, key)

    async def accept(self, ticket: Ticket, landed: Landed, suffix: str, evidence: Mapping[str, Any]) -> None:
        """Number it, answer for it, and wake its feed."""
        city, offer = self._city, ticket.offer
        found = await self._intake(offer).receive(name_of(ticket.receipt, suffix), landed, evidence=dict(evidence))
        await ask_elsewhere(city, f"feed:{offer.feed}")  # its feed may be another node's
        await self._submissions.accepted(ticket, found)
        city.observer.tell("submitted", offer.feed, arrival=found.number, bytes=landed.size, duplicate=found.duplicate)
        route = city.feeds.get(offer.feed)
        if route is not None and isinstance(route.source, GatewaySource):
            route.source.notice()

    def _intake(self, offer: Offer) -> FeedIntake:
        city = self._city
        return FeedIntake(offer.feed, offer.item.code, lambda: city.config.version, city.ledger, city.landing, city.executor, recalls=False)

    async def release(self, ticket: Ticket) -> None:
        """Forget a submission that came to nothing."""
        await self._submissions.released(ticket)

    async def nil(self, caller: Caller, offer: Offer, period: str, because: str) -> bool:
        """Keep that there is nothing to report for a period."""
        new = await self._submissions.nil(caller, offer, period, because)
        await self._intake(offer).remember(HEARD, value=True)
        return new

    async def receipt(self, caller: Caller, receipt: str) -> SubmissionReceipt | None:
        """How a submission stands."""
        found = await self._submissions.of(caller, receipt)
        if found is None:
            return None
        feed, code = found
        item = self._city.config.items.get(code)
        held = self._city.standing.of(f"feed:{feed}").state == "held"
        return await self._submissions.receipt(caller, receipt, item.name if item else code, held)

    async def errors(self, caller: Caller, receipt: str, after: int, limit: int) -> list[RowError]:
        """Rows set aside, without values."""
        return await self._submissions.errors(caller, receipt, after, limit)

    async def returned(self, caller: Caller, receipt: str, limit: int) -> tuple[Sequence[str], list[tuple[RowError, dict[str, str | None]]]]:
        """Rows set aside, to the one who sent them."""
        sealed = await self._submissions.returned(caller, receipt, limit)
        rows = await to_its_end(self._city.executor, self._opened, sealed)
        return tuple(dict.fromkeys(heading for _, cells in rows for heading in cells)), rows

    def _opened(self, sealed: Sequence[tuple[RowError, str, bytes]]) -> list[tuple[RowError, dict[str, str | None]]]:
        return [(error, orjson.loads(self._city.keys.open(raw, batch_id.encode()))) for error, batch_id, raw in sealed]


class Gateway:
    """The server beside a running hub; nothing at all where `hub.yaml` has no `gateway:`."""

    def __init__(self, city: City) -> None:
        self._city = city
        self._server: GatewayServer | None = None

    async def open(self) -> None:
        """Begin to listen. Raises `Misconfigured` for an address that cannot be used."""
        part = self._city.config.gateway
        if part is None:
            return
        times = {"head": part.head.total_seconds(), "idle": part.idle.total_seconds(), "body": part.body.total_seconds()}
        limits = GatewayLimits(part.connections, part.per_address, part.uploads, **times)
        server = GatewayServer(CityReception(self._city), limits, clock=lambda: self._city.clock().timestamp())
        host, _, port = part.listen.rpartition(":")
        await server.open(host, int(port))
        self._server = server
        where = ", ".join(f"http://{host}:{port}/" for host, port in server.addresses)
        self._city.observer.tell("listening", _KIND, address=where)

    async def close(self) -> None:
        """Answer what was asked, and stop."""
        if self._server is not None:
            await self._server.close()


class KeyDesk:
    """What an operator decides about API keys (`run_hub.py key`); every decision is kept as an event."""

    def __init__(self, city: City) -> None:
        self._city = city
        self._credentials = Credentials(city.state, city.keys, city.clock)

    async def add(self, agency: str, *, days: int = 365, because: str = "") -> dict[str, str]:
        """A new key: `id`, `key` (shown this once), `agency`. Raises `Misconfigured` for an agency that the city does not know."""
        if agency not in self._city.config.agencies:
            raise Misconfigured(f"there is no agency {agency}", hint="agencies.yaml names them all")
        key_id, key = await self._credentials.add(agency, days=days, because=because)
        await self._city.ledger.note("key_added", agency, key=key_id, days=days, because=because)
        return {"id": key_id, "key": key, "agency": agency}

    async def list(self, agency: str = "") -> list[dict[str, Any]]:
        """Keys with state, times and last use; never what could be used."""
        return await self._credentials.list(agency)

    async def rotate(self, key_id: str, *, overlap: timedelta = timedelta(days=7)) -> dict[str, str]:
        """A new key beside the old one, which ends after `overlap`: `id`, `key` (shown this once), `replaces`."""
        made, key = await self._credentials.rotate(key_id, overlap)
        await self._city.ledger.note("key_rotated", key_id, key=made, overlap_s=overlap.total_seconds())
        return {"id": made, "key": key, "replaces": key_id}

    async def revoke(self, key_id: str, because: str) -> dict[str, str]:
        """End a key now: the next request with it is refused."""
        if not because.strip():
            raise Misconfigured("a decision needs its reason", hint="add --because '…'")
        agency = await self._credentials.revoke(key_id, because)
        await self._city.ledger.note("key_revoked", agency, key=key_id, because=because)
        return {"id": key_id, "agency": agency, "state": "revoked"}


def keys(city: City) -> KeyDesk:
    """The desk for API keys of an open city."""
    return KeyDesk(city)
