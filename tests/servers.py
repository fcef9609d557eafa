"""Real servers for tests: started privately on free loopback ports in a temporary folder, as an unprivileged user, ended by their own process id."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
import pytest

_RABBIT = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
_SSHD = Path("/usr/sbin/sshd")
_START = 90.0  # seconds that a server may take to start on a busy machine
_STOP = 20.0
_HOST = "127.0.0.1"


def requires(program: str | Path, reason: str) -> None:
    """Skip the test where a program is missing; fail it on a CI machine, where everything must run."""
    if shutil.which(str(program)) is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{program} is not installed: {reason}")


def free_ports(count: int) -> list[int]:
    """Loopback ports that nobody listens on right now."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((_HOST, 0))
        return [int(each.getsockname()[1]) for each in sockets]


def wait_until(is_true: Callable[[], bool], seconds: float, what: str, every: float = 0.1) -> None:
    """Look again and again until it is so; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not is_true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(every)


def unprivileged(*names: str) -> pwd.struct_passwd | None:
    """The first of these users that exists, when we are root and should not be; else None."""
    if os.getuid() != 0:
        return None
    for name in (*names, "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    return None


def _accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((_HOST, port), timeout=1) as connection:
        connection.settimeout(2)
        connection.sendall(b"AMQP\x00\x00\x09\x01")
        return connection.recv(1) != b""
    return False


def guard(process: subprocess.Popen[bytes], identity: dict[str, Any]) -> subprocess.Popen[bytes]:
    """A tiny process that ends `process` when this one dies without tidying up: its standard input closes then."""
    command = ["sh", "-c", 'read _; kill -9 "$1"', "sh", str(process.pid)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, **identity)


class RabbitServer:
    """A RabbitMQ node of our own. Enter it to start it; leaving ends it and deletes its folder. `kill` and `start` keep its data."""

    def __init__(self) -> None:
        requires(_RABBIT, "RabbitMQ tests run against Debian's rabbitmq-server")
        self._home = Path(tempfile.mkdtemp(prefix="hub-rabbit-"))
        self._user = unprivileged("rabbitmq")
        self.port, self._dist, self._epmd_port = free_ports(3)
        self._server: subprocess.Popen[bytes] | None = None
        self._guards: list[subprocess.Popen[bytes]] = []
        self._epmd: subprocess.Popen[bytes] | None = None
        self._write("rabbitmq.conf", self._settings())
        self._write("enabled_plugins", "[].\n")
        self._write(".erlang.cookie", "HUBTESTCOOKIE", mode=0o400)
        if self._user is not None:
            os.chown(self._home, self._user.pw_uid, self._user.pw_gid)

    @property
    def url(self) -> str:
        """AMQP address of the default virtual host."""
        return f"amqp://guest:guest@{_HOST}:{self.port}/%2F"

    @property
    def pid(self) -> int:
        """Of the server that runs."""
        assert self._server is not None, "it was not started"
        return self._server.pid

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self._clear()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._clear()

    def start(self) -> None:
        """Start the node on its data and wait until it answers AMQP."""
        if self._epmd is None:
            self._epmd = self._run(["epmd", "-address", _HOST, "-port", str(self._epmd_port)])
        server = self._server = self._run([str(_RABBIT)])
        wait_until(lambda: server.poll() is not None or _accepts(self.port), _START, "RabbitMQ starts")
        if server.poll() is not None:
            raise RuntimeError(f"RabbitMQ ended at once:\n{(self._home / 'output').read_text(errors='replace')[-2000:]}")

    def kill(self) -> None:
        """SIGKILL the node's own process, as a power failure would."""
        self._end(self._server, signal.SIGKILL)

    def stop(self) -> None:
        """Ask the node to end in order."""
        self._end(self._server, signal.SIGTERM)

    def control(self, *arguments: str) -> str:
        """Run rabbitmqctl against this node; its output."""
        done = subprocess.run(
            ["/usr/lib/rabbitmq/bin/rabbitmqctl", "--quiet", *arguments],
            env=self._environment(), cwd=self._home, capture_output=True, timeout=60, check=True, **self._identity(),
        )  # fmt: skip
        return str(done.stdout.decode())

    def _settings(self) -> str:
        return (
            f"listeners.tcp.1 = {_HOST}:{self.port}\n"
            "loopback_users.guest = true\ndisk_free_limit.absolute = 1MB\nvm_memory_high_watermark.absolute = 1GB\nlog.console.level = warning\nlog.file = false\n"
        )

    def _environment(self) -> dict[str, str]:
        home = str(self._home)
        return {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": home,
            "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": _HOST,
            "RABBITMQ_NODENAME": f"hub{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(self._dist),
            "RABBITMQ_BASE": home,
            "RABBITMQ_MNESIA_BASE": f"{home}/data",
            "RABBITMQ_LOG_BASE": f"{home}/log",
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": f"{home}/pid",
            "RABBITMQ_CONFIG_FILE": f"{home}/rabbitmq.conf",
            "RABBITMQ_CONF_ENV_FILE": f"{home}/none",
            "RABBITMQ_ADVANCED_CONFIG_FILE": f"{home}/advanced.config",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{home}/enabled_plugins",
            # The node's own process, no shell around it: its id is the one to end.
            "RABBITMQ_ALLOW_INPUT": "1",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-noinput -kernel inet_dist_use_interface {127,0,0,1} +sbwt none +S 2:2",
        }

    def _identity(self) -> dict[str, Any]:
        return {} if self._user is None else {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}

    def _run(self, command: list[str]) -> subprocess.Popen[bytes]:
        with open(self._home / "output", "ab") as output:
            process = subprocess.Popen(
                command, env=self._environment(), cwd=self._home, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True, **self._identity(),
            )  # fmt: skip
        self._guards.append(guard(process, self._identity()))
        return process

    @staticmethod
    def _end(process: subprocess.Popen[bytes] | None, number: signal.Signals) -> None:
        if process is None or process.poll() is not None:
            return
        process.send_signal(number)
        try:
            process.wait(_STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(_STOP)

    def _clear(self) -> None:
        self.kill()
        self._end(self._epmd, signal.SIGTERM)
        for each in self._guards:
            each.kill()
            each.communicate()
        shutil.rmtree(self._home, ignore_errors=True)

    def _write(self, name: str, text: str, mode: int = 0o644) -> None:
        path = self._home / name
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        if self._user is not None:
            os.chown(path, self._user.pw_uid, self._user.pw_gid)


class SshServer:
    """Debian's sshd of our own with SFTP and nothing else. Enter it to start it; `root` is the folder that its user sees first.

    `options` are further lines of its configuration, `denied` names requests of SFTP that nobody may make. `stop` and `start` keep files and host keys.
    """

    def __init__(self, *options: str, denied: str = "") -> None:
        requires(_SSHD, "SFTP tests run against Debian's openssh-server")
        self._home = Path(tempfile.mkdtemp(prefix="hub-sshd-"))
        self._user = unprivileged()
        self.user = self._user.pw_name if self._user is not None else pwd.getpwuid(os.getuid()).pw_name
        (self.port,) = free_ports(1)
        self.root = self._home / "files"
        self.root.mkdir()
        self._server: subprocess.Popen[bytes] | None = None
        self._guards: list[subprocess.Popen[bytes]] = []
        for kind in ("ed25519", "ecdsa", "rsa"):
            self._keygen(f"host_{kind}", kind)
        self._keygen("client", "ed25519")
        self._configure(options, f"internal-sftp -d {self.root}" + (f" -P {denied}" if denied else ""))
        self.own(self._home)

    @property
    def key(self) -> str:
        """Private key of the one who may log in."""
        return (self._home / "client").read_text("ascii")

    @property
    def key_file(self) -> Path:
        """The same as a file, for other clients."""
        return self._home / "client"

    def host_key(self, kind: str = "ed25519") -> str:
        """A public host key as `type base64`."""
        return " ".join((self._home / f"host_{kind}.pub").read_text("ascii").split()[:2])

    def fingerprint(self, kind: str = "ed25519") -> str:
        """`SHA256:…` of a host key, as ssh-keygen says it."""
        told = subprocess.run(["ssh-keygen", "-lf", self._home / f"host_{kind}.pub"], capture_output=True, check=True, text=True, timeout=20).stdout
        return told.split()[1]

    def own(self, path: Path) -> None:
        """Give a path and everything in it to the server's user."""
        if self._user is not None:
            for each in (path, *path.rglob("*")):
                os.chown(each, self._user.pw_uid, self._user.pw_gid, follow_symlinks=False)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self._clear()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._clear()

    def start(self) -> None:
        """Start it and wait until it greets."""
        identity: dict[str, Any] = {} if self._user is None else {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}
        with open(self._home / "output", "ab") as output:
            command = [str(_SSHD), "-D", "-e", "-f", str(self._home / "sshd_config")]
            server = subprocess.Popen(command, cwd=self._home, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, **identity)
        self._server = server
        self._guards.append(guard(server, identity))
        wait_until(lambda: server.poll() is not None or _greets(self.port), _START, "sshd starts", every=0.02)
        if server.poll() is not None:
            raise RuntimeError(f"sshd ended at once:\n{(self._home / 'output').read_text(errors='replace')[-2000:]}")

    @property
    def running(self) -> bool:
        """Whether it is there."""
        return self._server is not None and self._server.poll() is None

    def folder(self) -> Path:
        """A new folder that its user may read and write."""
        made = Path(tempfile.mkdtemp(dir=self.root))
        self.own(made)
        return made

    def stop(self) -> None:
        """End it and every connection that it has."""
        if self._server is not None and self.running:
            children = psutil.Process(self._server.pid).children(recursive=True)
            self._server.kill()
            for child in children:
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
            self._server.wait(_STOP)

    def change_host_keys(self) -> None:
        """Other host keys, as after a new installation, or with someone in between."""
        self.stop()
        for kind in ("ed25519", "ecdsa", "rsa"):
            (self._home / f"host_{kind}").unlink()
            self._keygen(f"host_{kind}", kind)
        self.own(self._home)
        self.start()

    def _keygen(self, name: str, kind: str) -> None:
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "", "-f", self._home / name], check=True, timeout=60, stdin=subprocess.DEVNULL)

    def _configure(self, options: tuple[str, ...], sftp: str) -> None:
        shutil.copy(self._home / "client.pub", self._home / "authorized_keys")
        lines = [
            *options,
            f"ListenAddress {_HOST}:{self.port}",
            *(f"HostKey {self._home}/host_{kind}" for kind in ("ed25519", "ecdsa", "rsa")),
            f"AuthorizedKeysFile {self._home}/authorized_keys",
            # PAM, because without it an sshd that cannot read the shadow file takes every account for locked.
            "PidFile none", "StrictModes no", "UsePAM yes", "PasswordAuthentication no", "KbdInteractiveAuthentication no",
            f"Subsystem sftp {sftp}", f"ForceCommand {sftp}", "MaxStartups 100", "LogLevel ERROR",
        ]  # fmt: skip
        (self._home / "sshd_config").write_text("\n".join(lines) + "\n")

    def _clear(self) -> None:
        self.stop()
        for each in self._guards:
            each.kill()
            each.communicate()
        shutil.rmtree(self._home, ignore_errors=True)


def _greets(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((_HOST, port), timeout=1) as connection:
        connection.settimeout(2)
        return connection.recv(4) == b"SSH-"
    return False
