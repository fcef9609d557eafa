"""Every way to name a database refuses what a driver could be talked into: other drivers, files, statements, unchecked wires."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from config.loader import load_bundle
from connectors.databases.dialect import Ask
from connectors.databases.postgres import PostgresDatabase
from connectors.databases.settings import DatabaseConfig, MysqlConfig, OracleConfig, PostgresConfig, SqlConfig
from connectors.registry import OUTLETS, SOURCES
from hub.contracts.address import OPTIONS, Address, address_of
from hub.contracts.errors import Misconfigured, Unavailable
from tests.databases import PostgresServer

FIELDS: Mapping[str, Any] = {"host": "db.example", "database": "credit", "user": "hub", "password": "${env:PW}"}
PULLS: Mapping[str, tuple[type[DatabaseConfig], Mapping[str, str]]] = {
    "mysql": (MysqlConfig, {}),
    "oracle": (OracleConfig, {}),
    "postgresql": (PostgresConfig, {}),
    "mysql+pymysql": (SqlConfig, {"name": "mysql+pymysql"}),
    "postgresql+psycopg": (SqlConfig, {"name": "postgresql+psycopg"}),
    "dm+dmPython": (SqlConfig, {"name": "dm"}),
}
FORBIDDEN = (
    "local_infile", "allow_local_infile", "allow_local_infile_in_path", "init_command", "read_default_file", "read_default_group", "option_files", "unix_socket",
    "host", "hostaddr", "port", "user", "password", "dbname", "service", "servicefile", "passfile", "options", "sslmode", "sslrootcert", "sslcert", "sslkey",
    "ssl", "ssl_ca", "ssl_cert", "ssl_key", "ssl_disabled", "ssl_verify_cert", "ssl_verify_identity", "ssl_check_hostname", "gssencmode", "requiressl",
    "krbsrvname", "sslpassword", "require_auth", "load_balance_hosts", "auth_plugin_map", "server_public_key", "defer_connect", "conv", "cursorclass",
    "config_dir", "wallet_location", "wallet_password", "ssl_server_dn_match", "https_proxy", "dsn", "events", "mode", "uri", "driver", "odbc_connect",
    "plugin", "creator", "connect_args", "tns_admin", "protocol", "thick_mode", "lib_dir", "LOCAL_INFILE", "local_infile ",
)  # fmt: skip


def found(config: str) -> list[str]:
    """What is wrong with a `hub.yaml`."""
    return [problem.message for problem in load_bundle({"hub.yaml": f"city: 常样市\n{config}".encode()}).problems]


def pull(kind: str, **more: Any) -> DatabaseConfig:
    """Settings of a pull."""
    config, needed = PULLS[kind]
    return config.model_validate({**FIELDS, **needed, **more})


@pytest.mark.parametrize("kind", PULLS)
def test_a_pull_takes_no_option_that_is_not_on_the_list(kind: str) -> None:
    for option in FORBIDDEN:
        with pytest.raises(ValidationError, match="is not allowed"):
            pull(kind, host="127.0.0.1", options={option: "1"})


@pytest.mark.parametrize("scheme", ["mysql", "mariadb", "mysql+pymysql", "postgresql", "postgresql+psycopg", "oracle", "dm", "oceanbase+pymysql"])
@pytest.mark.parametrize("key", ["state", "stores.ent", "stores.fin"])
def test_a_url_of_state_or_store_takes_no_option_that_is_not_on_the_list(scheme: str, key: str) -> None:
    for option in FORBIDDEN:
        url = f"{scheme}://hub:${{env:PW}}@127.0.0.1/credit?{option.replace(' ', '%20')}=1"

        assert any("is not allowed" in message for message in found(setting(key, f'"{url}"'))), option


def setting(key: str, value: str) -> str:
    outer, _, inner = key.partition(".")
    return f"{outer}: {{{inner}: {value}}}\n" if inner else f"{outer}: {value}\n"


def test_what_is_on_the_list_reads_no_file_and_runs_nothing() -> None:
    allowed = {option for options in OPTIONS.values() for option in options}

    assert not allowed & set(FORBIDDEN)
    assert not [option for option in allowed if any(word in option for word in ("file", "ssl", "cert", "command", "init", "socket", "path", "dir"))]


@pytest.mark.parametrize(
    "scheme",
    [
        "sqlite", "sqlite+pysqlite", "sqlite+pysqlcipher", "duckdb", "shillelagh", "access+pyodbc", "mysql+mysqldb", "mysql+mysqlconnector", "mysql+aiomysql",
        "mariadb+mariadbconnector", "postgresql+psycopg2", "postgresql+asyncpg", "postgresql+pg8000", "oracle+cx_oracle", "oracle+oracledb_async", "../x", "h2:mem",
        "MYSQL", "mysql+pymysql+x",
    ],
)  # fmt: skip
def test_files_and_other_drivers_are_not_databases(scheme: str) -> None:
    for text in (f"{scheme}://hub:x@db.example/credit", f"{scheme}://hub:x@127.0.0.1/credit", f"{scheme}:///etc/passwd"):
        with pytest.raises(Misconfigured):
            address_of(text)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "/var/run/postgresql",
        "a,b",
        "db.example:1@x",
        "db.example?x",
        "db example",
        "db;x",
        "x)(HOST=evil",
        "db\0",
        "db\n",
        "\\\\pipe\\x",
        "%2Ftmp",
        "@abstract",
    ],
)
def test_a_host_is_one_name_or_address(host: str) -> None:
    with pytest.raises(Misconfigured):
        Address("postgresql", host, "credit", "hub")
    with pytest.raises(ValidationError):
        pull("mysql", host=host)


@pytest.mark.parametrize("service", ["x)(SECURITY=(SSL_SERVER_DN_MATCH=FALSE)", "(DESCRIPTION=(ADDRESS=(PROTOCOL=beq)(PROGRAM=/bin/sh)))", "x=y", "x y", "x/y"])
def test_a_service_of_oracle_is_a_name_and_no_descriptor(service: str) -> None:
    with pytest.raises(ValidationError):
        pull("oracle", database=service)
    with pytest.raises(Misconfigured):
        Address("oracle", "127.0.0.1", service, "hub")


@pytest.mark.parametrize("value", ["0", "-1", "100000", "1e3", "", "x", "1;2"])
def test_a_connection_is_always_bounded_in_time(value: str) -> None:
    for dialect, option in (("postgresql", "connect_timeout"), ("mysql", "connect_timeout"), ("oracle", "tcp_connect_timeout")):
        with pytest.raises(Misconfigured):
            Address(dialect, "db.example", "credit", "hub", options={option: value})
        assert Address(dialect, "db.example", "credit", "hub").connect_args()[option] == 10


@pytest.mark.parametrize("kind", PULLS)
def test_without_tls_beyond_this_machine_a_pull_needs_a_reason(kind: str) -> None:
    with pytest.raises(ValidationError, match="in clear"):
        pull(kind, tls="off")
    with pytest.raises(ValidationError, match="in clear"):
        pull(kind, tls="off", because="  ")

    assert not pull(kind, tls="off", because="前置机在本机房，专线").address().encrypted
    assert not pull(kind, host="127.0.0.1").address().encrypted
    assert pull(kind).address().encrypted


@pytest.mark.parametrize("key", ["state", "stores.ent"])
def test_without_tls_beyond_this_machine_a_store_needs_a_reason(key: str) -> None:
    url = "mysql://hub:${env:PW}@db.example/credit?tls=off"

    assert any("in clear" in message for message in found(setting(key, f'"{url}"')))
    assert any("in clear" in message for message in found(setting(key, f'{{url: "{url}"}}')))
    assert found(setting(key, f'{{url: "{url}", because: 专线}}')) == []


def test_the_reason_reaches_whoever_opens_the_store() -> None:
    url = "postgresql://hub:${env:PW}@db.example/credit?tls=off"

    hub = load_bundle({"hub.yaml": f'city: 常样市\nstate: {{url: "{url}", because: 专线}}\nstores: {{fin: {{url: "{url}", because: 同机柜}}}}\n'.encode()}).hub

    assert hub is not None
    assert (hub.state, hub.stores["fin"], hub.stores["ent"]) == (url, url, "stores/ent.sqlite")
    assert hub.because_of == {"state": "专线", "fin": "同机柜"}
    assert not address_of(hub.state, hub.because_of["state"]).encrypted


@pytest.mark.parametrize(
    "value", ["/etc/passwd", "../hub.sqlite", "sqlite:////etc/x.sqlite", "sqlite:///hub.sqlite", "file:hub.sqlite?mode=rwc", "hub.db", "a b.sqlite"]
)
def test_a_file_of_state_or_store_is_below_home(value: str) -> None:
    for key in ("state", "stores.psn"):
        assert found(setting(key, f'"{value}"')), value


def test_a_password_in_a_url_is_a_reference() -> None:
    for key in ("state", "stores.ent"):
        messages = found(setting(key, '"postgresql://hub:geheim@127.0.0.1/credit"')) + found(setting(key, '{url: "postgresql://hub:geheim@127.0.0.1/credit"}'))

        assert len(messages) == 2
        assert not [message for message in messages if "geheim" in message]


def test_a_password_means_nothing_to_the_url() -> None:
    password = "p@ss/w?local_infile=1#%41:{}"

    address = address_of("mysql://hub:${file:pw}@db.example:3307/credit?connect_timeout=5", opened=lambda text: {"${file:pw}": password}[text])

    assert (address.password, address.host, address.port, address.database) == (password, "db.example", 3307, "credit")
    assert password not in repr(address)
    assert address.url().password == password


@pytest.mark.parametrize(("scheme", "named"), [("postgresql", "sslmode"), ("mysql", "ssl"), ("oracle", "ssl_context")])
def test_an_encrypted_connection_checks_the_name_of_its_server(scheme: str, named: str) -> None:
    arguments = address_of(f"{scheme}://hub:x@db.example/credit").connect_args()

    checked = arguments[named]

    if isinstance(checked, ssl.SSLContext):
        assert checked.check_hostname
        assert checked.verify_mode is ssl.CERT_REQUIRED
    else:
        assert (checked, arguments["sslrootcert"], arguments["gssencmode"]) == ("verify-full", "system", "disable")


def test_a_dialect_whose_encryption_is_unknown_is_not_used_in_clear() -> None:
    with pytest.raises(Misconfigured, match="encrypts"):
        address_of("dm://hub:x@db.example/credit").connect_args()


def test_an_authority_that_cannot_be_read_is_misconfigured(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")

    for file in ("ca.pem", "none.pem"):
        with pytest.raises(Misconfigured, match="authority"):
            Address("mysql", "db.example", "credit", "hub", ca=str(tmp_path / file)).connect_args()


def test_every_kind_that_names_a_database_goes_through_the_one_door() -> None:
    kinds = [kind.config for kind in SOURCES.values()] + [kind.config for kind in OUTLETS.values()]
    databases = [config for config in kinds if {"host", "database"} <= set(config.model_fields)]

    assert databases
    for config in databases:
        needed = {"name": "dm"} if "name" in config.model_fields else {}
        with pytest.raises(ValidationError, match="local_infile"):
            config.model_validate({**FIELDS, **needed, "options": {"local_infile": "1"}})
        with pytest.raises(ValidationError, match="in clear"):
            config.model_validate({**FIELDS, **needed, "tls": "off"})


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer() as running:
        yield running


def opened(server: PostgresServer, **more: Any) -> PostgresDatabase:
    return PostgresDatabase(PostgresConfig.model_validate({**server.settings("postgres"), **more}))


@pytest.mark.parametrize(
    "name", ["host=evil.example sslmode=disable", "postgresql://evil.example/x", "postgres options='-c x=y'", "postgres' host='evil.example"]
)
def test_a_database_name_is_no_connection_string(server: PostgresServer, name: str) -> None:
    with closing(opened(server, database=name)) as database, pytest.raises(Misconfigured) as refused:
        database.server()

    assert refused.value.code == "3D000", "our own server was asked for a database of that name"


def test_a_server_without_tls_is_not_spoken_to_where_tls_is_asked_for(server: PostgresServer, tmp_path: Path, authority: Callable[[Path], Path]) -> None:
    with closing(opened(server, ca=str(authority(tmp_path)))) as database, pytest.raises(Misconfigured, match="encrypted"):
        database.server()


@pytest.fixture
def authority() -> Callable[[Path], Path]:
    """A file with some authority's certificate: the first that this machine trusts."""

    def written(folder: Path) -> Path:
        context = ssl.create_default_context()
        file = folder / "ca.pem"
        file.write_text(ssl.DER_cert_to_PEM_cert(context.get_ca_certs(binary_form=True)[0]))
        return file

    return written


def test_a_filled_password_is_shown_nowhere(server: PostgresServer) -> None:
    secret = "Geheim-9"
    config = PostgresConfig.model_validate({**server.settings("postgres"), "user": "nobody_here", "password": SecretStr(secret)})

    with closing(PostgresDatabase(config)) as database, pytest.raises((Misconfigured, Unavailable)) as refused:
        database.count(Ask(database.relation("x"), ()))

    assert secret not in repr(config) + repr(config.address()) + str(refused.value) + refused.value.hint
