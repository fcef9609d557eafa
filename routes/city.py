"""One hub put together: configuration, state, landing, broker, stores and the routes between them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, time, timedelta
from functools import cached_property, partial
from pathlib import Path
from zoneinfo import ZoneInfo

import zstandard
from sqlalchemy import Connection, select

from config.loader import Loaded, load_bundle
from config.resolved import Feed, HubConfig, ShareConfig, When
from config.secrets import Secrets
from connectors.queues import open_broker
from connectors.registry import OUTLETS, SOURCES
from hub.contracts.answer import answering
from hub.contracts.batch import Batch, Header
from hub.contracts.broker import Broker
from hub.contracts.errors import Misconfigured
from hub.contracts.headings import normalise_heading
from hub.contracts.keys import KeyRing
from hub.contracts.observer import Observer
from hub.contracts.source import Source
from hub.contracts.store import Store
from hub.deliveries import Deliveries
from hub.intake import FeedIntake, meet
from hub.keystore import agree, ensure_keys
from hub.landing import Landing
from hub.leases import Leases, nodes_of
from hub.ledger import Ledger
from hub.pipeline import Pipeline
from hub.standing import Standing
from hub.state import State
from hub.tables import config_version
from hub.upserts import add_new
from routes.collect import CollectSteps, Limits, QueueSink, collect_pipeline
from routes.deliver import DeliverRoute, Surroundings
from routes.load import LoadRoute
from routes.places import state_of, stores_of
from routes.reentry import again_from_landing
from routes.share import ShareRoute
from routes.snapshot import SnapshotEnd
from routes.timeliness import Timeliness
from routes.unready import UnreadySource
from transforms.intake import FeedPlan

ZONE = ZoneInfo("Asia/Shanghai")
BATCH_ROWS = 32_000
_JOURNAL_LOOK_S = 0.5
_SETTLE_LOOK_S = 0.02
_EMPTY_LOOKS = 50
"""Looks at empty queues after which what is still in flight is taken for lost: `reconcile --repair` sends it again."""


def local_now() -> datetime:
    """The city's time."""
    return datetime.now(ZONE)


class FeedRoute:
    """One feed with its source and its collect leg."""

    def __init__(self, feed: Feed, source: Source, pipeline: Pipeline, intake: FeedIntake) -> None:
        self.feed = feed
        self.source = source
        self.pipeline = pipeline
        self.intake = intake


class ShareRoutes:
    """One share: what changed becomes references, and references become deliveries."""

    def __init__(self, offers: ShareRoute, delivers: DeliverRoute) -> None:
        self.offers = offers
        self.delivers = delivers

    async def offer(self) -> None:
        """Everything new in the journals, now."""
        await self.offers.drain()

    async def offer_forever(self) -> None:
        """Follow the journals."""
        while True:
            await self.offers.drain()
            await asyncio.sleep(_JOURNAL_LOOK_S)

    async def deliver_due(self) -> None:
        """Deliver what is due; later retries stay."""
        await self.delivers.deliver_due()

    async def deliver_forever(self) -> None:
        """Deliver as references come."""
        await self.delivers.run()


