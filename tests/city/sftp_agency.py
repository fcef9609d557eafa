"""An agency's SFTP server where no sshd is: password login, no posix-rename, status texts in GBK, and what such servers do wrong.

It serves a folder on loopback from threads of its own. `mischief` holds words that each change what it does:
quota (writing fails when the file is closed), unheard (renames, and the connection ends before the reply), sealed (nothing can be renamed or deleted any more),
lies (lists ten bytes more than there are), little (gives 700 bytes a time), mute (accepts connections and never says a word).
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import paramiko
from paramiko import sftp as wire
from paramiko.sftp_attr import SFTPAttributes

HOST = "127.0.0.1"


class SftpAgency:
    """Enter it to start it. `only` restricts what it offers to some algorithms, as paramiko's `disabled_algorithms` turned round; port 0 takes a free one."""

    def __init__(
        self,
        root: Path,
        *,
        user: str = "fzb",
        password: str = "fzb-密码",
        only: dict[str, tuple[str, ...]] | None = None,
        port: int = 0,
        key: paramiko.PKey | None = None,
    ) -> None:
        self.root = root
        self.user, self.password, self.only = user, password, only or {}
        self.mischief: set[str] = set()
        self.read_bytes = 0
        self.logins = 0
        self._key = key or paramiko.ECDSAKey.generate()
        self._socket = socket.create_server((HOST, port))
        self.port = int(self._socket.getsockname()[1])
        self._open: list[Any] = []
        self._thread = threading.Thread(target=self._accept, name="sftp-agency", daemon=True)

    @property
    def fingerprint(self) -> str:
        """`SHA256:…` of its host key."""
        return str(self._key.fingerprint).rstrip("=")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self.hang_up()
        self._thread.join(10)

    def hang_up(self) -> None:
        """End every connection."""
        while self._open:
            self._open.pop().close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self._serve(connection)

    def _serve(self, connection: socket.socket) -> None:
        if "mute" in self.mischief:
            self._open.append(connection)
            return
        transport = paramiko.Transport(connection)
        self._open.append(transport)
        options = transport.get_security_options()
        for kind, names in self.only.items():
            setattr(options, kind, names)
        transport.add_server_key(self._key)
        transport.set_subsystem_handler("sftp", _Session, _Files, agency=self)
        with contextlib.suppress(paramiko.SSHException, EOFError, OSError):
            transport.start_server(event=threading.Event(), server=_Door(self))


class _Door(paramiko.ServerInterface):  # type: ignore[misc]  # the library ships no types
    """Lets one user in by password."""

    def __init__(self, agency: SftpAgency) -> None:
        self._agency = agency

    def get_allowed_auths(self, username: str) -> str:
        return "password"

    def check_auth_password(self, username: str, password: str) -> int:
        self._agency.logins += 1
        right = (username, password) == (self._agency.user, self._agency.password)
        return int(paramiko.AUTH_SUCCESSFUL if right else paramiko.AUTH_FAILED)

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return int(paramiko.OPEN_SUCCEEDED)


class _Session(paramiko.SFTPServer):  # type: ignore[misc]
    """The protocol, with mischief."""

    def __init__(self, channel: Any, name: str, server: Any, files: Any, *, agency: SftpAgency) -> None:
        self._agency = agency
        self._written: set[bytes] = set()
        super().__init__(channel, name, server, files, agency=agency)

    def _process(self, kind: int, number: int, message: Any) -> None:
        peeked = paramiko.Message(message.get_remainder())
        mischief = self._agency.mischief
        if kind == wire.CMD_WRITE:
            self._written.add(peeked.get_binary())
        if kind == wire.CMD_CLOSE and "quota" in mischief and peeked.get_binary() in self._written:
            self._response(number, wire.CMD_STATUS, wire.SFTP_FAILURE, "超出磁盘配额".encode("gb18030"), "")
        elif kind == wire.CMD_RENAME and "unheard" in mischief:
            mischief.discard("unheard")
            self.server.rename(peeked.get_text(), peeked.get_text())
            self.sock.get_transport().close()
        elif kind in (wire.CMD_RENAME, wire.CMD_REMOVE, wire.CMD_MKDIR) and "sealed" in mischief:
            self._response(number, wire.CMD_STATUS, wire.SFTP_PERMISSION_DENIED, "权限不足".encode("gb18030"), "")
        else:
            super()._process(kind, number, message)


class _Files(paramiko.SFTPServerInterface):  # type: ignore[misc]
    """A folder of the local disk."""

    def __init__(self, server: Any, *, agency: SftpAgency) -> None:
        super().__init__(server)
        self._agency = agency

    def _path(self, path: str) -> Path:
        return self._agency.root / os.path.normpath("/" + path).lstrip("/")

    def list_folder(self, path: str) -> Any:
        try:
            return [self._told(each.stat(follow_symlinks=False), each.name) for each in os.scandir(self._path(path))]
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)

    def lstat(self, path: str) -> Any:
        try:
            return self._told(os.lstat(self._path(path)))
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)

    def open(self, path: str, flags: int, attr: Any) -> Any:
        try:
            opened = os.open(self._path(path), flags, 0o644)
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)
        handle = _Handle(flags, self._agency)
        handle.readfile = handle.writefile = os.fdopen(opened, "r+b" if flags & os.O_RDWR else "wb" if flags & os.O_WRONLY else "rb")
        return handle

    def remove(self, path: str) -> int:
        return self._tried(lambda: self._path(path).unlink())

    def mkdir(self, path: str, attr: Any) -> int:
        return self._tried(lambda: self._path(path).mkdir())

    def rename(self, oldpath: str, newpath: str) -> int:
        if self._path(newpath).exists():
            return int(wire.SFTP_FAILURE)
        return self._tried(lambda: self._path(oldpath).rename(self._path(newpath)))

    def _told(self, status: os.stat_result, name: str | None = None) -> SFTPAttributes:
        told = SFTPAttributes.from_stat(status, name)
        told.st_size += 10 if "lies" in self._agency.mischief else 0
        return told

    @staticmethod
    def _tried(work: Any) -> int:
        try:
            work()
        except OSError as error:
            return int(paramiko.SFTPServer.convert_errno(error.errno))
        return int(wire.SFTP_OK)


class _Handle(paramiko.SFTPHandle):  # type: ignore[misc]
    """An open file that counts what was read."""

    def __init__(self, flags: int, agency: SftpAgency) -> None:
        super().__init__(flags)
        self._agency = agency

    def read(self, offset: int, length: int) -> Any:
        found = super().read(offset, min(length, 700) if "little" in self._agency.mischief else length)
        self._agency.read_bytes += len(found) if isinstance(found, bytes) else 0
        return found
