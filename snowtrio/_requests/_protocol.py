"""The core's view of requests: a codec and a protocol around the user's own.

A request travels through the pool as a `Call`; its bytes are made in the order in which they leave,
so the codec is where it joins those that wait for replies.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, cast

import trio
from typing_extensions import TypeVar

from .._buffer import ReceiveBuffer
from .._codec import Codec
from .._connection import Connection
from .._errors import RemoteProtocolError, SkippedMessageError
from .._protocol import Protocol, has_purge
from .._side import Side
from .._transport import BufferedStream
from ._calls import Call
from ._exchange import Exchange

ReceiveT = TypeVar("ReceiveT")
ContextT = TypeVar("ContextT", default=None)

logger = logging.getLogger("snowtrio.client")


class RequestCodec(Codec[Any, ReceiveT]):
    """Starts a `RequestCoder` for each connection.

    Parameters:
        codec: the user's.
        open_exchange: returns that of a new connection.
    """

    __slots__ = ("_codec", "_open_exchange", "ends_itself")

    def __init__(
        self, codec: Codec[Any, ReceiveT], open_exchange: Callable[[], Exchange[ReceiveT]]
    ) -> None:
        self._codec = codec
        self._open_exchange = open_exchange
        self.ends_itself = codec.ends_itself

    def start(self, side: Side, context: object) -> RequestCoder[ReceiveT]:
        return RequestCoder(self._codec.start(side, context), self._open_exchange())

    def encode(self, message: Any) -> bytes:
        raise NotImplementedError("each connection has its own coder")

    def decode(self, buffer: ReceiveBuffer) -> Iterable[ReceiveT]:
        raise NotImplementedError("each connection has its own coder")


class RequestCoder(Codec[Any, ReceiveT]):
    """Encodes calls, and messages that expect no reply, with the user's coder.

    Parameters:
        coder: the user's, for this connection.
        exchange: of this connection.
    """

    __slots__ = ("_coder", "ends_itself", "exchange")

    def __init__(self, coder: Codec[Any, ReceiveT], exchange: Exchange[ReceiveT]) -> None:
        self._coder = coder
        self.exchange = exchange
        self.ends_itself = coder.ends_itself

    def encode(self, message: Any) -> bytes:
        if isinstance(message, Call):
            return self._encode_call(cast("Call[Any, ReceiveT]", message))
        data = self._coder.encode(message)
        self.exchange.note_encoded(None)
        return data

    def _encode_call(self, call: Call[Any, ReceiveT]) -> bytes:
        exchange = self.exchange
        if call.abandoned or call.done:
            # It comes from a dead connection, where its author left it before it was sent; and on
            # its way here, perhaps, from another one that died.
            exchange.forget(call)
            return b""
        exchange.check(call)
        data = self._coder.encode(call.message)
        exchange.expect(call)
        return data

    def decode(self, buffer: ReceiveBuffer) -> Iterable[ReceiveT]:
        return self._whole(self._coder.decode, buffer)

    def decode_eof(self, buffer: ReceiveBuffer) -> Iterable[ReceiveT]:
        return self._whole(self._coder.decode_eof, buffer)

    def _whole(
        self, decode: Callable[[ReceiveBuffer], Iterable[ReceiveT]], buffer: ReceiveBuffer
    ) -> Iterable[ReceiveT]:
        try:
            messages = decode(buffer)
        except SkippedMessageError as error:
            raise _unreadable(error) from error
        return messages if isinstance(messages, list) else _each(messages)


def _each(messages: Iterable[ReceiveT]) -> Iterator[ReceiveT]:
    try:
        yield from messages
    except SkippedMessageError as error:
        raise _unreadable(error) from error


def _unreadable(error: SkippedMessageError) -> RemoteProtocolError:
    """Return the end of a connection: it may have been a reply that the next is taken for."""
    return RemoteProtocolError(f"a message could not be read: {error}")


def exchange_of(connection: Connection[Any, ReceiveT, Any]) -> Exchange[ReceiveT]:
    """Return the requests of a connection."""
    return cast("RequestCoder[ReceiveT]", connection.coder).exchange


class RequestProtocol(Protocol[Any, ReceiveT, ContextT], Generic[ReceiveT, ContextT]):
    """Speaks the user's protocol, and tells requests what becomes of them.

    Parameters:
        spoken: the user's protocol.
        open_exchange: returns that of a new connection.
    """

    def __init__(
        self,
        spoken: Protocol[Any, ReceiveT, ContextT],
        open_exchange: Callable[[], Exchange[ReceiveT]],
    ) -> None:
        super().__init__(RequestCodec(spoken.codec, open_exchange))
        self.eof_is_departure = spoken.eof_is_departure
        self._spoken = spoken

    def load(self, connection: Connection[Any, ReceiveT, ContextT]) -> Exchange[ReceiveT]:
        exchange = exchange_of(connection)
        exchange.belong_to(connection)
        return exchange

    async def handshake(self, side: Side, stream: BufferedStream) -> ContextT:
        return await self._spoken.handshake(side, stream)

    async def handle(self, connection: Connection[Any, ReceiveT, ContextT]) -> None:
        await exchange_of(connection).run(connection)

    async def goodbye(self, connection: Connection[Any, ReceiveT, ContextT]) -> None:
        exchange = exchange_of(connection)
        try:
            await exchange.wait_quiet()
        except trio.Cancelled:
            exchange.end_when_quiet()  # The drain still waits for connections to end.
            raise
        exchange.parting = True
        await self._spoken.goodbye(connection)

    async def close(self, connection: Connection[Any, ReceiveT, ContextT]) -> None:
        assert connection.ending is not None
        exchange_of(connection).close(connection.ending)
        await self._spoken.close(connection)

    def purge(
        self, connection: Connection[Any, ReceiveT, ContextT], messages: Sequence[Any]
    ) -> None:
        assert connection.ending is not None
        plain: list[Any] = []
        for message in messages:
            if isinstance(message, Call):
                exchange = exchange_of(connection)
                exchange.purge(message, connection.ending)  # pyright: ignore[reportUnknownArgumentType]
            else:
                plain.append(message)
        if plain:
            self._purge_plain(connection, plain)

    def _purge_plain(
        self, connection: Connection[Any, ReceiveT, ContextT], messages: list[Any]
    ) -> None:
        if not has_purge(self._spoken):
            logger.warning(
                "%d messages to %s were not sent", len(messages), connection.peer_address
            )
        self._spoken.purge(connection, tuple(messages))
