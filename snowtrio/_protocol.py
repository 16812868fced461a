"""A protocol: a codec, a handshake, and hooks on a connection's life."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeAlias, cast

import trio
from typing_extensions import TypeVar

from ._codec import Codec
from ._connection import Connection
from ._errors import SkippedMessageError, SnowtrioError
from ._selection import Load
from ._side import Side
from ._threads import ThreadedFunction
from ._transport import BufferedStream

SendT = TypeVar("SendT")
ReceiveT = TypeVar("ReceiveT", default=SendT)
ContextT = TypeVar("ContextT", default=None)

logger = logging.getLogger("snowtrio.connection")

_DEPARTURES = (trio.EndOfChannel, trio.BrokenResourceError, trio.ClosedResourceError)


class Protocol(Generic[SendT, ReceiveT, ContextT]):
    """What a server and its clients speak. Subclass it, or give a bare codec where it is asked for.

    The hooks run in this order, each at most once a connection: `handshake`, `handle` (or the
    handler given beside the protocol), `close`, `purge`. When the handshake fails none of the
    others runs (row S8).

    Parameters:
        codec: what makes bytes of messages; a subclass may set it as a class attribute instead.
    """

    codec: Codec[SendT, ReceiveT]

    eof_is_departure: bool = False
    """Whether the peer's end of input cancels the handler. By default it is half a close: the
    handler goes on and its replies are sent; a reset or a failed write always cancels it."""

    pending_until_answered: bool = False
    """Whether a client's pool counts a message as pending until one comes back for it (row S14),
    rather than until the kernel has it."""

    def __init__(self, codec: Codec[SendT, ReceiveT] | None = None) -> None:
        if codec is not None:
            self.codec = codec
        if not isinstance(getattr(self, "codec", None), Codec):
            raise TypeError(f"{type(self).__name__} needs a codec: an argument or class attribute")

    def load(self, connection: Connection[SendT, ReceiveT, ContextT]) -> Load | None:
        """Return what tells a client's pool how busy a connection is (row S14).

        Asked once for each connection; the ``count`` of what it returns is read for every message
        that is sent, and a connection at 0 is idle. None, unless this is overridden: then messages
        that the kernel does not have count, or those without an answer (see
        `pending_until_answered`).
        """
        return None

    async def handshake(self, side: Side, stream: BufferedStream) -> ContextT:
        """Agree with the peer before the connection counts (rows S7 to S9).

        Runs before any other hook, within ``handshake_timeout``. What it reads too much stays in
        the stream's buffer and reaches the codec. It may turn the stream into TLS on the way.

        Parameters:
            side: the end that we are.
            stream: the bytes, with helpers to peek and to read to a mark.

        Returns what becomes ``connection.context``. Whatever it raises refuses the connection: what
        was sent before is given time to arrive, the socket is closed, and the place is free again.
        On a client the error reaches whoever asked for the connection, as the cause of a
        `HandshakeError`. A server logs one line, at a limited rate, for what a peer can bring
        about: a `SnowtrioError`, an ``OSError``, an end of input, a deadline. Anything else counts
        as a mistake in the protocol, and is logged with its traceback or propagated.
        """
        return None  # type: ignore[return-value]  # ContextT is None unless this is overridden

    async def handle(self, connection: Connection[SendT, ReceiveT, ContextT]) -> None:
        """Serve one connection; when it returns the connection is closed in order."""
        raise NotImplementedError

    def settle(self, connection: Connection[SendT, ReceiveT, ContextT]) -> None:
        """Note that a drain has begun which leaves the connection time (`DrainTimeouts.settle`).

        A protocol that can tell its peer to go elsewhere next, without an end to what is under way,
        does it here; it must not wait. By default nothing happens. `goodbye` follows when the time
        is over.
        """

    async def goodbye(self, connection: Connection[SendT, ReceiveT, ContextT]) -> None:
        """Ask a connection to end when a drain begins (row B3).

        By default its handler sees the end of input after what has been received. A protocol with
        a parting message sends it here, and then calls ``await super().goodbye(connection)``:
        without that its handler goes on until the drain cuts it.
        """
        connection.stop_receiving()

    async def close(self, connection: Connection[SendT, ReceiveT, ContextT]) -> None:
        """Note that a connection has ended (row S10).

        Once for each connection whose handshake succeeded, whatever ended it; its socket is closed,
        and ``connection.ending`` says why. Shielded from cancellation, for ``hook_timeout`` at
        most.
        """

    def purge(
        self, connection: Connection[SendT, ReceiveT, ContextT], messages: Sequence[SendT]
    ) -> None:
        """Take back the messages that were accepted and of which the kernel got nothing (row S11).

        Once, after `close`, in the order in which they were accepted, and only if there are any.
        Where this is not overridden their number is logged as a warning, at a limited rate.
        """


CoroutineHandler: TypeAlias = Callable[[Connection[SendT, ReceiveT, ContextT]], Awaitable[None]]
FunctionHandler: TypeAlias = Callable[
    [Connection[SendT, ReceiveT, ContextT], ReceiveT], SendT | None
]
ThreadedHandler: TypeAlias = ThreadedFunction[
    [Connection[SendT, ReceiveT, ContextT], ReceiveT], SendT | None
]
Handler: TypeAlias = (
    CoroutineHandler[SendT, ReceiveT, ContextT]
    | FunctionHandler[SendT, ReceiveT, ContextT]
    | ThreadedHandler[SendT, ReceiveT, ContextT]
)


def as_protocol(
    protocol: Protocol[SendT, ReceiveT, ContextT] | Codec[SendT, ReceiveT],
) -> Protocol[SendT, ReceiveT, ContextT]:
    """Return a protocol for what may be a bare codec."""
    if isinstance(protocol, Protocol):
        return protocol
    if isinstance(protocol, Codec):  # pyright: ignore[reportUnnecessaryIsInstance]
        return Protocol[SendT, ReceiveT, ContextT](protocol)
    raise TypeError(f"a Protocol or Codec object is needed, not {protocol!r}")


def has_handshake(protocol: Protocol[Any, Any, Any]) -> bool:
    """Whether the protocol has a handshake of its own."""
    return _has_own(protocol, "handshake")


def _has_own(protocol: Protocol[Any, Any, Any], name: str) -> bool:
    """Whether a protocol has a method of its own, from its class or set on the object."""
    return getattr(getattr(protocol, name), "__func__", None) is not getattr(Protocol, name)


def has_close(protocol: Protocol[Any, Any, Any]) -> bool:
    """Whether the protocol wants to know of closed connections."""
    return _has_own(protocol, "close")


def has_purge(protocol: Protocol[Any, Any, Any]) -> bool:
    """Whether the protocol takes unsent messages back itself."""
    return _has_own(protocol, "purge")


def choose_handler(
    protocol: Protocol[SendT, ReceiveT, ContextT],
    handler: Handler[SendT, ReceiveT, ContextT] | None,
) -> CoroutineHandler[SendT, ReceiveT, ContextT] | None:
    """Return the coroutine handler of a protocol and a handler given beside it, None without.

    Raises:
        TypeError: both the protocol and the caller have one, or it cannot be called.
    """
    own = _has_own(protocol, "handle")
    if handler is None:
        return protocol.handle if own else None
    if own:
        raise TypeError(f"{type(protocol).__name__} has a handle method: give no handler beside it")
    if not callable(handler):
        raise TypeError(f"a handler is a coroutine function or a plain function, not {handler!r}")
    if isinstance(handler, ThreadedFunction):
        return _answering_in_threads(cast("ThreadedHandler[SendT, ReceiveT, ContextT]", handler))
    if inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(
        getattr(handler, "__call__", None)  # noqa: B004 - an object whose __call__ is async
    ):
        return cast("CoroutineHandler[SendT, ReceiveT, ContextT]", handler)
    return _answering(cast("FunctionHandler[SendT, ReceiveT, ContextT]", handler))


def _answering(
    function: FunctionHandler[SendT, ReceiveT, ContextT],
) -> CoroutineHandler[SendT, ReceiveT, ContextT]:
    """Return a coroutine handler that answers each message with what a plain function returns."""

    async def handle(connection: Connection[SendT, ReceiveT, ContextT]) -> None:
        await connection.answer(function)

    return handle


def _answering_in_threads(
    function: ThreadedHandler[SendT, ReceiveT, ContextT],
) -> CoroutineHandler[SendT, ReceiveT, ContextT]:
    """Return a coroutine handler that answers one message after the other from threads."""

    async def handle(connection: Connection[SendT, ReceiveT, ContextT]) -> None:
        while True:
            try:
                message = await connection.receive()
            except trio.EndOfChannel:
                return
            except SkippedMessageError as error:
                logger.debug("skipped a message: %s", error)
                continue
            answer = await function(connection, message)
            if answer is not None:
                await connection.send(answer)

    return handle


def is_departure(error: BaseException) -> bool:
    """Whether a handler's error only says that its connection has ended."""
    return _all_are(error, _DEPARTURES)


def is_peers_doing(error: BaseException) -> bool:
    """Whether a handshake's error is what a peer can bring about, rather than a mistake of ours."""
    # TLS errors are OSErrors.
    return _all_are(error, (*_DEPARTURES, SnowtrioError, trio.TooSlowError, OSError))


def _all_are(error: BaseException, kinds: tuple[type[BaseException], ...]) -> bool:
    """Whether an error, or each one in a group, is of these kinds."""
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return all(_all_are(inner, kinds) for inner in group.exceptions)
    return isinstance(error, kinds)
