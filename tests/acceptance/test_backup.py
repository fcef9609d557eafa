"""Backup and restore: one file, any engine, nothing lost and nothing twice; and what is refused."""

from __future__ import annotations

import io
import json
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.contracts.errors import HubError, Rejected
from routes.backup_file import CHUNK, BackupReader, BackupWriter
from tests.city.command import ROOT, Answer, Hub, command, firm_row, here, person_row
from tests.city.configuration import hub_yaml
from tests.city.identities import citizen
from tests.databases import PASSWORD, MariaServer, PostgresServer
from tests.servers import requires, wait_until

PASSPHRASE = "four random words suffice"
STORES = ("ent", "psn", "gov", "fin")


@pytest.fixture(autouse=True)
def passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    """The references that the commands are given."""
    monkeypatch.setenv("BACKUP", PASSPHRASE)
    monkeypatch.setenv("DATABASE", PASSWORD)


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="module")
def maria() -> Iterator[MariaServer]:
    with MariaServer() as server:
        yield server


def kept(hub: Hub, name: str = "kept.backup", *, code: int = 0) -> Path:
    """A backup of the hub as it is."""
    file = hub.home.parent / name
    done = hub("backup", str(file), "--passphrase", "${env:BACKUP}")
    assert done.code == code, done.err
    return file


def brought_back(file: Path, hub: Hub, *more: str) -> Answer:
    """Restore into the hub's home, with its configuration."""
    return here("restore", str(file), "--passphrase", "${env:BACKUP}", "--home", str(hub.home), "--config", str(hub.config), *more)


def another(than: Hub, name: str = "new", **files: str) -> Hub:
    """A hub with a new home and the same items."""
    place = than.home.parent / name
    place.mkdir()
    return Hub(place, **files)


def with_records(hub: Hub) -> Hub:
    """A hub that has collected, set aside, stored and delivered."""
    hub.drop("firms", "one.csv", [*(firm_row(number) for number in range(1, 6)), firm_row(9, code="91320581MA0000A19X")])
    hub.drop("persons", "one.csv", [person_row(number) for number in range(1, 6)])
    assert hub.once().code == 0
    return hub


def on(server: PostgresServer | MariaServer) -> str:
    """A city whose state and stores are new databases of a server."""
    urls = [server.url(server.database()).replace(PASSWORD, "${env:DATABASE}") for _ in range(5)]
    return hub_yaml() + f'state: "{urls[0]}"\nstores:\n' + "".join(f'  {store}: "{url}"\n' for store, url in zip(STORES, urls[1:], strict=True))


def told(hub: Hub) -> dict[str, Any]:
    """What people see of a hub: the balance, what waits, what was delivered, and one record's whole story."""
    status = hub.ask("status")
    return {
        "counts": hub.counts(),
        "feeds": [(feed["feed"], feed["state"], feed["last_run"]["counts"]) for feed in status["feeds"]],
        "shares": [(share["share"], share["delivered"], share["withheld"], share["dead"]) for share in status["shares"]],
        "quarantine": [(row["feed"], row["code"], row["field"], row["origin"]) for row in hub.ask("quarantine", "list")],
        "story": hub.ask("trace", firm_row(3).split(",")[0]),
    }


def test_a_restored_hub_tells_the_same_and_goes_on(hub: Hub) -> None:
    before = told(with_records(hub))
    new = another(hub)

    restored = brought_back(kept(hub), new)

    assert restored.code == 0, restored.err
    assert told(new) == before
    assert "restored" in [event["what"] for event in new.ask("events")]
    assert (new.home / "restored-config" / "hub.yaml").read_bytes() == (hub.config / "hub.yaml").read_bytes()
    new.drop("firms", "two.csv", [firm_row(number) for number in range(1, 8)])
    assert new.once().code == 0
    assert new.counts() == {"read": 18, "rejected": 1, "inserted": 12, "unchanged": 5}


@pytest.mark.server
def test_a_backup_is_restored_to_any_engine_and_from_it_again(hub: Hub, postgres: PostgresServer, maria: MariaServer) -> None:
    hubs = [with_records(hub)]
    before = told(hub)

    for number, files in enumerate((on(postgres), on(maria), "")):
        hubs.append(another(hub, f"home{number}", hub=files))
        restored = brought_back(kept(hubs[-2], f"{number}.backup"), hubs[-1])
        assert restored.code == 0, restored.err

    for restored_hub in hubs[1:]:
        assert told(restored_hub) == before
        assert restored_hub.ask("store", "plan")["plan"] == ""
    hubs[1].drop("firms", "two.csv", [firm_row(number) for number in range(1, 8)])
    hubs[1].once()
    assert hubs[1].counts() == {"read": 18, "rejected": 1, "inserted": 12, "unchanged": 5}


