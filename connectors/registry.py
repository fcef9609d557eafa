"""Every kind of source and outlet by the word that YAML uses for it. A new connector adds one line here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from connectors.databases.outlet_settings import DatabaseOutletConfig, MysqlOutletConfig, PostgresOutletConfig
from connectors.databases.settings import DatabaseRead, MysqlConfig, OracleConfig, PostgresConfig, SqlConfig
from connectors.folder import FolderConfig, FolderOutlet, FolderOutletConfig, FolderRead, FolderSource
from connectors.gateway.settings import GatewayConfig, GatewayRead
from connectors.gateway.source import GatewaySource
from connectors.kinds import OutletKind, SourceKind
from connectors.rest.settings import RestConfig, RestRead
from connectors.sftp import SftpConfig, SftpOutletConfig, SftpRead
from connectors.soap.settings import SoapConfig, SoapRead
from connectors.subscriber import SubscriberConfig, SubscriberOutlet
from connectors.web import WebConfig, WebRead
from connectors.webhook import WebhookConfig, WebhookOutlet
from hub.contracts.broker import Broker
from hub.contracts.plugins import plugins
from hub.contracts.share import Outlet
from hub.contracts.source import Source


def _webhook(config: WebhookConfig, *, share: str, home: Path, broker: Broker) -> Outlet:
    return WebhookOutlet(config, _revealed(config.secret))


def _folder(config: FolderOutletConfig, *, share: str, home: Path, broker: Broker) -> Outlet:
    return FolderOutlet(config, home)


def _queue(config: SubscriberConfig, *, share: str, home: Path, broker: Broker) -> Outlet:
    return SubscriberOutlet(config, broker, share)


def _rest_pages(config: RestConfig, read: RestRead, content: bytes) -> Iterable[Mapping[str, str | None]]:
    from connectors.rest.answers import saved_rows

    return saved_rows(config, read, content)


def _rest(config: RestConfig, read: RestRead, **hub: Any) -> Source:
    from connectors.rest.puller import rest_source

    return rest_source(config, read, **hub)


def _sftp(config: SftpConfig, read: SftpRead, **hub: Any) -> Source:
    from connectors.sftp.source import SftpSource

    return SftpSource(config, read, **hub)


def _bring(config: SftpOutletConfig, *, share: str, home: Path, broker: Broker) -> Outlet:
    from connectors.sftp.outlet import SftpOutlet

    return SftpOutlet(config)


def _rows(config: DatabaseOutletConfig, *, share: str, home: Path, broker: Broker) -> Outlet:
    from connectors.databases.outlet import DatabaseOutlet

    return DatabaseOutlet(config)


def _soap(config: SoapConfig, read: SoapRead, **hub: Any) -> Source:
    from connectors.soap.puller import soap_source

    return soap_source(config, read, **hub)


def _web(config: WebConfig, read: WebRead, **hub: Any) -> Source:
    from connectors.web.puller import web_source

    return web_source(config, read, **hub)


def _mysql(config: MysqlConfig, read: DatabaseRead, **hub: Any) -> Source:
    from connectors.databases.mysql import MysqlDatabase
    from connectors.databases.source import database_source

    return database_source(lambda: MysqlDatabase(config), config, read, **hub)


def _oracle(config: OracleConfig, read: DatabaseRead, **hub: Any) -> Source:
    from connectors.databases.oracle import OracleDatabase
    from connectors.databases.source import database_source

    return database_source(lambda: OracleDatabase(config), config, read, **hub)


def _postgres(config: PostgresConfig, read: DatabaseRead, **hub: Any) -> Source:
    from connectors.databases.postgres import PostgresDatabase
    from connectors.databases.source import database_source

    return database_source(lambda: PostgresDatabase(config), config, read, **hub)


def _sql(config: SqlConfig, read: DatabaseRead, **hub: Any) -> Source:
    from connectors.databases.generic import SqlDatabase
    from connectors.databases.source import database_source

    return database_source(lambda: SqlDatabase(config), config, read, **hub)


def _revealed(secret: Any) -> str:
    return secret.get_secret_value() if isinstance(secret, SecretStr) else str(secret)


_SOURCES: Mapping[str, SourceKind] = {
    "folder": SourceKind(FolderConfig, FolderRead, FolderSource),
    "gateway": SourceKind(GatewayConfig, GatewayRead, GatewaySource, replies=True),
    "mysql": SourceKind(MysqlConfig, DatabaseRead, _mysql, pulls=True),
    "oracle": SourceKind(OracleConfig, DatabaseRead, _oracle, pulls=True),
    "postgres": SourceKind(PostgresConfig, DatabaseRead, _postgres, pulls=True),
    "rest": SourceKind(RestConfig, RestRead, _rest, pulls=True, pages=_rest_pages),
    "sftp": SourceKind(SftpConfig, SftpRead, _sftp),
    "soap": SourceKind(SoapConfig, SoapRead, _soap, pulls=True),
    "sql": SourceKind(SqlConfig, DatabaseRead, _sql, pulls=True),
    "web": SourceKind(WebConfig, WebRead, _web, pulls=True),
}

_OUTLETS: Mapping[str, OutletKind] = {
    "folder": OutletKind(FolderOutletConfig, _folder),
    "mysql": OutletKind(MysqlOutletConfig, _rows),
    "postgres": OutletKind(PostgresOutletConfig, _rows),
    "queue": OutletKind(SubscriberConfig, _queue),
    "sftp": OutletKind(SftpOutletConfig, _bring),
    "webhook": OutletKind(WebhookConfig, _webhook),
}

SOURCES: Mapping[str, SourceKind] = {**_SOURCES, **dict(plugins("credit_hub.sources", _SOURCES))}
OUTLETS: Mapping[str, OutletKind] = {**_OUTLETS, **dict(plugins("credit_hub.outlets", _OUTLETS))}
