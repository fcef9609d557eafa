"""Reaching an SFTP server: pinned keys, ways to log in, servers that are too old, and those that never answer."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from connectors.formats.files import Ready
from connectors.sftp import SftpConfig
from connectors.sftp.session import connect
from hub.contracts.errors import Misconfigured, Unavailable
from hub.contracts.source import Finding
from tests.city.sftp_agency import SftpAgency
from tests.contract.source_contract import document, rows_of
from tests.integration.sftp_place import MARKED, config_of, on_agency, on_sshd
from tests.servers import SshServer, free_ports

pytestmark = pytest.mark.server
OLD_KEX = ("diffie-hellman-group14-sha1", "diffie-hellman-group1-sha1")


@pytest.fixture
def server(sshd: SshServer) -> SshServer:
    if not sshd.running:
        sshd.start()
    return sshd


@pytest.fixture
def agency(tmp_path: Path) -> Iterator[SftpAgency]:
    with SftpAgency(tmp_path) as running:
        yield running


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
@pytest.mark.parametrize("whole", [True, False])
def test_any_of_the_servers_keys_may_be_pinned_as_fingerprint_or_whole(server: SshServer, kind: str, whole: bool) -> None:
    pinned = server.host_key(kind) if whole else server.fingerprint(kind)

    client = connect(config_of(server, host_key=pinned))

    assert client.look(b".") is not None
    client.shut()


def test_one_of_several_pinned_keys_is_enough(server: SshServer) -> None:
    connect(config_of(server, host_key=["SHA256:" + "A" * 43, server.fingerprint()])).shut()


def test_another_host_key_stops_before_we_log_in_and_names_both(agency: SftpAgency) -> None:
    config = on_agency(agency, host_key="SHA256:" + "A" * 43).config

    with pytest.raises(Misconfigured) as refused:
        connect(config)

    assert agency.fingerprint in refused.value.message
    assert "SHA256:" + "A" * 43 in refused.value.message
    assert agency.logins == 0


@pytest.mark.parametrize("pinned", ["", [], "MD5:aa:bb", "SHA256:short", "ssh-dss AAAA", "ssh-ed25519 A", None])
def test_a_host_key_must_be_given_in_a_form_that_pins_it(pinned: Any) -> None:
    with pytest.raises(ValidationError):
        SftpConfig.model_validate({"host": "h", "user": "u", "password": "p", "host_key": pinned})


def test_a_key_with_a_passphrase_logs_in(server: SshServer, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.write_text(server.key)
    locked.chmod(0o600)
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "开门", "-f", locked], check=True, timeout=20, stdin=subprocess.DEVNULL)
    key = locked.read_text()

    connect(config_of(server, key=key, passphrase="开门")).shut()

    with pytest.raises(Misconfigured, match="passphrase"):
        connect(config_of(server, key=key))
    with pytest.raises(Misconfigured, match="cannot be read"):
        connect(config_of(server, key=key, passphrase="wrong"))


@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_a_key_that_the_server_does_not_know_is_misconfigured(server: SshServer, tmp_path: Path, kind: str) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", tmp_path / "other"], check=True, timeout=60, stdin=subprocess.DEVNULL)

    with pytest.raises(Misconfigured, match="does not let") as refused:
        connect(config_of(server, key=(tmp_path / "other").read_text()))

    assert refused.value.hint


@pytest.mark.parametrize("key", ["", "no key at all", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----"])
def test_a_private_key_that_is_none_is_misconfigured_and_not_shown(server: SshServer, key: str) -> None:
    with pytest.raises(Misconfigured, match="our private key cannot be read") as refused:
        connect(config_of(server, key=key))

    assert "AAAA" not in refused.value.message + refused.value.hint


async def test_a_password_logs_in_and_a_wrong_one_is_misconfigured(agency: SftpAgency) -> None:
    place = on_agency(agency)
    place.send("cf.csv", document(3), (".ok", b""))

    batches = await place.collect()

    assert len(rows_of(batches)) == 3
    with pytest.raises(Misconfigured, match="does not let") as refused:
        connect(on_agency(agency, password="geheim-falsch").config)
    assert "geheim" not in refused.value.message + refused.value.hint


def test_a_server_that_takes_no_passwords_says_what_it_takes(server: SshServer) -> None:
    with pytest.raises(Misconfigured, match="only: publickey"):
        connect(config_of(server, key=None, password="p"))


@pytest.mark.parametrize(
    ("offer", "purpose", "named"),
    [
        (("KexAlgorithms diffie-hellman-group14-sha1",), "key exchange", "diffie-hellman-group14-sha1"),
        (("HostKeyAlgorithms ssh-rsa",), "host keys", "ssh-rsa"),
        (("Ciphers aes256-cbc",), "encryption", "aes256-cbc"),
        (("Ciphers aes256-ctr", "MACs hmac-sha1"), "message authentication", "hmac-sha1"),
    ],
)
def test_an_old_server_is_told_by_what_it_offers_with_the_way_out(offer: tuple[str, ...], purpose: str, named: str) -> None:
    with SshServer(*offer) as old, pytest.raises(Misconfigured) as refused:
        connect(config_of(old))

    assert re.search(f"for {purpose} only [^;]*{named}", refused.value.message)
    assert "ask its owner to turn on" in refused.value.hint


def test_weak_algorithms_that_are_still_supported_can_be_allowed_with_a_reason() -> None:
    with SshServer("Ciphers aes256-cbc", "MACs hmac-sha1") as old:
        connect(config_of(old, legacy={"allow": ["aes256-cbc", "hmac-sha1"], "because": "replaced in March"})).shut()

        with pytest.raises(ValidationError, match="because"):
            config_of(old, legacy={"allow": ["aes256-cbc"]})


def test_a_server_that_says_nothing_is_not_waited_for_for_ever(agency: SftpAgency) -> None:
    agency.mischief.add("mute")

    with pytest.raises(Unavailable) as away:
        connect(on_agency(agency, timeout="300ms").config)

    assert away.value.hint


def test_a_server_that_speaks_no_ssh_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as web:
        config = {"host": "127.0.0.1", "port": web.getsockname()[1], "user": "u", "password": "p", "host_key": "SHA256:" + "A" * 43, "timeout": "300ms"}
        with pytest.raises(Unavailable, match="connection broke"):
            connect(SftpConfig.model_validate(config))


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid"])
def test_nobody_there_is_unavailable(server: SshServer, host: str) -> None:
    (port,) = free_ports(1)

    with pytest.raises(Unavailable, match="cannot be reached") as away:
        connect(config_of(server, host=host, port=port))

    assert away.value.hint


async def test_a_probe_goes_layer_by_layer_and_changes_nothing(server: SshServer) -> None:
    place = on_sshd(server)
    place.send("cf_1.csv", document(2), (".ok", b""))
    place.send("cf_2.csv", document(2))
    source = place.source()

    findings = [finding async for finding in source.probe()]
    name, content = await source.sample(2)
    await source.close()

    assert [(f.layer, f.fine) for f in findings] == [("reach", True), ("authenticate", True), ("shape", True), ("sample", True)]
    assert findings[-1].said == "2 files are meant by *.csv, 1 of them complete"
    assert (name, content) == ("cf_1.csv", document(2))
    assert place.files() == ["cf_1.csv", "cf_1.csv.ok", "cf_2.csv"]
    assert (place.intake.notes, place.intake.landed) == ({}, {})


@pytest.mark.parametrize(
    ("changes", "layer"),
    [({"port": 1}, "reach"), ({"host_key": "SHA256:" + "A" * 43}, "reach"), ({"user": "root2"}, "authenticate"), ({"path": "/none"}, "shape")],
)
async def test_a_probe_ends_at_the_first_layer_that_fails(server: SshServer, changes: dict[str, Any], layer: str) -> None:
    source = on_sshd(server, **changes).source() if "path" not in changes else _elsewhere(server, changes)

    findings: list[Finding] = [finding async for finding in source.probe()]
    await source.close()

    assert (findings[-1].layer, findings[-1].fine) == (layer, False)
    assert findings[-1].hint


def _elsewhere(server: SshServer, changes: dict[str, Any]) -> Any:
    place = on_sshd(server)
    place.config = config_of(server, **changes)
    return place.source(MARKED)


async def test_a_sample_of_an_empty_folder_says_what_to_do(server: SshServer) -> None:
    source = on_sshd(server).source(Ready(rename=True))

    with pytest.raises(Unavailable) as empty:
        await source.sample(5)
    await source.close()

    assert "*.csv" in empty.value.hint
