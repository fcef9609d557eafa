"""AMQP 0-9-1 connections to RabbitMQ as coroutines: connecting again with jitter, confirms, and errors as decisions."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Mapping
from typing import Any

import pika
from pika import exceptions
from pika.adapters.asyncio_connection import AsyncioConnection

from hub.contracts.errors import HubError, Misconfigured, Unavailable

# pika's log lines hold message bodies, and repeat what is raised here.
logging.getLogger("pika").setLevel(logging.CRITICAL)

NO_QUEUE = "no_queue"  # code of the error that a queue does not exist
REPLY = 15.0  # seconds for any answer of the broker
CONFIRM = 30.0  # seconds for a publisher confirm
_FIRST, _LONGEST = 0.5, 30.0  # seconds between two attempts to connect
_PROBABLE = (exceptions.ProbableAuthenticationError, exceptions.ProbableAccessDeniedError)


def parameters(url: str, name: str) -> Any:
    """Connection parameters with safe limits. Raises `Misconfigured` for an address that cannot be read; the address may hold a password and is not shown."""
    try:
        made = pika.URLParameters(url)
    except (ValueError, TypeError, IndexError) as error:
        raise Misconfigured("the broker's address cannot be read", hint="write amqp://user@host:5672/vhost, with / in the vhost's name as %2F") from error
    made.heartbeat = 20
    made.blocked_connection_timeout = 60
    made.connection_attempts = 1
    made.socket_timeout = 10
    made.stack_timeout = 15
    made.client_properties = {"connection_name": name}
    if url.startswith("amqps://") and "ssl_options" not in url:
        made.ssl_options = pika.SSLOptions(ssl.create_default_context(), made.host)
    return made


def properties(message_id: str, content_type: str, headers: Mapping[str, str | int], at: int) -> Any:
    """Properties of a persistent message; `at` is its time in seconds since 1970."""
    return pika.BasicProperties(message_id=message_id, content_type=content_type, headers=dict(headers), timestamp=at, delivery_mode=2)


def decision(reason: BaseException, where: str) -> HubError:
    """What an error of pika means for the caller. `where` names the server, without credentials."""
    reason = _innermost(reason)
    if isinstance(reason, HubError):
        return reason
    if isinstance(reason, exceptions.ConnectionClosedByBroker | exceptions.ChannelClosedByBroker):
        return _closed_by_broker(reason.reply_code, reason.reply_text, where)
    if (isinstance(reason, _PROBABLE) and "ConnectionClosedByBroker" in str(reason)) or isinstance(reason, exceptions.AuthenticationError):
        return Misconfigured(f"RabbitMQ at {where} refuses the hub", hint="check user, password and virtual host of `broker:`, and the user's permissions")
    if isinstance(reason, ssl.SSLCertVerificationError):
        return Misconfigured(f"the certificate of RabbitMQ at {where} is not trusted", hint="check the host's name, or add its authority to the system's")
    if isinstance(reason, exceptions.ConnectionBlockedTimeout):
        return Unavailable(f"RabbitMQ at {where} takes no messages: memory or disk alarm", hint="free memory or disk space on the broker's machine")
    return Unavailable(
        f"no connection to RabbitMQ at {where} ({type(reason).__name__})", hint="is the server running and reachable? The hub connects again by itself"
    )


def _closed_by_broker(code: int, text: str, where: str) -> HubError:
    if code == 404 and ("no queue" in text or "no exchange" in text):
        return Misconfigured(
            f"RabbitMQ at {where} has no such queue: {text}", hint="an item or share of this name is missing from the configuration", code=NO_QUEUE
        )
    if code == 406 and "inequivalent" in text:
        return Misconfigured(f"a queue at {where} was declared otherwise: {text}", hint="drain and delete it, then let the hub declare it again")
    if code in (403, 405, 530, 540):
        return Misconfigured(f"RabbitMQ at {where} forbids it: {text}", hint="check virtual host and permissions of the user in `broker:`")
    return Unavailable(f"RabbitMQ at {where} closed the connection: {text}", hint="see the server's log; the hub connects again by itself")


def _innermost(reason: BaseException) -> BaseException:
    """The error inside pika's connection workflow errors."""
    for _ in range(8):
        inner = getattr(reason, "exceptions", None) or [getattr(reason, "exception", None) or next(iter(reason.args), None)]
        if not isinstance(inner[-1], BaseException):
            break
        reason = inner[-1]
    return reason


