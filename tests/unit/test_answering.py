"""The documents of an answer, and how they come to lie where nothing else is."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connectors.folder.beside import Beside
from connectors.formats.answering import RAW_TITLE, leave, receipt, wish
from hub.contracts.answer import Answer, Returned
from hub.contracts.errors import Misconfigured, Unavailable
from tests.unit.test_workbook import cells

COUNTS = {"read": 5, "rejected": 3, "filtered": 1, "inserted": 1}


def rows() -> Iterator[Returned]:
    yield Returned(2, 3, "R111", "校验码不符", {"代码": "=1+1", "名称": "甲"})
    yield Returned(4, None, "R100", "列数与标题不符", {"": "x|y|z"})


ANSWER = Answer(
    key="0123456789abcdef" * 2,
    batch="A0030-F06-01-20261101-0003",
    item="A0030-F06-01",
    item_name="行政处罚",
    file="out/cf.csv",
    digest="ab" * 32,
    size=99,
    state="succeeded",
    received_at="2026-11-01T02:00:00+08:00",
    closed_at="2026-11-01T02:00:09+08:00",
    counts=COUNTS,
    errors={"R100": 1, "R111": 2},
    returned=2,
    rows=rows,
)


def found(place: Path) -> list[str]:
    return sorted(str(path.relative_to(place)) for path in place.rglob("*") if not path.is_dir())


def test_rows_come_back_in_the_order_of_the_file_and_what_was_no_row_as_it_stood(tmp_path: Path) -> None:
    leave(ANSWER, Beside(tmp_path))

    assert found(tmp_path) == ["ack/cf.csv.ack.json", "err/cf-错误数据表.xlsx"]
    assert cells((tmp_path / "err/cf-错误数据表.xlsx").read_bytes()) == [
        ["原行号", "代码", "名称", RAW_TITLE, "错误代码", "错误原因"],
        ["3", "'=1+1", "甲", None, "R111", "校验码不符"],
        ["4", None, None, "x|y|z", "R100", "列数与标题不符"],
    ]


def test_a_receipt_says_how_many_rows_the_workbook_leaves_out() -> None:
    told = json.loads(receipt(ANSWER, "cf-错误数据表.xlsx"))

    assert told["returned"] == {"file": "err/cf-错误数据表.xlsx", "rows": 2, "of": 3}
    assert "前 2 条" in told["message"]["zh"]
    assert "The first 2 are in err/" in told["message"]["en"]
    assert (told["total"], told["success"], told["fail"]) == (5, 1, 3)


def test_the_same_answer_again_changes_nothing_and_another_one_gets_a_number(tmp_path: Path) -> None:
    leave(ANSWER, Beside(tmp_path))
    stamps = {name: (tmp_path / name).stat().st_mtime_ns for name in found(tmp_path)}

    leave(ANSWER, Beside(tmp_path))
    leave(replace(ANSWER, batch="A0030-F06-01-20261102-0004"), Beside(tmp_path))

    assert found(tmp_path) == ["ack/cf.csv.2.ack.json", "ack/cf.csv.ack.json", "err/cf-错误数据表.xlsx"]  # equal rows need no second workbook
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in stamps} == stamps


@pytest.mark.parametrize("name", [".hidden.csv", "x" * 250 + ".csv", "处罚" * 60 + ".csv", "a/b/.csv"])
def test_any_name_makes_one_that_a_disk_can_hold(tmp_path: Path, name: str) -> None:
    leave(replace(ANSWER, file=name), Beside(tmp_path))

    assert len(found(tmp_path)) == 2
    assert all(not Path(one).name.startswith(".") for one in found(tmp_path))


def test_nothing_is_written_through_a_link_that_the_agency_laid(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    root = tmp_path / "in"
    (root / "ack").mkdir(parents=True)
    (root / "err").symlink_to(elsewhere)

    with pytest.raises(Misconfigured, match="err"):
        leave(ANSWER, Beside(root))

    assert list(elsewhere.iterdir()) == []


def test_a_link_under_the_name_of_a_receipt_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("own")
    (tmp_path / "ack").mkdir()
    (tmp_path / "ack/cf.csv.ack.json").symlink_to(target)

    leave(replace(ANSWER, returned=0), Beside(tmp_path))

    assert target.read_text() == "own"
    assert json.loads((tmp_path / "ack/cf.csv.2.ack.json").read_text("utf-8"))["batch"] == ANSWER.batch


def test_what_takes_the_name_at_the_last_moment_is_not_overwritten(tmp_path: Path) -> None:
    shelf = Beside(tmp_path)
    (tmp_path / "ack").mkdir()
    (tmp_path / "ack/x").write_text("another's")

    with pytest.raises(Unavailable):
        shelf.put("ack", "x", b"ours")

    assert found(tmp_path) == ["ack/x"]
    assert (tmp_path / "ack/x").read_text() == "another's"


def test_a_volume_without_second_names_gets_its_documents_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*names: Any, **places: Any) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)

    leave(ANSWER, Beside(tmp_path))

    assert found(tmp_path) == ["ack/cf.csv.ack.json", "err/cf-错误数据表.xlsx"]


def test_a_folder_that_is_gone_is_waited_for(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        leave(ANSWER, Beside(tmp_path / "not mounted"))


def test_the_setting_says_for_which_files() -> None:
    fine = replace(ANSWER, counts={"read": 1, "inserted": 1}, errors={}, returned=0)

    assert [wish(setting) for setting in (True, False, "errors")] == ["all", "none", "errors"]
    assert [(fine.wanted(one), ANSWER.wanted(one), replace(fine, state="failed").wanted(one)) for one in ("all", "errors", "none")] == [
        (True, True, True),
        (False, True, True),
        (False, False, False),
    ]
