"""The hub as a process: lock, city, routes, console, and an end that may come at any moment."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

from config.loader import Loaded
from hub.contracts.errors import HubError, Unavailable
from hub.contracts.observer import Observer
from hub.failpoints import arm
from hub.leases import ROLES, Leases
from hub.lock import HomeLock
from hub.memory import share_arenas
from hub.state import State
from monitoring.health import room_left
from monitoring.logs import LogListener, configure
from monitoring.metrics import Metrics
from monitoring.narration import Narrator
from monitoring.server import serve as serve_console
from routes.city import BATCH_ROWS, City
from routes.gateway import Gateway
from routes.running import RunningHub


class HubView:
    """What console and metrics may look at."""

    def __init__(self, hub: RunningHub) -> None:
        self._hub = hub
        self._last: dict[str, Any] = {}
        self.numbers = Metrics(lambda: self._last)

    async def status(self) -> dict[str, Any]:
        """The status as everybody sees it; remembered for the metrics."""
        self._last = await self._hub.desk.status()
        return self._last

    async def ready(self) -> dict[str, bool | str]:
        """Whether data can be durably accepted: state, landing's disk, broker and stores."""
        city = self._hub.city
        item = next(iter(city.loads), "")
        checks: dict[str, Awaitable[object]] = {"state": city.state.write(lambda c: c.exec_driver_sql("SELECT 1").scalar())}
        if item:
            checks["broker"] = city.broker.depth(city.loads[item].queue)
        for name, store in city.stores.items():
            code = next((i.code for i in city.config.items.values() if i.store == name), "")
            if code:
                checks[f"store {name}"] = store.head(code)
        found = {name: await _works(check) for name, check in checks.items()}
        return {"landing": room_left(city.home), **found}

    def metrics(self) -> bytes:
        """Prometheus text."""
        return self.numbers.text()


async def _works(check: Awaitable[object]) -> bool | str:
    try:
        await check
    except HubError as error:
        return error.message
    return True


async def serve(
    loaded: Loaded, home: Path, *, config: Path, once: bool, batch_rows: int | None, listen: str, roles: frozenset[str] = frozenset(ROLES), node: str = ""
) -> bool:
    """Run until told to stop, or once; True when all is fine. Raises the three errors when the hub cannot start.

    `roles` are what this process does, `node` its name among those that share the hub's state.
    """
    share_arenas()
    watched = once and sys.stderr.isatty()
    configure(level="WARNING" if watched else "INFO")
    arm()
    with HomeLock(home, node) as lock:
        city = City(home, loaded, observer=Observer(Narrator() if watched else LogListener()), batch_rows=batch_rows or BATCH_ROWS)
        try:
            await city.open()
            pulse = State(city.state.target)  # beats have connections of their own: no heavy work delays them
            if city.state.shared and not once:
                await pulse.open()
                here = listen or city.config.listen
                city.leases = Leases(pulse, node or socket.gethostname(), roles, here, incarnation=lock.incarnation, dead=lock.former)
            hub = RunningHub(city, node)
            try:
                return await (hub.once() if once else _stay(hub, config, listen or city.config.listen, roles))
            finally:
                await hub.close()
                await pulse.close()
        finally:
            await city.close()


async def _stay(hub: RunningHub, config: Path, listen: str, roles: frozenset[str]) -> bool:
    """Keep everything running until SIGTERM or SIGINT."""
    view = HubView(hub)
    hub.city.observer.listen(view.numbers)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    host, _, port = listen.rpartition(":")
    runner = await serve_console(view, host, int(port), pages="console" in roles)
    gateway = Gateway(hub.city)
    try:
        await hub.start()
        if "gateway" in roles:
            await gateway.open()
        where = ", ".join(f"http://{address[0]}:{address[1]}/" for address in runner.addresses)
        hub.city.observer.tell("started", "hub", console=where, home=str(hub.city.home))
        watching = asyncio.create_task(hub.watch_config(config))
        refreshing = asyncio.create_task(_refresh(view))
        await stop.wait()
        for task in (watching, refreshing):
            task.cancel()
        await asyncio.gather(watching, refreshing, return_exceptions=True)
    finally:
        await gateway.close()
        await runner.cleanup()
    return True


async def _refresh(view: HubView) -> None:
    """Keep the metrics' snapshot fresh."""
    while True:
        try:
            await view.status()
        except Unavailable:
            await asyncio.sleep(1)
        await asyncio.sleep(5)
