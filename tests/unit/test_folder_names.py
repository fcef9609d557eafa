"""Names of other systems, made safe to show and to write."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from connectors.formats import names


@given(st.binary(min_size=1, max_size=255).filter(lambda b: b"\0" not in b))
def test_any_name_becomes_one_safe_file_name(raw: bytes) -> None:
    name = names.safe(os.fsdecode(raw))

    assert "/" not in name
    assert not name.startswith(".")
    assert 0 < len(name.encode()) <= 180


@given(st.text(alphabet="a%\n\u202e", max_size=8), st.text(alphabet="a%\n\u202e", max_size=8))
def test_different_names_are_shown_differently(one: str, other: str) -> None:
    assert (names.shown(one) == names.shown(other)) == (one == other)


def test_a_taken_name_is_numbered(tmp_path: Path) -> None:
    for _ in range(3):
        names.free(tmp_path, "x.csv").touch()

    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.2.csv", "x.3.csv", "x.csv"]
