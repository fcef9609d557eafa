"""Answers (回执): when the run of a file closes, its agency gets a receipt and the rows to be corrected, beside the file that it sent."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from hub.answers import Answers
from hub.contracts.answer import Answering, answering
from hub.contracts.errors import Rejected
from hub.engine import Engine, Kept
from hub.failpoints import failpoint
from routes.city import City

ANSWERS = "hub:answers"
_LOOK_S = 1.0


class AnswerRoutes:
    """Answers the files of every feed, each feed by itself: a server that is away holds up its own answers and nothing else."""

    def __init__(self, city: City) -> None:
        self._city = city
        self._answers = Answers(city.ledger)
        self._due: dict[str, asyncio.Event] = {}

    def feeds(self) -> Mapping[str, Answering]:
        """Feeds whose files are answered, with their sources."""
        return {name: source for name, route in self._city.feeds.items() if (source := answering(route.source)) is not None}

    def keep(self, engine: Engine, feed: str) -> None:
        """Answer the feed's files as their runs close, where it wants answers."""
        if feed in self.feeds():
            due = self._due[feed] = asyncio.Event()
            engine.keep(route_of(feed), lambda: self._when_due(feed, due))

    def look(self, engine: Engine) -> None:
        """Find out what is due, for the feeds that are kept here."""
        self._due = {}
        engine.keep(ANSWERS, self._look)

    async def once(self) -> list[Kept]:
        """One route for each feed with a file to be answered now."""
        await self._answers.only_for(self.feeds())
        return [Kept(route_of(name), lambda name=name: self.answer(name)) for name in sorted(await self._answers.due())]  # type: ignore[misc]

    async def answer(self, feed: str) -> None:
        """Answer every file of a feed whose run is closed. Raises `Unavailable` and `Misconfigured`; what is answered by then stays so."""
        source = self.feeds()[feed]
        for number in await self._answers.of(feed):
            answer = await self._answers.told(number, self._city.feeds[feed].feed.item.name)
            if answer is None:
                continue
            if not answer.wanted(source.answers):
                await self._answers.done(number, "unwanted")
                continue
            try:
                await source.answer(answer)
            except Rejected as error:  # a damaged row of quarantine: no later attempt will read it
                await self._answers.done(number, "failed")
                await self._city.ledger.note("unanswered", feed, batch=answer.batch, reason=error.message)
                continue
            failpoint("answer.left")
            await self._answers.done(number)
            self._city.observer.tell("answered", feed, state=answer.state, records=answer.total, returned=answer.returned)

    async def _when_due(self, feed: str, due: asyncio.Event) -> None:
        await due.wait()
        due.clear()
        await self.answer(feed)

    async def _look(self) -> None:
        """Wake the feeds with something to answer; of those that want no answers any more nothing is left to decide."""
        wanted = self.feeds()
        await self._answers.only_for(wanted)
        for stopped in self._city.standing.waiting().keys() - {route_of(name) for name in wanted}:
            if stopped.startswith(route_of("")):
                await self._city.standing.clear(stopped, "resume", "no answers are wanted any more")
        while True:
            for name in await self._answers.due() & self._due.keys():
                self._due[name].set()
            await asyncio.sleep(_LOOK_S)


def route_of(feed: str) -> str:
    """Name of the route that answers a feed's files."""
    return f"answer:{feed}"
