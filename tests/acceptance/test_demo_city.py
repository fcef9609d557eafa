"""The demonstration with every kind of agency, and the example city with and without them."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.city.command import Answer, Hub, command
from tests.city.database_agencies import MARIA_PROGRAM
from tests.city.identities import firm
from tests.city.outside import agencies_outside
from tests.city.records import company
from tests.servers import requires

FILES_AND_CALLS = {"folder csv", "folder fixed", "folder json", "folder xlsx", "gateway", "rest", "sftp csv", "sftp xml", "sftp zip", "soap", "web"}
TERMS = ["read", "rejected", "filtered", "duplicate", "unmatched", "inserted", "updated", "unchanged", "superseded", "withdrawn", "in_flight"]
KINDS = FILES_AND_CALLS | {"mysql", "oracle"}


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Answer, Answer]:
    """A home in which the demonstration was given twice, and what it said: in JSON, and then to people."""
    requires(MARIA_PROGRAM, "several agencies of the example city keep their tables in Debian's mariadb-server")
    home = tmp_path_factory.mktemp("demo") / "home"
    return home, command("demo", "--home", str(home), "--format", "json"), command("demo", "--home", str(home))


def sql(home: Path, store: str, query: str) -> list[tuple[Any, ...]]:
    """Ask a store with plain sqlite3."""
    with closing(sqlite3.connect(home / "stores" / f"{store}.sqlite")) as connection:
        return connection.execute(query).fetchall()


@pytest.mark.xdist_group("demo-city")
class TestShown:
    def test_every_kind_of_source_was_at_work_and_every_record_is_accounted_for(self, shown: tuple[Path, Answer, Answer]) -> None:
        _, first, _ = shown

        assert first.code == 0, first.err
        assert first.json["left_out"] == {}
        assert {source["how"] for source in first.json["sources"]} == KINDS
        assert all(source["read"] > 0 for source in first.json["sources"])
        assert first.json["reconciliation"]["balanced"]
        assert first.json["reconciliation"]["differences"] == []
        assert sum(source["read"] for source in first.json["sources"]) == first.json["reconciliation"]["counts"]["read"]

    def test_what_changed_came_late_or_vanished_is_so_in_the_stores(self, shown: tuple[Path, Answer, Answer]) -> None:
        home, _, _ = shown

        assert sql(home, "ent", f"SELECT current_status FROM a0031_f03_01 WHERE uscc = '{firm(3003)}'") == [("2",)]
        assert sql(home, "psn", "SELECT count(*) FROM a0011_z05_01 WHERE sxid = 900303") == [(1,)]
        assert sql(home, "ent", "SELECT uscc FROM a0009_f02_01 WHERE status = 1") == [(firm(1440),)]
        assert sql(home, "ent", "SELECT uscc FROM a0001_f04_01 WHERE status = 1") == [(firm(4),)]

    def test_databases_were_read_in_each_way_and_what_changed_there_is_so_in_the_stores(self, shown: tuple[Path, Answer, Answer]) -> None:
        home, first, _ = shown
        read = {
            source["feed"]: (source["read"], source["stored"], source["rejected"]) for source in first.json["sources"] if source["how"] in ("mysql", "oracle")
        }

        licences = sql(
            home, "ent", "SELECT licence_no, state, status FROM a0003_f03_01 WHERE licence_no IN ('JY23205810007002', 'JY23205810007003') ORDER BY 1"
        )

        assert len(read) == 11
        assert licences == [("JY23205810007002", "注销", 0), ("JY23205810007003", "正常", 1)]
        assert sql(home, "ent", "SELECT count(*) FROM a0003_f03_01 WHERE licence_no = 'JY23205810007042'") == [(1,)], "it was committed late"
        assert sql(home, "ent", "SELECT unit_acct FROM a0006_f10_01 WHERE status = 1") == [("3205W07103",)]
        assert sql(home, "ent", f"SELECT org_name FROM a0006_f10_01 WHERE uscc = '{firm(7105)}'") == [(company(7105),)], (
            "its bytes are GBK in columns declared latin1"
        )
        assert sql(home, "gov", "SELECT count(*) FROM a0031_g04_01 WHERE finished_at IS NULL AND proj_id LIKE 'CSWX%'") == [(4,)], "zero dates are no dates"
        assert sql(home, "ent", f"SELECT reg_state, reg_capital FROM a0001_f01_01 WHERE uscc = '{firm(8003)}'") == [("4", 8003.123456)]
        assert sql(home, "ent", f"SELECT length(op_scope) > 2000 FROM a0001_f01_01 WHERE uscc = '{firm(8010)}'") == [(1,)]
        assert read["A0014.marriage"] == (31, 31, 0), "the query leaves out what does not count"
        assert read["A0001.change"] == (31, 31, 0)

    def test_the_status_columns_say_what_became_of_each_row(self, shown: tuple[Path, Answer, Answer]) -> None:
        _, first, second = shown

        assert first.json["marked"] == {"fgw.t_zdxm": {"1": 20, "2": 1}, "RSJ.AC02": {"1": 20, "2": 1}}
        assert any("t_zdxm 1: 20 2: 1" in line for line in first.json["story"])
        assert "t_zdxm 1: 20 2: 1" in second.out

    def test_it_says_that_oracle_is_emulated(self, shown: tuple[Path, Answer, Answer]) -> None:
        _, first, _ = shown

        assert any(line.startswith("oracle is emulated") for line in first.json["story"])

    def test_an_agency_submitted_by_rest_and_by_soap(self, shown: tuple[Path, Answer, Answer]) -> None:
        home, first, _ = shown

        submitted = next(source for source in first.json["sources"] if source["how"] == "gateway")

        assert (submitted["read"], submitted["stored"], submitted["rejected"]) == (18, 17, 1)
        assert sql(home, "ent", f"SELECT count(*) FROM a0017_f04_01 WHERE uscc = '{firm(1701)}'") == [(1,)]

    def test_a_second_time_reads_nothing_new_and_says_so(self, shown: tuple[Path, Answer, Answer]) -> None:
        _, _, second = shown

        assert second.code == 0, second.err
        assert "nothing new in them: 0 records were read" in second.out

    def test_secrets_lie_in_the_home_for_its_owner_only(self, shown: tuple[Path, Answer, Answer]) -> None:
        home, first, _ = shown

        secrets = list((home / "secrets").iterdir())

        assert len(secrets) >= 7
        assert all(path.stat().st_mode & 0o077 == 0 for path in secrets)
        assert not any(path.read_text("utf-8") in first.out for path in secrets)

    def test_nothing_stays_behind(self, shown: tuple[Path, Answer, Answer]) -> None:
        home, _, _ = shown

        lines = [path.read_bytes().split(b"\0") for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]

        assert not [line for line in lines if str(home).encode() in line]

    def test_live_connections_and_the_citys_own_tests_are_fine(self, shown: tuple[Path, Answer, Answer]) -> None:
        home, _, _ = shown
        with agencies_outside(home, "--free-ports"):
            config = str(home / "config")

            checked = command("check", "--config", config, "--home", str(home), "--format", "json")
            linted, tried = command("lint", "--config", config), command("test", "--config", config)

        assert checked.code == 0, checked.out
        assert {finding["feed"] for finding in checked.json if finding["layer"] == "authenticate"} >= {
            "A0031.licence-online",
            "A0011.judgment",
            "A0001.abnormal",
            "A0001.registration-online",
            "A0019.major-project",
        }
        assert (linted.code, tried.code) == (0, 0), linted.out + tried.out


class TestFaces:
    def test_it_ends_well_and_shows_a_reconciliation_that_balances(self, shown: tuple[Path, Answer, Answer]) -> None:
        _, first, second = shown

        assert (first.code, second.code) == (0, 0), first.err + second.err
        assert "balanced: every record is accounted for" in second.out
        assert re.search(r"read +│ \d+", second.out)

    def test_reconcile_prints_the_equation_and_nothing_else(self, shown: tuple[Path, Answer, Answer]) -> None:
        answer = command("reconcile", "--home", str(shown[0]), "--format", "json")

        proof = answer.json
        assert answer.code == 0
        assert list(proof) == ["balanced", "batches", "counts", "reentered", "differences"]
        assert list(proof["counts"]) == TERMS
        assert (proof["balanced"], proof["differences"], proof["counts"]["in_flight"]) == (True, [], 0)
        assert proof["counts"]["read"] == sum(proof["counts"][term] for term in TERMS[1:])

    def test_status_tells_of_feeds_shares_and_queues(self, shown: tuple[Path, Answer, Answer]) -> None:
        status = command("status", "--home", str(shown[0]), "--format", "json").json

        feed = next(f for f in status["feeds"] if f["feed"] == "A0030.penalty")
        share = next(s for s in status["shares"] if s["share"] == "A0030.penalties-to-court")
        assert feed.keys() >= {"feed", "item", "state", "last_run", "next"}
        assert (feed["item"], feed["state"], feed["last_run"]["state"]) == ("A0030-F06-01", "idle", "succeeded")
        assert list(feed["last_run"]["counts"]) == TERMS
        assert share.keys() >= {"share", "to", "state", "delivered", "withheld", "waiting", "dead"}
        assert share["delivered"] == 78
        assert {s["share"]: s["withheld"] for s in status["shares"]}["C0004.defaults-to-credit-office"] == {"no_consent": 30}
        assert all(q.keys() == {"queue", "ready", "unacked", "oldest_s"} for q in status["queues"])

    def test_quarantine_lists_place_rule_and_reason(self, shown: tuple[Path, Answer, Answer]) -> None:
        rows = command("quarantine", "list", "--feed", "A0030.penalty", "--home", str(shown[0]), "--format", "json").json

        assert {row["code"] for row in rows} == {"R111", "R105"}
        assert all(row.keys() >= {"id", "feed", "batch", "ordinal", "origin", "code", "field", "reason", "state"} for row in rows)
        assert all(row["origin"].startswith("cf_20260701.csv:") and row["state"] == "open" for row in rows)

    def test_trace_tells_the_whole_way_of_a_record(self, shown: tuple[Path, Answer, Answer]) -> None:
        by_number = command("trace", "常样罚字〔2026〕第1号", "--item", "A0030-F06-01", "--home", str(shown[0]), "--format", "json")
        by_place = command("trace", "cf_20260701.csv", "--row", "1", "--home", str(shown[0]), "--format", "json")
        nobody = command("trace", "没有这个文号", "--home", str(shown[0]))

        (record,) = by_number.json["records"]
        told = " / ".join(step["what"] for step in record["steps"])
        assert record["item"] == "A0030-F06-01"
        assert all(step.keys() == {"at", "what", "where"} for step in record["steps"])
        for part in ("cf_20260701.csv arrived", "row 1 was read", "passed its checks", "was inserted", "delivered to A0011"):
            assert part in told
        assert by_place.json["records"][0]["record_id"] == record["record_id"]
        assert nobody.code == 1

    def test_preview_shows_every_stage_and_no_citizen(self, shown: tuple[Path, Answer, Answer]) -> None:
        answer = command("preview", "A0030.penalty-person", "--home", str(shown[0]))

        assert answer.code == 0, answer.err
        for stage in ("raw:", "parsed", "mapped", "checked: passed", "in the store", "unchanged"):
            assert stage in answer.out
        assert "320581190101010014" not in answer.out
        assert "赵样甲" not in answer.out
        assert "320581********0014" in answer.out

    def test_the_configurations_own_tests_pass_and_the_doctor_is_content(self, shown: tuple[Path, Answer, Answer]) -> None:
        tests, doctor = command("test", "--format", "json"), command("doctor", "--home", str(shown[0]), "--format", "json")

        assert tests.code == 0, tests.out
        assert all(t["passed"] for t in tests.json)
        assert doctor.code == 0, doctor.out

    def test_the_example_city_has_items_as_tables_in_four_stores(self, shown: tuple[Path, Answer, Answer]) -> None:
        hub = Hub.__new__(Hub)
        hub.home = shown[0]

        assert hub.sql("ent", "SELECT count(*), count(uscc), count(decision_date) FROM a0030_f06_01") == [(78, 78, 78)]
        assert hub.sql("psn", "SELECT count(*), count(id_no_hash) FROM a0030_z06_01 WHERE feed = 'A0030.penalty-person'") == [(49, 49)]
        assert hub.sql("gov", "SELECT count(*) FROM a0031_g04_01") == [(49,)]
        assert hub.sql("fin", "SELECT count(*) FROM c0004_j07_01") == [(30,)]


def test_without_the_agencies_their_feeds_say_what_is_wrong_and_the_others_work(tmp_path: Path) -> None:
    folder = tmp_path / "agencies" / "A0010"
    folder.mkdir(parents=True)
    sample = Path(__file__).parents[2] / "config/changshu/samples/A0010/jtwf_202606.jsonl"
    (folder / sample.name).write_bytes(sample.read_bytes())

    answer = command("run", "--once", "--home", str(tmp_path))
    status = command("status", "--home", str(tmp_path), "--format", "json").json

    feeds = {feed["feed"]: feed for feed in status["feeds"]}
    assert answer.code == 1
    assert feeds["A0010.traffic"]["last_run"]["counts"]["inserted"] == 30
    assert re.search(r"127\.0\.0\.1:18782 could not be called.*is it up", answer.err + answer.out)
    assert re.search(r"court_api_key.*put the secret into a file", answer.err + answer.out)
    assert sql(tmp_path, "psn", "SELECT count(*) FROM a0010_z04_01") == [(30,)]


def test_what_needs_a_library_or_a_server_that_is_not_installed_is_left_out_and_named(tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    absent.mkdir()
    (absent / "sitecustomize.py").write_text('import sys\nsys.modules["paramiko"] = None\n', encoding="utf-8")
    (absent / "bin").mkdir()

    answer = command("demo", "--home", str(tmp_path / "home"), "--format", "json", PYTHONPATH=str(absent), PATH=str(absent / "bin"))

    assert answer.code == 0, answer.err
    assert answer.json["left_out"].keys() == {"sftp", "mysql"}
    assert "paramiko" in answer.json["left_out"]["sftp"]
    assert "maria" in answer.json["left_out"]["mysql"]
    assert {source["how"] for source in answer.json["sources"]} == {kind for kind in KINDS if not kind.startswith(("sftp", "mysql"))}
