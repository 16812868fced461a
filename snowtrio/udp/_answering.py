"""A plain function for each datagram: no task, and nothing to remember of anybody."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Generic, TypeAlias, TypeVar, cast

import trio

from .._codec import Codec
from .._errors import RemoteProtocolError, SkippedMessageError
from . import _messages
from ._datagram import Datagram, InternetAddress
from ._endpoint import UDPEndpoint

SendT = TypeVar("SendT")
ReceiveT = TypeVar("ReceiveT")

# How long replies may wait for room in the kernel, in seconds: nothing else is answered meanwhile,
# and whoever asked has long asked again.
_PATIENCE = 1.0


class Patience:
    """How long the replies of one batch may wait for room in the kernel, all together."""

    __slots__ = ("_end",)

    def __init__(self) -> None:
        self._end: float | None = None

    def end(self) -> float:
        """Return when it is over; it begins with the first reply that has to wait."""
        if self._end is None:
            self._end = trio.current_time() + _PATIENCE
        return self._end


FunctionHandler: TypeAlias = Callable[[Datagram[ReceiveT]], SendT | None]


class Answering(Generic[SendT, ReceiveT]):
    """Answers datagrams.

    Parameters:
        function: called with each; what it returns is sent back, if not None.
        coder: makes messages of datagrams, None to leave them.
        failed: told what the function, or the codec, raised. What it raises in turn ends the
            server.
        refused: told what the system said to a reply: the address that a datagram came from may be
            none that can be sent to.
    """

    def __init__(
        self,
        function: FunctionHandler[ReceiveT, SendT],
        coder: Codec[SendT, ReceiveT] | None,
        *,
        failed: Callable[[object, Exception], None],
        refused: Callable[[object, OSError], None],
    ) -> None:
        self.undecodable = 0
        self._function = function
        self._coder = coder
        self._failed = failed
        self._refused = refused

    async def answer(
        self, endpoint: UDPEndpoint, datagrams: list[Datagram], patience: Patience
    ) -> None:
        """Answer each; waits a little where the kernel has no room for a reply.

        Not cancelled in the middle: what was taken is answered.
        """
        coder = self._coder
        for datagram in datagrams:
            data, sender = datagram
            try:
                if coder is None:
                    reply = self._function(cast("Datagram[ReceiveT]", datagram))
                else:
                    reply = self._function(Datagram(_messages.decode(coder, data), sender))
            except (RemoteProtocolError, SkippedMessageError):
                self.undecodable += 1
            except Exception as error:
                self._failed(sender, error)
            else:
                if reply is not None:
                    await self._send_back(endpoint, reply, sender, patience)

    async def _send_back(
        self, endpoint: UDPEndpoint, reply: SendT, to: InternetAddress, patience: Patience
    ) -> None:
        coder = self._coder
        try:
            data = cast("bytes", reply) if coder is None else coder.encode(reply)
            try:
                endpoint.send_nowait(data, to)
            except trio.WouldBlock:
                with trio.fail_at(patience.end()) as scope:
                    scope.shield = True
                    await endpoint.send(data, to)
        except trio.TooSlowError:
            self._refused(to, OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS)))
        except OSError as error:
            self._refused(to, error)
        except Exception as error:
            self._failed(to, error)
