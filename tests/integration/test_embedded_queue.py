"""What the embedded queue does when its process, its files or its disk fail."""

from __future__ import annotations

import asyncio
import os
import secrets
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, closing
from pathlib import Path

import pytest

from connectors.queues.embedded import SPOOLED, EmbeddedBroker
from hub.contracts.broker import Message
from hub.contracts.errors import Misconfigured, Rejected, Unavailable
from tests.contract.broker_contract import message, numbers, take
from tests.integration.queue_child import body_of

QUEUE = "intake.x"
ROOT = Path(__file__).parents[2]
LARGE = secrets.token_bytes(SPOOLED)
MiB = 1024 * 1024


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[EmbeddedBroker]:
    broker = EmbeddedBroker(tmp_path / "queue", ballast=0)
    await broker.declare(QUEUE)
    yield broker
    await broker.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("mounting a small disk needs root and the right to mount")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def spool_files(directory: Path) -> list[Path]:
    return sorted(path for path in (directory / "spool").iterdir() if path.is_file())


async def everything_in(directory: Path) -> dict[int, bytes]:
    """All messages of the queue by number, acked on the way."""
    broker = EmbeddedBroker(directory, ballast=0)
    try:
        waiting = (await broker.depth(QUEUE)).ready
        found = {}
        async with aclosing(broker.consume(QUEUE, prefetch=50)) as consumer:
            for _ in range(waiting):
                [delivered] = await take(consumer, 1)
                found[int(delivered.message.id, 16)] = delivered.message.body
                await broker.ack(delivered)
        return found
    finally:
        await broker.close()


def publish_until_killed(directory: Path, first: int, after: int) -> set[int]:
    """Numbers that the child said were durable before it died at message `after` or shortly later."""
    child = subprocess.Popen([sys.executable, "-m", "tests.integration.queue_child", str(directory), str(first)], stdout=subprocess.PIPE, cwd=ROOT)
    assert child.stdout is not None
    said = [child.stdout.readline() for _ in range(after)]
    child.kill()
    said += child.stdout.read().splitlines(keepends=True)
    child.wait(20)
    child.stdout.close()
    return {int(line) for line in said if line.endswith(b"\n")}


async def test_nothing_that_was_acknowledged_is_lost_when_the_process_is_killed(tmp_path: Path) -> None:
    durable: set[int] = set()

    for life, after in enumerate((1, 3, 10, 40, 90)):
        durable |= publish_until_killed(tmp_path / "queue", life * 1000, after)

    found = await everything_in(tmp_path / "queue")
    assert len(durable) >= 144
    assert durable <= found.keys()
    assert all(body == body_of(number) for number, body in found.items())
    assert spool_files(tmp_path / "queue") == []


async def test_a_torn_end_of_the_log_leaves_a_whole_beginning(tmp_path: Path) -> None:
    publish_until_killed(tmp_path / "queue", 0, 30)
    log = tmp_path / "queue" / "queue.sqlite-wal"
    os.truncate(log, log.stat().st_size - 5000)

    await EmbeddedBroker(tmp_path / "queue", ballast=0).close()
    with closing(sqlite3.connect(tmp_path / "queue" / "queue.sqlite")) as db:
        count, last = db.execute("SELECT count(*), max(place) FROM message").fetchone()
    found = await everything_in(tmp_path / "queue")

    assert 0 < count == last
    assert len(found) == count
    assert all(body == body_of(number) for number, body in found.items())


async def test_a_second_owner_is_refused_and_told_why(broker: EmbeddedBroker, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured) as raised:
        EmbeddedBroker(tmp_path / "queue")

    assert "one hub per home" in raised.value.hint


async def test_the_directory_is_free_again_after_closing(broker: EmbeddedBroker, tmp_path: Path) -> None:
    await broker.close()

    again = EmbeddedBroker(tmp_path / "queue", ballast=0)

    await again.declare(QUEUE)
    assert (await again.depth(QUEUE)).ready == 0
    await again.close()


async def test_calls_after_closing_are_answered(broker: EmbeddedBroker) -> None:
    await broker.close()

    with pytest.raises(Unavailable):
        await broker.depth(QUEUE)


@pytest.mark.parametrize("harm", ["deleted", "flipped", "cut"])
async def test_a_damaged_payload_is_set_aside_and_the_next_message_comes(broker: EmbeddedBroker, tmp_path: Path, harm: str) -> None:
    await broker.publish(QUEUE, message(1, LARGE))
    await broker.publish(QUEUE, message(2))
    [file] = spool_files(tmp_path / "queue")
    if harm == "deleted":
        file.unlink()
    else:
        file.write_bytes(LARGE[:-1] + (b"" if harm == "cut" else bytes([LARGE[-1] ^ 1])))

    with pytest.raises(Rejected) as raised:
        async with aclosing(broker.consume(QUEUE)) as consumer:
            await take(consumer, 1)

    assert message(1).id in raised.value.message
    assert raised.value.hint
    async with aclosing(broker.consume(QUEUE)) as consumer:
        assert numbers(await take(consumer, 1)) == [2]
    await broker.close()
    with closing(sqlite3.connect(tmp_path / "queue" / "queue.sqlite")) as db:
        assert db.execute("SELECT queue, id FROM damaged").fetchall() == [(QUEUE, message(1).id)]
    assert len(list((tmp_path / "queue" / "spool" / "aside").iterdir())) == (0 if harm == "deleted" else 1)


