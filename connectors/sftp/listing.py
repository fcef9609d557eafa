"""The files of one feed on a server: found when they are complete. Blocking."""

from __future__ import annotations

import fnmatch
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from connectors.formats import manifest, names
from connectors.formats.answering import ACK, ERR
from connectors.formats.files import MOST_FILES, SETTLING, UNFINISHED
from connectors.formats.manifest import Manifest
from connectors.sftp.client import Client, Entry
from connectors.sftp.remote import Look, Remote
from connectors.sftp.settings import SftpRead

DONE, REFUSED = "done", "refused"
_OURS = (DONE, REFUSED, ACK, ERR)


@dataclass(frozen=True, slots=True)
class Found:
    """A regular file: `path` below the folder as the server has it, how it is shown, and seconds until it may be complete (0 when it is).

    `companion` is the marker or manifest beside it, with its look; `manifest` what that says, None where it says nothing that can be read.
    """

    path: bytes
    name: str
    look: Look
    waits: float
    companion: tuple[bytes, Look] | None = None
    manifest: Manifest | None = None


@dataclass(slots=True)
class Listing:
    """What one look at the server found: complete files, oldest first; those that may become so; every name that is meant, with its look."""

    complete: list[Found] = field(default_factory=list)
    pending: list[Found] = field(default_factory=list)
    there: dict[bytes, Look] = field(default_factory=dict)
    whole: bool = True


class Lister:
    """One feed's view of the server. `oddities` names what the last look passed over, each with its reason."""

    def __init__(self, remote: Remote, read: SftpRead, clock: Callable[[], float], most: int = MOST_FILES) -> None:
        self.oddities: dict[str, str] = {}
        self._remote = remote
        self._read = read
        self._clock = clock
        self._most = most
        self._seen: dict[bytes, tuple[Look, float]] = {}

    def look(self, known: Mapping[bytes, Look]) -> Listing:
        """List the folder. Files that are `known` with the same look are there, but neither complete nor pending."""
        listing, parts, seen = Listing(), self._read.files.split("/"), self._seen
        self._seen, self.oddities = {}, {}
        for folder, entries in self._folders(b"", parts, listing):
            beside = {_text(e.name).lower(): e for e in entries}
            for entry in entries:
                path = folder + entry.name
                if not self._is_ours(entry, parts[-1], top=not folder):
                    continue
                look = (entry.size, entry.mtime)
                listing.there[path] = look
                if known.get(path) == look:
                    continue
                if (found := self._judge(folder, entry, beside, seen)) is not None:
                    (listing.pending if found.waits > 0 else listing.complete).append(found)
        listing.complete.sort(key=lambda f: (f.look[1], f.path))
        return listing

    def _folders(self, below: bytes, parts: list[str], listing: Listing) -> Iterator[tuple[bytes, list[Entry]]]:
        """Folders that may hold our files, each with what lies in it. A part without `*` or `?` is gone into without listing what lies around it."""
        if len(parts) > 1 and not set(parts[0]) & set("*?["):
            yield from self._folders(below + parts[0].encode() + b"/", parts[1:], listing)
            return
        entries = self._remote.run("list a folder", lambda client: client.entries(self._remote.root + below, 2 * self._most))
        if len(entries) >= 2 * self._most:
            listing.whole = False
            self.oddities[names.shown(_text(below)) or "/"] = f"holds more than {self._most} files; the rest waits"
        if len(parts) == 1:
            yield below, entries[: 2 * self._most]
            return
        for entry in sorted(entries, key=lambda e: e.name):
            if self._is_ours(entry, parts[0], top=not below, kind=stat.S_IFDIR):
                yield from self._folders(below + entry.name + b"/", parts[1:], listing)

    def _is_ours(self, entry: Entry, pattern: str, *, top: bool, kind: int = stat.S_IFREG) -> bool:
        text = _text(entry.name)
        if (text.startswith(".") and "/" not in text) or text.lower().endswith(UNFINISHED) or (top and text in _OURS):
            return False
        suffix = self._read.ready.suffix
        if suffix is not None and kind == stat.S_IFREG and text.lower().endswith(suffix.lower()):
            return False
        if not fnmatch.fnmatchcase(text.lower(), pattern.lower()):
            return False
        if odd := _odd(entry, kind):
            self.oddities.setdefault(names.shown(text), odd)
        return not odd

    def _judge(self, folder: bytes, entry: Entry, beside: Mapping[str, Entry], seen: Mapping[bytes, tuple[Look, float]]) -> Found | None:
        path, text, look = folder + entry.name, _text(entry.name), (entry.size, entry.mtime)
        shown, suffix = names.shown(_text(folder) + text), self._read.ready.suffix
        if suffix is None:
            quiet = self._read.ready.quiet
            return Found(path, shown, look, self._unchanged_for(path, look, quiet.total_seconds(), seen) if quiet is not None else 0.0)
        candidates = (beside.get((stem + suffix).lower()) for stem in (text, text.rpartition(".")[0] or text))
        beside_it = next((c for c in candidates if c is not None and not _odd(c, stat.S_IFREG)), None)
        if beside_it is None:
            return None
        companion = (folder + beside_it.name, (beside_it.size, beside_it.mtime))
        if self._read.ready.manifest is None:
            return Found(path, shown, look, 0.0, companion)
        most = min(beside_it.size, manifest.LONGEST)
        said = manifest.parse(self._remote.run("read a manifest", lambda client: head(client, self._remote.root + companion[0], most)))
        waits = 0.0 if said is not None else self._unchanged_for(companion[0], companion[1], SETTLING, seen)
        return Found(path, shown, look, waits, companion, said)

    def _unchanged_for(self, path: bytes, look: Look, period: float, seen: Mapping[bytes, tuple[Look, float]]) -> float:
        """Seconds until it has looked the same for the whole period, by our own watch: the server's clock may be in another zone."""
        now = self._clock()
        known, since = seen.get(path, (look, now))
        if known != look or since > now:
            since = now
        self._seen[path] = (look, since)
        return max(0.0, period - (now - since))


def head(client: Client, path: bytes, most: int) -> bytes:
    """The first bytes of a file."""
    return b"".join(client.fetch(path, 0, most))


def _text(name: bytes) -> str:
    """A name as text: UTF-8, else GB18030, else with its bytes kept."""
    for encoding in ("utf-8", "gb18030"):
        try:
            return name.decode(encoding)
        except UnicodeDecodeError:
            continue
    return name.decode("utf-8", "surrogateescape")


def _odd(entry: Entry, kind: int) -> str:
    """Why a name is passed over; empty where it is what we look for. A server that tells no mode is believed."""
    if b"/" in entry.name or b"\\" in entry.name or any(byte < 32 or byte == 127 for byte in entry.name):
        return "its name holds a path or control characters"
    if not entry.mode or stat.S_IFMT(entry.mode) == kind:
        return ""
    if kind == stat.S_IFDIR:
        return "no directory"
    kinds = {stat.S_IFDIR: "a directory", stat.S_IFLNK: "a symbolic link", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(entry.mode), "a device")
