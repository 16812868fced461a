"""The reading half of a connection: bytes from the transport, batches to the receiver.

Mostly its task is parked, and others do its work (`_reading`). What has to be waited for is its
own: a receiver that is away, a rate, the end of input; so is all reading where nothing watches.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import trio

from .._buffer import ReceiveBuffer
from .._codec import Codec
from .._errors import RemoteProtocolError, TruncatedError
from .._transport import Transport
from ._answering import Answering
from ._budget import Share
from ._changes import Changes
from ._limits import ConnectionLimits
from ._losses import as_lost, nobody_is_told
from ._rate import TokenBucket
from ._reading import Reading
from ._statistics import Counters

ReceiveT = TypeVar("ReceiveT")


class Reader(Reading[ReceiveT]):
    """Reads, decodes and delivers, until the end of input.

    Parameters:
        changes: where everybody waits who waits for anything about this connection.
        on_eof: called at the end of input.
        on_loss: called when the transport breaks.

    The others are those of `Reading`.
    """

    __slots__ = (
        "_changes",
        "_closed",
        "_on_eof",
        "_on_loss",
        "_scope",
        "_waiting",
        "done",
        "eof",
        "error",
        "parting",
    )

    def __init__(
        self,
        transport: Transport,
        buffer: ReceiveBuffer,
        coder: Codec[Any, ReceiveT],
        limits: ConnectionLimits,
        counters: Counters,
        *,
        share: Share | None,
        bucket: TokenBucket | None,
        changes: Changes,
        on_eof: Callable[[], None],
        on_loss: Callable[[Exception], None],
    ) -> None:
        super().__init__(transport, buffer, coder, limits, counters, share, bucket)
        self.error: Exception | None = None
        """What ended the input, None for a clean end."""
        self.eof = False
        self.parting = False
        """Whether nobody minds if the transport breaks from here on."""
        self.done = False
        """Whether the task has ended."""
        self._on_eof = on_eof
        self._on_loss = on_loss
        self._changes = changes
        self._waiting: trio.CancelScope | None = None
        self._scope = trio.CancelScope()
        self._closed = False

    # The task

    async def run(self) -> None:
        """Read until the end of input, an error, or `stop`."""
        try:
            with self._scope:
                await self._deliver()
                await self._read_all()
                self._at_eof()
                self._decoder.feed_eof()
                await self._deliver()
        except trio.Cancelled:
            self.close()  # Cut: nobody is to take this for the peer's end of input.
            raise
        except Exception as error:  # a codec's own mistake ends its connection only
            if not self._closed:  # Otherwise the error is that nobody takes anything any more.
                self._failed(error)
        finally:
            self._transport.unwatch()
            self.inbox.end(self.error or trio.EndOfChannel("the peer has ended its input"))
            self.done = True
            self._changes.note()

    async def _read_all(self) -> None:
        try:
            while (data := await self._next_bytes()) != b"":
                if isinstance(data, BaseException):
                    raise data
                if data:
                    self._took(data)
                await self._deliver()
        except TruncatedError:
            if self.buffer or not self._decoder.coder.ends_itself:
                raise

    def _failed(self, error: Exception) -> None:
        self.error = error
        if isinstance(error, TruncatedError):
            self._at_eof()
        elif isinstance(error, (RemoteProtocolError, trio.EndOfChannel)):
            pass  # The coder says so: the transport is in order.
        elif isinstance(error, (trio.BrokenResourceError, trio.ClosedResourceError)):
            self.error = as_lost(error)
            if not self.parting:
                self._on_loss(self.error)

    def _at_eof(self) -> None:
        self.eof = True
        self._changes.note()
        self._on_eof()

    async def _deliver(self) -> None:
        """Decode and hand over all that is there, waiting for the receiver where it is away."""
        while True:
            while (item := self._left or self._next_item()) is not None:
                self._left = None
                if not self._target.put_nowait(item):
                    await self._target.finish(item)
            if self._intake.limited:
                self._intake.settle()
            if not self.buffer.paused:
                break
            await self._wait_for_switch()

    async def _wait_for_switch(self) -> None:
        """Wait for another codec; keep what comes, up to a read, so that an end shows."""
        while self.buffer.paused and not self.eof and len(self.buffer) < self._limits.receive_size:
            data = await self._read_unless_switched()
            if data:
                self._took(data)
            elif data is not None:
                self._at_eof()
        await self._changes.wait_until(lambda: not self.buffer.paused)

    # Bytes

    def _next_bytes(self) -> Awaitable[bytes | BaseException | None]:
        """Return what waits for bytes: where nothing can hold it back, the transport itself.

        An idle connection is one that waits here, and each coroutine that it waits in costs memory.
        None comes where there are no new bytes, but something to deliver.
        """
        intake = self._intake
        if intake.limited and not intake.open:
            return intake.pause()
        if self._transport.watch(self.on_readable):
            return self._slot.wait()
        if self._transport.receives_nowait and self.inbox.will_read and not intake.limited:
            return self._rest()
        if self.buffer:
            return self._read_unless_switched()
        return self._transport.receive_some(self._limits.receive_size)

    async def _read_unless_switched(self) -> bytes | None:
        """Wait for bytes; None where those that are there have become another codec's meanwhile."""
        with trio.CancelScope() as self._waiting:
            return await self._transport.receive_some(self._limits.receive_size)
        return None

    # From elsewhere

    def switch(self, coder: Codec[Any, ReceiveT]) -> None:
        """Decode what has not been decoded with another coder, from here on."""
        self._decoder.switch(coder)
        self._changes.note()
        if self.buffer:
            self._leave()
        if self._waiting is not None:
            self._waiting.cancel(reason="the bytes that are left are another codec's")

    async def answer(self, answering: Answering[Any, ReceiveT]) -> None:
        """Have messages answered rather than received, until the end of input."""
        inbox = self.inbox
        inbox.reserve()
        on_end, inbox.on_end = inbox.on_end, None  # Not before the last answer is given.
        try:
            try:
                while (item := inbox.take_nowait()) is not None:
                    await answering.answer_here(item)
            finally:
                inbox.release()
            self._target = answering
            inbox.near = False  # The task reads from here on.
            inbox.read = None
            self._leave()
            await inbox.take_batch()
        except trio.EndOfChannel:
            await answering.answer_rest()
            raise
        except Exception:
            answering.check()  # An error of the function's says more than the end that it caused.
            raise
        finally:
            self._answer_no_more(answering)
            inbox.on_end = on_end
            inbox.note_end()

    def _answer_no_more(self, answering: Answering[Any, ReceiveT]) -> None:
        """Hand over to a receiver again, beginning with what was not answered."""
        self._target = self.inbox
        item, rest = answering.stop()
        if item is self._left:
            self._left = None
        self.inbox.put_back(rest)

    async def wait_done(self) -> None:
        """Wait until the task has ended."""
        await self._changes.wait_until(lambda: self.done)

    async def discard_rest(self) -> None:
        """Throw away what comes behind the last message, until the peer ends its input.

        Only once the task has ended; one task at a time.
        """
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while await self._transport.receive_some(self._limits.receive_size):
                pass
            self.eof = True

    # The end

    def stop(self, reason: str) -> None:
        """Read no more: the receiver gets what has been decoded, then the end."""
        if not self.done:
            self._scope.cancel(reason=reason)
            self._give_up_place()

    def fail(self, error: Exception) -> None:
        """Read no more: the receiver gets what has been decoded, then `error`."""
        if self.error is None and not self.eof:
            self.error = error
        if self.inbox.explain is not None and self._left is None:
            self.inbox.interrupt(self.inbox.explained(error))
        self.stop("the connection is lost")

    def let_go(self) -> None:
        """Drop the bytes that nobody will decode any more, the owner, and the error's frames."""
        self._on_eof = self._on_loss = nobody_is_told
        self.buffer.take_all()
        if self.error is not None:
            self.error = self.error.with_traceback(None)

    def close(self) -> None:
        """Read no more and deliver no more; a receiver that waits is told at once."""
        self._closed = True
        self.inbox.close()
        self.stop("the connection is closing")
