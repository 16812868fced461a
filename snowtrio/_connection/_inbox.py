"""What has been decoded, on its way to whoever receives it.

A receiver that waits gets a batch put into its hands. One that is away finds it in the channel,
where the reader waits meanwhile: the channel has no room of its own, so what is held is the batch
that the receiver works through and the one that waits for it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar, cast

import trio

from .._errors import ConnectionClosedError
from ._losses import again
from ._shelf import Item, Shelf
from ._slot import Slot

ReceiveT = TypeVar("ReceiveT")


class Inbox(Generic[ReceiveT]):
    """Hands over batches, and then the end."""

    __slots__ = (
        "_channel",
        "_closed",
        "_end",
        "_in_hand",
        "_inlet",
        "_receiving",
        "_shelf",
        "_slot",
        "explain",
        "near",
        "on_end",
        "read",
        "ready",
        "spills",
        "taken",
    )

    def __init__(self) -> None:
        self.ready: list[ReceiveT] = []
        """What the receiver has taken and not looked at yet, the next one last: an idle list costs
        a tenth of an idle queue."""
        self._slot: Slot[Item[ReceiveT] | BaseException | None] = Slot()
        # The channel is made for the first batch that has to wait: most connections never need it,
        # and an idle one is a tenth smaller without.
        self._inlet: trio.MemorySendChannel[Item[ReceiveT]] | None = None
        self._channel: trio.MemoryReceiveChannel[Item[ReceiveT]] | None = None
        self.read: Callable[[], Awaitable[Item[ReceiveT] | None]] | None = None
        """Reads for more, where that is left to the receiver."""
        self.near = False
        """Whether the receiver was there the last time that something came."""
        self._in_hand: Item[ReceiveT] | None = None
        self._receiving = False
        self._closed = False
        self._end: Exception | None = None
        self._shelf: Shelf[ReceiveT] | None = None
        self.spills = False
        """Whether what comes and finds no room is thrown away: nobody is expected to want it."""
        self.explain: Callable[[Exception], Exception] | None = None
        """Makes what a receiver gets of why nothing comes, where a protocol has better words.

        Then what has come can be received after our side has closed, too.
        """
        self.on_end: Callable[[], None] | None = None
        """Called when the receiver has taken all that came, and asks for more.

        Where there was nothing to take, at the end itself.
        """
        self.taken = False
        """Whether anything has been received."""

    def read_ahead(self, shelf: Shelf[ReceiveT]) -> None:
        """Let reading go on without a receiver, as far as there is room on a shelf."""
        self._shelf = shelf

    @property
    def holds(self) -> bool:
        """Whether something waits for a receiver that is away, or the end has come."""
        return self._holds or self._end is not None

    @property
    def _holds(self) -> bool:
        kept = self._shelf is not None and bool(self._shelf.items)
        return kept or self._in_hand is not None

    @property
    def will_read(self) -> bool:
        """Whether a receiver will come for more: one that waits already does so for good."""
        return self.near and self._slot.waiting is None

    @property
    def full(self) -> bool:
        """Whether reading has stopped because nobody receives."""
        return self._in_hand is not None and self._end is None

    @property
    def queued(self) -> int:
        """Messages that were decoded and not received."""
        kept = self._shelf.messages if self._shelf is not None else 0
        in_hand = len(self._in_hand) if isinstance(self._in_hand, list) else 0
        return len(self.ready) + kept + in_hand

    @property
    def wanted(self) -> bool:
        """Whether anything has been received, or somebody waits for it."""
        return self.taken or self._receiving

    def spill(self) -> None:
        """Read on from now on, whether anybody receives or not."""
        self.spills = True
        if self.full and self._shelf is not None:
            self._move_up(self._shelf, force=True)

    # The receiver

    async def take_batch(self) -> None:
        """Wait until there is something in `ready`, or raise what says why nothing comes."""
        if self._receiving:
            self.reserve()
        self._receiving = True
        try:
            item: Item[ReceiveT] | BaseException | None = self._pick_up()
            while item is None:
                item = await (self.read or self._slot.wait)() or self._pick_up()
        finally:
            self._receiving = False
        if type(item) is not list:
            raise cast("BaseException", item)
        item.reverse()
        self.ready = item
        self.taken = True

    def reserve(self) -> None:
        """Let nobody else receive until `release`."""
        if self._receiving:
            raise trio.BusyResourceError("another task is receiving from this connection")
        self._receiving = True

    def release(self) -> None:
        """Let others receive again."""
        self._receiving = False

    def put_back(self, messages: list[ReceiveT]) -> None:
        """Take back what was taken last and not looked at; nothing else is in `ready`."""
        if messages and (not self._closed or self.explain is not None):
            self.ready = messages[::-1]

    def take_nowait(self) -> Item[ReceiveT] | None:
        """Return what is there without waiting, None for nothing; raises as `take_batch`."""
        return self.take_ready() if self.ready else self._pick_up()

    def _pick_up(self) -> Item[ReceiveT] | None:
        """Return what waits, None if nothing does yet."""
        if self._closed and self.explain is None:
            raise ConnectionClosedError("this side closed the connection")
        shelf = self._shelf
        if shelf is not None and shelf.items:
            item = shelf.take()
            if self.full:
                self._move_up(shelf)
            return item
        if self._in_hand is None:
            if self._end is not None:
                self.note_end()
                raise self.explained(self._end)
            return None
        item, self._in_hand = self._in_hand, None
        self._release_reader()
        return item

    def _move_up(self, shelf: Shelf[ReceiveT], *, force: bool = False) -> None:
        """Put what the reader has in hand to the shelf, so that it can go on."""
        if self._in_hand is not None and shelf.put(self._in_hand, force=force):
            self._in_hand = None
            self._release_reader()

    def _release_reader(self) -> None:
        if self._end is None and self._channel is not None:
            # A reader that was stopped a moment ago does not wait there any more.
            with contextlib.suppress(trio.WouldBlock):
                self._channel.receive_nowait()

    def note_end(self) -> None:
        """Say so if the receiver has taken all that there will be."""
        if self.on_end is not None and self._end is not None and not (self.ready or self._holds):
            self.on_end()

    def explained(self, error: Exception) -> Exception:
        """Return what a receiver gets for the end."""
        return again(error) if self.explain is None else self.explain(error)

    def take_ready(self) -> list[ReceiveT]:
        """Return all that is in `ready`, in order."""
        batch, self.ready = self.ready, []
        batch.reverse()
        return batch

    # The reader

    def put_nowait(self, item: Item[ReceiveT]) -> bool:
        """Hand over if the receiver waits; say whether it did."""
        if not self._slot.waiting:
            return (self._shelf is not None and self._shelf.put(item)) or self.spills
        self._slot.put(item)
        self.near = self.taken = True
        return True

    async def finish(self, item: Item[ReceiveT]) -> None:
        """Hand over to a receiver that is away, and wait until it has come.

        Cancelled, the item stays for the receiver; `end` must be called next.
        """
        if self._closed:
            if self._shelf is not None and self.explain is not None:
                self._shelf.put(item, force=True)  # It came before the end.
            raise trio.BrokenResourceError("nobody receives any more")
        if self._inlet is None:
            self._inlet, self._channel = trio.open_memory_channel[Item[ReceiveT]](0)
        self._in_hand = item
        await self._inlet.send(item)
        self._in_hand = None

    def interrupt(self, error: BaseException) -> None:
        """Raise an error in the receiver, if it waits."""
        if self._slot.waiting:
            self._slot.put(error)

    def end(self, reason: Exception) -> None:
        """Deliver nothing more; whoever has taken all that there is gets `reason`."""
        if not self._closed:
            self._end = reason
        if self._inlet is not None:
            self._inlet.close()
        if self._slot.waiting:
            self._slot.put(None)
        elif not self.taken:
            self.note_end()

    def close(self) -> None:
        """Deliver nothing more, nor what is there; a receiver that waits is told at once."""
        if self.explain is None:
            self.ready = []
        elif self._end is None:
            self._end = ConnectionClosedError("this side closed the connection")
        self._closed = True
        if self._channel is not None:
            self._channel.close()
        if self._slot.waiting:
            self._slot.put(None)
