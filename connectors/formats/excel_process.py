"""Talks with the throw-away process that reads a workbook, and gives its end a meaning."""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from connectors.formats.plain import Document
from hub.contracts.errors import HubError, Misconfigured, Rejected, Unavailable

_ROOT = Path(__file__).parents[2]
_START = "import sys; sys.path[:0] = sys.argv[1:3]; from connectors.formats.excel_child import main; main(*map(int, sys.argv[3:]))"
_FRAME_MAX = 96 << 20  # the first rows of the widest sheet
_PIECE = 1 << 20
_OUTSIDE = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL)
SAVE_AS = "ask the agency to open it, save it as .xlsx and send that"
_UNFIT = {
    "pdf": ("F001", "the document is a PDF, not a workbook", "ask the agency for the workbook that it was printed from"),
    "html": ("F001", "the document is a web page that was named like a workbook", SAVE_AS),
    "xml-spreadsheet": ("F001", "the document is an XML spreadsheet of Excel 2003", SAVE_AS),
    "xml": ("F001", "the document is XML, not a workbook", "read it with `xml:`, or " + SAVE_AS),
    "text": ("F001", "the document is no workbook", "if it is delimited text, leave `excel:` away; otherwise " + SAVE_AS),
    "word": ("F001", "the document is a text document (Word), not a workbook", "ask the agency to put the table into a workbook"),
    "powerpoint": ("F001", "the document is a presentation, not a workbook", "ask the agency to put the table into a workbook"),
    "ole": ("F001", "the document is an old Office file without a workbook in it", SAVE_AS),
    "zip": ("F001", "the document is a ZIP without a workbook in it", "if it is an archive, say `archive:`; otherwise " + SAVE_AS),
    "xlsb": ("F001", "the document is a binary workbook (.xlsb)", SAVE_AS),
    "old": ("F001", "the workbook is older than Excel 5", SAVE_AS),
    "locked": ("F001", "the workbook is protected with a password", "ask the agency to send it without one, in a protected archive if need be"),
    "doctype": ("F001", "the workbook declares a document type, which no program that writes workbooks does", "treat it as hostile: ask the agency what it is"),
    "damaged": ("F001", "the workbook is damaged, or not written as the format asks", SAVE_AS),
    "unplaced": ("F001", "the workbook holds error cells without an address", SAVE_AS),
    "errors": ("F001", "a sheet holds more than {count} error cells (#N/A, #REF!)", "ask the agency to correct its formulas"),
    "ods-errors": ("F001", "the workbook holds {count} error cells (#N/A, #DIV/0!) that an .ods does not tell apart from values", SAVE_AS),
    "cell": ("F003", "row {row} holds a cell of more than 32,767 characters", "no program that writes workbooks allows that: ask what wrote it"),
    "sheets": ("F003", "the workbook has {count} sheets", "name the one to read with `sheet:`, or ask for a smaller workbook"),
    "memory": ("F003", "the workbook needs more memory than reading one may take", "ask the agency to send it in parts, or as CSV"),
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What reading one workbook may take: bytes of the file, bytes of memory, seconds of processor time, and seconds of waiting for it."""

    size: int = 256 << 20
    memory: int = 1 << 30
    processor: int = 60
    wait: float = 120


class Reading:
    """A running process: say what is wanted, hear what it found."""

    def __init__(self, process: subprocess.Popen[bytes], limits: Limits, clock: Callable[[], float]) -> None:
        self._process = process
        self._limits = limits
        self._clock = clock
        self._waited = 0.0
        self._poll = select.poll()
        self._poll.register(_pipe(process.stdout), select.POLLIN)

    def say(self, what: dict[str, Any]) -> None:
        """Send one line. A process that has ended is heard of by `hear`."""
        pipe = _pipe(self._process.stdin)
        try:
            pipe.write(json.dumps(what).encode() + b"\n")
            pipe.flush()
        except BrokenPipeError:
            return

    def hear(self) -> dict[str, Any] | bytes:
        """The next message: a dict, or lines of the plain form. Raises `Rejected` F001 or F003, `Unavailable` where the process was ended from outside."""
        kind, size = struct.unpack(">cI", self._exactly(5))
        if size > _FRAME_MAX:
            raise _unfit("damaged", {})
        content = self._exactly(size)
        if kind == b"D":
            return content
        try:
            message: dict[str, Any] = json.loads(content)
        except ValueError:
            raise _unfit("damaged", {}) from None
        if message.get("is") == "unfit":
            raise _unfit(message["why"], message)
        return message

    def told(self, what: str) -> dict[str, Any]:
        """The next message, which is of this kind."""
        message = self.hear()
        if isinstance(message, bytes) or message.get("is") != what:
            raise _unfit("damaged", {})
        return message

    def messages(self) -> Iterator[dict[str, Any] | bytes]:
        """What follows until the end."""
        while isinstance(message := self.hear(), bytes) or message.get("is") != "end":
            yield message

    def _exactly(self, size: int) -> bytes:
        pipe, found = _pipe(self._process.stdout), bytearray()
        while len(found) < size:
            began = self._clock()
            ready = self._poll.poll(max(self._limits.wait - self._waited, 0) * 1000)
            self._waited += self._clock() - began
            if not ready:
                raise Rejected(f"the workbook could not be read within {self._limits.wait:g} s", hint="ask the agency to send it in parts", code="F003")
            piece = os.read(pipe.fileno(), min(size - len(found), _PIECE))
            if not piece:
                raise self._ended(self._process.wait())
            found += piece
        return bytes(found)

    def _ended(self, code: int) -> HubError:
        """Why the process ended before it had said so."""
        if -code == signal.SIGXCPU:
            said = f"the workbook takes more than {self._limits.processor} s of processor time to read"
            return Rejected(said, hint="ask the agency to send it in parts, or as CSV", code="F003")
        if -code in _OUTSIDE:
            return Unavailable("the process that reads workbooks was ended from outside", hint="if this comes again, the machine may be short of memory")
        if code < 0 or code == 134:
            said = f"the workbook breaks its reader: it needs more than {self._limits.memory >> 20} MiB, or it is damaged"
            return Rejected(said, hint=f"ask the agency to send it in parts, or {SAVE_AS.removeprefix('ask the agency to ')}", code="F003")
        return _unfit("damaged", {})


def _unfit(why: str, detail: dict[str, Any]) -> Rejected:
    code, said, hint = _UNFIT.get(why, _UNFIT["damaged"])
    return Rejected(said.format_map(detail), hint=hint, code=code)


@contextmanager
def reading(document: Document, limits: Limits, clock: Callable[[], float] = time.monotonic) -> Iterator[Reading]:
    """Start a process that reads the document, and end it. The bytes are handed over in sealed memory, never on disk.

    Raises `Rejected` F003 for a document over `limits.size` and F005 for an empty one, `Misconfigured` without python-calamine, `Unavailable` where no process can be started.
    """
    descriptor = _sealed(document, limits)
    try:
        process = _started(descriptor, limits)
    finally:
        os.close(descriptor)
    try:
        yield Reading(process, limits, clock)
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            _close(_pipe(pipe))


def _sealed(document: Document, limits: Limits) -> int:
    """The document in memory that nobody can change any more."""
    if document.size > limits.size:
        raise _too_large(limits)
    if not document.size:
        raise Rejected("the file is empty", hint="ask the agency to send it again", code="F005")
    descriptor = os.memfd_create("workbook", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        document.stream.seek(0)
        written = 0
        while piece := document.stream.read(_PIECE):
            written += len(piece)
            if written > limits.size:
                raise _too_large(limits)
            with memoryview(piece) as rest:
                at = 0
                while at < len(rest):
                    at += os.write(descriptor, rest[at:])
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _too_large(limits: Limits) -> Rejected:
    return Rejected(f"the workbook is larger than {limits.size >> 20} MiB", hint="ask the agency to send it in parts, or as CSV", code="F003")


def _started(descriptor: int, limits: Limits) -> subprocess.Popen[bytes]:
    found = importlib.util.find_spec("python_calamine")
    if found is None or found.origin is None:
        raise Misconfigured("spreadsheets cannot be read here", hint="install the extra [excel]")
    site = Path(found.origin).parents[1]
    numbers = [str(number) for number in (descriptor, limits.memory, limits.processor)]
    arguments: Sequence[str] = (sys.executable, "-I", "-S", "-B", "-c", _START, str(_ROOT), str(site), *numbers)
    try:
        return subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=(descriptor,),
            env={"MALLOC_ARENA_MAX": "1", "LC_ALL": "C.UTF-8"},
            cwd="/",
            bufsize=0,
            start_new_session=True,  # who interrupts the hub does not interrupt the reading, which would look like a damaged file
        )
    except OSError as error:
        raise Unavailable("no process can be started to read a workbook", hint=f"look at the machine's memory and processes: {error.strerror}") from None


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None, "started with pipes"
    return pipe


def _close(pipe: IO[bytes]) -> None:
    try:
        pipe.close()
    except BrokenPipeError:
        return
