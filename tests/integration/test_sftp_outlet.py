"""A parcel on an SFTP server: whole or not at all, told complete last, the same at each attempt."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connectors.sftp import SftpOutletConfig
from connectors.sftp.outlet import SftpOutlet
from hub.contracts.errors import Misconfigured, Rejected, Unavailable
from tests.city.sftp_agency import HOST, SftpAgency
from tests.contract.outlet_contract import PARCEL, RECORDS
from tests.integration.sftp_place import Cutter
from tests.servers import SshServer

pytestmark = pytest.mark.server
NAME = f"A0030.s_000001_{PARCEL.delivery_id}.csv"


@pytest.fixture
def agency(tmp_path: Path) -> Iterator[SftpAgency]:
    with SftpAgency(tmp_path) as running:
        yield running


@pytest.fixture
def server(sshd: SshServer) -> SshServer:
    if not sshd.running:
        sshd.start()
    return sshd


@asynccontextmanager
async def to_agency(agency: SftpAgency, **changes: Any) -> AsyncIterator[SftpOutlet]:
    settings = {"host": HOST, "port": agency.port, "user": agency.user, "password": agency.password, "host_key": agency.fingerprint, "path": "/in"}
    outlet = SftpOutlet(SftpOutletConfig.model_validate(settings | changes))
    try:
        yield outlet
    finally:
        await outlet.close()


@asynccontextmanager
async def to_sshd(server: SshServer, folder: Path, **changes: Any) -> AsyncIterator[SftpOutlet]:
    settings = {"host": HOST, "port": server.port, "user": server.user, "key": server.key, "host_key": server.fingerprint(), "path": str(folder)}
    outlet = SftpOutlet(SftpOutletConfig.model_validate(settings | changes))
    try:
        yield outlet
    finally:
        await outlet.close()


async def test_file_manifest_and_marker_agree(server: SshServer) -> None:
    folder = server.folder()

    async with to_sshd(server, folder, marker=".ok") as outlet:
        evidence = await outlet.hand_over(PARCEL)

    content = (folder / NAME).read_bytes()
    told = json.loads((folder / f"{NAME}.json").read_bytes())
    assert sorted(p.name for p in folder.iterdir()) == [NAME, f"{NAME}.json", f"{NAME}.ok"]
    assert evidence == {"file": NAME, "rows": 2, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(), "read_back": True}
    assert (told["sha256"], told["delivery_id"], told["rows"]) == (evidence["sha256"], PARCEL.delivery_id, 2)


@pytest.mark.parametrize("old", [b"", b"half a fi"])
async def test_what_a_broken_attempt_left_is_replaced(agency: SftpAgency, old: bytes) -> None:
    place = agency.root / "in"
    place.mkdir()
    for name in (NAME, f"{NAME}.part"):
        (place / name).write_bytes(old)

    async with to_agency(agency) as outlet:
        evidence = await outlet.hand_over(PARCEL)

    assert hashlib.sha256((place / NAME).read_bytes()).hexdigest() == evidence["sha256"]
    assert sorted(p.name for p in place.iterdir()) == [NAME, f"{NAME}.json"]


async def test_a_quota_that_shows_only_when_the_file_is_closed_is_no_delivery(agency: SftpAgency) -> None:
    agency.mischief.add("quota")

    async with to_agency(agency) as outlet:
        with pytest.raises(Unavailable, match="no space left") as full:
            await outlet.hand_over(PARCEL)

    assert full.value.hint
    assert not (agency.root / "in" / NAME).exists()


async def test_a_server_that_keeps_other_bytes_than_were_written_has_no_delivery(agency: SftpAgency) -> None:
    agency.mischief.add("lies")

    async with to_agency(agency) as outlet:
        with pytest.raises(Unavailable, match="does not hold what was written"):
            await outlet.hand_over(PARCEL)

    assert not (agency.root / "in" / NAME).exists()


async def test_a_right_that_was_taken_away_stops_the_share(agency: SftpAgency) -> None:
    async with to_agency(agency) as outlet:
        agency.mischief.add("sealed")
        with pytest.raises(Misconfigured, match="does not allow us to write a file"):
            await outlet.hand_over(PARCEL)


async def test_a_rename_whose_reply_was_lost_is_one_delivery(agency: SftpAgency) -> None:
    async with to_agency(agency) as outlet:
        await outlet.hand_over(PARCEL)
        agency.mischief.add("unheard")
        await outlet.hand_over(PARCEL)

    assert sorted(p.name for p in (agency.root / "in").iterdir()) == [NAME, f"{NAME}.json"]


async def test_a_connection_that_died_between_two_parcels_is_made_again(agency: SftpAgency) -> None:
    async with to_agency(agency) as outlet:
        await outlet.hand_over(PARCEL)
        agency.hang_up()
        await outlet.hand_over(PARCEL)

    assert agency.logins == 2


@pytest.mark.parametrize("after", range(1_500, 7_500, 1_000))
async def test_wherever_the_link_is_cut_a_manifest_stands_only_beside_a_whole_file(server: SshServer, after: int) -> None:
    folder = server.folder()

    with Cutter(server.port, after=after, cuts=1000) as link:
        async with to_sshd(server, folder, port=link.port, timeout="5s") as outlet:
            with contextlib.suppress(Unavailable):
                await outlet.hand_over(PARCEL)

    for told in folder.glob("*.json"):
        assert hashlib.sha256((folder / NAME).read_bytes()).hexdigest() == json.loads(told.read_bytes())["sha256"]
    if after < 2_000:
        assert not list(folder.iterdir())


async def test_a_letter_box_that_may_not_be_read_gets_its_file() -> None:
    with SshServer(denied="read") as box:
        folder = box.folder()
        async with to_sshd(box, folder) as outlet:
            evidence = await outlet.hand_over(PARCEL)

    assert evidence["read_back"] is False


async def test_a_character_that_the_encoding_lacks_is_refused_before_anything_is_sent(agency: SftpAgency) -> None:
    records = RECORDS.with_columns(xdr_name=RECORDS["xdr_name"].str.replace("常熟", "𠮷野"))

    async with to_agency(agency, encoding="gbk") as outlet:
        with pytest.raises(Rejected, match="gbk"):
            await outlet.hand_over(replace(PARCEL, records=records))

    assert agency.logins == 0
