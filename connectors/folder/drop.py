"""The files of one feed on disk: found when finished, claimed by rename, put away when settled. Blocking; called in a worker thread."""

from __future__ import annotations

import fnmatch
import json
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from connectors.folder.settings import FolderRead
from connectors.formats import manifest, names
from connectors.formats.answering import ACK, ERR
from connectors.formats.files import MOST_FILES, SETTLING, UNFINISHED, reason
from connectors.formats.manifest import Manifest
from hub.contracts.errors import Misconfigured, Rejected, Unavailable

PROCESSING, DONE, REFUSED = "processing", "done", "refused"
OURS = (PROCESSING, DONE, REFUSED, ACK, ERR)
"""Folders below the agency's in which nothing is looked for."""


@dataclass(frozen=True, slots=True)
class Found:
    """A regular file in the drop folder with the look it had; `waits` seconds until it may be finished, 0 when it is."""

    path: str  # below the folder, as the file system has it
    look: tuple[int, int, int]  # inode, bytes, mtime in ns
    waits: float
    companion: str | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """A file taken into `processing/`: `data` is where it lies now, `name` how it is shown, `look` what it was when it was claimed."""

    folder: Path
    name: str
    path: str
    look: tuple[int, int, int]
    companion: str | None

    @property
    def data(self) -> Path:
        """The claimed file."""
        return self.folder / "data"

    @property
    def size(self) -> int:
        """Bytes when it was claimed."""
        return self.look[1]

    def unchanged(self) -> bool:
        """Whether the file still looks as it did when it was claimed."""
        return _look(os.lstat(self.data)) == self.look

    def evidence(self) -> dict[str, str | int]:
        """What tells this file from another of the same name and content."""
        return {"modified": datetime.fromtimestamp(self.look[2] / 1e9).isoformat(" "), "inode": self.look[0]}

    def manifest(self) -> Manifest:
        """What the sender says about the file. Raises `Rejected` F009 when it cannot be read."""
        text = _read_small(self.folder / "companion")
        found = manifest.parse(text) if text is not None else None
        if found is None:
            raise manifest.unreadable()
        return found


