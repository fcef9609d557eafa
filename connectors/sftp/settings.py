"""What is said in YAML about an SFTP server, about the files of one feed on it, and about bringing files to it."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from connectors.formats.answering import Answers
from connectors.formats.files import FilePattern, Ready
from connectors.formats.forms import FileFormat
from connectors.formats.parcel import FileEncoding, FileKind
from hub.contracts.endpoint import Duration, EndpointConfig

_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}=?")
_FULL_KEY = re.compile(r"(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)) ([A-Za-z0-9+/]+={0,2})(?: .*)?")


def _host_key(value: str) -> str:
    text = value.strip()
    if _FINGERPRINT.fullmatch(text):
        return text.rstrip("=")
    if found := _FULL_KEY.fullmatch(text):
        try:
            base64.b64decode(found[2], validate=True)
        except binascii.Error as error:
            raise ValueError("the host key's base64 text is damaged; copy the whole line") from error
        return f"{found[1]} {found[2]}"
    raise ValueError('write what `ssh-keyscan HOST | ssh-keygen -lf -` shows, "SHA256:…", or a whole key, "ssh-ed25519 AAAA…", once compared with the owner')


def _several(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _folder(value: str) -> str:
    if any(ord(c) < 32 for c in value) or ".." in value.split("/"):
        raise ValueError('name a folder on the server, like "/out"')
    return value


HostKeys = Annotated[tuple[Annotated[str, AfterValidator(_host_key)], ...], BeforeValidator(_several), Field(min_length=1, max_length=8)]
OldAlgorithm = Literal["aes128-cbc", "aes192-cbc", "aes256-cbc", "hmac-sha1"]


class Legacy(EndpointConfig):
    """Weak algorithms that are used all the same, because the server has no better ones."""

    allow: tuple[OldAlgorithm, ...] = Field(min_length=1, description="Which of them.")
    because: str = Field(min_length=1, description="Why, and until when.")


class SftpEndpoint(EndpointConfig):
    """An SFTP server and how we log in."""

    host: str = Field(pattern=r"^[^\s/@]+$", description="Name or address of the server.")
    port: int = Field(default=22, ge=1, le=65535, description="Its port.")
    user: str = Field(min_length=1, description="Our user name there.")
    key: SecretStr | None = Field(default=None, description="Reference to our private key, such as `${file:fzb_ed25519}`.")
    passphrase: SecretStr | None = Field(default=None, description="Reference to the passphrase of the private key, where it has one.")
    password: SecretStr | None = Field(default=None, description="Reference to our password, such as `${env:FZB_SFTP}`.")
    host_key: HostKeys = Field(
        description="The server's own key, `SHA256:…` or a whole public key; several where it is about to change. Another key stops the feed or share."
    )
    path: Annotated[str, AfterValidator(_folder)] = Field(
        default=".", description="Folder on the server; a relative one is below the folder that we log in to."
    )
    timeout: Duration = Field(
        default=timedelta(seconds=30), gt=timedelta(0), le=timedelta(minutes=10), description="How long the server may take for any one answer."
    )
    legacy: Legacy | None = Field(default=None, description="Weak algorithms for an old server.")

    @model_validator(mode="after")
    def _credentials(self) -> Self:
        if self.key is None and self.password is None:
            raise ValueError('give key: "${file:NAME}" or password: "${env:NAME}"')
        if self.passphrase is not None and self.key is None:
            raise ValueError("passphrase belongs to a key")
        return self


class SftpConfig(SftpEndpoint):
    """A folder on an SFTP server from which files are collected."""

    every: Duration = Field(
        default=timedelta(minutes=1), ge=timedelta(milliseconds=100), description="How often a feed without a schedule looks for new files."
    )
    archive: Literal["done", "delete", "keep"] = Field(
        default="done",
        description="What becomes of a file once its last row is settled: moved to `done/<yyyymm>/`, deleted, or left where it is on a server that we may only read.",
    )
    answers: Answers | None = Field(
        default=None,
        description="Whether the agency gets a receipt in `ack/` for each file, and the rows that were set aside in `err/`; `errors`: only where something is wrong. "
        "By default it does, but not with `archive: keep`.",
    )


class SftpRead(FileFormat):
    """The files of one feed on an SFTP server."""

    files: FilePattern = Field(default="*.csv", description="Which file names are meant; letter case does not count.")
    ready: Ready = Field(default_factory=lambda: Ready(quiet=timedelta(minutes=1)), description="When a file is complete.")
    max_size: int = Field(default=2 << 30, gt=0, description="Bytes; a larger file is refused unread.")


class SftpOutletConfig(SftpEndpoint):
    """A folder on an SFTP server to which an agency's files are brought."""

    format: FileKind = Field(default="csv", description="One table with a heading line, or one JSON object a line.")
    encoding: FileEncoding = Field(default="utf-8", description="Character set of a csv file; JSON is always UTF-8.")
    marker: str | None = Field(default=None, pattern=r"^\.[^/]+$", description="An empty file beside it, like x.csv.ok for `.ok`, is written last.")
