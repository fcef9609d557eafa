"""Whether a live SFTP connection would work, layer by layer, and a sample of what is there; nothing is changed on either side."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable

from connectors.formats.worker import Worker
from connectors.sftp.listing import Found, Lister, Listing, head
from connectors.sftp.remote import Remote
from connectors.sftp.session import verify
from connectors.sftp.settings import SftpConfig, SftpRead
from hub.contracts.errors import Misconfigured, Unavailable
from hub.contracts.source import SAMPLE_BYTES, Finding


async def probe(config: SftpConfig, read: SftpRead, worker: Worker, clock: Callable[[], float]) -> AsyncGenerator[Finding, None]:
    """Reach (TCP, algorithms, host key), authenticate, shape (the folder can be listed), sample (what is in it); ends after the first that fails."""
    remote = Remote(config)
    try:
        try:
            key = await worker.do(verify, config)
        except (Misconfigured, Unavailable) as error:
            yield Finding("reach", fine=False, said=error.message, hint=error.hint)
            return
        yield Finding("reach", fine=True, said=f"{remote.name} shows the pinned host key {key}")
        try:
            await worker.do(remote.run, "log in", lambda client: client.look(remote.root))
        except (Misconfigured, Unavailable) as error:
            yield Finding("authenticate", fine=False, said=error.message, hint=error.hint)
            return
        yield Finding("authenticate", fine=True, said=f"{config.user} is let in")
        try:
            listing = await worker.do(Lister(remote, read, clock).look, {})
        except (Misconfigured, Unavailable) as error:
            yield Finding("shape", fine=False, said=error.message, hint=error.hint)
            return
        yield Finding("shape", fine=True, said=f"the folder {config.path} can be listed")
        said = f"{len(listing.there)} files are meant by {read.files}, {len(listing.complete)} of them complete"
        yield Finding("sample", fine=True, said=said, hint="" if listing.there else f"send a file called like {read.files}")
    finally:
        await worker.do(remote.drop)


def sample(config: SftpConfig, read: SftpRead, clock: Callable[[], float]) -> tuple[str, bytes]:
    """Name and first bytes of the oldest file that is meant. Blocking. Raises `Unavailable` where there is none."""
    remote = Remote(config)
    try:
        found = _oldest(Lister(remote, read, clock).look({}))
        if found is None:
            raise Unavailable(f"no file waits on {remote.name}", hint=f"send a file called like {read.files}")
        size = min(SAMPLE_BYTES, found.look[0])
        return found.name, remote.run("read a file", lambda client: head(client, remote.root + found.path, size))
    finally:
        remote.drop()


def _oldest(listing: Listing) -> Found | None:
    return min([*listing.complete, *listing.pending], key=lambda f: (f.waits > 0, f.look[1], f.path), default=None)
