"""The hub dies while corrected rows come back from quarantine; they come back once all the same."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.faults.life import asked, finish, living
from tests.faults.paperwork import uscc
from tests.faults.police import Police
from tests.faults.town import Town
from tests.faults.verdict import check
from tests.oracles.filing import Record


@pytest.mark.faults
@pytest.mark.parametrize("step", ["collect.opened", "collect.published", "load.applied"])
def test_corrected_rows_come_back_once_although_the_hub_dies_meanwhile(tmp_path: Path, police: Police, step: str) -> None:
    town = Town(tmp_path, police.url, seed=11)
    firms = town.desks[0]
    rows = firms.drop(500)  # one batch
    bad = [row for row in rows if row["made"] == "bad"][:2]

    with living(town, 0, failpoints=f"{step}:kill@2") as life:
        life.until("load.acked")
        _, listed = asked(town, "quarantine", "list", "--feed", "A0030.penalty")
        ids = [str(row["id"]) for row in sorted(listed, key=lambda row: row["ordinal"])[:2]]
        asked(town, "quarantine", "retry", *ids, "--set", f"{firms.form.headings['uscc']}={uscc(1)}", "--because", "corrected by hand")
        died = life.wait()
    finish(town, 1)

    assert (died, len(bad)) == (-signal.SIGKILL, 2)
    firms.filing.fates.update(read=2, inserted=2)
    firms.filing.records |= {(row["doc_no"],): Record({name: row[name] for name in firms.form.content} | {"uscc": uscc(1)}) for row in bad}
    assert check(town, police).reentered == 2