def test_what_agencies_deliver_again_after_going_back_to_yesterday_is_stored_once(hub: Hub) -> None:
    yesterday = kept(with_records(hub))
    hub.drop("firms", "two.csv", [firm_row(number) for number in range(4, 9)])
    hub.drop("persons", "two.csv", [person_row(number) for number in range(4, 9)])
    hub.once()
    today = sorted(hub.sql("ent", "SELECT uscc, org_name, status FROM a0001_f08_01"))

    new = another(hub)
    brought_back(yesterday, new)
    for name, numbers in (("two.csv", range(4, 9)), ("one again.csv", range(1, 6)), ("two again.csv", range(4, 9))):
        new.drop("firms", name, [firm_row(number) for number in numbers])
        new.drop("persons", name, [person_row(number) for number in numbers])
        assert new.once().code == 0

    assert sorted(new.sql("ent", "SELECT uscc, org_name, status FROM a0001_f08_01")) == today
    assert new.sql("psn", "SELECT count(*), count(DISTINCT doc_no) FROM a0001_z06_01") == [(8, 8)]
    assert new.counts()["inserted"] == 16


def test_a_hub_is_kept_while_it_works_and_what_was_in_flight_is_sent_again_from_landing(hub: Hub) -> None:
    new = another(hub)

    with hub.running() as running:
        for number in range(12):
            hub.drop("firms", f"{number}.csv", [firm_row(20 * number + row) for row in range(1, 21)])
        wait_until(lambda: len(running.events("settled")) >= 2, 60, "it works")
        file = hub.home.parent / "kept.backup"
        done = command("backup", str(file), "--passphrase", "${env:BACKUP}", "--config", str(hub.config), "--home", str(hub.home))
    restored = brought_back(file, new)
    proof = new.ask("reconcile", "--repair")
    new.once()

    assert (done.code, restored.code) == (0, 0), done.err + restored.err
    assert not {odd["what"] for odd in proof["differences"]} & {"ghost", "inbox", "landing"}
    assert new.counts()["inserted"] == proof["counts"]["read"]


@pytest.mark.parametrize("step", ["collect.opened", "collect.published", "load.applied"])
def test_a_hub_that_was_killed_at_work_is_kept_and_repaired(hub: Hub, step: str) -> None:
    hub.drop("firms", "one.csv", [firm_row(number) for number in range(1, 6)])
    died = hub("run", "--once", HUB_TESTING="1", HUB_FAILPOINTS=f"{step}:kill@1")
    new = another(hub)

    brought_back(kept(hub), new)
    new.ask("reconcile", "--repair")
    new.drop("firms", "one.csv", [firm_row(number) for number in range(1, 6)])
    new.once()

    assert died.code == -signal.SIGKILL
    assert new.counts()["inserted"] == 5
    assert new.sql("ent", "SELECT count(*) FROM a0001_f08_01") == [(5,)]


# What is refused --------------------------------------------------------------------------------------------------------------------------


def test_nothing_of_a_record_a_key_or_a_secret_can_be_read_in_the_file(hub: Hub) -> None:
    (hub.home / "secrets").mkdir(parents=True)
    (hub.home / "secrets" / "token").write_text("a-token-of-an-agency")
    with_records(hub)
    ring = json.loads((hub.home / "keys" / "ring.json").read_text())

    file = kept(hub)
    new = another(hub)
    brought_back(file, new)

    content = file.read_bytes()
    assert file.stat().st_mode & 0o077 == 0
    assert not any(word.encode() in content for word in (citizen(1), "赵样甲", ring["match"], "ring.json", "a0001_f08_01"))
    assert not any(b"a-token-of-an-agency" in path.read_bytes() for path in new.home.rglob("*") if path.is_file())
    assert (new.home / "keys" / "ring.json").stat().st_mode & 0o077 == 0


