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

import pytest

_RABBIT = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
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
