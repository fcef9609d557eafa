"""Files on the server put away once they are settled or refused: each step is recognised when it was done before and only its reply was lost. Blocking."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime

from connectors.formats import names
from connectors.formats.files import reason
from connectors.sftp.client import Client
from connectors.sftp.journal import Handled
from connectors.sftp.listing import DONE, REFUSED
from connectors.sftp.remote import Look, Remote, look_of

_LONGEST = 200  # bytes of a name, leaving room for a number and an ending


class Tidier:
    """Moves files of one feed on the server. `deletes` says that settled files are deleted instead."""

    def __init__(self, remote: Remote, now: Callable[[], datetime], *, deletes: bool) -> None:
        self._remote = remote
        self._now = now
        self._deletes = deletes

    def target(self, handled: Handled) -> bytes:
        """Where a file is to go, below the root: a name that is free now. Write it down, then `put_away`."""
        if handled.state == "settled" and self._deletes:
            return handled.path[: handled.path.rfind(b"/") + 1] + f".{secrets.token_hex(8)}.part".encode()
        folder = f"{DONE}/{self._now():%Y%m}/".encode() if handled.state == "settled" else f"{REFUSED}/".encode()
        return folder + self._remote.run("look for a free name", lambda client: self._free(client, folder, _base(handled.path)))

    def put_away(self, handled: Handled) -> None:
        """Move or delete a file and what goes with it, and say beside a refused one why. What is another file by now stays where it is."""
        target = handled.target
        assert target is not None, "chosen and written down before"
        verb = "delete a file" if self._deletes and handled.state == "settled" else "move a file"
        if not self._remote.run(verb, lambda client: self._moved(client, handled.path, handled.look, target)):
            return
        if handled.companion is not None:
            path, look = handled.companion
            beside = target.rpartition(b"/")[0] + b"/" + _base(path)
            self._remote.run(verb, lambda client: self._accompany(client, path, look, beside, delete=handled.state == "settled" and self._deletes))
        if handled.state == "refused":
            page = reason(handled.name, handled.refusal()).encode()
            self._remote.run("write a page beside a refused file", lambda client: client.store(self._remote.root + target + b".reason.txt", page))
        elif self._deletes:
            self._remote.run(verb, lambda client: client.remove(self._remote.root + target))

    def _moved(self, client: Client, path: bytes, look: Look, target: bytes) -> bool:
        """Whether the file is at its target now, moved by this call or by an earlier one."""
        source, goal = self._remote.root + path, self._remote.root + target
        if look_of(client.look(source)) != look:
            return look_of(client.look(goal)) == look
        client.make_folder(goal.rpartition(b"/")[0])
        client.rename(source, goal)
        if look_of(client.look(goal)) == look:
            return True
        client.rename(goal, source)  # it was replaced at this very moment: that one has not been read
        return False

    def _accompany(self, client: Client, path: bytes, look: Look, target: bytes, *, delete: bool) -> None:
        source = self._remote.root + path
        if look_of(client.look(source)) != look:
            return
        if delete:
            client.remove(source)
            return
        folder, _, base = target.rpartition(b"/")
        client.rename(source, self._remote.root + folder + b"/" + self._free(client, folder + b"/", base))

    def _free(self, client: Client, folder: bytes, base: bytes) -> bytes:
        """A name in the folder that is not taken: x.csv, x.2.csv, x.3.csv, …"""
        stem, dot, ending = base.partition(b".")
        number, name = 1, base
        while client.look(self._remote.root + folder + name) is not None:
            number += 1
            name = stem + f".{number}".encode() + dot + ending
        return name


def _base(path: bytes) -> bytes:
    base = path.rpartition(b"/")[2]
    return base if len(base) <= _LONGEST else names.safe(base.decode("utf-8", "surrogateescape")).encode()