def test_a_wrong_or_short_passphrase_is_refused_and_leaves_nothing(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    file = kept(with_records(hub))
    new = another(hub)

    monkeypatch.setenv("BACKUP", PASSPHRASE + "!")
    wrong = brought_back(file, new)
    monkeypatch.setenv("BACKUP", "short")
    short = hub("backup", str(file.with_name("other")), "--passphrase", "${env:BACKUP}")
    written_out = hub("backup", str(file.with_name("other")), "--passphrase", PASSPHRASE)

    assert (wrong.code, short.code, written_out.code) == (2, 2, 2)
    assert "passphrase is wrong" in wrong.err
    assert "12 characters" in short.err
    assert PASSPHRASE not in written_out.err
    assert not new.home.exists()
    assert not file.with_name("other").exists()


def test_a_home_that_is_not_empty_and_a_file_that_is_there_are_refused(hub: Hub) -> None:
    file = kept(with_records(hub))

    onto_itself = brought_back(file, hub)
    twice = hub("backup", str(file), "--passphrase", "${env:BACKUP}")

    assert (onto_itself.code, twice.code) == (2, 2)
    assert "not empty" in onto_itself.err
    assert "is there already" in twice.err
    assert hub.counts()["inserted"] == 10


def test_going_back_behind_a_restored_backup_needs_force(hub: Hub) -> None:
    old, young = kept(with_records(hub), "old"), kept(hub, "young")
    new = another(hub)
    brought_back(young, new)
    new.home.rename(new.home.with_name("failed"))

    refused = brought_back(old, new)
    there = new.home.exists()
    forced = brought_back(old, new, "--force")

    assert (refused.code, there, forced.code) == (2, False, 0)
    assert "--force" in refused.err


def test_secrets_that_are_laid_down_before_are_kept(hub: Hub) -> None:
    file = kept(with_records(hub))
    new = another(hub)
    (new.home / "secrets").mkdir(parents=True)
    (new.home / "secrets" / "token").write_text("a-token")

    restored = brought_back(file, new)

    assert restored.code == 0, restored.err
    assert (new.home / "secrets" / "token").read_text() == "a-token"
    assert new.counts()["inserted"] == 10


def quick(_salt: bytes) -> bytes:
    """A key that takes no time."""
    return b"k" * 32


def small_backup(seed: int = 1) -> bytes:
    """A backup with several chunks and members."""
    out, chance = io.BytesIO(), random.Random(seed)
    writer = BackupWriter(out, quick)
    for number, size in enumerate((0, 10, CHUNK - 1, CHUNK, 5_000)):
        writer.add(f"landing/{number:064}", io.BytesIO(chance.randbytes(size)), size)
    writer.finish(at="2026-11-24T00:00:00", city="示例市", config="c", databases=[])
    return out.getvalue()


def read_to_the_end(content: bytes) -> list[tuple[str, int]]:
    reader = BackupReader(io.BytesIO(content), quick)
    found = [(member.name, len(member.whole())) for member in reader.members()]
    assert reader.manifest
    return found


def chunks_of(content: bytes) -> list[bytes]:
    """The head, then each chunk with its length."""
    parts, at = [content[:29]], 29
    while at < len(content):
        length = 4 + int.from_bytes(content[at : at + 4], "big")
        parts.append(content[at : at + length])
        at += length
    return parts


def test_a_backup_altered_in_a_thousand_ways_is_refused_each_time() -> None:
    content, other, chance = small_backup(), small_backup(2), random.Random(7)
    accepted = []

    def flipped() -> bytes:
        place = chance.choice([chance.randrange(len(content)), chance.randrange(40), len(content) - 1 - chance.randrange(40)])
        return content[:place] + bytes([content[place] ^ 1 << chance.randrange(8)]) + content[place + 1 :]

    def cut() -> bytes:
        return content[: chance.randrange(len(content))]

    def longer() -> bytes:
        return content + chance.randbytes(chance.randrange(1, 50))

    def without() -> bytes:
        place, size = chance.randrange(len(content)), chance.randrange(1, 2_000)
        return content[:place] + content[place + size :]

    def reordered() -> bytes:
        head, *parts = chunks_of(content)
        one, two = chance.sample(range(len(parts)), 2)
        parts[one], parts[two] = parts[two], parts[one]
        return head + b"".join(parts)

    def left_out() -> bytes:
        head, *parts = chunks_of(content)
        del parts[chance.randrange(len(parts))]
        return head + b"".join(parts)

    def of_two() -> bytes:
        return b"".join(chance.choice(pair) for pair in zip(chunks_of(content), chunks_of(other), strict=True))

    ways: list[Callable[[], bytes]] = [flipped, flipped, cut, longer, without, reordered, left_out]
    for number in range(1_000):
        altered = chance.choice(ways)() if number % 100 else of_two()
        if altered in (content, other):
            continue
        try:
            accepted.append(read_to_the_end(altered))
        except Rejected:
            continue

    assert len(chunks_of(content)) >= 4
    assert len(read_to_the_end(content)) == 5
    assert accepted == []


@pytest.mark.parametrize("content", [b"", b"XSBK", b"PK\x03\x04" + b"\0" * 100, b"XSBK\0\x02" + b"\0" * 200, b"XSBK\0\0" + b"\0" * 200])
def test_what_is_unsigned_or_of_another_format_is_refused(content: bytes) -> None:
    with pytest.raises(Rejected) as refused:
        read_to_the_end(content)

    assert refused.value.hint


def test_members_that_no_hub_writes_are_refused_before_anything_is_written(hub: Hub, tmp_path: Path) -> None:
    from config.loader import load
    from routes.backup_restore import restore

    loaded, file, home = load(hub.config), tmp_path / "odd", tmp_path / "new" / "home"
    assert loaded.hub is not None
    for name in ("../outside", "/etc/passwd", "config/../../x.yaml", "landing/x", "keys/other", "tables/ent/x/1.parquet", "hub.sock"):
        with file.open("wb") as out:
            writer = BackupWriter(out, quick)
            writer.add(name, io.BytesIO(b"x"), 1)
            writer.finish(at="2026", city="", config="", databases=[])
        with pytest.raises(HubError, match="no hub writes"):
            restore(loaded.hub, file, home, quick)

    assert not home.parent.exists()


# Death ------------------------------------------------------------------------------------------------------------------------------------


def killed(calls: str, which: int, *words: str) -> int:
    """Run a command that is killed at a system call; how it ended."""
    strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={calls}", "-e", f"inject={calls}:signal=KILL:when={which}"]
    done = subprocess.run([*strace, sys.executable, str(ROOT / "run_hub.py"), *words], capture_output=True, timeout=120, check=False)
    return done.returncode


@pytest.mark.faults
def test_death_during_a_backup_leaves_no_file_and_the_next_one_is_whole(hub: Hub) -> None:
    requires("strace", "it ends the command at a system call")
    with_records(hub)
    file = hub.home.parent / "kept.backup"
    words = ("backup", str(file), "--passphrase", "${env:BACKUP}", "--config", str(hub.config), "--home", str(hub.home))

    died = [(killed("rename", which, *words), file.exists()) for which in (1,)] + [(killed("fsync", 1, *words), file.exists())]
    new = another(hub)
    restored = brought_back(kept(hub), new)

    assert died == [(-signal.SIGKILL, False)] * 2
    assert restored.code == 0, restored.err
    assert new.counts()["inserted"] == 10


@pytest.mark.faults
@pytest.mark.parametrize(("calls", "which"), [("rename", 1), ("sync", 1), ("sync", 2)])
def test_death_during_a_restore_leaves_no_home_and_the_next_one_is_whole(hub: Hub, calls: str, which: int) -> None:
    requires("strace", "it ends the command at a system call")
    file, new = kept(with_records(hub)), another(hub)
    words = ("restore", str(file), "--passphrase", "${env:BACKUP}", "--config", str(new.config), "--home", str(new.home))

    died = killed(calls, which, *words)
    there = new.home.exists()
    restored = brought_back(file, new)

    assert (died, there, restored.code) == (-signal.SIGKILL, False, 0), restored.err
    assert new.counts()["inserted"] == 10


@pytest.mark.faults
@pytest.mark.server
@pytest.mark.parametrize("kind", ["postgres", "maria"])
def test_a_restore_to_a_server_that_died_begins_again_and_no_other_may(hub: Hub, kind: str, request: pytest.FixtureRequest) -> None:
    requires("strace", "it ends the command at a system call")
    file, new = kept(with_records(hub)), another(hub, hub=on(request.getfixturevalue(kind)))
    words = ("restore", str(file), "--passphrase", "${env:BACKUP}", "--config", str(new.config))

    died = killed("rename", 1, *words, "--home", str(new.home))
    elsewhere = here(*words, "--home", str(new.home.with_name("elsewhere")))
    again = brought_back(file, new)
    afterwards = here(*words, "--home", str(new.home.with_name("elsewhere")))

    assert (died, elsewhere.code, again.code, afterwards.code) == (-signal.SIGKILL, 2, 0, 2), again.err
    assert "not empty" in elsewhere.err
    assert new.counts()["inserted"] == 10
