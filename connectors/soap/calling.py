"""One call after another: a token where one is needed, the request as the WSDL describes it, the answer judged before anything in it is believed."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

from connectors.formats.destination import Resolve
from connectors.formats.http import Answer, Client, HttpSettings
from connectors.formats.pace import Surroundings
from connectors.formats.worker import Worker
from connectors.soap.answers import text_at
from connectors.soap.judging import Asking, Heard, judged
from connectors.soap.settings import Decisions, SoapConfig, SoapLogin, SoapRead, Verdict, paired
from connectors.soap.templates import filled, header, nested
from connectors.soap.wsdl import Description, Pins, Request
from hub.contracts.errors import Misconfigured

_SPOKEN = frozenset({200, 400, 401, 403, 500})  # an answer with one of these may say more than its number
_LONGEST_TOKEN = 8_000  # characters


class Door:
    """One address with its description. `worker` has one thread: zeep's client lives in it."""

    def __init__(self, config: SoapConfig, pins: Pins, *, login: bool, worker: Worker, world: Surroundings, resolve: Resolve | None) -> None:
        self._config = config
        self._pins = pins
        self._ports = (None, None) if login and config.login and config.login.wsdl else (config.service, config.port)
        self._override = config.login.address if login and config.login else config.address
        self._worker = worker
        self._world = world
        self._resolve = resolve
        self._description: Description | None = None
        self._client: Client | None = None
        self._opening = asyncio.Lock()

    async def open(self) -> Client:
        """Read the description once. Raises `Misconfigured`."""
        async with self._opening:
            if self._client is None:
                service, port = self._ports
                self._description = await self._worker.do(Description, self._pins, service=service, port=port)
                self._client = self._called(self._override or self._description.address)
            return self._client

    @property
    def operations(self) -> frozenset[str]:
        """What the description knows."""
        return self._description.operations if self._description else frozenset()

    async def ask(self, asking: Asking, values: Mapping[str, str]) -> Answer:
        """Write one request and send it."""
        client = await self.open()
        request = await self._worker.do(self._request, asking, values)
        headers = dict(request.headers) | {name: header(text, values) for name, text in asking.headers.items()}
        return await client.ask("POST", client.settings.url, headers=headers, data=request.body, accept=_SPOKEN, again=True)

    def _request(self, asking: Asking, values: Mapping[str, str]) -> Request:
        assert self._description is not None
        return self._description.request(asking.operation, nested(filled(asking.arguments, values)), filled(asking.soap_headers, values))

    def _called(self, address: str) -> Client:
        config = self._config
        try:
            settings = HttpSettings(
                url=address, allow=config.allow, ca=config.ca, timeout=config.timeout, rate=config.rate,
                concurrency=config.concurrency, quiet=config.quiet, max_body=config.max_body,
            )  # fmt: skip
        except ValueError as error:
            raise Misconfigured("the WSDL names no address that can be called", hint="write the real one as `address`") from error
        return Client(settings, world=self._world, resolve=self._resolve)

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()


class Caller:
    """Asks one service for one feed. Raises only the three errors; none of them holds a word of an answer, but for short codes."""

    def __init__(
        self, config: SoapConfig, read: SoapRead, home: Path, *, world: Surroundings, resolve: Resolve | None = None, make_id: Callable[[], str] | None = None
    ) -> None:
        self.world = world
        self._config = config
        self._make_id = make_id or (lambda: str(uuid.uuid4()))
        self._worker = Worker("soap", 1)
        self._lock = asyncio.Lock()
        self._token = config.token.get_secret_value() if config.token else None
        expired = config.login.expired if config.login else ()
        self._asking = Asking(
            read.operation, read.arguments, config.headers | read.headers, config.soap_headers, read.answer, read.at, read.ok, read.errors, read.nothing, expired
        )  # fmt: skip
        pins = Pins(home / config.wsdl, config.digest, config.imports)
        self.door = Door(config, pins, login=False, worker=self._worker, world=world, resolve=resolve)
        self._login_door = self.door
        if config.login and (config.login.wsdl or config.login.address):
            if config.login.wsdl and config.login.digest:
                pins = Pins(home / config.login.wsdl, config.login.digest, paired(config.login.imports))
            self._login_door = Door(config, pins, login=True, worker=self._worker, world=world, resolve=resolve)

    async def call(self, values: Mapping[str, str]) -> Heard:
        """Ask once; a token that has expired is renewed once."""
        token = await self.authenticated()
        heard = await self._heard(values, token)
        if heard is None:
            token = await self.authenticated(old=token)
            heard = await self._heard(values, token)
        if heard is None:
            raise Misconfigured(
                f"{self._name} does not take the token that it has just given" if self._config.login else f"{self._name} asks for a login",
                hint="check the credentials, `login` and `login.token_at`, and whether our address is on the agency's white list",
            )
        return heard

    async def authenticated(self, old: str | None = None) -> str | None:
        """The token; another one than `old`."""
        login = self._config.login
        if login is None:
            return self._token
        async with self._lock:
            if self._token is None or self._token == old:
                self._token = None
                self._token = await self._login(login)
            return self._token

    async def close(self) -> None:
        """Close connections and thread."""
        await self.door.close()
        if self._login_door is not self.door:
            await self._login_door.close()
        self._worker.close()

    @property
    def _name(self) -> str:
        return f"the service of {self._config.wsdl.name}"

    async def _login(self, login: SoapLogin) -> str:
        ok = Verdict.model_validate({"at": login.ok_at, "is": login.ok_is}) if login.ok_at else None
        arguments, headers, errors = paired(login.arguments), paired(login.headers), Decisions(unavailable=login.unavailable)
        asking = Asking(login.operation, arguments, headers, login.soap_headers, login.answer, login.at, ok, errors, otherwise=Misconfigured)
        answer = await self._login_door.ask(asking, self._values({}, None))
        heard = await self._worker.do(judged, answer, asking, self._name)
        found = (text_at(heard.told.tree, login.token_at) if login.token_at else heard.told.text) if heard else None
        if not found or len(found.strip()) > _LONGEST_TOKEN:
            raise Misconfigured(f"{self._name} gave no token", hint="check the credentials, `login.answer` and `login.token_at`")
        return found.strip()

    async def _heard(self, values: Mapping[str, str], token: str | None) -> Heard | None:
        """A good answer, None where it asks for a new token."""
        answer = await self.door.ask(self._asking, self._values(values, token))
        return await self._worker.do(judged, answer, self._asking, self._name)

    def _values(self, values: Mapping[str, str], token: str | None) -> dict[str, str]:
        config = self._config
        given = {"token": token, "user": config.user, "password": config.password.get_secret_value() if config.password else None}
        fixed = {"now": f"{self.world.now():%Y-%m-%d %H:%M:%S}", "uuid": self._make_id()}
        return {**fixed, **{name: value for name, value in given.items() if value is not None}, **values}
