"""Whole deliveries: what an agency no longer names is withdrawn, and nothing else is."""

from __future__ import annotations

from tests.city.command import Hub, firm_row
from tests.city.configuration import agency_yaml
from tests.city.identities import firm

ROWS = [firm_row(n) for n in range(1, 11)]
WRONG = firm(10)[:-1] + ("0" if firm(10)[-1] != "0" else "1")


def whole(hub: Hub, *, snapshot: str = "true", shrink: str = "30%", more: str = "") -> None:
    """The firms' feed sends everything each time."""
    text = agency_yaml().replace("    limits: {rejected: 50%}\n", f"    limits: {{rejected: 50%, shrink: {shrink}}}\n    snapshot: {snapshot}\n", 1)
    (hub.config / "agencies/A0001.yaml").write_text(text.replace("\n  persons:\n    item", more + "\n  persons:\n    item", 1))


def sent(hub: Hub, name: str, rows: list[str], *words: str) -> int:
    """Send a file and let the hub work; its exit code."""
    hub.drop("firms", name, rows)
    return hub.once(*words).code


def live(hub: Hub) -> list[int]:
    """Numbers of the firms whose record is not withdrawn."""
    found = {code for (code,) in hub.sql("ent", "SELECT uscc FROM a0001_f08_01 WHERE status = 0")}
    return [n for n in range(1, 31) if firm(n) in found]


def test_a_record_that_is_no_longer_named_is_withdrawn_and_comes_back_when_it_is_named_again(hub: Hub) -> None:
    whole(hub)
    codes = [sent(hub, "1.csv", ROWS), sent(hub, "2.csv", ROWS[:4] + ROWS[6:])]
    without = live(hub)

    codes.append(sent(hub, "3.csv", ROWS))

    assert codes == [0, 0, 0]
    assert without == [1, 2, 3, 4, 7, 8, 9, 10]
    assert live(hub) == list(range(1, 11))
    assert hub.counts() == {"read": 30, "inserted": 10, "unchanged": 16, "updated": 2, "withdrawn": 2}


def test_receivers_hear_of_what_is_gone(hub: Hub) -> None:
    whole(hub)
    sent(hub, "1.csv", ROWS)

    sent(hub, "2.csv", ROWS[1:])

    told = [text for path in sorted((hub.home / "out/court").rglob("*.csv")) for text in path.read_text("utf-8-sig").splitlines()]
    assert sum("D" in line.split(",") or ",withdraw" in line or line.startswith("withdraw") for line in told) == 1, told


def test_more_than_the_limit_gone_holds_the_run_and_withdraws_nothing_until_a_person_decides(hub: Hub) -> None:
    whole(hub)
    sent(hub, "1.csv", ROWS)
    held = sent(hub, "2.csv", [*ROWS[:5], firm_row(11)])
    state, meanwhile = hub("status").out.replace("\n", " "), live(hub)

    hub("feed", "release", "A0001.firms", "--because", "与工商局核实")
    released = hub.once().code

    assert held == 1
    assert "5 of 10 records are missing from this snapshot (50.0%); the limit is 30%" in state
    assert meanwhile == list(range(1, 12))
    assert (released, live(hub)) == (0, [1, 2, 3, 4, 5, 11])
    assert hub.counts() == {"read": 21, "inserted": 11, "unchanged": 5, "withdrawn": 5}


def test_a_refused_snapshot_withdraws_nothing_and_the_next_one_is_held_against_the_last_whole_one(hub: Hub) -> None:
    whole(hub)
    sent(hub, "1.csv", ROWS)
    sent(hub, "2.csv", ROWS[:5])
    hub("feed", "refuse", "A0001.firms", "--because", "文件不全")
    hub.once()
    after = live(hub)

    code = sent(hub, "3.csv", ROWS[:9])

    assert after == list(range(1, 11))
    assert (code, live(hub)) == (0, list(range(1, 10)))


def test_a_rejected_row_is_not_a_gone_row(hub: Hub) -> None:
    whole(hub)
    sent(hub, "1.csv", ROWS)

    code = sent(hub, "2.csv", [*ROWS[:9], firm_row(10, day="2025-13-45")])

    assert code == 0
    assert live(hub) == list(range(1, 11))
    assert hub.counts() == {"read": 20, "inserted": 10, "unchanged": 9, "rejected": 1}


