"""A home and a configuration for the hub that fit the simulated agencies: secrets, WSDL files, addresses and the host key."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from tests.city.agencies import HOST, Ports, SimulatedCity, secrets

_STANDARD = Ports()
_TEXTS = (".yaml",)


def furnish(home: Path, example: Path, city: SimulatedCity) -> Path:
    """Write HOME/secrets, HOME/wsdl and HOME/config, a copy of the example with the addresses that are really in use; the directory of the copy.

    A file that is right already stays untouched, so that a hub that watches it sees no change.
    """
    for name, value in secrets().items():
        _keep_secret(home / "secrets" / name, value)
    for file in sorted((example / "wsdl").rglob("*.*")):
        _keep(home / "wsdl" / file.relative_to(example / "wsdl"), file.read_bytes())
    for file in sorted(example.rglob("*")):
        if file.is_file():
            content = file.read_bytes()
            _keep(home / "config" / file.relative_to(example), _fitted(content, city) if file.suffix in _TEXTS else content)
    return home / "config"


def _fitted(content: bytes, city: SimulatedCity) -> bytes:
    text, ports = content.decode(), city.ports
    for standard, real in ((_STANDARD.rest, ports.rest), (_STANDARD.soap, ports.soap), (_STANDARD.web, ports.web)):
        text = text.replace(f"{HOST}:{standard}", f"{HOST}:{real or standard}")
    for standard, real in ((_STANDARD.sftp, ports.sftp), (_STANDARD.mysql, ports.mysql), (_STANDARD.oracle, ports.oracle)):
        text = text.replace(f"port: {standard}", f"port: {real or standard}")
    return re.sub(r'(host_key: ")[^"]*(")', rf"\g<1>{city.fingerprint}\g<2>", text).encode() if city.fingerprint else text.encode()


def _keep(path: Path, content: bytes) -> None:
    if path.is_file() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    shutil.move(part, path)


def _keep_secret(path: Path, value: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(value)
    path.chmod(0o600)
