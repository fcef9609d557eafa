"""A download on its way into landing: one thread takes it off the line while another compresses and seals what came before. Blocking."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from hub.contracts.source import Landed, LandingWriter

_CHUNK = 2 << 20
_UNDER_WAY = 4  # chunks that may wait for the disk: memory stays bounded, and a slow disk slows the line


def land(pieces: Iterable[bytes], writer: LandingWriter) -> Landed:
    """Write everything and commit; on any error nothing is kept. Raises what either side raises."""
    try:
        with ThreadPoolExecutor(1, thread_name_prefix="sftp-landing") as other:
            under_way: deque[Future[None]] = deque()
            for chunk in _chunks(pieces):
                if len(under_way) == _UNDER_WAY:
                    under_way.popleft().result()
                under_way.append(other.submit(writer.write, chunk))
            for written in under_way:
                written.result()
        return writer.commit()
    finally:
        writer.abort()


def _chunks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= _CHUNK:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)