async def test_a_message_that_was_set_aside_can_be_published_again(broker: EmbeddedBroker, tmp_path: Path) -> None:
    await broker.publish(QUEUE, message(1, LARGE))
    spool_files(tmp_path / "queue")[0].unlink()
    with pytest.raises(Rejected):
        await take(broker.consume(QUEUE), 1)

    await broker.publish(QUEUE, message(1, LARGE))

    async with aclosing(broker.consume(QUEUE)) as consumer:
        [delivered] = await take(consumer, 1)
        assert delivered.message.body == LARGE


async def test_publishing_again_heals_a_message_whose_payload_is_gone(broker: EmbeddedBroker, tmp_path: Path) -> None:
    await broker.publish(QUEUE, message(1, LARGE))
    spool_files(tmp_path / "queue")[0].unlink()

    await broker.publish(QUEUE, message(1, LARGE))

    async with aclosing(broker.consume(QUEUE)) as consumer:
        [delivered] = await take(consumer, 1)
        assert delivered.message.body == LARGE


async def test_an_id_that_still_waits_is_not_stored_twice(broker: EmbeddedBroker, tmp_path: Path) -> None:
    for _ in range(3):
        await broker.publish(QUEUE, message(1, LARGE))

    depth = await broker.depth(QUEUE)
    await broker.close()

    assert depth.ready == 1
    assert len(spool_files(tmp_path / "queue")) == 1


async def test_payload_files_go_with_their_messages(broker: EmbeddedBroker, tmp_path: Path) -> None:
    for number in range(4):
        await broker.publish(QUEUE, message(number, LARGE))

    async with aclosing(broker.consume(QUEUE)) as consumer:
        [delivered] = await take(consumer, 1)
        await broker.ack(delivered)
    assert await broker.purge(QUEUE) == 3
    await broker.close()

    assert spool_files(tmp_path / "queue") == []


async def test_payloads_of_a_dead_process_are_swept_at_the_next_start(broker: EmbeddedBroker, tmp_path: Path) -> None:
    await broker.publish(QUEUE, message(1, LARGE))
    await broker.close()
    for name in ("0" * 32, "1" * 32 + ".part"):
        (tmp_path / "queue" / "spool" / name).write_bytes(b"left over")

    again = EmbeddedBroker(tmp_path / "queue", ballast=0)

    assert len(spool_files(tmp_path / "queue")) == 1
    assert numbers(await again.peek(QUEUE)) == [1]
    await again.close()


async def test_a_damaged_database_file_stops_the_hub_with_the_way_out(broker: EmbeddedBroker, tmp_path: Path) -> None:
    for number in range(200):
        await broker.publish(QUEUE, message(number, bytes(1000)))
    await broker.close()
    file = tmp_path / "queue" / "queue.sqlite"
    content = bytearray(file.read_bytes())
    content[8192 : len(content) - 4096] = secrets.token_bytes(len(content) - 12288)
    file.write_bytes(content)

    with pytest.raises(Misconfigured) as raised:
        EmbeddedBroker(tmp_path / "queue", ballast=0)

    assert "reconcile --repair" in raised.value.hint


async def test_a_cancelled_publish_leaves_a_queue_that_works(broker: EmbeddedBroker) -> None:
    publishing = [asyncio.create_task(broker.publish(QUEUE, message(number, LARGE))) for number in range(20)]
    await asyncio.sleep(0)
    for task in publishing[::2]:
        task.cancel()
    await asyncio.gather(*publishing, return_exceptions=True)

    found = {int(seen.id, 16) for seen in await broker.peek(QUEUE, 100)}

    assert set(range(1, 20, 2)) <= found


async def fill(broker: EmbeddedBroker, size: int, first: int) -> tuple[int, Unavailable]:
    """Publish until the disk is full: how many messages were taken, and the error that ended it."""
    for taken in range(3000):
        try:
            await broker.publish(QUEUE, message(first + taken, secrets.token_bytes(size)))
        except Unavailable as full:
            return taken, full
    pytest.fail("the disk never filled up")


async def test_a_full_disk_takes_nothing_in_but_can_be_drained(small_disk: Path) -> None:
    broker = EmbeddedBroker(small_disk / "queue", ballast=2 * MiB)
    await broker.declare(QUEUE)
    files, full = await fill(broker, SPOOLED, 0)
    fill_up(small_disk / "filler")
    rows, _ = await fill(broker, 4000, 1000)

    async with aclosing(broker.consume(QUEUE)) as consumer:
        for _ in range(files + rows):
            [delivered] = await take(consumer, 1)
            await broker.ack(delivered)

    assert files > 20
    assert full.hint
    (small_disk / "filler").unlink()
    await broker.publish(QUEUE, message(9999, LARGE))
    assert numbers(await broker.peek(QUEUE)) == [9999]
    await broker.close()


def fill_up(file: Path) -> None:
    """Leave not one block free."""
    with open(file, "ab", buffering=0) as filler:
        for size in (MiB, 4096):
            while True:
                try:
                    filler.write(bytes(size))
                except OSError:
                    break


async def test_an_old_message_tells_its_age(tmp_path: Path) -> None:
    clock = [1000.0]
    broker = EmbeddedBroker(tmp_path / "queue", ballast=0, now=lambda: clock[0])
    await broker.declare(QUEUE)
    await broker.publish(QUEUE, Message("a" * 32, b""))
    clock[0] = 1090.0

    depth = await broker.depth(QUEUE)

    assert depth.oldest_s == 90.0
    await broker.close()
