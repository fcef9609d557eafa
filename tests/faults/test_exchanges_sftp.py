"""Links to an SFTP server that go wrong, through the proxy; what servers do wrong by themselves is in integration/test_sftp_source and test_sftp_outlet.

F41 reset, F44 cut                   test_a_file_is_whole_wherever_the_link_was_cut (every 97th byte of the connection),
                                     test_a_session_cut_after_any_byte_gives_no_whole_file (every byte of the protocol inside)
F42, F43 slow and trickling links    test_a_slow_link_brings_the_file
F46 damage on the way                test_damage_is_noticed_by_the_connection_itself
F47 half-open, silence               test_silence_ends_by_our_own_clock
F48 to F57                           integration/test_sftp_source: unfinished names, quiet periods, markers, manifests, odd names, links, special files,
                                     another size than listed, a lost reply to a rename; integration/test_sftp_outlet: quota, rights, no posix-rename;
                                     integration/test_bad_input_files for folders
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import paramiko
import pytest

from connectors.sftp.client import Client
from hub.contracts.errors import HubError, Unavailable
from tests.city.sftp_agency import HOST, SftpAgency
from tests.contract.source_contract import document, rows_of
from tests.faults.proxy import Faults, Proxy
from tests.integration.sftp_place import SftpPlace, on_agency

OK = (".ok", b"")


@pytest.fixture
def agency(tmp_path: Path) -> Iterator[SftpAgency]:
    with SftpAgency(tmp_path) as running:
        yield running


def through(agency: SftpAgency, proxy: Proxy, **changes: Any) -> SftpPlace:
    """The agency's folder, reached through the proxy."""
    return on_agency(agency, port=proxy.port, **changes)


async def test_a_slow_link_brings_the_file(agency: SftpAgency) -> None:
    async with Proxy(agency.port) as proxy:
        proxy.faults = Faults(piece=50, latency=0.001, jitter=0.001)
        place = through(agency, proxy)
        place.send("cf.csv", document(5), OK)

        batches = await place.collect()

    assert [name for name, _ in rows_of(batches)] == [f"甲{n}" for n in range(5)]


@pytest.mark.parametrize("ending", ["close", "reset"])
async def test_a_file_is_whole_wherever_the_link_was_cut(agency: SftpAgency, ending: str) -> None:
    async with Proxy(agency.port) as proxy:
        place = through(agency, proxy)
        place.send("first.csv", document(40, "乙"), OK)
        await place.collect()
        for number, at in enumerate(range(0, proxy.links[0].answered, 97)):
            content = document(40, f"甲{number}")
            place.send(f"cf{number}.csv", content, OK)
            before = set(place.intake.landed.values())
            proxy.faults = Faults(cut_answer=at, ending=ending)  # type: ignore[arg-type]
            with suppress(Unavailable):
                await place.collect()
            assert set(place.intake.landed.values()) - before <= {content}, f"part of a file, cut after {at} bytes"
            proxy.heal()
            await place.collect()
            assert set(place.intake.landed.values()) - before == {content}


class Recording:
    """A channel whose answers are kept; or played again, up to a cut."""

    def __init__(self, channel: Any = None, played: bytes = b"") -> None:
        self._channel, self.heard, self._at = channel, bytearray(played), 0

    def sendall(self, data: bytes) -> None:
        if self._channel is not None:
            self._channel.sendall(data)

    def recv(self, size: int) -> bytes:
        if self._channel is not None:
            piece: bytes = self._channel.recv(size)
            self.heard += piece
            return piece
        piece = bytes(self.heard[self._at : self._at + size])
        self._at += len(piece)
        return piece


def test_a_session_cut_after_any_byte_gives_no_whole_file(agency: SftpAgency, tmp_path: Path) -> None:
    content = document(3)
    (tmp_path / "cf.csv").write_bytes(content)
    transport = paramiko.Transport((HOST, agency.port))
    transport.connect(username=agency.user, password=agency.password)
    channel = transport.open_session()
    channel.invoke_subsystem("sftp")
    recording = Recording(channel)
    whole = fetched(recording, len(content))
    transport.close()

    taken = []
    for at in range(len(recording.heard) + 1):
        with suppress(OSError, EOFError):
            taken.append((at, fetched(Recording(played=bytes(recording.heard[:at])), len(content))))

    assert whole == content
    assert taken == [(len(recording.heard), content)]


def fetched(channel: Recording, size: int) -> bytes:
    """A file as a session gives it."""
    return b"".join(Client(channel, lambda: None).fetch(b"/cf.csv", 0, size))


async def test_damage_is_noticed_by_the_connection_itself(agency: SftpAgency) -> None:
    content = document(40)
    async with Proxy(agency.port) as proxy:
        place = through(agency, proxy, timeout="5s")
        place.send("first.csv", content, OK)
        await place.collect()
        place.send("second.csv", content + b"x,1\n", OK)
        size = proxy.links[0].answered
        for at in range(size - 600, size, 61):  # behind the greeting, whose length fields no key protects yet
            proxy.faults = Faults(corrupt_answer=at)
            with suppress(HubError):
                await place.collect()
        proxy.heal()
        await place.collect()

    assert set(place.intake.landed.values()) == {content, content + b"x,1\n"}


@pytest.mark.parametrize("faults", [Faults(half_open=True), Faults(cut_answer=1500, ending="blackhole"), Faults(cut_answer=2500, ending="blackhole")])
async def test_silence_ends_by_our_own_clock(agency: SftpAgency, faults: Faults) -> None:
    async with Proxy(agency.port) as proxy:
        proxy.faults = faults
        place = through(agency, proxy, timeout="500ms")
        place.send("cf.csv", document(3), OK)
        with pytest.raises(Unavailable) as late:
            await place.collect()
        proxy.heal()
        await place.collect()

    assert late.value.hint
    assert set(place.intake.landed.values()) == {document(3)}
