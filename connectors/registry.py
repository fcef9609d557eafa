"""Every kind of source and outlet by the word that YAML uses for it. A new connector adds one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from connectors.folder import FolderConfig, FolderOutlet, FolderOutletConfig, FolderRead, FolderSource
from connectors.gateway.settings import GatewayConfig, GatewayRead
from connectors.gateway.source import GatewaySource
from connectors.rest.settings import RestConfig, RestRead
from connectors.soap.settings import SoapConfig, SoapRead
from connectors.subscriber import SubscriberConfig, SubscriberOutlet
from connectors.web import WebConfig, WebRead
from connectors.webhook import WebhookConfig, WebhookOutlet
from hub.contracts.broker import Broker
from hub.contracts.share import Outlet
from hub.contracts.source import Source


@dataclass(frozen=True)
class SourceKind:
    """`config` are the settings of the endpoint, `read` those of a feed that reads from it; `build` takes both and what the hub offers.

    One that `pulls` has to be told when to ask: its feeds need a cron line or a period.
    """

    config: type[BaseModel]
    read: type[BaseModel]
    build: Callable[..., Source]
    pulls: bool = False


@dataclass(frozen=True)
class OutletKind:
    """`config` are the settings; `build` takes them with share, home and broker."""

    config: type[BaseModel]
    build: Callable[..., Outlet]


def _webhook(config: WebhookConfig, *, share: str, home: Path, broker: Broker) -> Outlet:
    return WebhookOutlet(config, _revealed(config.secret))


def _folder(config: FolderOutletConfig, *, share: str, home: Path, broker: Broker) -> Outlet:
    return FolderOutlet(config, home)


def _queue(config: SubscriberConfig, *, share: str, home: Path, broker: Broker) -> Outlet:
    return SubscriberOutlet(config, broker, share)


def _rest(config: RestConfig, read: RestRead, **hub: Any) -> Source:
    from connectors.rest.puller import rest_source

    return rest_source(config, read, **hub)


def _soap(config: SoapConfig, read: SoapRead, **hub: Any) -> Source:
    from connectors.soap.puller import soap_source

    return soap_source(config, read, **hub)


def _web(config: WebConfig, read: WebRead, **hub: Any) -> Source:
    from connectors.web.puller import web_source

    return web_source(config, read, **hub)


def _revealed(secret: Any) -> str:
    return secret.get_secret_value() if isinstance(secret, SecretStr) else str(secret)


SOURCES: Mapping[str, SourceKind] = {
    "folder": SourceKind(FolderConfig, FolderRead, FolderSource),
    "gateway": SourceKind(GatewayConfig, GatewayRead, GatewaySource),
    "rest": SourceKind(RestConfig, RestRead, _rest),
    "soap": SourceKind(SoapConfig, SoapRead, _soap),
    "web": SourceKind(WebConfig, WebRead, _web),
}

OUTLETS: Mapping[str, OutletKind] = {
    "folder": OutletKind(FolderOutletConfig, _folder),
    "queue": OutletKind(SubscriberConfig, _queue),
    "webhook": OutletKind(WebhookConfig, _webhook),
}
