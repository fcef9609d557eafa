"""What becomes of files and rows, seen through the command line and plain SQLite."""

from __future__ import annotations

import os
import time

import pytest

from tests.city.command import FIRM_HEADING, PERSON_HEADING, Hub, firm_row, person_row
from tests.city.configuration import agency_yaml
from tests.city.identities import citizen, firm

A, B = [firm_row(1), firm_row(2)], [firm_row(1), firm_row(2, "常熟市示例改名有限公司")]


def worked(hub: Hub) -> dict[str, int]:
    """Run once without trouble; the equation so far."""
    answer = hub.once()
    assert answer.code == 0, answer.err
    return hub.counts()


def test_a_then_b_then_a_again_are_three_arrivals_and_the_last_one_counts(hub: Hub) -> None:
    for number, rows in enumerate([A, B, A]):
        hub.drop("firms", f"day{number}.csv", rows)
        counts = worked(hub)

    assert counts == {"read": 6, "inserted": 2, "unchanged": 2, "updated": 2}
    assert hub.sql("ent", f"SELECT org_name, arrival FROM a0001_f08_01 WHERE uscc = '{firm(2)}'") == [("常熟市示例2有限公司", 3)]


def test_the_same_file_under_two_names_or_twice_is_an_event_with_nothing_read(hub: Hub) -> None:
    hub.drop("firms", "a.csv", A)
    hub.drop("firms", "copy-of-a.csv", A)
    first = worked(hub)
    hub.drop("firms", "a.csv", A)

    counts = worked(hub)
    events = hub.ask("events")

    assert first == counts == {"read": 2, "inserted": 2}
    assert [e["detail"]["read"] for e in events if e["what"] == "duplicate"] == [0, 0]
    assert len(list((hub.home / "in/firms/done").rglob("*.csv"))) == 3
    assert list((hub.home / "in/firms").glob("*.csv")) == []


def test_the_same_name_with_new_content_is_a_new_arrival(hub: Hub) -> None:
    hub.drop("firms", "a.csv", A)
    worked(hub)
    hub.drop("firms", "a.csv", B)

    counts = worked(hub)

    assert counts == {"read": 4, "inserted": 2, "unchanged": 1, "updated": 1}
    assert hub.ask("status")["feeds"][0]["last_run"]["arrival"] == 2


def test_the_same_rows_in_another_file_change_nothing_persons_included(hub: Hub) -> None:
    rows = [person_row(n) for n in range(1, 6)]
    hub.drop("persons", "a.csv", rows)
    worked(hub)
    before = hub.sql("psn", "SELECT record_id, id_no, updated_at FROM a0001_z06_01 ORDER BY record_id")
    hub.drop("persons", "b.csv", list(reversed(rows)))

    counts = worked(hub)

    assert counts == {"read": 10, "inserted": 5, "unchanged": 5}
    assert hub.sql("psn", "SELECT record_id, id_no, updated_at FROM a0001_z06_01 ORDER BY record_id") == before


def test_rows_may_be_withdrawn_by_flag_or_by_status_and_an_unknown_one_leaves_a_tombstone(hub: Hub) -> None:
    hub.drop("firms", "a.csv", [firm_row(n) for n in (1, 2, 3)])
    worked(hub)
    heading = FIRM_HEADING + ",操作标识,数据状态"
    hub.drop("firms", "b.csv", f"{heading}\n{firm_row(1)},D,0\n{firm_row(2)},U,1\n{firm_row(9)},D,0\n")

    counts = worked(hub)

    assert counts == {"read": 6, "inserted": 3, "withdrawn": 3}
    stored = dict(hub.sql("ent", "SELECT coalesce(uscc, ''), status FROM a0001_f08_01"))
    assert (stored[firm(1)], stored[firm(2)], stored[firm(3)]) == (1, 1, 0)
    assert len(stored) == 4  # the firm that was never there has left a tombstone


def test_an_older_source_time_is_superseded(hub: Hub) -> None:
    heading = FIRM_HEADING + ",源更新时间"
    hub.drop("firms", "new.csv", f"{heading}\n{firm_row(1, '新名')},2026-05-02 08:00:00\n")
    worked(hub)
    hub.drop("firms", "old.csv", f"{heading}\n{firm_row(1, '旧名')},2026-05-01 08:00:00\n")

    counts = worked(hub)

    assert counts == {"read": 2, "inserted": 1, "superseded": 1}
    assert hub.sql("ent", "SELECT org_name FROM a0001_f08_01") == [("新名",)]


def test_of_several_rows_of_a_key_in_one_file_the_last_is_applied(hub: Hub) -> None:
    hub.drop("firms", "a.csv", [firm_row(1, "甲"), firm_row(1, "乙"), firm_row(1, "乙"), firm_row(2)])

    counts = worked(hub)

    assert counts == {"read": 4, "inserted": 2, "duplicate": 1, "superseded": 1}
    assert hub.sql("ent", f"SELECT org_name FROM a0001_f08_01 WHERE uscc = '{firm(1)}'") == [("乙",)]