class Drop:
    """One feed's view of a shared folder. `oddities` names what lies there and is no file of ours, each with its reason."""

    def __init__(self, root: Path, feed: str, read: FolderRead, clock: Callable[[], float]) -> None:
        self.root = root
        self.oddities: dict[str, str] = {}
        self._feed = names.safe(feed)
        self._read = read
        self._clock = clock
        self._seen: dict[str, tuple[tuple[int, int, int], float]] = {}

    def make(self) -> None:
        """Create the folder where it is missing."""
        with on_disk(self.root):
            self.root.mkdir(parents=True, exist_ok=True)

    def claims(self) -> list[Claim]:
        """What was claimed before and not put away, oldest first."""
        with on_disk(self.root):
            place = self._place(PROCESSING)
            claims = [claim for folder in place.iterdir() if (claim := self._claimed(folder)) is not None]
        return sorted(claims, key=lambda c: (c.look[2], c.path))

    def finished(self) -> list[Found]:
        """Files that are complete, oldest first by modification time and name."""
        return sorted((f for f in self._scan() if f.waits <= 0), key=lambda f: (f.look[2], f.path))

    def next_ready(self) -> float | None:
        """Seconds until a file that lies there may be complete, None when there is none."""
        return min((max(0.0, f.waits) for f in self._scan()), default=None)

    def look(self) -> list[Found]:
        """What lies there, without creating or remembering anything. Raises `Misconfigured` for a folder that may not be used."""
        with on_disk(self.root):
            if not self.root.is_dir():
                raise Misconfigured(f"folder {self.root} does not exist", hint="it is created when the hub first runs; or create it for the agency now")
            if not os.access(self.root, os.R_OK | os.W_OK | os.X_OK):
                raise Misconfigured(f"folder {self.root} may not be read and written", hint="the hub's user needs both, and the right to rename in it")
            seen = dict(self._seen)
            try:
                return self._scan()
            finally:
                self._seen = seen

    def peek(self, found: Found, most: int) -> tuple[str, bytes]:
        """Name and first bytes of a file, which stays where it is."""
        with on_disk(self.root), open(os.open(self.root / found.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as stream:
            return names.shown(found.path), stream.read(most)

    def claim(self, found: Found) -> Claim | None:
        """Take a file and what goes with it; None when it has gone or is another by now."""
        with on_disk(self.root):
            folder = self._place(PROCESSING) / f"{secrets.token_hex(4)}-{names.safe(found.path)[:100]}"
            folder.mkdir(mode=0o700)
            claim = Claim(folder, names.shown(found.path), found.path, found.look, found.companion)
            note = {"path": os.fsencode(found.path).hex(), "look": found.look, "companion": found.companion and os.fsencode(found.companion).hex()}
            write(folder / "claim.json", json.dumps(note).encode())
            try:
                _move(self.root / found.path, claim.data)
            except FileNotFoundError:
                _discard(folder)
                return None
            if found.companion is not None and os.path.lexists(self.root / found.companion):
                _move(self.root / found.companion, folder / "companion")
            if not claim.unchanged():
                self.give_back(claim)
                return None
        self._seen.pop(found.path, None)
        return claim

    def give_back(self, claim: Claim) -> None:
        """Put a claimed file back where it was found: it was still being written."""
        with on_disk(self.root):
            for held, path in ((claim.folder / "companion", claim.companion), (claim.data, claim.path)):
                if path is not None and os.path.lexists(held):
                    target = self.root / path
                    target.parent.mkdir(parents=True, exist_ok=True)
                    _move(held, target if not os.path.lexists(target) else names.free(target.parent, target.name))
            _discard(claim.folder)

    def put_done(self, claim: Claim, at: datetime) -> None:
        """Move a file that is settled to `done/<yyyymm>/`."""
        with on_disk(self.root):
            self._put(claim, self.root / DONE / f"{at:%Y%m}")

    def put_refused(self, claim: Claim, error: Rejected) -> None:
        """Move a file that cannot be accepted to `refused/`, with a page beside it that says why."""
        with on_disk(self.root):
            path = self._put(claim, self.root / REFUSED)
            write(path.with_name(path.name + ".reason.txt"), reason(claim.name, error).encode())

    def _put(self, claim: Claim, place: Path) -> Path:
        place.mkdir(parents=True, exist_ok=True)
        path = names.free(place, names.safe(claim.path))
        if os.path.lexists(claim.folder / "companion"):
            _move(claim.folder / "companion", names.free(place, names.safe(claim.companion or "companion")))
        _move(claim.data, path)
        _discard(claim.folder)
        return path

    def _place(self, name: str) -> Path:
        place = self.root / name / self._feed
        place.mkdir(parents=True, exist_ok=True)
        return place

    def _claimed(self, folder: Path) -> Claim | None:
        """The claim that a folder holds; one that died before its file was moved is cleared away."""
        if not os.path.lexists(folder / "data"):
            if os.path.lexists(folder / "companion"):
                _move(folder / "companion", names.free(self.root, "companion-" + folder.name))
            _discard(folder)
            return None
        note = json.loads((folder / "claim.json").read_bytes())
        path = os.fsdecode(bytes.fromhex(note["path"]))
        companion = os.fsdecode(bytes.fromhex(note["companion"])) if note["companion"] else None
        if companion is not None and os.path.lexists(self.root / companion) and not os.path.lexists(self.root / path):
            _move(self.root / companion, folder / "companion")  # the hub died between the two renames of a claim
        return Claim(folder, names.shown(path), path, (note["look"][0], note["look"][1], note["look"][2]), companion)

    def _scan(self) -> list[Found]:
        self.oddities = {}
        with on_disk(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            found: list[Found] = []
            for path, status in self._matching("", self._read.files.split("/")):
                if (one := self._judge(path, status)) is not None:
                    found.append(one)
                if len(found) == MOST_FILES:
                    break
        self._seen = {f.path: self._seen[f.path] for f in found if f.path in self._seen}
        return found

    def _matching(self, below: str, pattern: list[str]) -> Iterator[tuple[str, os.stat_result]]:
        with os.scandir(self.root / below) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.name.lower().endswith(UNFINISHED) or (not below and entry.name in OURS):
                    continue
                if not fnmatch.fnmatchcase(entry.name.lower(), pattern[0].lower()):
                    continue
                path = os.path.join(below, entry.name)
                if len(pattern) > 1:
                    if entry.is_dir(follow_symlinks=False):
                        yield from self._matching(path, pattern[1:])
                    continue
                try:
                    yield path, entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue  # taken back between listing and looking

    def _judge(self, path: str, status: os.stat_result) -> Found | None:
        suffix = self._read.ready.suffix
        if suffix is not None and path.lower().endswith(suffix.lower()):
            return None
        odd = _odd(status)
        if odd:
            self.oddities.setdefault(names.shown(path), odd)
            return None
        if suffix is None:
            return Found(path, _look(status), self._quiet_for(path, status))
        companion = next((c for c in (path + suffix, os.path.splitext(path)[0] + suffix) if _is_file(self.root / c)), None)
        return None if companion is None else Found(path, _look(status), self._companion_waits(companion), companion)

    def _quiet_for(self, path: str, status: os.stat_result) -> float:
        """Seconds until size, time and inode have stayed the same for the quiet period, both by our watch and by the file's own time."""
        quiet, now, look = self._read.ready.quiet, self._clock(), _look(status)
        known, since = self._seen.get(path, (look, now))
        if known != look or since > now:
            since = now
        self._seen[path] = (look, since)
        period = quiet.total_seconds() if quiet is not None else 0.0
        age = now - status.st_mtime
        return max(period - (now - since), period - age if age >= 0 else 0.0)

    def _companion_waits(self, companion: str) -> float:
        if self._read.ready.manifest is None:
            return 0.0
        text = _read_small(self.root / companion)
        if text is not None and manifest.parse(text) is not None:
            return 0.0
        return SETTLING - (self._clock() - os.lstat(self.root / companion).st_mtime)


@contextmanager
def on_disk(root: Path) -> Iterator[None]:
    """Turn what a file system can say into a decision."""
    try:
        yield
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        raise Misconfigured(f"folder {root}: {error.strerror}", hint="the hub's user needs a directory that it may read, write and rename in") from error
    except OSError as error:
        raise Unavailable(f"folder {root}: {error.strerror}", hint="check that the volume is mounted and has space") from error


def write(path: Path, content: bytes) -> None:
    """Write a file durably under its final name at once: temporary name, fsync, rename, fsync of the folder."""
    part = path.with_name(f".{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    _sync(path.parent)


def _odd(status: os.stat_result) -> str:
    if stat.S_ISREG(status.st_mode):
        return "" if status.st_nlink == 1 else "has a second hard link"
    kinds = {stat.S_IFDIR: "a directory", stat.S_IFLNK: "a symbolic link", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(status.st_mode), "a device")


def _look(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_size, status.st_mtime_ns


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False


def _read_small(path: Path) -> bytes | None:
    """A short regular file, None for anything else."""
    if not _is_file(path):
        return None
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as stream:
        return stream.read(manifest.LONGEST)


def _move(source: Path, target: Path) -> None:
    source.rename(target)
    _sync(target.parent)
    if source.parent != target.parent:
        _sync(source.parent)


def _discard(folder: Path) -> None:
    (folder / "claim.json").unlink(missing_ok=True)
    for left in folder.glob(".*.part"):
        left.unlink()
    folder.rmdir()


def _sync(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
