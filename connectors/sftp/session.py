"""One SSH connection: the server's key is compared with the pinned ones before we log in, and only sound algorithms are used. Blocking."""

from __future__ import annotations

import errno
import io
import logging
import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import paramiko

from connectors.sftp import peer
from connectors.sftp.client import Client
from connectors.sftp.settings import SftpEndpoint
from hub.contracts.errors import Misconfigured, Unavailable

logging.getLogger("paramiko").setLevel(logging.CRITICAL + 1)  # what goes wrong is told as one of the three errors

_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes192-ctr", "aes256-ctr")
_MACS = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512")
_OFFERS = {"kex": "kex_algo_list", "keys": "server_key_algo_list", "ciphers": "server_encrypt_algo_list", "macs": "server_mac_algo_list"}
_WINDOW = 16 << 20  # bytes that may arrive while landing seals what came before
_PACKET = 256 << 10


class _Transport(paramiko.Transport):  # type: ignore[misc]  # the library ships no types
    """A transport that remembers what the server offered."""

    def __init__(self, sock: socket.socket) -> None:
        self.offered: dict[str, Sequence[str]] = {}
        super().__init__(sock, default_window_size=_WINDOW, default_max_packet_size=_PACKET)

    def _parse_kex_init(self, message: Any) -> None:
        parsed = self._really_parse_kex_init(paramiko.Message(message.asbytes()))
        self.offered = {kind: [n for n in parsed[name] if "-strict-" not in n and not n.startswith("ext-")] for kind, name in _OFFERS.items()}
        super()._parse_kex_init(message)


def connect(endpoint: SftpEndpoint) -> Client:
    """Reach the server, compare its key with the pinned ones, log in and open SFTP. Raises `Unavailable` and `Misconfigured`."""
    with understood(endpoint, "open an SFTP session"):
        transport = _verified(endpoint)
        try:
            _log_in(transport, endpoint)
            channel = transport.open_session(timeout=endpoint.timeout.total_seconds())
            channel.settimeout(endpoint.timeout.total_seconds())
            channel.invoke_subsystem("sftp")
            return Client(channel, transport.close)
        except BaseException:
            transport.close()
            raise


def verify(endpoint: SftpEndpoint) -> str:
    """Reach the server and compare its key, without logging in; the key's fingerprint."""
    with understood(endpoint, "agree on a connection"):
        transport = _verified(endpoint)
        try:
            return peer.fingerprint(transport.get_remote_server_key().asbytes())
        finally:
            transport.close()


def named(endpoint: SftpEndpoint) -> str:
    """The server in an error's words."""
    return f"sftp {endpoint.host}:{endpoint.port}"


@contextmanager
def understood(endpoint: SftpEndpoint, doing: str) -> Iterator[None]:
    """Turn what SSH, SFTP and sockets can say into a decision. The server's own words are not repeated: they may hold a file's name."""
    where = named(endpoint)
    try:
        yield
    except TimeoutError as error:
        message = f"{where} did not answer within {endpoint.timeout.total_seconds():g} s (to {doing})"
        raise Unavailable(message, hint="ask its owner whether it is up; raise `timeout` for a slow line") from error
    except (paramiko.SSHException, ConnectionResetError, BrokenPipeError, EOFError) as error:
        raise Unavailable(f"{where}: the connection broke (to {doing})", hint="it is tried again; ask its owner if it stays") from error
    except OSError as error:
        raise _decided(error, endpoint, doing) from error


def _decided(error: OSError, endpoint: SftpEndpoint, doing: str) -> Unavailable | Misconfigured:
    where = named(endpoint)
    match error.errno:
        case errno.EACCES:
            hint = f"user {endpoint.user} needs the right to do so; to collect files with `archive: keep`, reading is enough"
            return Misconfigured(f"{where} does not allow us to {doing}", hint=hint, code="permission")
        case errno.ENOENT:
            return Misconfigured(f"{where} has no such folder (to {doing})", hint="correct `path` and `files`, or ask its owner to create the folder")
        case errno.ENOSPC | errno.EDQUOT:
            return Unavailable(f"{where} has no space left for us (to {doing})", hint="ask its owner to free space or raise the quota", code="disk-full")
        case errno.EBADMSG:
            return Unavailable(f"{where} does not speak SFTP as agreed (to {doing})", hint="ask its owner which server this is; report it if it stays")
        case errno.EOPNOTSUPP:
            return Misconfigured(f"{where} cannot {doing}", hint="its SFTP server lacks this; to collect files with `archive: keep`, reading is enough")
        case errno.EPROTO | errno.EEXIST:
            return Unavailable(f"{where} refused to {doing}", hint="the server does not say why: quota, disk and rights are the usual causes")
    return Unavailable(f"{where} cannot be reached: {error.strerror or error}", hint="check name, port and firewall; ask its owner whether it is up")