class Channel:
    """One channel. Requests that are open when it closes fail with the reason."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._raw: Any = None
        self._open: set[asyncio.Future[Any]] = set()
        self.error: HubError | None = None
        self.on_closed: Callable[[HubError], None] | None = None

    async def opened_on(self, connection: Any) -> Channel:
        """This channel, opened on a connection."""
        answer = self._awaited()
        # A channel that opens when nobody waits for it any more is closed again.
        try:
            self._raw = connection.channel(on_open_callback=lambda raw: raw.close() if answer.done() else answer.set_result(raw))
        except exceptions.AMQPError as error:
            raise decision(error, self._where) from error
        self._raw.add_on_close_callback(self._closed)
        await self._answered(answer)
        return self

    @property
    def usable(self) -> bool:
        """True until it is closed or about to be."""
        return self.error is None and bool(self._raw.is_open)

    @property
    def raw(self) -> Any:
        """The channel for methods without an answer; raises when it is closed."""
        if self.error is not None:
            raise self.error
        return self._raw

    async def call(self, method: str, **arguments: Any) -> Any:
        """Call a method and wait for the method frame that answers it."""
        answer = self._awaited()
        try:
            getattr(self.raw, method)(**arguments, callback=lambda frame: _set(answer, frame))
        except exceptions.AMQPError as error:
            self._open.discard(answer)
            raise decision(error, self._where) from error
        return (await self._answered(answer)).method

    def send(self, method: str, *values: Any, **arguments: Any) -> None:
        """Call a method that has no answer."""
        try:
            getattr(self.raw, method)(*values, **arguments)
        except exceptions.AMQPError as error:
            raise decision(error, self._where) from error

    async def wait(self, answer: asyncio.Future[Any], seconds: float) -> Any:
        """Wait for something that the channel's closing would end. Raises `TimeoutError`."""
        self._open.add(answer)
        try:
            async with asyncio.timeout(seconds):
                return await answer
        finally:
            self._open.discard(answer)

    async def close(self) -> None:
        """Close; unacked messages go back to their queue, in order. Returns when the broker has agreed."""
        if self.usable:
            gone: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            self._raw.add_on_close_callback(lambda *_: _set(gone, None))
            # pika would cancel the consumers first, and the next one in line would get later messages before those given back.
            self._raw._cancelled.update(self._raw.consumer_tags)
            self._raw.close()
            await asyncio.wait([gone], timeout=REPLY)

    def _awaited(self) -> asyncio.Future[Any]:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._open.add(answer)
        return answer

    async def _answered(self, answer: asyncio.Future[Any]) -> Any:
        try:
            return await self.wait(answer, REPLY)
        except TimeoutError as error:
            raise Unavailable(f"RabbitMQ at {self._where} did not answer within {REPLY:g} s", hint="see the server's log: is it overloaded?") from error

    def _closed(self, _raw: Any, reason: BaseException) -> None:
        self.error = error = decision(reason, self._where)
        for answer in list(self._open):
            if not answer.done():
                answer.set_exception(error)
        if self.on_closed is not None:
            self.on_closed(error)


def _set(answer: asyncio.Future[Any], value: Any) -> None:
    if not answer.done():
        answer.set_result(value)


