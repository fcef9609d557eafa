"""Receipts and error workbooks on the agency's own SFTP server: a real sshd, one where we may write and not read, and one that is away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from connectors.formats.answering import receipt
from connectors.sftp.source import SftpSource
from hub.contracts.answer import Answer
from hub.contracts.errors import Misconfigured, Unavailable
from tests.contract.source_contract import document, rows_of
from tests.faults.life import finish, living, reconciled
from tests.integration.sftp_place import Cutter, SftpPlace, config_of, on_sshd
from tests.integration.test_sftp_crash import connected
from tests.servers import SshServer
from tests.unit.test_answering import ANSWER
from tests.unit.test_workbook import cells

pytestmark = pytest.mark.server
ACK, WORKBOOK = "ack/cf.csv.ack.json", "err/cf-错误数据表.xlsx"


@pytest.fixture
def server(sshd: SshServer) -> SshServer:
    if not sshd.running:
        sshd.start()
    return sshd


@pytest.fixture
def place(server: SshServer) -> SftpPlace:
    return on_sshd(server)


@pytest.fixture
def letter_box() -> Iterator[SshServer]:
    """A server that gives nothing back."""
    with SshServer(denied="read") as running:
        yield running


async def answered(place: SftpPlace, *answers: Answer) -> list[str]:
    """Leave answers one after the other, each as after a restart; every file there."""
    for answer in answers:
        source = place.source()
        try:
            await source.answer(answer)
        finally:
            await source.close()
    return place.files()


async def test_receipt_and_workbook_lie_beside_the_agencys_files(place: SftpPlace) -> None:
    files = await answered(place, ANSWER)

    assert files == [ACK, WORKBOOK]
    assert (place.folder / ACK).read_bytes() == receipt(ANSWER, "cf-错误数据表.xlsx")
    assert cells((place.folder / WORKBOOK).read_bytes())[1][4] == "R111"


async def test_a_repeated_answer_changes_nothing_and_another_one_overwrites_nothing(place: SftpPlace) -> None:
    await answered(place, ANSWER)
    before = {name: (place.folder / name).read_bytes() for name in place.files()}

    files = await answered(place, ANSWER, replace(ANSWER, batch="A0030-F06-01-20261102-0004"))

    assert files == ["ack/cf.csv.2.ack.json", ACK, WORKBOOK]
    assert {name: (place.folder / name).read_bytes() for name in before} == before


async def test_where_we_may_write_and_not_read_a_repeated_answer_is_known_by_its_size(letter_box: SshServer) -> None:
    place = on_sshd(letter_box)

    files = await answered(place, ANSWER, ANSWER)

    assert files == [ACK, WORKBOOK]


async def test_names_are_written_like_the_agencys_own(place: SftpPlace) -> None:
    place.send("处罚_1.csv".encode("gb18030"), document(2), (".ok", b""))
    await place.collect()
    evidence = place.intake.arrivals[1].evidence

    await answered(place, replace(ANSWER, file="处罚_1.csv", returned=0, evidence=evidence))

    assert [name.decode("gb18030") for name in map(_bytes, (place.folder / "ack").iterdir())] == ["处罚_1.csv.ack.json"]


def _bytes(path: Path) -> bytes:
    return path.name.encode("utf-8", "surrogateescape")


async def test_what_lies_in_the_folders_for_answers_is_never_collected(place: SftpPlace) -> None:
    for folder in ("ack", "err", "own"):
        place.send(f"{folder}/x.csv", document(1, folder[0]), (".ok", b""))

    batches = await place.collect(files="*/*.csv")

    assert [name for name, _ in rows_of(batches)] == ["o0"]


@pytest.mark.parametrize("carried", range(1_500, 5_000, 500))
async def test_a_cut_link_leaves_nothing_half_written_under_a_name(server: SshServer, carried: int) -> None:
    place = on_sshd(server)
    await answered(place, replace(ANSWER, batch="A0030-F06-01-20261031-0001"))
    with Cutter(server.port, carried, cuts=1) as cutter:
        through = SftpPlace(place.folder, config_of(server, path=str(place.folder), port=cutter.port), server.own)

        try:
            await answered(through, ANSWER)
        except Unavailable:
            await answered(through, ANSWER)

    told = json.loads((place.folder / "ack/cf.csv.2.ack.json").read_bytes())
    assert cutter.cuts == 0
    assert place.files() == ["ack/cf.csv.2.ack.json", ACK, WORKBOOK]
    assert told["batch"] == ANSWER.batch


async def test_a_server_that_lets_us_write_nowhere_is_named_with_the_way_out() -> None:
    with SshServer(denied="mkdir,write") as server, pytest.raises(Misconfigured, match="leave a receipt"):
        await answered(on_sshd(server), ANSWER)


async def test_a_server_from_which_nothing_is_taken_away_is_not_written_to_unasked(server: SshServer) -> None:
    def wish(**changes: object) -> str:
        return SftpSource.answers.fget(on_sshd(server, **changes).source())  # type: ignore[attr-defined,no-any-return]

    assert [wish(), wish(archive="keep"), wish(archive="keep", answers=True), wish(answers="errors")] == ["all", "none", "all", "errors"]


@pytest.mark.faults
def test_a_hub_killed_right_after_it_left_a_receipt_leaves_no_second_one(tmp_path: Path, server: SshServer) -> None:
    folder = server.folder()
    town = connected(tmp_path, server, folder)
    desk = town.desks[0]
    desk.folder = folder
    desk.drop(40)
    server.own(folder)

    with living(town, 0, "--once", failpoints="answer.left:kill@1") as life:
        life.wait()
    finish(town, 1)

    told = [json.loads(path.read_text("utf-8")) for path in (folder / "ack").iterdir()]
    status, answer = reconciled(town)
    assert [(one["file"], one["state"], one["total"]) for one in told] == [("f00001.csv", "succeeded", 40)]
    assert told[0]["fail"] == answer["counts"]["rejected"]
    assert len(list((folder / "err").glob("*"))) == (1 if told[0]["fail"] else 0)
    assert status == 0
