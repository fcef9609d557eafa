"""Strict YAML 1.2: what is refused, and how scalars are read."""

from __future__ import annotations

import pytest

from config.syntax import MAX_BYTES, Document


def document(text: str | bytes) -> Document:
    return Document("f.yaml", text if isinstance(text, bytes) else text.encode())


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("a: no", "no"),
        ("a: on", "on"),
        ("a: 2026-01-01", "2026-01-01"),
        ("a: 12:30", "12:30"),
        ("a: 1_000", "1_000"),
        ("a: 0o17", 15),
        ("a: 0x1F", 31),
        ("a: 1.5", 1.5),
        ("a: true", True),
        ("a: ~", None),
        ("a:", None),
        ('a: "1"', "1"),
        ("a: 012", 12),
        ("a: [1, b]", [1, "b"]),
    ],
)
def test_scalars_follow_the_core_schema(written: str, value: object) -> None:
    root = document(written).root

    assert root is not None
    assert root.data() == {"a": value}


def test_keys_are_text_as_written() -> None:
    root = document("01: a\n1: b\ntrue: c\n").root

    assert root is not None
    assert root.data() == {"01": "a", "1": "b", "true": "c"}


@pytest.mark.parametrize(
    ("text", "offset", "spot"),
    [
        ("a: one two", 4, (1, 8)),
        ("a: 'it''s so'", 5, (1, 11)),
        ('a: "x\\ty z"', 4, (1, 10)),
        ("a: |\n  one\n  two\n", 5, (1, 4)),
        ("a: 决定日期 | x", 7, (1, 11)),
    ],
)
def test_a_character_of_a_scalar_has_its_place_in_the_file(text: str, offset: int, spot: tuple[int, int]) -> None:
    found = document(text)
    assert found.root is not None

    assert found.spot(found.root.entries["a"], offset) == spot


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"a: \xff", "encoding"),
        (b"a: \x00", "syntax"),
        (b"a: \x07", "syntax"),
        (b"#" * (MAX_BYTES + 1), "too-large"),
        (b"a: 1\n---\nb: 2\n", "not-allowed"),
        (b"a: &x [1]\nb: *x\n", "not-allowed"),
        (b"a: !!python/object:os.system x\n", "not-allowed"),
        (b"{[a]: 1}", "not-allowed"),
        (b"[" * 50_000, "syntax"),
        (b"a: b: c", "syntax"),
        ("\ufeffa: 1\na: 2".encode(), "duplicate-key"),
    ],
)
def test_what_is_not_plain_yaml_is_refused(text: bytes, code: str) -> None:
    found = document(text)

    assert code in {p.code for p in found.problems}


def test_every_duplicate_key_is_reported_and_the_first_is_kept() -> None:
    found = document("a: 1\nb: {c: 1, c: 2}\na: 3\na: 4\n")

    assert [(p.line, p.column, p.path) for p in found.problems] == [(2, 11, "b.c"), (3, 1, "a"), (4, 1, "a")]
    assert found.root is not None
    assert found.root.data() == {"a": 1, "b": {"c": 1}}


def test_an_alias_bomb_does_not_grow() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]

    found = document("\n".join(lines))

    assert len(found.problems) == 9 + 8 * 9
