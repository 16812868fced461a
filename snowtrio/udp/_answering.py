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

# How long a reply may wait for room in the kernel, in seconds: nothing else is answered meanwhile,
# and whoever asked has long asked again.
_PATIENCE = 1.0

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

    async def answer(self, endpoint: UDPEndpoint, batch: list[Datagram]) -> None:
        """Answer a batch; waits a little where the kernel has no room for a reply.

        Not cancelled in the middle: what was taken is answered.
        """
        coder = self._coder
        for datagram in batch:
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
                    await self._send_back(endpoint, reply, sender)

    async def _send_back(self, endpoint: UDPEndpoint, reply: SendT, to: InternetAddress) -> None:
        coder = self._coder
        try:
            data = cast("bytes", reply) if coder is None else coder.encode(reply)
            try:
                endpoint.send_nowait(data, to)
            except trio.WouldBlock:
                with trio.fail_after(_PATIENCE) as scope:
                    scope.shield = True
                    await endpoint.send(data, to)
        except trio.TooSlowError:
            self._refused(to, OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS)))
        except OSError as error:
            self._refused(to, error)
        except Exception as error:
            self._failed(to, error)
