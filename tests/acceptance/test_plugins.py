"""A package beside the hub brings a source and a function, and the hub takes them as its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.city.command import ROOT, Hub, command
from tests.city.configuration import agency_yaml
from tests.city.identities import firm

FEED = """
  sections:
    item: A0001-F08-01
    read: {from: ini, sections: firm}
    when: {every: 1h}
    map:
      honor_name: 荣誉 | before("（")
"""


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example package, installed as its page says, in a place of its own."""
    place = tmp_path_factory.mktemp("packages")
    source = place / "source"
    subprocess.run(["cp", "-r", str(ROOT / "docs/plugins/example"), str(source)], check=True, timeout=30)
    words = ["install", "--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--target", str(place / "lib"), str(source)]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True, timeout=120)
    return place / "lib"


def test_a_source_and_a_function_of_a_package_work_like_the_hubs_own(tmp_path: Path, packages: Path) -> None:
    agency = (
        agency_yaml()
        .replace("sources:\n", "sources:\n  ini: {ini: {path: honours.ini}}\n", 1)
        .replace("\n  persons:\n    item", FEED + "  persons:\n    item", 1)
    )
    hub = Hub(tmp_path, agency=agency)
    hub.home.mkdir()
    cells = "\n".join(
        f"[firm {n}]\n统一社会信用代码 = {firm(n)}\n企业名称 = 常熟市示例{n}有限公司\n荣誉 = 守合同（市级）\n认定日期 = 2026-03-05" for n in (1, 2)
    )
    (hub.home / "honours.ini").write_text(cells + "\n[note]\n荣誉 = 不是记录\n", encoding="utf-8")

    answer = hub("run", "--once", PYTHONPATH=str(packages))

    assert answer.code == 0, answer.err
    assert hub.sql("ent", "SELECT uscc, honor_name FROM a0001_f08_01 ORDER BY 1") == sorted((firm(n), "守合同") for n in (1, 2))
    assert '"ini"' in command("schema", PYTHONPATH=str(packages)).out
    assert "before" in command("functions", "before", PYTHONPATH=str(packages)).out


def test_a_pull_that_was_refused_is_read_after_all_once_the_map_is_right(tmp_path: Path, packages: Path) -> None:
    agency = (
        agency_yaml()
        .replace("sources:\n", "sources:\n  ini: {ini: {path: honours.ini}}\n", 1)
        .replace("\n  persons:\n    item", FEED + "  persons:\n    item", 1)
    )
    hub = Hub(tmp_path, agency=agency)
    hub.home.mkdir()
    cells = "\n".join(f"[firm {n}]\nTYSHXYDM = {firm(n)}\nQYMC = 常熟市示例{n}有限公司\n荣誉 = 守合同（市级）" for n in (1, 2))
    (hub.home / "honours.ini").write_text(cells, encoding="utf-8")
    refused = hub("run", "--once", PYTHONPATH=str(packages))
    (hub.home / "honours.ini").unlink()  # the other side has it no more; landing has
    (hub.config / "agencies/A0001.yaml").write_text(
        agency.replace("      honor_name: 荣誉", "      uscc: TYSHXYDM\n      org_name: QYMC\n      honor_name: 荣誉"), encoding="utf-8"
    )

    answer = hub("feed", "replay", "A0001.sections", "--arrival", "1", "--because", "已补映射", PYTHONPATH=str(packages))
    hub("run", "--once", PYTHONPATH=str(packages))

    assert refused.code in (0, 1)
    assert answer.code == 0, answer.err
    assert hub.sql("ent", "SELECT count(*) FROM a0001_f08_01") == [(2,)]


def test_without_the_package_its_words_are_unknown(tmp_path: Path) -> None:
    agency = agency_yaml().replace("sources:\n", "sources:\n  ini: {ini: {path: honours.ini}}\n", 1)
    hub = Hub(tmp_path, agency=agency)

    answer = command("lint", "--config", str(hub.config))

    assert answer.code == 1
    assert "there is no connector ini" in answer.out + answer.err


def test_a_package_that_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    place = tmp_path / "lib"
    info = place / "broken_part-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-part\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[credit_hub.sources]\nbroken = broken_part:KIND\n")
    (place / "broken_part.py").write_text("raise RuntimeError('no licence')\n")

    answer = command("lint", PYTHONPATH=str(place))

    assert answer.code == 2
    assert "broken-part 1.0" in answer.err
    assert "remove the package" in answer.err
