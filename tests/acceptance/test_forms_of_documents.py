"""Documents of every form on their whole way: taken, tried, previewed and traced."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import pyzipper

from tests.city.command import FIRM_HEADING, Hub, firm_row
from tests.city.configuration import agency_yaml
from tests.city.identities import firm

TITLES = FIRM_HEADING.split(",")


def rows(*numbers: int) -> list[list[str]]:
    return [firm_row(number).split(",") for number in numbers]


def csv(*numbers: int) -> bytes:
    return "".join(",".join(row) + "\n" for row in (TITLES, *rows(*numbers))).encode("gb18030")


def jsonl(*numbers: int) -> bytes:
    return "".join(json.dumps(dict(zip(TITLES, row, strict=True)), ensure_ascii=False) + "\n" for row in rows(*numbers)).encode()


def xlsx(*numbers: int) -> bytes:
    book, target = openpyxl.Workbook(), io.BytesIO()
    assert book.active is not None
    book.active.title = "红名单"
    for row in (["守合同重信用企业名单"], TITLES, *rows(*numbers)):
        book.active.append(row)
    book.save(target)
    return target.getvalue()


def xml(*numbers: int) -> bytes:
    records = "".join("<ROW>" + "".join(f"<{t}>{c}</{t}>" for t, c in zip(TITLES, row, strict=True)) + "</ROW>" for row in rows(*numbers))
    return f"<ROWS>{records}</ROWS>".encode()


def packed(password: str = "", **members: bytes) -> bytes:
    target = io.BytesIO()
    encryption = pyzipper.WZ_AES if password else None
    with pyzipper.AESZipFile(target, "w", compression=zipfile.ZIP_DEFLATED, encryption=encryption) as archive:
        archive.setpassword(password.encode() or None)
        for name, content in members.items():
            archive.writestr(name.replace("_", "."), content)
    return target.getvalue()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    monkeypatch.setenv("ZIP_PASSWORD", "geheim")
    return Hub(tmp_path, agency=agency_yaml().replace('files: "*.csv"', 'files: "*", archive: {password: "${env:ZIP_PASSWORD}"}', 1))


def steps(hub: Hub, name: str, row: int) -> list[str]:
    found = hub.ask("trace", name, "--row", str(row))
    return [step["what"] for record in found["records"] for step in record["steps"]]


def test_documents_of_every_form_are_stored_alike(hub: Hub) -> None:
    documents = {
        "a.csv": csv(1, 2),
        "b.jsonl": jsonl(3),
        "c.xlsx": xlsx(4, 5),
        "d.xml": xml(6),
        "e.json": b"[" + jsonl(7).strip() + b"]",
        "f.gz": gzip.compress(csv(8)),
    }
    documents["g.zip"] = packed("geheim", eins_csv=csv(9), zwei_xlsx=xlsx(10, 11))
    for name, content in documents.items():
        hub.drop("firms", name, content)

    done = hub.once()

    assert done.code == 0, done.err
    assert hub.counts() == {"read": 11, "inserted": 11}
    stored = hub.sql("ent", 'SELECT uscc, org_name, honor_name, decision_date FROM "a0001_f08_01"')
    assert sorted(stored) == sorted((firm(i), f"常熟市示例{i}有限公司", "守合同", "2025-03-05") for i in range(1, 12))


def test_trace_tells_how_a_document_was_read_and_where_in_it_a_row_stands(hub: Hub) -> None:
    hub.drop("firms", "a.csv", csv(1))
    hub.drop("firms", "g.zip", packed("geheim", eins_csv=csv(2, 3), zwei_xlsx=xlsx(4, 5)))
    assert hub.once().code == 0

    text, member = steps(hub, "a.csv", 1), steps(hub, "g.zip", 4)

    assert any("gb18030 (strict gb18030, no mark)" in said and "delimiter ','" in said and "4 of 4 headings known" in said for said in text)
    assert any("row 4 stands in zwei.xlsx, 红名单, row 2 of 2" in said for said in member), member


def test_a_wrong_password_refuses_the_file_and_says_what_to_do(hub: Hub) -> None:
    path = hub.drop("firms", "g.zip", packed("geheim", eins_csv=csv(1)))

    hub("run", "--once", ZIP_PASSWORD="falsch")

    pages = [page.read_text("utf-8") for page in path.parent.glob("refused/**/*") if page.is_file() and page.suffix != ".zip" and b"F011" in page.read_bytes()]
    assert pages
    assert "password" in pages[0]
    assert "falsch" not in pages[0]


def test_preview_shows_how_any_form_is_understood(hub: Hub, tmp_path: Path) -> None:
    for name, content, evidence in (
        ("a.xlsx", xlsx(1, 2), ("form", "excel")),
        ("a.zip", packed(a_csv=csv(1), b_csv=csv(2)), ("parts 2", "name b.csv, form csv")),
        ("a.xml", xml(1, 2), ("form", "xml")),
        ("a.json", jsonl(1, 2), ("encoding", "utf-8")),
    ):
        (tmp_path / name).write_bytes(content)

        stages = hub_stages(hub, tmp_path / name)

        raw = dict(stages[f"raw: {name}"]["rows"])
        assert evidence[1] in raw[evidence[0]], raw
        assert len(stages["checked: passed"]["rows"]) == 2


def hub_stages(hub: Hub, file: Path) -> dict[str, Any]:
    answer = hub("preview", "A0001.firms", str(file), "--format", "json")
    assert answer.code == 0, answer.out + answer.err
    stages: dict[str, Any] = answer.json["stages"]
    return stages


PULLED = """\
agency: {code: A0001, name: 工商局}

sources:
  api: {rest: {url: "http://127.0.0.1:9"}}
  firms: {folder: {path: in/firms}}

feeds:
  firms:
    item: A0001-F08-01
    read: {from: firms, files: "*"}
  pulled:
    item: A0001-F08-01
    read: {from: api, path: /firms, rows: data}
    when: {every: 1h}

tests:
  - {feed: firms, given: samples/firms.xlsx, expect: {passed: 2}}
  - {feed: firms, given: samples/firms.zip, expect: {passed: 3}}
  - {feed: firms, given: samples/page.html, expect: {rejected: {F001: 1}}}
  - {feed: pulled, given: samples/recorded.jsonl, expect: {passed: 2}}
"""


def test_tests_may_be_given_any_form_and_recordings_of_what_is_pulled(tmp_path: Path) -> None:
    hub = Hub(tmp_path, agency=PULLED)
    samples = {"firms.xlsx": xlsx(1, 2), "firms.zip": packed(a_csv=csv(1), b_xml=xml(2, 3)), "page.html": b"<html>login</html>", "recorded.jsonl": jsonl(1, 2)}
    for name, content in samples.items():
        (hub.config / "samples" / name).write_bytes(content)

    answer = hub_tests(hub)

    assert [(one["given"], one["differences"]) for one in answer] == [(f"samples/{name}", []) for name in samples]


def hub_tests(hub: Hub) -> list[dict[str, Any]]:
    from tests.city.command import command

    answer = command("test", "--config", str(hub.config), "--format", "json")
    found: list[dict[str, Any]] = answer.json
    return found
