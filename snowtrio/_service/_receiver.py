"""Signals received by tasks: each receiver gets all of its kinds, however many receivers there are.

Trio's ``open_signal_receiver`` has one task iterate, and a second receiver of a kind takes it away
from the first until it closes. Here all that are open share one handler a kind, so that parts of a
program which know nothing of each other can all learn that it is to end.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, TypeAlias

import trio

Handler: TypeAlias = Callable[[int, FrameType | None], Any] | int | None


class Kind:
    """One kind of signal while somebody receives it: the handler, and the one that it replaced.

    Everything here runs in the main thread; the handler may interrupt any of it.

    Parameters:
        number: which kind.
    """

    def __init__(self, number: signal.Signals) -> None:
        self._number = number
        self._receivers: list[SignalReceiver] = []
        self._previous: Handler = None
        self.unseen = False
        """Whether one has arrived that no receiver has been told of."""

    def join(self, receiver: SignalReceiver) -> None:
        """Have a receiver told; the first one installs the handler."""
        self._receivers.append(receiver)
        try:
            if len(self._receivers) == 1:
                self._install()
        except BaseException:
            self._receivers.remove(receiver)
            raise

    def _install(self) -> None:
        self._previous = signal.getsignal(self._number)
        if self._previous is None:
            raise RuntimeError(
                f"the handler of {self._number.name} was not installed by Python, which could not "
                "restore it"
            )
        signal.signal(self._number, self._handle)
        _received[self._number] = self

    def leave(self, receiver: SignalReceiver) -> bool:
        """Have a receiver told no more; the last one restores the handler that was there.

        Returns whether one has arrived that nobody has been told of, and nobody will be.
        """
        self._receivers.remove(receiver)
        if self._receivers:
            return False
        del _received[self._number]
        # One that was installed over ours will put ours back, and that hands on.
        if signal.getsignal(self._number) == self._handle:
            signal.signal(self._number, self._previous)
        return self.unseen

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self._receivers:
            signal.signal(self._number, self._previous)
            signal.raise_signal(self._number)
            return
        self.unseen = True
        for receiver in tuple(self._receivers):
            receiver.keep(self._number)


_received: dict[signal.Signals, Kind] = {}


class SignalReceiver:
    """Receives signals in a task: ``with SignalReceiver(signal.SIGUSR1) as signals`` (row P8).

    Entered, it takes the place of the handlers of the kinds that were asked for, and of no others.
    Signals that arrive from then on are kept until they are received, several of one kind as one.
    Any number of receivers may be open, for the same kinds too: each gets what arrives while it is
    open. When the last of a kind is closed, the handler that was there is restored, and a signal
    that no receiver has given to anybody is raised again, so that it is not lost.

    It works in the main thread alone, where Python runs signal handlers. On Windows there are
    SIGINT, SIGBREAK and SIGTERM, the last of which only this process itself can send.

    Parameters:
        signals: the kinds to receive, one at least.

    Raises:
        ValueError: there is no such signal.
        OSError: it cannot be handled, as SIGKILL; from ``with``, as what follows.
        RuntimeError: this is not the main thread, Trio does not run here, or a handler that is not
            Python's is installed, which could not be restored.
    """

    def __init__(self, *signals: int) -> None:
        if not signals:
            raise TypeError("a SignalReceiver needs a signal to receive")
        self._signals = tuple(dict.fromkeys(signal.Signals(number) for number in signals))
        self._kept: dict[signal.Signals, None] = {}
        self._kinds: dict[signal.Signals, Kind] = {}
        self._token: trio.lowlevel.TrioToken | None = None
        self._came = trio.Event()
        self._receiving = False
        self._closed = False

    def __enter__(self) -> SignalReceiver:
        if self._token is not None:
            raise RuntimeError("a SignalReceiver is entered once")
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("signals can be received in Python's main thread alone")
        self._token = trio.lowlevel.current_trio_token()
        try:
            for number in self._signals:
                kind = _received.get(number) or Kind(number)
                kind.join(self)
                self._kinds[number] = kind
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Receive no more, as the end of the ``with`` block does; a second call does nothing.

        A task that waits in `receive` is told `trio.ClosedResourceError`.
        """
        if self._closed:
            return
        self._closed = True
        self._came.set()
        # Whatever fails or raises here, as a handler that was there may, the others are restored.
        with contextlib.ExitStack() as stack:
            for number, kind in self._kinds.items():
                stack.callback(self._leave, number, kind)

    def _leave(self, number: signal.Signals, kind: Kind) -> None:
        if kind.leave(self) and number in self._kept:
            signal.raise_signal(number)

    def keep(self, number: signal.Signals) -> None:
        """Keep a signal until it is received; called by the signal handler."""
        self._kept[number] = None
        assert self._token is not None
        with contextlib.suppress(trio.RunFinishedError):
            self._token.run_sync_soon(self._wake, idempotent=True)

    def _wake(self) -> None:
        self._came.set()

    async def receive(self) -> signal.Signals:
        """Return the next signal, in the order of arrival; wait for one if there is none.

        A checkpoint. Cancelled, it has taken nothing.

        Raises:
            trio.BusyResourceError: another task waits here; it needs a receiver of its own.
            trio.ClosedResourceError: the receiver is closed, or never was entered.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._receiving:
            raise trio.BusyResourceError("another task waits for signals on this receiver")
        self._receiving = True
        try:
            while True:
                with contextlib.suppress(trio.WouldBlock):
                    number = self.receive_nowait()
                    break
                self._came = trio.Event()
                await self._came.wait()
        finally:
            self._receiving = False
        await trio.lowlevel.cancel_shielded_checkpoint()
        return number

    def receive_nowait(self) -> signal.Signals:
        """Return the next signal that is kept.

        Raises:
            trio.WouldBlock: there is none.
            trio.ClosedResourceError: the receiver is closed, or never was entered.
        """
        if self._closed or self._token is None:
            raise trio.ClosedResourceError("this receiver of signals is not open")
        # A copy: the handler may interrupt an iteration.
        for number in tuple(self._kept):
            self._kinds[number].unseen = False
            del self._kept[number]
            return number
        raise trio.WouldBlock

    def __aiter__(self) -> SignalReceiver:
        return self

    async def __anext__(self) -> signal.Signals:
        try:
            return await self.receive()
        except trio.ClosedResourceError:
            raise StopAsyncIteration from None
