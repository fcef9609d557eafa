"""A parcel in a folder: one data file, then a manifest that says it is complete."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from connectors.folder import FolderOutlet, FolderOutletConfig
from hub.contracts.errors import Misconfigured, Rejected
from hub.contracts.share import Parcel


def parcel(name: str = "常熟市某某公司", delivery: str = "d" * 32) -> Parcel:
    records = pl.DataFrame({"xdr_name": [name, None], "record_id": ["a" * 32, "b" * 32], "op": ["upsert", "withdraw"], "version": [3, 4]})
    return Parcel(delivery, "A0030.penalties-to-court", "A0011", "A0030-F06-01", "行政处罚", 7, records, "常信办〔2024〕17号", datetime(2026, 11, 1))


@pytest.fixture
async def outlet(tmp_path: Path) -> AsyncIterator[FolderOutlet]:
    outlet = FolderOutlet(FolderOutletConfig(path=Path("out")), tmp_path)
    yield outlet
    await outlet.close()


async def test_file_and_manifest_agree(outlet: FolderOutlet, tmp_path: Path) -> None:
    evidence = await outlet.hand_over(parcel())

    name = f"A0030.penalties-to-court_000007_{'d' * 32}.csv"
    content = (tmp_path / "out" / name).read_bytes()
    told = json.loads((tmp_path / "out" / f"{name}.json").read_text("utf-8"))
    assert content.decode().split("\r\n")[:2] == ["record_id,op,version,xdr_name", f"{'a' * 32},upsert,3,常熟市某某公司"]
    assert evidence == {"file": name, "rows": 2, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    assert told["sha256"] == evidence["sha256"]
    assert told["basis"] == "常信办〔2024〕17号"
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [name, f"{name}.json"]


async def test_the_same_delivery_twice_is_one_file(outlet: FolderOutlet, tmp_path: Path) -> None:
    first = await outlet.hand_over(parcel())

    second = await outlet.hand_over(parcel())

    assert first == second
    assert len(list((tmp_path / "out").iterdir())) == 2


@pytest.mark.parametrize(("encoding", "held"), [("gb18030", True), ("gbk", False)])
async def test_a_character_that_the_encoding_lacks_is_refused_not_replaced(tmp_path: Path, encoding: str, held: bool) -> None:
    outlet = FolderOutlet(FolderOutletConfig.model_validate({"path": "out", "encoding": encoding}), tmp_path)

    if held:
        evidence = await outlet.hand_over(parcel("𠮷野家"))
        assert "𠮷野家" in (tmp_path / "out" / evidence["file"]).read_bytes().decode("gb18030")
    else:
        with pytest.raises(Rejected, match="does not exist in gbk"):
            await outlet.hand_over(parcel("𠮷野家"))
        assert not (tmp_path / "out").exists()
    await outlet.close()


async def test_json_lines(tmp_path: Path) -> None:
    outlet = FolderOutlet(FolderOutletConfig(path=Path("out"), format="jsonl"), tmp_path)

    evidence = await outlet.hand_over(parcel())
    await outlet.close()

    lines = (tmp_path / "out" / evidence["file"]).read_text("utf-8").splitlines()
    assert [json.loads(line)["op"] for line in lines] == ["upsert", "withdraw"]


async def test_a_file_in_the_folders_place_is_misconfigured(outlet: FolderOutlet, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("no folder")

    with pytest.raises(Misconfigured):
        await outlet.hand_over(parcel())