class Link:
    """One connection, made when it is first needed and again when it was lost.

    After a failure callers get its reason at once until the next attempt is due: full jitter over 0.5 s doubling to 30 s (`chance` gives 0 to 1).
    """

    def __init__(self, parameters: Any, where: str, *, chance: Callable[[], float], clock: Callable[[], float]) -> None:
        self.where = where
        self._parameters = parameters
        self._chance = chance
        self._clock = clock
        self._turn = asyncio.Lock()
        self._connection: Any = None
        self._failures = 0
        self._not_before = 0.0
        self._reason: HubError | None = None
        self.blocked = False

    async def channel(self) -> Channel:
        """A new channel, on a new connection if need be."""
        return await Channel(self.where).opened_on(await self._connected())

    async def reset(self) -> None:
        """Drop the connection: it does not answer any more."""
        connection, self._connection = self._connection, None
        if connection is not None and connection.is_open:
            connection.close()

    async def close(self) -> None:
        """Close the connection and wait for the broker's agreement, at most a few seconds."""
        connection, self._connection = self._connection, None
        if connection is not None and connection.is_open:
            gone: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            connection.add_on_close_callback(lambda *_: _set(gone, None))
            connection.close()
            await asyncio.wait([gone], timeout=5)

    async def _connected(self) -> Any:
        async with self._turn:
            if self._connection is not None and self._connection.is_open:
                return self._connection
            if self._reason is not None and (left := self._not_before - self._clock()) > 0:
                raise _again(self._reason, left)
            self.blocked = False
            try:
                self._connection = await self._connect()
            except HubError as error:
                self._reason = error
                longest = min(_LONGEST, _FIRST * 2**self._failures)
                self._failures += 1
                self._not_before = self._clock() + self._chance() * longest
                raise
            self._failures, self._reason = 0, None
            return self._connection

    async def _connect(self) -> Any:
        loop = asyncio.get_running_loop()
        opened: asyncio.Future[Any] = loop.create_future()

        def failed(_connection: Any, reason: BaseException) -> None:
            if not opened.done():
                opened.set_exception(decision(reason, self.where))

        connection = AsyncioConnection(self._parameters, lambda made: _set(opened, made), failed, failed, custom_ioloop=loop)
        connection.add_on_connection_blocked_callback(lambda *_: setattr(self, "blocked", True))
        connection.add_on_connection_unblocked_callback(lambda *_: setattr(self, "blocked", False))
        return await opened


def _again(reason: HubError, left: float) -> HubError:
    if isinstance(reason, Unavailable):
        return Unavailable(reason.message, hint=reason.hint, retry_after=left)
    return Misconfigured(reason.message, hint=reason.hint)


class Confirms:
    """Publishing on one channel in confirm mode; many messages may be on their way at once."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self._tag = 0
        self._open: dict[int, tuple[asyncio.Future[Any], tuple[str, str]]] = {}
        self._returned: set[tuple[str, str]] = set()

    async def started(self) -> Confirms:
        """This, with confirm mode on."""
        self.channel.raw.add_on_return_callback(self._on_return)
        await self.channel.call("confirm_delivery", ack_nack_callback=self._on_confirm)
        return self

    async def publish(self, queue: str, body: bytes, properties: Any) -> None:
        """Return when the broker has the message on its disk. Raises `TimeoutError` when no confirm comes: the connection is not to be trusted any more."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.channel.send("basic_publish", "", queue, body, properties, mandatory=True)
        self._tag += 1
        self._open[self._tag] = (answer, (queue, properties.message_id))
        await self.channel.wait(answer, CONFIRM)

    def _on_return(self, _channel: Any, method: Any, properties: Any, _body: bytes) -> None:
        self._returned.add((method.routing_key, properties.message_id))

    def _on_confirm(self, frame: Any) -> None:
        method = frame.method
        refused = method.NAME == "Basic.Nack"
        tags = [tag for tag in self._open if tag <= method.delivery_tag] if method.multiple else [method.delivery_tag]
        for tag in tags:
            answer, key = self._open.pop(tag)
            if answer.done():
                continue
            if key in self._returned:
                self._returned.discard(key)
                answer.set_exception(Misconfigured(f"there is no queue {key[0]!r}", hint="an item or share of this name is missing from the configuration"))
            elif refused:
                answer.set_exception(Unavailable(f"queue {key[0]} takes no more messages for now", hint="it is full, or its leader is away", retry_after=5.0))
            else:
                answer.set_result(None)
