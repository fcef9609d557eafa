"""The HTTP client against real TLS: only a certificate of a known authority, for this host, in its time, is trusted."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from connectors.formats.http import Answer, Client, HttpSettings
from hub.contracts.errors import Misconfigured, Unavailable

NOW = datetime.now(UTC)


class Authority:
    """An authority of our own that writes PEM files with certificate and key into a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
        made = self._builder(self._name, self._key, 1).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self.ca = folder / "ca.pem"
        self.ca.write_bytes(made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def issue(self, host: str, days: int = 1) -> Path:
        """A certificate for an address; negative days have passed already."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        alternative = x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))])
        made = self._builder(name, key, days).add_extension(alternative, critical=False).sign(self._key, hashes.SHA256())
        secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        path = self._folder / f"{host}_{days}.pem"
        path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + secret)
        return path

    def _builder(self, name: x509.Name, key: ec.EllipticCurvePrivateKey, days: int) -> x509.CertificateBuilder:
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(self._name).public_key(key.public_key()).serial_number(x509.random_serial_number())
        return builder.not_valid_before(NOW - timedelta(days=9)).not_valid_after(NOW + timedelta(days=days))


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@asynccontextmanager
async def serving(certificate: Path, clients: Path | None = None) -> AsyncIterator[int]:
    """A server that shows this certificate, and asks for one where `clients` names who may sign it; its port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(clients) if clients else None)
    context.load_cert_chain(certificate)
    context.verify_mode = ssl.CERT_REQUIRED if clients else ssl.CERT_NONE

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text="fine")

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def asked(port: int, **settings: Any) -> Answer:
    client = Client(HttpSettings.model_validate({"url": f"https://127.0.0.1:{port}/", "allow": ["127.0.0.0/8"]} | settings))
    try:
        return await client.ask("GET", "", again=False)
    finally:
        await client.close()


async def test_a_certificate_of_the_named_authority_is_trusted(authority: Authority) -> None:
    async with serving(authority.issue("127.0.0.1")) as port:
        answer = await asked(port, ca=authority.ca)

    assert answer.body == b"fine"


@pytest.mark.parametrize(
    ("host", "days", "named"), [("127.0.0.1", 1, False), ("127.0.0.2", 1, True), ("127.0.0.1", -1, True)], ids=["unknown", "host", "expired"]
)
async def test_any_other_certificate_is_a_matter_for_people(authority: Authority, host: str, days: int, named: bool) -> None:
    async with serving(authority.issue(host, days)) as port:
        with pytest.raises(Misconfigured, match="cannot be trusted") as refused:
            await asked(port, **({"ca": authority.ca} if named else {}))

    assert "`ca:`" in refused.value.hint


async def test_our_own_certificate_is_shown_where_it_is_asked_for(authority: Authority) -> None:
    async with serving(authority.issue("127.0.0.1"), clients=authority.ca) as port:
        answer = await asked(port, ca=authority.ca, identity=authority.issue("127.0.0.9"))
        with pytest.raises((Misconfigured, Unavailable)):
            await asked(port, ca=authority.ca)

    assert answer.status == 200


async def test_a_file_that_is_no_certificate_is_named(authority: Authority, tmp_path: Path) -> None:
    odd = tmp_path / "odd.pem"
    odd.write_text("odd")

    with pytest.raises(Misconfigured, match=r"odd\.pem"):
        await asked(1, ca=odd)
