"""What waits for a person, what a person decides, and that no change of the books goes unnoticed."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.city.command import Hub, firm_row, person_row
from tests.city.configuration import agency_yaml
from tests.city.identities import citizen, firm

WRONG = "91320581MA0000A19X"


@pytest.fixture
def strict(hub: Hub) -> Hub:
    """Limits of 5 %, and a held file: one of two rows is wrong."""
    (hub.config / "agencies/A0001.yaml").write_text(agency_yaml(rejected="5%"))
    hub.drop("firms", "a.csv", [firm_row(1), firm_row(2, code=WRONG)])
    assert hub.once().code == 1
    return hub


def test_a_held_run_can_be_looked_at_and_released(strict: Hub) -> None:
    preview = strict("preview", "A0001.firms")
    unreasoned = strict("feed", "release", "A0001.firms")
    still = strict.once()
    released = strict("feed", "release", "A0001.firms", "--because", "电话核实")

    after = strict.once()

    assert "raw: a.csv" in preview.out
    assert "R111" in preview.out
    assert (unreasoned.code, "--because" in unreasoned.err) == (2, True)
    assert (still.code, released.code, after.code) == (1, 0, 0)
    assert strict.counts() == {"read": 2, "rejected": 1, "inserted": 1}
    assert ("release", "电话核实") in [(e["what"], e["detail"].get("because")) for e in strict.ask("events")]


def test_a_held_run_can_be_refused_and_its_file_says_why(strict: Hub) -> None:
    strict("feed", "refuse", "A0001.firms", "--because", "请重新报送")

    after = strict.once()

    refused = strict.home / "in/firms/refused"
    assert after.code == 0, after.err
    assert strict.counts() == {}
    assert "请重新报送" in (refused / "a.csv.reason.txt").read_text()
    assert strict("feed", "release", "A0001.firms", "--because", "x").code == 2


@pytest.mark.parametrize(("verb", "code", "state"), [("refuse", 0, "failed"), ("release", 0, "succeeded")])
def test_a_run_that_is_held_after_its_first_batches_can_still_be_decided(hub: Hub, verb: str, code: int, state: str) -> None:
    (hub.config / "agencies/A0001.yaml").write_text(agency_yaml(rejected="5%", shares=""))
    hub.drop("firms", "a.csv", [firm_row(n) for n in range(1, 50_001)] + [firm_row(n, code=WRONG) for n in range(3_000)] + ["1,2"])
    held = hub.once("--batch-rows", "25000")
    hub("feed", verb, "A0001.firms", "--because", "请重新报送")

    after = hub.once()

    (feed, _) = hub.ask("status")["feeds"]
    assert (held.code, after.code) == (1, code)
    assert (feed["state"], feed["last_run"]["state"]) == ("idle", state)
    assert hub.counts() == {"read": 53_001, "rejected": 3_001, "inserted": 50_000}


def test_limits_are_tested_before_anything_is_published(hub: Hub) -> None:
    (hub.config / "agencies/A0001.yaml").write_text(agency_yaml(rejected="5%"))
    good, bad = [firm_row(n) for n in range(1, 901)], [firm_row(n, code=WRONG) for n in range(100)]
    hub.drop("firms", "a.csv", good + bad)

    answer = hub.once("--batch-rows", "100")

    assert answer.code == 1
    assert "100 of 1000 rows were rejected (10.0%); the limit is 5%" in hub("status").out.replace("\n", " ")
    assert hub.sql("ent", "SELECT count(*) FROM a0001_f08_01") == [(0,)]


def test_a_corrected_row_comes_back_and_the_books_still_balance(hub: Hub) -> None:
    hub.drop("firms", "a.csv", [firm_row(1), firm_row(2, code=WRONG), firm_row(3, code=WRONG), firm_row(4, code=WRONG)])
    hub.drop("firms", "b.csv", [firm_row(n) for n in range(10, 14)])
    assert hub.once().code == 1  # 3 of 4 are more than half
    hub("feed", "release", "A0001.firms", "--because", "核实")
    hub.once()
    ids = {row["ordinal"]: str(row["id"]) for row in hub.ask("quarantine", "list")}

    shown = hub("quarantine", "show", ids[1])
    hasty = hub("quarantine", "retry", ids[1])
    mistaken = hub("quarantine", "retry", ids[1], "--set", f"信用代码={firm(2)}", "--because", "x")
    retried = hub("quarantine", "retry", ids[1], "--set", f"统一社会信用代码={firm(2)}", "--because", "电话核实")
    unasked = hub("quarantine", "ignore", ids[2])
    ignored = hub("quarantine", "ignore", ids[2], "--because", "重复")
    hub.once()

    proof = hub.ask("reconcile")
    assert "常熟市示例2有限公司" in shown.out
    assert [a.code for a in (hasty, mistaken, retried, unasked, ignored)] == [2, 2, 0, 2, 0]
    assert "统一社会信用代码" in mistaken.err  # the headings that there are
    assert (proof["balanced"], proof["reentered"], proof["counts"]["read"], proof["counts"]["rejected"]) == (True, 1, 9, 3)
    assert {row["ordinal"]: row["state"] for row in hub.ask("quarantine", "list")} == {1: "reentered", 2: "ignored", 3: "open"}
    assert hub.sql("ent", f"SELECT org_name FROM a0001_f08_01 WHERE uscc = '{firm(2)}'") == [("常熟市示例2有限公司",)]
    assert hub.sql("ent", "SELECT count(*) FROM a0001_f08_01") == [(6,)]


def test_a_row_that_is_still_wrong_is_set_aside_again(hub: Hub) -> None:
    hub.drop("persons", "a.csv", [person_row(1), person_row(2), person_row(3, code=citizen(3)[:-1] + "?")])
    hub.once()
    (row,) = hub.ask("quarantine", "list")

    retried = hub("quarantine", "retry", str(row["id"]), "--because", "再试")
    hub.once()

    proof = hub.ask("reconcile")
    assert retried.code == 0, retried.err
    assert (proof["balanced"], proof["counts"]["read"], proof["counts"]["rejected"]) == (True, 4, 2)
    assert sorted(row["state"] for row in hub.ask("quarantine", "list")) == ["open", "reentered"]


def test_a_paused_feed_reads_nothing_until_it_is_resumed(hub: Hub) -> None:
    paused = hub("feed", "pause", "A0001.firms", "--because", "系统升级")
    hub.drop("firms", "a.csv", [firm_row(1)])
    meanwhile = hub.once()
    before = hub.counts()
    hub("feed", "resume", "A0001.firms", "--because", "完成")

    after = hub.once()

    assert (paused.code, meanwhile.code, after.code) == (0, 0, 0)
    assert before == {}
    assert hub.counts() == {"read": 1, "inserted": 1}


def test_references_of_a_share_cannot_be_purged(hub: Hub) -> None:
    refused = hub("queue", "purge", "share.A0001.firms-to-court", "--because", "x")

    assert refused.code == 2
    assert "share pause A0001.firms-to-court" in refused.err


def test_a_purged_intake_queue_is_sent_again_from_landing(hub: Hub) -> None:
    hub.drop("firms", "a.csv", [firm_row(n) for n in range(1, 300)])
    hub.once("--batch-rows", "100")
    with hub.running("--batch-rows", "100"), contextlib.closing(sqlite3.connect(hub.home / "stores/ent.sqlite")) as other:
        other.execute("BEGIN EXCLUSIVE")
        hub.drop("firms", "b.csv", [firm_row(n) for n in range(301, 900)])
        waiting = _until_waiting(hub, 4)
        purged = hub("queue", "purge", "intake.A0001-F08-01", "--because", "演练")
        other.rollback()

    lost = hub("reconcile")
    repaired = hub.ask("reconcile", "--repair")

    assert waiting >= 4
    assert purged.code == 0
    assert lost.code == 1
    assert repaired["balanced"], repaired
    assert repaired["counts"]["inserted"] == 299 + 599


def _until_waiting(hub: Hub, ready: int) -> int:
    from tests.servers import wait_until

    def depth() -> int:
        return int(next(q["ready"] for q in hub.ask("queue", "list") if q["queue"] == "intake.A0001-F08-01"))

    wait_until(lambda: depth() >= ready, 40, "batches wait in the queue")
    return depth()


def _delete_row(hub: Hub) -> None:
    hub.sql("ent", f"DELETE FROM a0001_f08_01 WHERE uscc = '{firm(1)}'")


def _add_row(hub: Hub) -> None:
    hub.sql("ent", "UPDATE a0001_f08_01 SET record_id = record_id")  # the table can be written
    columns = [c[1] for c in hub.sql("ent", "PRAGMA table_info(a0001_f08_01)") if c[1] not in ("record_id", "ordinal")]
    hub.sql(
        "ent", f"INSERT INTO a0001_f08_01 (record_id, ordinal, {', '.join(columns)}) SELECT '{'f' * 32}', 77, {', '.join(columns)} FROM a0001_f08_01 LIMIT 1"
    )


def _flip_landed(hub: Hub) -> None:
    landed = max((p for p in (hub.home / "landing").rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    content = bytearray(landed.read_bytes())
    content[len(content) // 2] ^= 1
    landed.chmod(0o600)
    landed.write_bytes(content)


def _lose_landed(hub: Hub) -> None:
    next(p for p in (hub.home / "landing").rglob("*") if p.is_file()).unlink()


def _forget_quarantined(hub: Hub) -> None:
    with contextlib.closing(sqlite3.connect(hub.home / "hub.sqlite")) as connection, connection:
        connection.execute("DELETE FROM quarantine")


def _forget_inbox(hub: Hub) -> None:
    hub.sql("ent", "DELETE FROM inbox")


TAMPERED: dict[str, Callable[[Hub], None]] = {
    "lost": _delete_row,
    "ghost": _add_row,
    "landing": _flip_landed,
    "quarantine": _forget_quarantined,
    "inbox": _forget_inbox,
}


def test_reconcile_names_whatever_somebody_changed_behind_its_back(hub: Hub, tmp_path: Path) -> None:
    import shutil

    hub.drop("firms", "a.csv", [firm_row(1), firm_row(2), firm_row(3, code=WRONG)])
    hub.once()
    assert hub.counts() == {"read": 3, "rejected": 1, "inserted": 2}
    shutil.copytree(hub.home, tmp_path / "kept", symlinks=True)

    for what, tamper in (*TAMPERED.items(), ("landing", _lose_landed)):
        shutil.rmtree(hub.home)
        shutil.copytree(tmp_path / "kept", hub.home, symlinks=True)
        tamper(hub)
        answer = hub("reconcile", "--format", "json")
        assert answer.code == 1, (what, answer.out)
        assert what in {odd["what"] for odd in answer.json["differences"]}, (what, answer.out)
        assert all(odd["cause"] for odd in answer.json["differences"])
