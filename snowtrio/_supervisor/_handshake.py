"""Shaking hands: a preface, TLS, the protocol's own handshake, the coder that comes of it."""

from __future__ import annotations

import ssl
from typing import Generic, cast

import attrs
import trio
from typing_extensions import TypeVar

from .._codec import Codec
from .._errors import HandshakeError, HandshakeTimeoutError
from .._protocol import Protocol, has_handshake
from .._side import Side
from .._transport import BufferedStream, Transport, close_at_once, serve_tls
from ._limits import PoolLimits
from ._peer import peer_of
from ._places import Place, Refusal

SendT = TypeVar("SendT")
ReceiveT = TypeVar("ReceiveT", default=SendT)
ContextT = TypeVar("ContextT", default=None)


class NoPlaceError(HandshakeError):
    """A peer that was not known before has as many places as it may."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.value)
        self.refusal = refusal


@attrs.frozen
class TLS:
    """How to begin TLS before the protocol's own handshake."""

    context: ssl.SSLContext
    hostname: str | None = None


@attrs.frozen
class Agreement(Generic[SendT, ReceiveT, ContextT]):
    """What a handshake came to."""

    coder: Codec[SendT, ReceiveT]
    context: ContextT


class Handshakes(Generic[SendT, ReceiveT, ContextT]):
    """Runs the handshakes of one server or client.

    Parameters:
        protocol: what they speak.
        side: the end that we are.
    """

    def __init__(self, protocol: Protocol[SendT, ReceiveT, ContextT], side: Side) -> None:
        self.failed = 0
        self.timed_out = 0
        self._protocol = protocol
        self._has_handshake = has_handshake(protocol)
        self._side = side
        self._scopes: set[trio.CancelScope] = set()
        self._no_more = False

    def cut(self) -> None:
        """Fail every handshake that is in progress, or that is about to begin."""
        self._no_more = True
        for scope in self._scopes:
            scope.cancel(reason="no more connections are taken")

    async def run(
        self, stream: BufferedStream, tls: TLS | None, limits: PoolLimits, place: Place
    ) -> Agreement[SendT, ReceiveT, ContextT]:
        """Shake hands.

        Raises:
            NoPlaceError: the peer that it turned out to be cannot have `place`; the transport is
                open.
            HandshakeError: with the reason as its cause, if it was neither late nor cut; the
                transport is closed.
        """
        try:
            return await self._agree(stream, tls, limits.handshake_timeout, place)
        except NoPlaceError:
            raise
        except HandshakeError as error:
            if isinstance(error, HandshakeTimeoutError):
                self.timed_out += 1
            else:
                self.failed += 1
            if error.__cause__ is not None and self._has_spoken(stream.transport):
                await _let_it_read(stream.transport, limits.linger_timeout)
            else:
                await close_at_once(stream.transport)
            raise
        except BaseException:
            await close_at_once(stream.transport)
            raise

    def _has_spoken(self, transport: Transport) -> bool:
        """Whether there may be last words of ours that the peer is to read."""
        return self._side is Side.SERVER and transport.preface is None

    async def _agree(
        self, stream: BufferedStream, tls: TLS | None, timeout: float, place: Place
    ) -> Agreement[SendT, ReceiveT, ContextT]:
        if tls is None and not self._has_handshake and stream.transport.preface is None:
            # There is nothing to wait for, and so nothing to cut.
            try:
                return self._agreement(cast("ContextT", None))
            except Exception as error:
                raise _failure(stream, error) from _reason(error)
        scope = trio.CancelScope(deadline=trio.current_time() + timeout)
        self._scopes.add(scope)
        if self._no_more:
            scope.cancel(reason="no more connections are taken")
        try:
            with scope:
                return await self._shake_hands(stream, tls, place)
        except NoPlaceError:
            raise
        except Exception as error:
            raise _failure(stream, error) from _reason(error)
        finally:
            self._scopes.discard(scope)
        await close_at_once(stream.transport)
        peer = stream.peer_address
        if trio.current_time() < scope.deadline:
            raise HandshakeError(f"the handshake with {peer} was cut")
        raise HandshakeTimeoutError(
            f"the handshake with {peer} took longer than {timeout:g} seconds"
        )

    async def _shake_hands(
        self, stream: BufferedStream, tls: TLS | None, place: Place
    ) -> Agreement[SendT, ReceiveT, ContextT]:
        received = await _read_preface(stream.transport, place)
        if tls is None:
            if received:
                stream.buffer.append(received)
        elif self._side is Side.SERVER:
            await serve_tls(stream, tls.context, received)
        else:
            await stream.start_tls(tls.context, server_side=False, server_hostname=tls.hostname)
        return self._agreement(await self._protocol.handshake(self._side, stream))

    def _agreement(self, context: ContextT) -> Agreement[SendT, ReceiveT, ContextT]:
        return Agreement(self._protocol.codec.start(self._side, context), context)


async def _read_preface(transport: Transport, place: Place) -> bytes:
    """Read what stands before everything else; return what came behind that."""
    if transport.preface is None:
        return b""
    received = await transport.preface(transport)
    transport.preface = None
    refusal = place.name(peer_of(transport))
    if refusal is not None:
        raise NoPlaceError(refusal)
    return received


def _failure(stream: BufferedStream, error: Exception) -> HandshakeError:
    return HandshakeError(f"the handshake with {stream.peer_address} failed: {_reason(error)!r}")


def _reason(error: Exception) -> BaseException:
    if type(error) is trio.BrokenResourceError and error.__cause__ is not None:
        return error.__cause__  # Trio wraps what TLS says in an error without words.
    return error


async def _let_it_read(transport: Transport, timeout: float) -> None:
    """Close after a failed handshake, whose last words may tell the client why it failed."""
    try:
        with trio.move_on_after(timeout):
            await transport.finish()
    finally:
        await close_at_once(transport)