def _verified(endpoint: SftpEndpoint) -> _Transport:
    """A connection to the server that has a pinned key. A server has several keys, so each kind that it offers is looked at."""
    pinned, kinds, seen = peer.pinned_fingerprints(endpoint.host_key), peer.families(endpoint.host_key), set()
    types = [name for kind in kinds for name in kind]
    while types:
        transport = _opened(endpoint, types)
        seen.add(peer.fingerprint(transport.get_remote_server_key().asbytes()))
        if seen & pinned:
            return transport
        transport.close()
        kinds = [kind for kind in kinds if transport.host_key_type not in kind]
        types = [name for kind in kinds for name in kind if name in transport.offered["keys"]]
    raise peer.another_key(named(endpoint), pinned, seen)


def _opened(endpoint: SftpEndpoint, key_types: Sequence[str]) -> _Transport:
    seconds = endpoint.timeout.total_seconds()
    transport = _Transport(_reached(endpoint, seconds))
    try:
        transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = transport.channel_timeout = seconds
        allowed = endpoint.legacy.allow if endpoint.legacy is not None else ()
        options = transport.get_security_options()
        options.ciphers = (*_CIPHERS, *(name for name in allowed if name.endswith("-cbc")))
        options.digests = (*_MACS, *(name for name in allowed if name.startswith("hmac")))
        options.key_types = tuple(key_types)
        ours = {"kex": options.kex, "keys": peer.KEY_TYPES, "ciphers": options.ciphers, "macs": options.digests}
        try:
            transport.start_client(timeout=seconds)
        except paramiko.ssh_exception.IncompatiblePeer as error:
            raise peer.old_server(named(endpoint), transport.offered, ours) from error
        transport.set_keepalive(max(1, int(seconds / 2)))
        return transport
    except BaseException:
        transport.close()
        raise


def _reached(endpoint: SftpEndpoint, seconds: float) -> socket.socket:
    try:
        return socket.create_connection((endpoint.host, endpoint.port), timeout=seconds)
    except PermissionError as error:
        raise Unavailable(f"{named(endpoint)} cannot be reached: a firewall of ours forbids it", hint="open the port for the hub") from error


def _log_in(transport: _Transport, endpoint: SftpEndpoint) -> None:
    where, hint = named(endpoint), f"compare user {endpoint.user}, key and password with what the agency has set up"
    try:
        left = transport.auth_publickey(endpoint.user, _private_key(endpoint)) if endpoint.key is not None else ["password"]
        if left and endpoint.password is not None:
            left = transport.auth_password(endpoint.user, endpoint.password.get_secret_value())
    except paramiko.BadAuthenticationType as error:
        kinds = ", ".join(error.allowed_types)
        raise Misconfigured(f"{where} does not take this way of logging in, only: {kinds}", hint="give `key` for publickey, `password` for password") from error
    except paramiko.AuthenticationException as error:
        if not transport.is_active() or "timeout" in str(error):
            raise Unavailable(f"{where} closed the connection while we logged in", hint=hint) from error
        raise Misconfigured(f"{where} does not let {endpoint.user} in", hint=hint, code="login") from error
    if left:
        raise Misconfigured(f"{where} asks for more to log in: {', '.join(left)}", hint="give both `key` and `password`, or ask for an account for machines")


def _private_key(endpoint: SftpEndpoint) -> paramiko.PKey:
    assert endpoint.key is not None, "asked for only where there is one"
    text = endpoint.key.get_secret_value() + "\n"
    passphrase = endpoint.passphrase.get_secret_value() if endpoint.passphrase is not None else None
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        try:
            return kind.from_private_key(io.StringIO(text), passphrase)
        except paramiko.PasswordRequiredException as error:
            raise Misconfigured("our private key needs its passphrase", hint="give `passphrase` with a reference to it") from error
        except (paramiko.SSHException, ValueError, TypeError, IndexError, struct.error):
            continue
    raise Misconfigured("our private key cannot be read", hint="ed25519, ECDSA and RSA keys in OpenSSH or PEM form are taken; is the passphrase right?")
