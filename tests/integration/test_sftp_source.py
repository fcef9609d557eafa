"""Files on a real sshd, and on a server of an agency's own that does wrong: when they are complete, what becomes of them, and what a cut leaves behind."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.formats.files import Ready
from connectors.memory import MemoryIntake
from connectors.sftp import SftpRead
from connectors.sftp.listing import Lister
from connectors.sftp.remote import Remote
from hub.contracts.errors import Misconfigured, Unavailable
from hub.contracts.source import Arrival
from tests.city.sftp_agency import SftpAgency
from tests.contract.source_contract import document, rows_of, settle_all
from tests.integration.sftp_place import Cutter, SftpPlace, on_agency, on_sshd
from tests.servers import SshServer

pytestmark = pytest.mark.server
OK = (".ok", b"")
MANIFEST = Ready(manifest=".json")
QUIET = Ready(quiet=timedelta(minutes=1))
MONTH = "done/202611"


@pytest.fixture
def place(sshd: SshServer) -> SftpPlace:
    if not sshd.running:
        sshd.start()
    return on_sshd(sshd)


@pytest.fixture
def agency(tmp_path: Path) -> Iterator[SftpAgency]:
    with SftpAgency(tmp_path) as running:
        yield running


def manifest(content: bytes, **changes: Any) -> tuple[str, bytes]:
    told = {"rows": content.count(b"\n") - 1, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(), "batch": "20261101"}
    return ".json", json.dumps(told | changes).encode()


async def test_a_file_waits_for_its_marker(place: SftpPlace) -> None:
    path = place.send("cf_1.csv", document(2))

    early = await place.collect()
    (path.parent / "cf_1.OK").touch()
    late = await place.collect()

    assert early == []
    assert len(rows_of(late)) == 2
    assert place.files() == [f"{MONTH}/cf_1.OK", f"{MONTH}/cf_1.csv"]


@pytest.mark.parametrize("name", ["x.csv.tmp", "x.csv.part", ".x.csv", "x.csv~", "x.filepart"])
async def test_a_file_under_an_unfinished_name_is_left_alone(place: SftpPlace, name: str) -> None:
    path = place.send(name, document(2))
    ready = Ready(rename=True)

    before = await place.collect(ready, files="*")
    path.rename(path.parent / "x.csv")
    after = await place.collect(ready, files="*")

    assert before == []
    assert len(rows_of(after)) == 2


async def test_a_file_is_complete_when_it_looked_the_same_for_the_quiet_period(place: SftpPlace) -> None:
    path = place.send("cf.csv", document(2))
    source = place.source(QUIET)

    first = await settle_all(source, place.intake)
    waits = await source.next_ready()
    place.clock.now += 59
    path.write_bytes(document(3))
    second = await settle_all(source, place.intake)
    place.clock.now += 59
    third = await settle_all(source, place.intake)
    place.clock.now += 1
    fourth = await settle_all(source, place.intake)
    await source.close()

    assert (first, second, third) == ([], [], [])
    assert waits == 60
    assert len(rows_of(fourth)) == 3


async def test_a_manifest_that_agrees_lets_the_file_in(place: SftpPlace) -> None:
    content = document(7)
    digests = {"md5": hashlib.md5(content).hexdigest(), "sm3": hashlib.new("sm3", content).hexdigest()}
    place.send("cf.csv", content, manifest(content, **digests))

    batches = await place.collect(MANIFEST)

    assert len(rows_of(batches)) == 7
    assert place.files() == [f"{MONTH}/cf.csv", f"{MONTH}/cf.csv.json"]


@pytest.mark.parametrize("wrong", [{"rows": 8}, {"bytes": 1}, {"sha256": "0" * 64}, {"md5": "0" * 32}, {"sm3": "0" * 64}])
async def test_a_manifest_that_does_not_agree_refuses_the_file_before_any_row(place: SftpPlace, wrong: dict[str, Any]) -> None:
    content = document(7)
    place.send("cf.csv", content, manifest(content, **wrong))

    batches = await place.collect(MANIFEST)

    assert batches == []
    assert place.intake.reasons[1].code == "F009"
    assert place.files() == ["refused/cf.csv", "refused/cf.csv.json", "refused/cf.csv.reason.txt"]
    assert "代码：F009" in (place.folder / "refused/cf.csv.reason.txt").read_text("utf-8")


async def test_a_manifest_that_is_half_written_is_waited_for_and_then_refused(place: SftpPlace) -> None:
    place.send("cf.csv", document(2), (".json", b'{"rows": 2, '))
    source = place.source(MANIFEST)

    early = await settle_all(source, place.intake)
    waits = await source.next_ready()
    place.clock.now += 10
    await settle_all(source, place.intake)
    await source.close()

    assert (early, waits) == ([], 10)
    assert place.intake.reasons[1].code == "F009"


async def test_old_files_come_first(place: SftpPlace) -> None:
    for name in ("b.csv", "c.csv", "a.csv"):
        place.send(name, document(1, name[0]), OK)

    batches = await place.collect()

    assert [name for name, _ in rows_of(batches)] == ["b0", "c0", "a0"]


async def test_names_that_are_no_files_of_ours_are_passed_over_and_named(place: SftpPlace) -> None:
    place.send("good.csv", document(1))
    place.send("new\nline.csv", document(1))
    (place.folder / "link.csv").symlink_to("/etc/passwd")
    (place.folder / "folder.csv").mkdir()
    os.mkfifo(place.folder / "pipe.csv")
    source = place.source(Ready(rename=True))

    batches = await settle_all(source, place.intake)
    oddities = source.oddities
    await source.close()

    assert len(rows_of(batches)) == 1
    assert {name: why.split()[-1] for name, why in oddities.items()} == {
        "new%0Aline.csv": "characters", "link.csv": "link", "folder.csv": "directory", "pipe.csv": "pipe"
    }  # fmt: skip


@pytest.mark.parametrize("name", ["处罚_1.csv".encode("gb18030"), b"-rf.csv", b"CON.csv", "\u202egpj.csv".encode(), b"x" * 250 + b".csv", b"A.CSV"])
async def test_a_file_is_read_and_put_away_whatever_its_name(place: SftpPlace, name: bytes) -> None:
    place.send(name, document(2))

    batches = await place.collect(Ready(rename=True))

    (kept,) = os.listdir(os.fsencode(place.folder / MONTH))
    assert len(rows_of(batches)) == 2
    assert kept == name if len(name) < 200 else len(kept) < 200


async def test_names_in_gbk_are_shown_and_matched_as_text(place: SftpPlace) -> None:
    place.send("处罚_1.csv".encode("gb18030"), document(2))

    await place.collect(Ready(rename=True), files="处罚_*.csv")

    assert place.intake.arrivals[1].name == "处罚_1.csv"


async def test_the_pattern_leads_into_folders(place: SftpPlace) -> None:
    for name in ("out/a/cf_1.csv", "out/b/cf_2.csv", "out/cf_3.csv", "in/a/cf_4.csv"):
        place.send(name, document(1, name[-5]), OK)

    batches = await place.collect(files="out/*/cf_*.csv")

    assert [name for name, _ in rows_of(batches)] == ["10", "20"]


async def test_a_folder_that_is_missing_is_misconfigured(place: SftpPlace) -> None:
    with pytest.raises(Misconfigured, match="no such folder"):
        await place.collect(files="missing/*.csv")


async def test_a_taken_name_is_numbered_when_a_file_is_put_away(place: SftpPlace) -> None:
    for label in ("甲", "乙", "丙"):
        place.send("cf.csv", document(1, label), OK)
        await place.collect()

    assert [name for name in place.files() if name.endswith(".csv")] == [f"{MONTH}/cf.2.csv", f"{MONTH}/cf.3.csv", f"{MONTH}/cf.csv"]


async def test_a_file_can_be_deleted_once_it_is_settled(sshd: SshServer) -> None:
    place = on_sshd(sshd, archive="delete")
    place.send("cf.csv", document(2), OK)
    place.send("bad.csv", b"\xff\xff,1\n", OK)

    batches = await place.collect()

    assert len(rows_of(batches)) == 2
    assert place.files() == ["refused/bad.csv", "refused/bad.csv.ok", "refused/bad.csv.reason.txt"]
    assert place.intake.notes == {}


async def test_a_server_that_we_may_only_read_keeps_its_files_and_each_is_read_once(sshd: SshServer) -> None:
    place = on_sshd(sshd, archive="keep")
    path = place.send("cf.csv", document(2), OK)

    once, again = await place.collect(), await place.collect()
    place.send("cf.csv", document(3, "乙"), OK)
    changed = await place.collect()
    path.unlink()
    await place.collect()

    assert [len(rows_of(b)) for b in (once, again, changed)] == [2, 0, 3]
    assert place.intake.notes == {}


async def test_a_file_that_is_too_large_is_refused_unread(place: SftpPlace) -> None:
    place.send("cf.csv", document(50), OK)

    batches = await place.collect(max_size=100)

    assert batches == []
    assert place.intake.reasons[1].code == "F003"
    assert place.files()[0] == "refused/cf.csv"


async def test_the_other_way_of_sending_the_same_again_is_put_away_unread(place: SftpPlace) -> None:
    place.send("cf.csv", document(2), OK)
    await place.collect()
    place.send("again.csv", document(2), OK)

    batches = await place.collect()

    assert batches == []
    assert f"{MONTH}/again.csv" in place.files()


async def test_what_a_cut_left_undone_is_done_at_the_next_look_without_a_download(agency: SftpAgency) -> None:
    place = on_agency(agency)
    place.send("cf.csv", document(3), OK)
    source = place.source()
    async with aclosing(source.batches()) as offered:
        place.intake.settle(await anext(offered))
        agency.mischief.add("sealed")
        with pytest.raises(Misconfigured, match="does not allow us to move a file") as lost:
            await anext(offered)
    await source.close()
    read = agency.read_bytes

    agency.mischief.clear()
    again = await place.collect()

    assert lost.value.hint
    assert again == []
    assert place.files() == [f"{MONTH}/cf.csv", f"{MONTH}/cf.csv.ok"]
    assert agency.read_bytes == read
    assert place.intake.notes == {}


class Dying(MemoryIntake):
    """An intake whose process dies as it is told that a file is finished, once before and once after it is written down."""

    def __init__(self) -> None:
        super().__init__()
        self.deaths = ["before", "after"]

    async def finished(self, arrival: Arrival) -> None:
        moment = self.deaths.pop() if self.deaths else ""
        if moment != "before":
            await super().finished(arrival)
        if moment:
            raise SystemError(moment)


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_death_around_the_settlement_costs_no_row_and_no_second_download(agency: SftpAgency, moment: str) -> None:
    place = on_agency(agency)
    place.intake = dying = Dying()
    dying.deaths = [moment]
    place.send("cf.csv", document(7), OK)
    with pytest.raises(SystemError):
        await place.collect()
    read = agency.read_bytes

    again = await place.collect()

    assert again == []
    assert [(a.settled, a.finished) for a in dying.arrivals.values()] == [(7, True)]
    assert place.files() == [f"{MONTH}/cf.csv", f"{MONTH}/cf.csv.ok"]
    assert agency.read_bytes == read


async def test_what_was_landed_is_read_while_the_server_is_away(place: SftpPlace, sshd: SshServer) -> None:
    place.send("cf.csv", document(12), OK)
    source = place.source()
    async with aclosing(source.batches()) as offered:
        place.intake.settle(await anext(offered))
    await source.close()
    sshd.stop()

    taken: list[int] = []
    source = place.source()
    async with aclosing(source.batches()) as offered:
        for _ in range(2):
            batch = await anext(offered)
            place.intake.settle(batch)
            taken.append(batch.header.rows)
        with pytest.raises(Unavailable):
            await anext(offered)
    await source.close()
    sshd.start()
    after = await place.collect()

    assert taken == [5, 2]
    assert after == []
    assert place.files() == [f"{MONTH}/cf.csv", f"{MONTH}/cf.csv.ok"]


async def test_a_move_whose_reply_was_lost_is_recognised(agency: SftpAgency) -> None:
    place = on_agency(agency)
    place.send("cf.csv", document(3), OK)
    agency.mischief.add("unheard")

    batches = await place.collect()

    assert len(rows_of(batches)) == 3
    assert place.files() == [f"{MONTH}/cf.csv", f"{MONTH}/cf.csv.ok"]
    assert place.intake.notes == {}


async def test_a_file_replaced_before_it_was_put_away_is_a_file_of_its_own(place: SftpPlace) -> None:
    place.send("cf.csv", document(3, "甲"), OK)
    source = place.source()
    async with aclosing(source.batches()) as offered:
        place.intake.settle(await anext(offered))
        place.send("cf.csv", document(4, "乙"), OK)
        assert await anext(offered, None) is None
    await source.close()

    batches = await place.collect()

    assert [name for name, _ in rows_of(batches)] == ["乙0", "乙1", "乙2", "乙3"]


async def test_a_server_that_lists_another_size_than_it_gives_is_refused_at_the_third_time(agency: SftpAgency) -> None:
    place = on_agency(agency)
    place.send("cf.csv", document(3), OK)
    agency.mischief.add("lies")
    source = place.source()

    batches = [await settle_all(source, place.intake) for _ in range(3)]
    await source.close()

    assert batches == [[], [], []]
    assert place.intake.reasons[1].code == "F009"


async def test_a_server_that_gives_little_at_a_time_gives_everything(agency: SftpAgency) -> None:
    place = on_agency(agency)
    place.send("cf.csv", document(2000), OK)
    agency.mischief.add("little")

    batches = await place.collect()

    assert sum(batch.header.rows for batch in batches) == 2000


async def test_a_cut_download_goes_on_where_it_stopped(sshd: SshServer) -> None:
    content = document(400_000)
    with Cutter(sshd.port, after=3_000_000, cuts=2) as link:
        place = on_sshd(sshd, port=link.port)
        place.send("cf.csv", content, OK)
        source = place.source()
        async with aclosing(source.batches()) as offered:
            first = await anext(offered)
        await source.close()

    assert place.intake.landed[first.header.origin.landed] == content
    assert link.links == 3
    assert link.carried < 1.5 * len(content)


async def test_a_link_that_is_cut_again_and_again_is_unavailable_and_nothing_is_landed(sshd: SshServer) -> None:
    with Cutter(sshd.port, after=30_000, cuts=1000) as link:
        place = on_sshd(sshd, port=link.port)
        place.send("cf.csv", document(50_000), OK)

        with pytest.raises(Unavailable) as lost:
            await place.collect()

    assert lost.value.hint
    assert place.intake.landed == {}


async def test_one_look_takes_so_many_names_and_says_that_there_are_more(place: SftpPlace) -> None:
    for number in range(9):
        place.send(f"{number}.csv", document(1))
    remote = Remote(place.config)
    lister = Lister(remote, SftpRead(ready=Ready(rename=True)), place.clock, most=3)

    listing = lister.look({})
    remote.drop()

    assert not listing.whole
    assert 0 < len(listing.complete) <= 6
    assert lister.oddities == {"/": "holds more than 3 files; the rest waits"}
