"""The host key of the simulated SFTP server, made once for a place and kept there."""

from __future__ import annotations

from pathlib import Path

import paramiko


def kept_key(path: Path) -> paramiko.PKey:
    """The key of a place."""
    if not path.exists():
        paramiko.ECDSAKey.generate().write_private_key_file(str(path))
    return paramiko.ECDSAKey.from_private_key_file(str(path))