def test_a_row_without_a_readable_key_suspends_withdrawals_until_a_snapshot_is_clean(hub: Hub) -> None:
    whole(hub)
    sent(hub, "1.csv", ROWS)
    unclear = sent(hub, "2.csv", [*ROWS[:8], firm_row(9, honor=" ").replace("守合同", "")])
    meanwhile, events = live(hub), [e["what"] for e in hub.ask("events")]

    clean = sent(hub, "3.csv", ROWS[:9])

    assert (unclear, clean) == (0, 0)
    assert meanwhile == list(range(1, 11))
    assert "withdrawals_suspended" in events
    assert live(hub) == list(range(1, 10))


def test_a_file_without_rows_deletes_nothing(hub: Hub) -> None:
    whole(hub)
    sent(hub, "1.csv", ROWS)

    sent(hub, "2.csv", [])
    sent(hub, "3.csv", ROWS)

    assert live(hub) == list(range(1, 11))
    assert hub.counts()["inserted"] == 10
    assert "withdrawn" not in hub.counts()


def test_one_feed_never_withdraws_what_another_wrote_last(hub: Hub) -> None:
    second = '\n  other:\n    item: A0001-F08-01\n    read: {from: others, files: "*.csv", ready: {marker: .ok}}\n'
    whole(hub, more=second)
    agency = hub.config / "agencies/A0001.yaml"
    agency.write_text(agency.read_text().replace("sources:\n", "sources:\n  others: {folder: {path: in/others}}\n", 1))
    sent(hub, "1.csv", ROWS)
    hub.drop("others", "1.csv", "统一社会信用代码,企业名称,荣誉名称,认定日期\n" + firm_row(2, "常熟市示例改名有限公司") + "\n")
    hub.once()

    code = sent(hub, "2.csv", ROWS[2:])

    assert code == 0
    assert live(hub) == list(range(2, 11))
    assert hub.counts() == {"read": 21, "inserted": 10, "updated": 1, "unchanged": 8, "withdrawn": 1, "superseded": 1}


def test_a_record_may_be_missing_for_some_deliveries_before_it_is_withdrawn(hub: Hub) -> None:
    whole(hub, snapshot="{after: 3}")
    sent(hub, "1.csv", ROWS)
    seen = []

    for number in range(2, 5):  # the very same content counts each time, for as long as something is missing
        sent(hub, f"{number}.csv", ROWS[1:])
        seen.append(live(hub)[0])

    assert seen == [1, 1, 2]
    assert hub.counts()["withdrawn"] == 1


def test_many_batches_recognised_and_cut_otherwise_are_one_snapshot(hub: Hub) -> None:
    whole(hub)
    rows = [firm_row(n) for n in range(1, 800)]
    sent(hub, "1.csv", rows, "--batch-rows", "100")
    sent(hub, "2.csv", [*rows[:798], firm_row(900)], "--batch-rows", "100")

    code = sent(hub, "3.csv", rows[:600] + rows[750:798], "--batch-rows", "130")

    assert code == 0
    counts = hub.counts()
    assert (counts["inserted"], counts["withdrawn"]) == (800, 1 + 151)
    assert hub.sql("ent", "SELECT count(*) FROM a0001_f08_01 WHERE status = 0") == [(648,)]


def test_dying_at_any_step_of_the_closing_batches_withdraws_each_record_once(hub: Hub) -> None:
    whole(hub, shrink="90%")
    rows = [firm_row(n) for n in range(1, 252)]
    sent(hub, "1.csv", rows)
    hub.drop("firms", "2.csv", rows[:101])

    for step in ("collect.opened@3", "collect.published@1", "collect.settled@2", "intake.finished@1"):
        name, _, hit = step.partition("@")
        died = hub("run", "--once", "--batch-rows", "100", HUB_TESTING="1", HUB_FAILPOINTS=f"{name}:kill@{hit}")
        assert died.code == -9, (step, died.err)
    after = hub.once("--batch-rows", "100")

    assert after.code == 0, after.err
    assert hub.counts() == {"read": 251 + 101 + 150, "inserted": 251, "unchanged": 101, "withdrawn": 150}
    assert hub.sql("ent", "SELECT count(*) FROM a0001_f08_01 WHERE status = 0") == [(101,)]