class City:
    """Everything that lives as long as one hub does. `open` first; `close` may come at any moment."""

    def __init__(
        self, home: Path, loaded: Loaded, *, observer: Observer | None = None, clock: Callable[[], datetime] = local_now, batch_rows: int = BATCH_ROWS
    ) -> None:
        if loaded.hub is None:
            raise Misconfigured("the configuration has errors", hint="run `run_hub.py lint`")
        self.home = home
        self.config: HubConfig = loaded.hub
        self.observer = observer or Observer()
        self.clock = clock
        self.batch_rows = batch_rows
        self.bundle = loaded.bundle
        self.executor = ThreadPoolExecutor(2, thread_name_prefix="collect")
        self._configs: dict[str, HubConfig] = {self.config.version: self.config}
        self.feeds: dict[str, FeedRoute] = {}
        self.loads: dict[str, LoadRoute] = {}
        self.shares: dict[str, ShareRoutes] = {}
        self.stores: dict[str, Store] = {}
        self.leases: Leases | None = None  # of a node that shares the work with others

    async def open(self) -> None:
        """Open state, landing, broker and stores; make what is missing. Raises the three errors."""
        self.home.mkdir(parents=True, exist_ok=True)
        self.keys = ensure_keys(self.home / "keys")
        self.secrets = Secrets(self.home / "secrets")
        self.state = State(state_of(self.config, self.secrets, self.home))
        await self.state.open()
        self.fence = await agree(self.state, self.keys, self.home / "landing")
        self.ledger = Ledger(self.state, self.keys, self.clock, self._guard)
        self.standing = Standing(self.ledger)
        await self.standing.open()
        self.landing = Landing(self.home / "landing", self.keys)
        self.claims = Landing(self.home / "claims", self.keys)
        await self._keep_config(self.config.version, self.bundle)
        self.timeliness = Timeliness(lambda: self.config, self.ledger)
        self.deliveries = Deliveries(self.state, self._guard)
        self.broker: Broker = open_broker(self.secrets.expand(self.config.broker), self.home)
        self.stores = stores_of(self.config, self.secrets, self.home, self.keys)
        await self._prepare_stores()
        await self.build()

    def _guard(self, connection: Connection, name: str) -> None:
        """Refuses what another node has taken over from this one."""
        if self.leases is not None:
            self.leases.guard(connection, name)

    async def _prepare_stores(self) -> None:
        async with self.state.alone():  # nodes that start together make tables one after the other
            for name, store in self.stores.items():
                await store.prepare([item for item in self.config.items.values() if item.store == name])

    async def build(self) -> None:
        """Make the routes of the present configuration, and their queues."""
        await self.state.write(lambda c: meet(c, self.config.feeds, self.ledger))
        self.feeds = {name: self._feed(feed) for name, feed in self.config.feeds.items()}
        for feed in self.config.feeds.values():
            if feed.item.code not in self.loads:
                store = self.stores[feed.item.store]
                self.loads[feed.item.code] = LoadRoute(
                    feed.item, store, self.broker, self.ledger, self.keys, self.claims, self.observer, self.whole, self.timeliness.late
                )
                self.loads[feed.item.code].fence = self.fence
        self.shares = {name: self._share(share) for name, share in self.config.shares.items()}
        for queue in [*(load.queue for load in self.loads.values()), *(share.offers.queue for share in self.shares.values())]:
            await self.broker.declare(queue)

    def _share(self, share: ShareConfig) -> ShareRoutes:
        outlet = OUTLETS[share.kind].build(self.secrets.fill(share.config), share=share.name, home=self.home, broker=self.broker)
        items, stores = self.config.items, self.stores
        offers = ShareRoute(share.share, items, stores, self.broker, self.deliveries, self.observer)
        world = Surroundings(now=self.clock, config=self.config.version)
        delivers = DeliverRoute(
            share.share, outlet, items=items, stores=stores, broker=self.broker, deliveries=self.deliveries, keys=self.keys, observer=self.observer, world=world
        )
        return ShareRoutes(offers, delivers)

    @cached_property
    def sink(self) -> QueueSink:
        """Where every collect leg delivers."""
        return QueueSink(self.broker, self.keys, self.claims, self.executor)

    def _feed(self, feed: Feed) -> FeedRoute:
        recalls = not any(rule.timed for rule in [*feed.rules.values(), *(c.compiled for c in feed.checks), *filter(None, [feed.only])])
        end = self._snapshot_end(feed, lambda: intake) if feed.snapshot else None
        intake = FeedIntake(
            feed.name,
            feed.item.code,
            lambda: self.config.version,
            self.ledger,
            self.landing,
            self.executor,
            recalls=recalls,
            snapshot=bool(feed.snapshot),
            closing=end,
        )
        source = self._source(feed, intake)
        intake.answers = answering(source) is not None
        steps = CollectSteps(lambda version: self.plan(feed.name, version), self.clock, self.executor)
        again = partial(again_from_landing, source, feed.item, self.landing)
        pipeline = collect_pipeline(feed.name, source, again, steps, self.sink, self.ledger, Limits(feed.limits.rejected), self.observer)
        if end is not None:
            end.carry = pipeline.carry
        return FeedRoute(feed, source, pipeline, intake)

    def _source(self, feed: Feed, intake: FeedIntake) -> Source:
        """What the feed reads; where that cannot be made, one that says why, so that a missing secret stops one feed and not the hub."""
        try:
            source: Source = SOURCES[feed.kind].build(
                self.secrets.fill(feed.source_config),
                self.secrets.fill(feed.read),
                feed=feed.name,
                item=feed.item.code,
                known=known_headings(feed),
                intake=intake,
                home=self.home,
                batch_rows=self.batch_rows,
            )
        except Misconfigured as error:
            return UnreadySource(error)
        except ImportError as error:
            return UnreadySource(Misconfigured(f"a library for {feed.kind} is not installed: {error.name}", hint=f"pip install 'credit-hub[{feed.kind}]'"))
        return source

    def _snapshot_end(self, feed: Feed, intake: Callable[[], FeedIntake]) -> SnapshotEnd:
        return SnapshotEnd(
            feed.name,
            feed.item,
            after=feed.snapshot,
            shrink=feed.limits.shrink,
            ledger=self.ledger,
            landing=self.landing,
            executor=self.executor,
            observer=self.observer,
            rows=self.batch_rows,
            intake=intake,
        )

    def plan(self, feed: str, version: str) -> FeedPlan:
        """The feed's plan under a configuration version; an older one is made again from what the state kept."""
        config = self._configs.get(version)
        found = config.feeds.get(feed) if config is not None else None
        if found is None:
            raise Misconfigured(f"feed {feed} is not in configuration {version}", hint="load the configuration that the batch was opened with")
        return plan_of(found, self.keys)

    async def _keep_config(self, version: str, bundle: Mapping[str, bytes]) -> None:
        row = {"version": version, "at": self.ledger.now(), "bundle": zstandard.compress(json.dumps({k: v.decode() for k, v in bundle.items()}).encode())}
        await self.state.write(lambda c: add_new(c, config_version, row))

    async def recall_configs(self) -> None:
        """Load the older versions that open batches still need."""
        needed = {header.config for name in self.feeds for header, _ in await self.ledger.unsettled(name)}
        needed |= {header.config for header, _ in await self.ledger.unapplied()}
        for version in needed - self._configs.keys():
            query = select(config_version.c.bundle).where(config_version.c.version == version)
            stored = await self.state.read(lambda c, q=query: c.execute(q).scalar())  # type: ignore[misc]
            if stored is None:
                continue
            loaded = load_bundle({name: text.encode() for name, text in json.loads(zstandard.decompress(stored)).items()})
            if loaded.hub is not None:
                self._configs[version] = loaded.hub

    async def whole(self, header: Header) -> Batch:
        """A batch again from landing, with its rows as they passed their checks."""
        route = self.feeds.get(header.feed)
        if route is None:
            raise Misconfigured(f"feed {header.feed} is not configured any more", hint="bring it back to send its batches again")
        await self.recall_configs()
        batch = await again_from_landing(route.source, route.feed.item, self.landing, header, await self.ledger.cut_of(header))
        steps = CollectSteps(lambda version: self.plan(header.feed, version), self.clock, self.executor)
        return (await steps(batch)).passed

    async def resend(self, header: Header, cut: dict[str, object]) -> None:
        """Send one batch again from landing; ids repeat, so it can never count twice."""
        await self.sink.deliver(await self.whole(header))

    def not_now(self, when: When | None) -> float:
        """Seconds for which a feed begins nothing: a quiet window, or a day on which nobody works; 0 when it may."""
        now = self.clock().replace(tzinfo=None)
        if when is None:
            return 0.0
        if when.workdays and not self.config.calendar.works(now.date()):
            return (datetime.combine(now.date() + timedelta(days=1), time()) - now).total_seconds()
        return max((window.left(now) for window in when.quiet), default=0.0)

    def can_adopt(self, config: HubConfig) -> bool:
        """True where only feeds, shares and the catalogue differ: broker, stores and addresses need a restart."""
        settled = (self.config.broker, self.config.state, dict(self.config.stores), self.config.listen, self.config.gateway)
        return (config.broker, config.state, dict(config.stores), config.listen, config.gateway) == settled

    async def adopt(self, loaded: Loaded) -> None:
        """Take another configuration whole. No route may be running."""
        assert loaded.hub is not None, "only a configuration without errors is adopted"
        await self._keep_config(loaded.version, loaded.bundle)
        await self._close_routes()
        self.config, self.bundle = loaded.hub, loaded.bundle
        self._configs[loaded.version] = loaded.hub
        self.loads = {}
        await self._prepare_stores()
        await self.build()
        await self.recall_configs()

    async def settle_down(self, hopeless: Callable[[], bool] = lambda: False) -> bool:
        """Wait until nothing is in flight. What is in flight and in no queue is sent again, once.

        False when waiting will not help: `hopeless` says so, or what was sent again is in no queue either.
        """
        empty, sent = 0, False
        while await self.ledger.in_flight():
            empty = 0 if await self._loading() else empty + 1
            if hopeless() or (empty > _EMPTY_LOOKS and sent):
                return False
            if empty > _EMPTY_LOOKS:
                empty, sent = 0, await self.send_missing() > 0
            await asyncio.sleep(_SETTLE_LOOK_S)
        return True

    async def send_missing(self) -> int:
        """Send again, from landing, every batch in flight, if no queue holds any; how many. An inbox that knows one answers with its first receipt."""
        missing = await self.ledger.unapplied()
        if not missing or await self._loading():
            return 0
        for header, cut in missing:
            await self.resend(header, cut)
            self.observer.tell("sent_again", header.feed, arrival=header.arrival, rows=header.rows)
        return len(missing)

    async def _loading(self) -> bool:
        """Whether any intake queue holds a batch."""
        depths = [await self.broker.depth(load.queue) for load in self.loads.values()]
        return any(depth.ready + depth.unacked for depth in depths)

    async def load_what_waits(self) -> bool:
        """Load without a running hub until nothing is in flight; where nodes load, wait for them. Raises what stops a load."""
        if self.state.shared and any("load" in node["roles"] for node in await nodes_of(self.state)):
            return await self.settle_down()
        loads = [asyncio.create_task(load.run()) for load in self.loads.values()]
        settled = asyncio.create_task(self.settle_down())
        try:
            done, _ = await asyncio.wait([settled, *loads], return_when=asyncio.FIRST_COMPLETED)
            return bool(next(iter(done)).result())
        finally:
            for task in (settled, *loads):
                task.cancel()
            await asyncio.gather(settled, *loads, return_exceptions=True)

    async def _close_routes(self) -> None:
        for route in self.feeds.values():
            await route.source.close()
        for load in self.loads.values():
            await load.close()
        for share in self.shares.values():
            await share.delivers.outlet.close()

    async def close(self) -> None:
        """Release everything, in the order of dependence."""
        await self._close_routes()
        if hasattr(self, "broker"):
            await self.broker.close()
        await asyncio.gather(*(store.close() for store in self.stores.values()))
        if hasattr(self, "state"):
            await self.state.close()
        self.executor.shutdown()


def plan_of(feed: Feed, keys: KeyRing) -> FeedPlan:
    """What the feed's rules make of its rows."""
    return FeedPlan(item=feed.item, rules=feed.rules, checks=feed.checks, only=feed.only, keys=keys, snapshot=bool(feed.snapshot))


def known_headings(feed: Feed) -> frozenset[str]:
    """Every heading that the item understands or the feed's rules read, in comparable form."""
    names = {heading for field in feed.item.fields for heading in (field.name, field.title, *field.aliases)}
    names |= {heading for rule in feed.rules.values() for heading in rule.columns}
    return frozenset(normalise_heading(name) for name in names)
