"""Secrets are references; values are read when they are needed, from where nobody else can read them, and never show."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from pydantic import SecretStr

from config.secrets import MAX_BYTES, Secret, Secrets, is_reference, is_secret_field
from hub.contracts.endpoint import EndpointConfig
from hub.contracts.errors import Misconfigured


class Endpoint(EndpointConfig):
    url: str
    secret: str
    token: SecretStr = SecretStr("${env:TOKEN}")


def secrets(directory: Path, **environment: str) -> Secrets:
    return Secrets(directory, environment, fallback=directory / "run")


def private(path: Path, content: str | bytes, mode: int = 0o600) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(mode)
    return path


def test_an_environment_variable_is_read(tmp_path: Path) -> None:
    assert secrets(tmp_path, HOOK="s3cret").resolve("${env:HOOK}").reveal() == "s3cret"


def test_a_file_below_the_secrets_directory_is_read_without_its_line_end(tmp_path: Path) -> None:
    private(tmp_path / "hook", "s3cret\n")

    assert secrets(tmp_path).resolve("${file:hook}").reveal() == "s3cret"


def test_the_machines_own_directory_is_asked_next(tmp_path: Path) -> None:
    private(tmp_path / "run/hook", "from the machine")

    assert secrets(tmp_path).resolve("${file:hook}").reveal() == "from the machine"


def test_an_absolute_path_is_taken_as_it_is(tmp_path: Path) -> None:
    path = private(tmp_path / "elsewhere/hook", "far away")

    assert secrets(tmp_path / "secrets").resolve(f"${{file:{path}}}").reveal() == "far away"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_file_that_others_can_read_is_refused_with_the_way_out(tmp_path: Path, mode: int) -> None:
    private(tmp_path / "hook", "s3cret", mode)

    with pytest.raises(Misconfigured) as caught:
        secrets(tmp_path).resolve("${file:hook}")

    assert "chmod 600" in caught.value.hint
    assert "s3cret" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize("reference", ["${env:HOOK}", "${file:hook}", "${file:../hook}"])
def test_what_is_missing_is_named_by_its_reference(tmp_path: Path, reference: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        secrets(tmp_path).resolve(reference)

    assert reference in caught.value.message


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"x" * (MAX_BYTES + 1)])
def test_a_file_that_is_no_secret_is_refused(tmp_path: Path, content: bytes) -> None:
    private(tmp_path / "hook", content)

    with pytest.raises(Misconfigured):
        secrets(tmp_path).resolve("${file:hook}")


def test_a_directory_or_a_pipe_is_no_secret(tmp_path: Path) -> None:
    (tmp_path / "hook").mkdir()

    with pytest.raises(Misconfigured):
        secrets(tmp_path).resolve("${file:hook}")


def test_a_literal_is_never_resolved(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured) as caught:
        secrets(tmp_path).resolve("hunter2")

    assert "hunter2" not in caught.value.message + caught.value.hint


def test_references_inside_a_url_are_expanded(tmp_path: Path) -> None:
    url = secrets(tmp_path, MQ="pa55").expand("amqp://hub:${env:MQ}@127.0.0.1:5672/credit")

    assert url == "amqp://hub:pa55@127.0.0.1:5672/credit"


def test_a_connectors_settings_are_filled_and_the_original_stays_as_it_was(tmp_path: Path) -> None:
    written = Endpoint(url="https://x.example/", secret="${env:HOOK}")

    filled = secrets(tmp_path, HOOK="s3cret", TOKEN="t0ken").fill(written)

    assert (filled.url, filled.secret, filled.token.get_secret_value()) == ("https://x.example/", "s3cret", "t0ken")
    assert written.secret == "${env:HOOK}"


def test_doctor_is_told_everything_that_cannot_be_read(tmp_path: Path) -> None:
    found = secrets(tmp_path).missing(Endpoint(url="https://x.example/", secret="${file:hook}"))

    assert len(found) == 2
    assert "${file:hook}" in found[0]
    assert "${env:TOKEN}" in found[1]


def test_a_secret_does_not_show_itself() -> None:
    secret = Secret("s3cret")

    shown = f"{secret} {secret!r} {[secret]}"

    assert "s3cret" not in shown
    with pytest.raises(TypeError):
        pickle.dumps(secret)


@pytest.mark.parametrize(("name", "secret"), [("secret", True), ("password", True), ("api_key", True), ("key", True), ("host_key", False), ("url", False)])
def test_a_field_is_known_to_be_secret_by_its_name(name: str, secret: bool) -> None:
    assert is_secret_field(name) is secret


def test_a_field_is_known_to_be_secret_by_its_type() -> None:
    class Other(EndpointConfig):
        plain: str
        hidden: SecretStr | None = None

    assert is_secret_field("hidden", Other)
    assert not is_secret_field("plain", Other)


@pytest.mark.parametrize("text", ["${env:A}", "${file:a/b.pem}", "${file:/run/secrets/a}"])
def test_the_form_of_a_reference(text: str) -> None:
    assert is_reference(text)
    assert not is_reference(f"x{text}")
    assert not is_reference("${vault:a}")
