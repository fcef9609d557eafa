"""An arrival read again from landing under the present configuration: a generation of its own, which corrects what that arrival wrote and nothing newer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, func, insert, select, update

from hub.contracts.batch import Header
from hub.contracts.errors import Misconfigured
from hub.ledger import close_run
from hub.tables import arrival, batch, run
from routes.reentry import again_from_landing

if TYPE_CHECKING:
    from routes.city import City


_FILES = ("folder", "sftp")
"""Kinds of feeds whose refused files lie with the agency, not in landing alone."""


async def replay_arrival(city: City, feed: str, number: int, because: str) -> dict[str, Any]:
    """Carry every batch of the arrival once more; a replay that was cut off goes on where it stopped."""
    route = city.feeds[feed]
    first = await _batches_of(city, feed, number)
    if (refused := await _refused(city, feed, number)) is not None:
        return await _read_after_all(city, refused, because)
    if not first:
        raise Misconfigured(f"feed {feed} has no arrival {number} that was read", hint="`run_hub.py trace FILE --row 1` names a file's arrival")
    generation = await city.state.write(lambda c: _generation(c, feed, route.feed.item.code, number, city.config.version, city.ledger.now()))
    done = {header.first for header in await _batches_of(city, feed, number, generation)}
    await city.ledger.note("replayed", feed, arrival=number, generation=generation, because=because)
    for header in first:
        if header.first not in done:
            asked = replace(header, generation=generation, config=city.config.version, content="", same_as="")
            await route.pipeline.carry(await again_from_landing(route.source, route.feed.item, city.landing, asked, await city.ledger.cut_of(header)))
    await city.state.write(lambda c: _read_to_the_end(c, route.feed.item.code, number, generation, city.ledger.now()))
    return {"feed": feed, "arrival": number, "generation": generation, "batches": len(first), "records": sum(header.rows for header in first)}


async def _refused(city: City, feed: str, number: int) -> Row[Any] | None:
    """The arrival, if it was refused as a whole."""
    query = select(arrival).where(arrival.c.feed == feed, arrival.c.number == number, arrival.c.state == "refused")
    return await city.state.read(lambda c: c.execute(query).first())


async def _read_after_all(city: City, row: Row[Any], because: str) -> dict[str, Any]:
    """What was refused is offered again from where it stopped, under the present configuration; limits do not hold it, because a person asked for it."""
    if city.feeds[row.feed].feed.kind in _FILES:
        raise Misconfigured(
            f"arrival {row.number} of {row.feed} was refused", hint="put its file back from refused/ under any name: it is read as a new arrival"
        )

    def work(connection: Connection) -> None:
        mine = (arrival.c.item == row.item) & (arrival.c.number == row.number)
        connection.execute(update(arrival).where(mine).values(state="reading", code="", reason="", cut="", released=True))
        again = {"state": "running", "reason": "", "closed_at": None, "config": city.config.version}
        connection.execute(update(run).where(run.c.item == row.item, run.c.arrival == row.number, run.c.generation == 0).values(again))

    await city.state.write(work)
    await city.ledger.note("replayed", row.feed, arrival=row.number, generation=0, because=because)
    return {"feed": row.feed, "arrival": row.number, "generation": 0, "batches": 0, "records": 0, "next": f"run_hub.py feed collect {row.feed} --because '…'"}


async def _batches_of(city: City, feed: str, number: int, generation: int = 0) -> list[Header]:
    query = select(batch).where(batch.c.feed == feed, batch.c.arrival == number, batch.c.generation == generation, batch.c.reenters == "")
    query = query.where(batch.c.withdraws.is_(False))  # what was gone when a snapshot came says nothing about how it is read
    rows = await city.state.read(lambda c: c.execute(query.order_by(batch.c.first)).all())
    return [city.ledger.header(row) for row in rows]


def _generation(connection: Connection, feed: str, item: str, number: int, config: str, now: str) -> int:
    """The generation of a replay that is still running, or a new one with a run of its own."""
    mine = (run.c.item == item) & (run.c.arrival == number)
    running = connection.execute(select(run.c.generation).where(mine, run.c.generation > 0, run.c.state == "running")).scalar()
    if running is not None:
        return int(running)
    batches = connection.execute(select(func.max(batch.c.generation)).where(batch.c.item == item, batch.c.arrival == number)).scalar()
    generation = int(batches or 0) + 1
    row = {"feed": feed, "item": item, "arrival": number, "generation": generation, "config": config, "state": "running", "opened_at": now}
    connection.execute(insert(run).values(row))
    return generation


def _read_to_the_end(connection: Connection, item: str, number: int, generation: int, now: str) -> None:
    mine = (run.c.item == item) & (run.c.arrival == number) & (run.c.generation == generation) & (run.c.state == "running")
    connection.execute(update(run).where(mine).values(state="loading"))
    close_run(connection, item, number, generation, now)
