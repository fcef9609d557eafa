"""One call after another: a token where one is needed, the request as the WSDL describes it, the answer judged before anything in it is believed."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors.formats.destination import Resolve
from connectors.formats.http import Answer, Client, HttpSettings
from connectors.formats.pace import Surroundings
from connectors.formats.worker import Worker
from connectors.soap import wire
from connectors.soap.answers import Told, text_at, told
from connectors.soap.settings import Decisions, SoapConfig, SoapLogin, SoapRead, Verdict, paired
from connectors.soap.templates import filled, header, nested
from connectors.soap.wsdl import Description, Pins, Request
from hub.contracts.errors import HubError, Misconfigured, Rejected, Unavailable

_SPOKEN = frozenset({200, 400, 401, 403, 500})  # an answer with one of these may say more than its number
_OURS = frozenset({"Client", "Sender", "VersionMismatch", "MustUnderstand", "DataEncodingUnknown"})
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,32}")
_CODE_LENGTH = 4  # characters; what is longer is a text
_ASK = "ask the agency what it means, and name it with `errors`"


@dataclass(frozen=True, slots=True)
class Heard:
    """A good answer: what it says, the bytes it came in, and their charset. `nothing` says that there is no record."""

    told: Told
    body: bytes
    charset: str
    nothing: bool = False


@dataclass(frozen=True, slots=True)
class Asking:
    """What is asked, and how its answer is to be understood."""

    operation: str
    arguments: Mapping[str, Any]
    headers: Mapping[str, str]
    soap_headers: Sequence[str]
    answer: str
    at: str | None
    ok: Verdict | None
    errors: Decisions
    nothing: tuple[str, ...] = ()
    expired: tuple[str, ...] = ()
    otherwise: type[HubError] = Unavailable  # for a failure that nobody has named


class Door:
    """One address with its description. `worker` has one thread: zeep's client lives in it."""

    def __init__(self, config: SoapConfig, pins: Pins, *, login: bool, worker: Worker, world: Surroundings, resolve: Resolve | None) -> None:
        self._config = config
        self._pins = pins
        self._ports = (None, None) if login else (config.service, config.port)
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
        heard = await self._worker.do(_judged, answer, asking, self._login_door, self._name)
        found = (text_at(heard.told.tree, login.token_at) if login.token_at else heard.told.text) if heard else None
        if not found or len(found.strip()) > wire.SHORT * 8:
            raise Misconfigured(f"{self._name} gave no token", hint="check the credentials, `login.answer` and `login.token_at`")
        return found.strip()

    async def _heard(self, values: Mapping[str, str], token: str | None) -> Heard | None:
        """A good answer, None where it asks for a new token."""
        answer = await self.door.ask(self._asking, self._values(values, token))
        return await self._worker.do(_judged, answer, self._asking, self.door, self._name)

    def _values(self, values: Mapping[str, str], token: str | None) -> dict[str, str]:
        config = self._config
        given = {"token": token, "user": config.user, "password": config.password.get_secret_value() if config.password else None}
        fixed = {"now": f"{self.world.now():%Y-%m-%d %H:%M:%S}", "uuid": self._make_id()}
        return {**fixed, **{name: value for name, value in given.items() if value is not None}, **values}


def _judged(answer: Answer, asking: Asking, door: Door, name: str) -> Heard | None:
    """What was heard, None where it says that the token has expired. Blocking, for it parses the whole answer."""
    try:
        reply = wire.read(answer, name)
        found = told(reply.message, asking.answer, asking.at) if reply.message is not None else None
    except Rejected as error:
        hint = "the answer is not used; tried again by the schedule. If it stays so, ask the agency"
        raise Unavailable(f"{name}: {error.message}", hint=hint, code=error.code) from error
    code = text_at(found.tree, asking.ok.at) if found is not None and found.tree is not None and asking.ok else None
    said = [*([code] if code else []), *_words(reply, found)]
    if _is_expired(answer, reply, said, asking.expired):
        return None
    if found is None:
        raise _refusal(answer, reply, asking, name)
    silent = (found.text or "") if asking.answer != "fields" else None
    if code in asking.nothing if code is not None else silent in asking.nothing:
        return Heard(Told(silent, None), answer.body, reply.charset, nothing=True)
    if answer.status != 200:
        raise Unavailable(f"{name} answered {answer.status} with a message that is no fault", hint="tried again by the schedule")
    _check(found, code, asking, said, name)
    return Heard(found, answer.body, reply.charset)


def _words(reply: wire.Reply, found: Told | None) -> list[str]:
    """Short texts that may say what went wrong; data is none."""
    words = [reply.text, *(reply.fault.codes if reply.fault else ()), reply.fault.text if reply.fault else ""]
    if found is not None and found.text and len(found.text) <= wire.SHORT:
        words.append(found.text)
    return [word for word in words if word]


def _is_expired(answer: Answer, reply: wire.Reply, said: Sequence[str], expired: Sequence[str]) -> bool:
    if reply.asks_for_login or (answer.status in (401, 403) and reply.fault is None):
        return True
    return any(pattern in word for pattern in expired for word in said)


def _check(found: Told, code: str | None, asking: Asking, said: Sequence[str], name: str) -> None:
    """Raises the decision for an answer that says of itself that it is none."""
    if asking.answer == "text":
        return
    if found.tree is None:
        what = "an empty text" if not found.text else f"a text that is no {asking.answer.upper()}"
        raise _decision(asking.errors, said, f"{name} answered with {what}")
    if asking.ok is None:
        return
    if code is None:
        raise _decision(asking.errors, said, f"{name} answered without a code at {asking.ok.at}")
    if code not in asking.ok.is_:
        raise _decision(asking.errors, said, f"{name} answered with the code {code if _CODE.fullmatch(code) else '…'}", asking.otherwise)


def _refusal(answer: Answer, reply: wire.Reply, asking: Asking, name: str) -> HubError:
    """The decision for an answer without a message."""
    if reply.fault is not None:
        code = reply.fault.codes[0] if reply.fault.codes else ""
        message = f"{name} answered with the fault {code if _CODE.fullmatch(code) else '…'}"
        kind = Misconfigured if code.split(".")[0] in _OURS else asking.otherwise
        return _decision(asking.errors, [*reply.fault.codes, reply.fault.text], message, kind)
    if reply.page:
        return Unavailable(
            f"{name} answered {answer.status} with a web page", hint="is it under maintenance, or is `address` wrong? Tried again by the schedule"
        )
    if answer.status in (400, 500):
        return _decision(
            asking.errors, [reply.text], f"{name} answered {answer.status} without a message", Misconfigured if answer.status == 400 else Unavailable
        )
    return _decision(asking.errors, [reply.text], f"{name} answered with a text in place of a message")


def _decision(errors: Decisions, said: Sequence[str], message: str, otherwise: type[HubError] = Unavailable) -> HubError:
    """The error that the configuration names for what was said."""
    for kind, patterns in ((Misconfigured, errors.misconfigured), (Rejected, errors.rejected), (Unavailable, errors.unavailable)):
        if any(_matches(pattern, word) for pattern in patterns for word in said):
            return kind(message, hint="`errors` names it" if kind is not Misconfigured else "`errors` says that a person must act: settle it with the agency")
    return otherwise(message, hint=_ASK)


def _matches(pattern: str, word: str) -> bool:
    """A code is the whole word; a longer text may be a part of what was said."""
    return pattern == word or (len(pattern) > _CODE_LENGTH and pattern in word)
