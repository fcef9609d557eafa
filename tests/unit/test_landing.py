"""Raw bytes are durable, sealed, kept once, and noticed when they were altered."""

from __future__ import annotations

import hashlib
import os
import random
from pathlib import Path

import pytest

from hub.contracts.errors import Rejected, Unavailable
from hub.contracts.keys import KeyRing
from hub.landing import CHUNK, Landing

KEYS = KeyRing("m" * 64, {"k1": b"1" * 32})
TEXT = "身份号码示例 320581199001011234\n".encode()


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    return Landing(tmp_path / "landing", KEYS)


def object_of(landing: Landing, tmp_path: Path, content: bytes) -> Path:
    digest = landing.put(content).digest
    return tmp_path / "landing" / digest[:2] / digest


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 17])
def test_what_was_put_comes_back(landing: Landing, tmp_path: Path, size: int) -> None:
    content = random.Random(size).randbytes(size)
    path = tmp_path / "in.csv"
    path.write_bytes(content)

    landed = landing.put(path)

    assert landed == landing.put(content)
    assert (landed.digest, landed.size) == (hashlib.sha256(content).hexdigest(), size)
    assert list(landing.digests()) == [landed.digest]
    assert landing.verify(landed.digest)
    with landing.open(landed.digest) as stream:
        assert stream.read() == content


def test_any_part_can_be_read_by_itself(landing: Landing) -> None:
    content = random.Random(1).randbytes(2 * CHUNK + 1000)
    digest = landing.put(content).digest

    with landing.open(digest) as stream:
        for start in (0, CHUNK - 5, CHUNK, 2 * CHUNK + 990, 3 * CHUNK):
            stream.seek(start)
            assert stream.read(10) == content[start : start + 10]
        assert stream.seek(-3, os.SEEK_END) == len(content) - 3
        assert stream.read() == content[-3:]


def test_nothing_is_in_clear_on_disk(landing: Landing, tmp_path: Path) -> None:
    stored = object_of(landing, tmp_path, TEXT * 100).read_bytes()

    assert b"320581" not in stored
    assert "身份".encode() not in stored


@pytest.mark.parametrize("at", [2, 10, 30, -2, -20])
def test_an_altered_object_is_noticed(landing: Landing, tmp_path: Path, at: int) -> None:
    path = object_of(landing, tmp_path, TEXT)
    stored = bytearray(path.read_bytes())
    stored[at] ^= 1
    path.write_bytes(stored)

    with pytest.raises(Rejected):
        landing.verify(path.name)


def test_a_chunk_cannot_be_put_in_place_of_another(landing: Landing, tmp_path: Path) -> None:
    first, second = random.Random(2).randbytes(CHUNK), random.Random(3).randbytes(CHUNK)
    path = object_of(landing, tmp_path, first + second)
    stored = path.read_bytes()
    index = int.from_bytes(stored[-12:-4], "big")
    length = (len(stored) - 20 - 12 - index) // 2
    path.write_bytes(stored[:20] + stored[20 + length : 20 + 2 * length] + stored[20 : 20 + length] + stored[20 + 2 * length :])

    with pytest.raises(Rejected):
        landing.verify(path.name)


def test_an_object_under_another_name_is_noticed(landing: Landing, tmp_path: Path) -> None:
    path = object_of(landing, tmp_path, b"one")
    other = hashlib.sha256(b"two").hexdigest()
    target = tmp_path / "landing" / other[:2] / other
    target.parent.mkdir(exist_ok=True)
    path.rename(target)

    with pytest.raises(Rejected, match="other bytes"):
        landing.verify(other)


def test_putting_the_same_bytes_again_heals_an_altered_object(landing: Landing, tmp_path: Path) -> None:
    path = object_of(landing, tmp_path, TEXT)
    path.write_bytes(b"nonsense")

    landing.put(TEXT)

    assert landing.verify(path.name)


def test_a_missing_object_is_named(landing: Landing) -> None:
    digest = "0" * 64

    assert landing.verify(digest) is False
    assert landing.remove(digest) is False
    with pytest.raises(Rejected, match="missing"):
        landing.open(digest)
    with pytest.raises(Rejected, match="not the name"):
        landing.open("../../etc/passwd")


def test_removed_is_gone(landing: Landing) -> None:
    digest = landing.put(b"x").digest

    assert landing.remove(digest)
    assert list(landing.digests()) == []


def test_what_a_crash_left_is_swept(landing: Landing, tmp_path: Path) -> None:
    left = tmp_path / "landing" / "0011.part"
    left.write_bytes(b"half")

    Landing(tmp_path / "landing", KEYS)

    assert not left.exists()


@pytest.mark.parametrize("kind", ["link", "pipe", "directory"])
def test_only_regular_files_are_landed(landing: Landing, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.csv"
    if kind == "link":
        path.symlink_to("/etc/hostname")
    else:
        (os.mkfifo if kind == "pipe" else os.mkdir)(path)

    with pytest.raises((Rejected, Unavailable)):
        landing.put(path)

    assert list(landing.digests()) == []
