"""The body of a response, brought to where the caller wants it."""

from __future__ import annotations

import attrs
import trio

from .._errors import ResponseTooLargeError
from .._wire import ResponseHead
from ._exchange import Exchange
from ._reading import Incoming
from ._sinks import Sink, pour
from ._timing import Phase, Stopwatch


@attrs.frozen
class Pail:
    """What a caller of ``fetch`` says of the body.

    Parameters:
        sink: where it goes; None to have it returned.
        max_size: bytes of it; None for the client's bound, and for none of a sink.
        decode: whether to undo its codings.
    """

    sink: Sink | None
    max_size: int | None
    decode: bool

    async def fill(
        self, exchange: Exchange, head: ResponseHead, watch: Stopwatch, default: int | None
    ) -> bytes:
        """Take the whole body; return it, unless a sink has it.

        Raises:
            FetchError: as `Incoming.receive`, and where there is too much of it.
        """
        limit = default if self.max_size is None else self.max_size
        incoming = Incoming(exchange, head, limit, decode=self.decode)
        if self.sink is None or not 200 <= head.status < 300:
            return await incoming.read()
        with trio.CancelScope() as scope:
            watch.enter(Phase.PIECE, watch.timeouts.piece, scope.cancel)
            await self._pour(incoming, self.sink, watch)
            return b""
        raise watch.give_up()

    async def _pour(self, incoming: Incoming, sink: Sink, watch: Stopwatch) -> None:
        size = 0
        while piece := await incoming.receive():
            size += len(piece)
            if self.max_size is not None and size > self.max_size:
                raise ResponseTooLargeError(size, self.max_size)
            # The server is not to blame for a sink that is slow; the total counts all the same.
            watch.enter(Phase.SINK, None)
            await pour(piece, sink)