def test_valid_rows_without_a_strong_identifier_wait_unmatched(tmp_path_factory: pytest.TempPathFactory) -> None:
    place = tmp_path_factory.mktemp("h")
    hub = Hub(place)
    item = hub.config / "catalogue/A0001-F08-01.yaml"
    item.write_text(
        item.read_text().replace("length: 18, need: M, check: uscc", "length: 18, check: uscc").replace("uscc + honor_name", "org_name + honor_name")
    )
    hub.drop("firms", "a.csv", [firm_row(1), ",常熟市无码企业,守合同,2025-03-05"])

    counts = worked(hub)

    assert counts == {"read": 2, "inserted": 1, "unmatched": 1}


def test_a_file_of_another_item_is_refused_whole_with_a_page_that_says_why(hub: Hub) -> None:
    hub.drop("firms", "mistaken.csv", "姓名,电话\n甲,1\n")
    hub.drop("firms", "good.csv", A)

    answer = hub.once()

    refused = hub.home / "in/firms/refused"
    assert answer.code == 0, answer.err
    assert hub.counts() == {"read": 2, "inserted": 2}
    assert sorted(p.name for p in refused.iterdir()) == ["mistaken.csv", "mistaken.csv.ok", "mistaken.csv.reason.txt"]
    assert "F006" in (refused / "mistaken.csv.reason.txt").read_text()
    assert [(e["what"], e["detail"]["code"]) for e in hub.ask("events") if e["what"] == "refused"] == [("refused", "F006")]


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"", "F005"), (("常熟".encode("gb18030") + "常".encode()) * 3, "F002"), (f"{FIRM_HEADING}\na\0,b,c,d\n".encode(), "F002"), (b"\xff\xfe\xff", "F002")],
    ids=["empty", "two encodings", "NUL", "half a character"],
)
def test_a_file_that_cannot_be_read_is_refused_and_the_hub_goes_on(hub: Hub, content: bytes, code: str) -> None:
    hub.drop("firms", "bad.csv", content)
    hub.drop("firms", "good.csv", A)

    counts = worked(hub)

    assert counts == {"read": 2, "inserted": 2}
    told = (hub.home / "in/firms/refused/bad.csv.reason.txt").read_text()
    assert code in told or "F00" in told, told


def test_headings_in_another_order_with_brackets_spaces_and_wide_letters_are_understood(hub: Hub) -> None:
    row = f"2025-03-05,守合同,{firm(1)},ＡＢＣ公司"
    hub.drop("firms", "a.csv", f"【认定 日期】,荣誉名称*, 统一社会信用代码 ,企业（名称）\n{row}\n".encode("gb18030"))

    counts = worked(hub)

    assert counts == {"read": 1, "inserted": 1}
    assert hub.sql("ent", "SELECT uscc, honor_name, decision_date FROM a0001_f08_01") == [(firm(1), "守合同", "2025-03-05")]


def test_run_once_waits_out_a_quiet_period(hub: Hub) -> None:
    (hub.config / "agencies/A0001.yaml").write_text(agency_yaml(firms_ready="{quiet: 1500ms}"))
    path = hub.home / "in/firms/a.csv"
    path.parent.mkdir(parents=True)
    path.write_text("\n".join([FIRM_HEADING, *A, ""]))
    os.utime(path, (time.time(), time.time()))

    counts = worked(hub)

    assert counts == {"read": 2, "inserted": 2}


def test_the_hub_leaves_alone_what_is_no_file_of_the_agency(hub: Hub) -> None:
    folder = hub.home / "in/firms"
    (folder / "x.csv").mkdir(parents=True)
    (folder / "x.csv.ok").touch()
    (folder / "link.csv").symlink_to("/etc/passwd")
    (folder / "link.csv.ok").touch()
    hub.drop("firms", "line\nbreak.csv", A)

    counts = worked(hub)

    assert counts == {"read": 2, "inserted": 2}
    assert (folder / "x.csv").is_dir()
    assert (folder / "link.csv").is_symlink()


def test_every_identifier_of_the_catalogue_is_a_column_and_persons_numbers_are_sealed(hub: Hub) -> None:
    hub.drop("persons", "a.csv", f"{PERSON_HEADING}\n{person_row(1, fine='1234.5')}\n")
    worked(hub)

    (columns,) = [[name for _, name, *_ in hub.sql("psn", "PRAGMA table_info(a0001_z06_01)")]]
    ((name, sealed, digest, fine, day, status),) = hub.sql("psn", "SELECT name, id_no, id_no_hash, fine, decision_date, status FROM a0001_z06_01")

    own = {"name", "id_no", "id_no_hash", "doc_no", "fine", "decision_date"}
    hubs = {"record_id", "subject_id", "row_hash", "source_time", "arrival", "feed", "batch_id", "ordinal", "status", "first_seen", "updated_at"}
    assert own | hubs <= set(columns)
    assert (name, fine, day, status) == ("赵样甲", 1234.5, "2026-01-05", 0)
    assert citizen(1) not in sealed
    assert len(digest) == 32


def test_what_is_no_regular_file_is_left_alone_and_status_says_so(hub: Hub) -> None:
    folder = hub.home / "in/firms"
    folder.mkdir(parents=True)
    (folder / "x.csv").symlink_to("/etc/hostname")
    (folder / "x.csv.ok").touch()

    with hub.running():
        from tests.servers import wait_until

        wait_until(lambda: hub.ask("status")["feeds"][0]["passed_over"] != {}, 30, "the folder is looked at")
        told = hub("status").out.replace("\n", " ")

    assert "a symbolic link" in told
    assert (folder / "x.csv").is_symlink()
    assert hub.counts() == {}
