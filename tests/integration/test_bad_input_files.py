"""What agencies really send: each bad file has a clear end, and nothing that was good is lost."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from connectors.folder import FolderRead
from connectors.formats.files import reason
from hub.contracts.batch import Batch
from hub.contracts.errors import Rejected, Unavailable
from hub.landing import Landing
from tests.contract.source_contract import document, rows_of, settle_all
from tests.integration.folder_bench import KEYS, FolderBench


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[FolderBench]:
    bench = FolderBench(tmp_path)
    yield bench
    await bench.source.close()


def names(batches: list[Batch]) -> list[str]:
    return [str(row[0]) for row in rows_of(batches)]


@pytest.mark.parametrize(
    ("content", "code", "place"),
    [
        (document(3) + "常熟,1\n".encode("gb18030"), "F002", "line 5"),
        (document(3) + b"a\0b,1\n", "F002", "NUL byte at byte"),
        (document(3) + "常,1".encode()[:2], "F002", "line 5"),
        (b"", "F005", "empty"),
        (document(0), "F005", "no data row"),
        (b"x,y\n1,2\n", "F006", "heading"),
        (",".join(f"c{i}" for i in range(5_000)).encode() + b"\n", "F006", "5000 columns"),
    ],
    ids=["wrong-encoding", "nul", "cut-character", "zero-byte", "heading-only", "unknown-heading", "5000-columns"],
)
async def test_a_file_that_cannot_be_read_is_refused_with_its_reason(bench: FolderBench, content: bytes, code: str, place: str) -> None:
    bench.drop("bad.csv", content)
    bench.drop("good.csv", document(2))

    batches = await bench.drain()

    assert len(rows_of(batches)) == 2
    assert bench.codes == [code]
    assert bench.lying("refused") == ["bad.csv", "bad.csv.reason.txt"]
    told = (bench.folder / "refused/bad.csv.reason.txt").read_text("utf-8")
    assert place in told
    assert "未被接收" in told
    assert (bench.folder / "refused/bad.csv").read_bytes() == content
    assert bench.lying("processing") == []


async def test_a_200_mb_line_is_refused_without_holding_it(bench: FolderBench) -> None:
    path = bench.drop("long.csv", document(2))
    with path.open("ab") as out:
        for _ in range(200):
            out.write(b"x" * (1 << 20))
    os.utime(path, (bench.now - 60, bench.now - 60))

    await bench.drain()

    assert bench.codes == ["F003"]
    assert "line 4 is longer than 8 MiB" in (bench.folder / "refused/long.csv.reason.txt").read_text("utf-8")


async def test_a_truncated_last_line_is_one_refused_row(bench: FolderBench) -> None:
    bench.drop("x.csv", document(3) + "乙,".encode() + b"0,1\n" + "丙".encode())

    batches = await bench.drain()

    assert sum(b.header.rows for b in batches) == 5
    assert [row[:2] for b in batches for row in b.refused.rows()] == [(3, "R100"), (4, "R100")]
    assert "breaks off" in batches[-1].refused["reason"][-1]


async def test_headings_in_another_order_with_brackets_and_full_width_letters(bench: FolderBench) -> None:
    bench.drop("x.csv", "备注, 统一社会信用代码 （必填）,【企业名称】,统一社会信用代码\nｎ,z,甲,1\n".encode())

    batches = await bench.drain()

    assert batches[0].frame.row(0)[2:] == ("ｎ", "z", "甲", "1")


async def test_the_same_file_under_two_names_is_read_once(bench: FolderBench) -> None:
    bench.drop("1.csv", document(3), age=70)
    bench.drop("2.csv", document(3), age=60)

    batches = await bench.drain()

    assert len(rows_of(batches)) == 3
    assert len(bench.lying("done")) == 2


async def test_the_same_name_with_new_content_is_a_new_arrival(bench: FolderBench) -> None:
    bench.drop("x.csv", document(3, "甲"))
    first = await bench.drain()
    bench.drop("x.csv", document(2, "乙"))

    second = await bench.drain()

    assert [b.header.arrival for b in (*first, *second)] == [1, 2]
    assert [Path(name).name for name in bench.lying("done")] == ["x.2.csv", "x.csv"]


async def test_a_file_still_growing_is_left_alone_until_it_rests(bench: FolderBench) -> None:
    path = bench.drop("x.csv", document(3), age=0)
    early = []
    for _ in range(3):
        await bench.source.next_ready()
        bench.now += 6
        with path.open("ab") as out:
            out.write("丁,1\n".encode())
        os.utime(path, (bench.now, bench.now))
        early += await settle_all(bench.source, bench.intake)

    waits = await bench.source.next_ready()
    bench.now += waits or 0
    batches = await settle_all(bench.source, bench.intake)

    assert early == []
    assert waits == 10
    assert names(batches) == ["甲0", "甲1", "甲2", "丁", "丁", "丁"]


async def test_a_file_that_changes_while_it_is_read_is_given_back(bench: FolderBench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.drop("x.csv", document(3))
    receive = bench.intake.receive

    async def receive_and_grow(name: str, content: Path | bytes, **known: object) -> object:
        arrival = await receive(name, content, **known)
        if isinstance(content, Path) and len(bench.intake.arrivals) == 1:
            with content.open("ab") as out:
                out.write("戊,9\n".encode())
        return arrival

    monkeypatch.setattr(bench.intake, "receive", receive_and_grow)
    first = await bench.drain()
    os.utime(bench.folder / "x.csv", (bench.now - 60, bench.now - 60))
    second = await bench.drain()

    assert first == []
    assert bench.codes == ["F009"]
    assert names(second) == ["甲0", "甲1", "甲2", "戊"]


async def test_what_is_no_regular_file_is_left_alone_and_named(bench: FolderBench, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_bytes(document(1, "密"))
    (bench.folder / "link.csv").symlink_to(secret)
    (bench.folder / "folder.csv").mkdir()
    os.mkfifo(bench.folder / "pipe.csv")
    os.link(secret, bench.folder / "hard.csv")
    bench.drop("good.csv", document(1))

    batches = await bench.drain()

    assert names(batches) == ["甲0"]
    assert set(bench.source.oddities) == {"link.csv", "folder.csv", "pipe.csv", "hard.csv"}
    assert bench.lying("refused") == []


@pytest.mark.parametrize(
    "name",
    [b"a\nb.csv", b"..csv.csv", b"--help.csv", b"\xb3\xa3\xca\xec.csv", "\u202egpj.csv".encode(), b"CON.csv", b"x" * 251 + b".csv", b"100%25.CSV"],
)
async def test_any_name_is_handled_safely(bench: FolderBench, name: bytes) -> None:
    bench.drop(name, document(2))

    batches = await bench.drain()

    hidden = name.startswith(b".")
    assert len(rows_of(batches)) == (0 if hidden else 2)
    if not hidden:
        shown = batches[0].header.origin.name
        assert shown.isprintable()
        assert [p for p in bench.lying("done") if not p.isprintable()] == []
        assert bench.lying("processing") == []


async def test_unfinished_names_and_other_peoples_files_are_ignored(bench: FolderBench) -> None:
    for name in ("x.csv.part", "x.csv.tmp", ".x.csv", "x.csv~", "x.csv.filepart", "x.csv.swp", "autorun.py", ".env"):
        bench.drop(name, document(1))

    batches = await bench.drain()

    assert batches == []
    assert len(bench.lying()) == 8


async def test_a_file_over_the_limit_is_refused_unread(tmp_path: Path) -> None:
    bench = FolderBench(tmp_path, {"max_size": 1000})
    path = bench.drop("huge.csv", document(1))
    os.truncate(path, 1 << 40)
    os.utime(path, (bench.now - 60, bench.now - 60))

    await bench.drain()
    await bench.source.close()

    assert bench.codes == ["F003"]
    assert bench.lying("refused") == ["huge.csv", "huge.csv.reason.txt"]


@pytest.mark.parametrize(
    ("change", "code"),
    [({}, None), ({"rows": 4}, "F009"), ({"bytes": 1}, "F009"), ({"sha256": "0" * 64}, "F009"), ({"md5": "0" * 32}, "F009"), ({"sm3": "0" * 64}, "F009")],
)
async def test_a_manifest_must_agree(tmp_path: Path, change: dict[str, object], code: str | None) -> None:
    bench, content = FolderBench(tmp_path, {"ready": {"manifest": ".json"}}), document(3)
    right = {"rows": 3, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(), "sm3": hashlib.new("sm3", content).hexdigest()}
    bench.drop("x.csv", content)
    before = await bench.drain()
    bench.drop("x.csv.json", json.dumps(right | change).encode())

    batches = await bench.drain()
    await bench.source.close()

    assert before == []
    assert len(rows_of(batches)) == (0 if code else 3)
    assert bench.codes == ([code] if code else [])
    assert len(bench.lying("refused" if code else "done")) == (3 if code else 2)


async def test_a_manifest_half_written_is_waited_for_and_then_refused(tmp_path: Path) -> None:
    bench = FolderBench(tmp_path, {"ready": {"manifest": ".json"}})
    bench.drop("x.csv", document(3))
    bench.drop("x.csv.json", b'{"rows": ', age=0)

    waits = await bench.source.next_ready()
    await bench.drain()
    await bench.source.close()

    assert waits is not None
    assert waits > 5
    assert bench.codes == ["F009"]


async def test_a_marker_before_the_data_and_data_before_the_marker(tmp_path: Path) -> None:
    bench = FolderBench(tmp_path, {"ready": {"marker": ".ok"}, "files": "out/cf_*.csv"})
    bench.drop("out/cf_1.ok", b"")
    bench.drop("out/cf_2.csv", document(1, "乙"))

    early = await bench.drain()
    bench.drop("out/cf_1.csv", document(1, "甲"))
    bench.drop("out/cf_2.csv.ok", b"")
    batches = await bench.drain()
    await bench.source.close()

    assert early == []
    assert names(batches) == ["乙0", "甲0"]  # oldest first
    assert len(bench.lying("done")) == 4


async def test_a_claim_that_died_before_its_rename_is_cleared_away(bench: FolderBench) -> None:
    bench.drop("x.csv", document(1))
    left = bench.folder / "processing/A0000.memory/dead-x.csv"
    left.mkdir(parents=True)
    (left / "claim.json").write_text("{}")

    batches = await bench.drain()

    assert names(batches) == ["甲0"]
    assert not left.exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(place)], check=False).returncode:
        pytest.skip("mounting a small file system needs root")
    yield place
    subprocess.run(["umount", str(place)], check=True)


async def test_a_full_disk_while_landing_loses_nothing(bench: FolderBench, small_disk: Path) -> None:
    content = document(200) + os.urandom(2 << 20).hex().encode() + b",1\n"
    bench.drop("x.csv", content)
    roomy, bench.intake.landing = bench.intake.landing, Landing(small_disk / "landing", KEYS)

    with pytest.raises(Unavailable, match="landing cannot take"):
        await bench.drain()
    left = list((small_disk / "landing").rglob("*.part"))
    bench.intake.landing = roomy
    bench.restarted(rows=500)
    batches = await bench.drain()

    assert left == []
    assert sum(b.header.rows for b in batches) == 201
    assert bench.lying("processing") == []


@pytest.mark.parametrize("pattern", ["/etc/*.csv", "../*.csv", "**/*.csv", ""])
def test_a_pattern_cannot_lead_out_of_the_folder(pattern: str) -> None:
    with pytest.raises(ValueError, match="below the folder"):
        FolderRead.model_validate({"files": pattern})


def test_a_refusal_is_told_in_both_languages_without_any_row() -> None:
    told = reason("x.csv", Rejected("not utf-8 at byte 7, line 2", hint="ask again", code="F002"))

    assert "代码：F002" in told
    assert "reason: not utf-8 at byte 7, line 2" in told
