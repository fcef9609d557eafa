"""The proxy does to a connection what it was told, and nothing else: otherwise the tests that stand on it would prove nothing."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.faults.proxy import Faults, Proxy

QUESTION, ANSWER = b"how many?\n", b"0123456789\n"


@asynccontextmanager
async def linked(**faults: Any) -> AsyncIterator[tuple[Proxy, list[bytes]]]:
    """A server that answers each line with the same ten digits, behind a proxy; the lines that it heard."""
    heard: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                heard.append(line)
                writer.write(ANSWER)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server, Proxy(server.sockets[0].getsockname()[1]) as proxy:
        proxy.faults = Faults(**faults)
        yield proxy, heard


async def ask(proxy: Proxy, times: int = 1) -> bytes:
    """What comes back for so many questions, one after the other, until the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    got = b""
    try:
        for _ in range(times):
            writer.write(QUESTION)
            got += await reader.readexactly(len(ANSWER))
    except asyncio.IncompleteReadError as ended:
        got += ended.partial
    finally:
        writer.close()
    return got


async def test_a_link_without_faults_carries_everything() -> None:
    async with linked() as (proxy, heard):
        got = await ask(proxy, times=3)

    assert got == ANSWER * 3
    assert heard == [QUESTION] * 3


async def test_a_trickle_carries_everything_a_byte_at_a_time_and_takes_its_time() -> None:
    async with linked(piece=1, rate=1000, latency=0.001, jitter=0.001) as (proxy, _):
        began = time.monotonic()
        got = await ask(proxy)
        took = time.monotonic() - began

    assert got == ANSWER
    assert took > 0.02


@pytest.mark.parametrize("length", range(len(ANSWER) + 1))
async def test_an_answer_ends_after_exactly_so_many_bytes(length: int) -> None:
    async with linked(cut_answer=length) as (proxy, heard):
        got = await ask(proxy)

    assert got == ANSWER[:length]
    assert heard == [QUESTION]


async def test_a_request_ends_after_exactly_so_many_bytes() -> None:
    async with linked(cut_request=4) as (proxy, heard):
        got = await ask(proxy)

    assert got == b""
    assert heard in ([], [QUESTION[:4]])


async def test_a_reply_is_lost_after_the_work_was_done() -> None:
    async with linked(cut_answer=0, ending="reset") as (proxy, heard):
        with pytest.raises(ConnectionResetError):
            await ask(proxy)

    assert heard == [QUESTION]


async def test_a_connection_ends_after_so_many_answers() -> None:
    async with linked(answers=2) as (proxy, heard):
        got = await ask(proxy, times=3)

    assert got == ANSWER * 2
    assert heard == [QUESTION] * 2


async def test_one_bit_is_turned_round() -> None:
    async with linked(corrupt_answer=4) as (proxy, _):
        got = await ask(proxy)

    assert got == b"0123556789\n"


@pytest.mark.parametrize("faults", [{"half_open": True}, {"cut_answer": 3, "ending": "blackhole"}], ids=["half open", "blackhole"])
async def test_a_silent_link_says_nothing_and_does_not_end(faults: dict[str, Any]) -> None:
    async with linked(**faults) as (proxy, _):
        asking = asyncio.create_task(ask(proxy))
        silent, _ = await asyncio.wait([asking], timeout=0.2)
    ended, _ = await asyncio.wait([asking], timeout=10)
    asking.exception()  # a reset, where something had never been read

    assert not silent
    assert ended, "closing the proxy ends every connection"


async def test_faults_are_taken_one_by_one_and_healed() -> None:
    async with linked(cut_answer=1) as (proxy, _):
        proxy.queue.append(Faults(cut_answer=2))
        got = [await ask(proxy), await ask(proxy)]
        proxy.heal()
        got.append(await ask(proxy))

    assert got == [ANSWER[:2], ANSWER[:1], ANSWER]


async def test_nobody_behind_it_ends_the_connection() -> None:
    async with linked() as (proxy, _):
        proxy.target = 1
        got = await ask(proxy)

    assert got == b""


async def test_chance_is_the_same_for_the_same_seed() -> None:
    one, other = Proxy(1, seed=7), Proxy(1, seed=7)

    assert one._chance.random() == other._chance.random()
