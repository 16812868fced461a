"""From threads into Trio: calls, and a block in which they can be made."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, TypeVar, cast

import trio
from anyio.from_thread import BlockingPortal

from .._errors import PoolClosedError
from .._supervisor import open_plain_nursery
from ._outcome import Call, Outcome

T = TypeVar("T")

_NAME = "snowtrio blocking client"


def _is_cancellation(error: BaseException | None) -> bool:
    if not isinstance(error, BaseExceptionGroup):
        return isinstance(error, trio.Cancelled)
    group = cast("BaseExceptionGroup[BaseException]", error)
    return all(_is_cancellation(each) for each in group.exceptions)


async def _within(timeout: float, function: Callable[[], Awaitable[T]]) -> T:
    with trio.move_on_after(timeout):
        return await function()
    raise TimeoutError(f"not done within {timeout:g} seconds")


class Bridge:
    """Holds a context manager open in Trio, and runs what threads call meanwhile.

    A call costs one wake-up in each direction: it goes by the token of Trio's run, and its outcome
    comes by a lock. ``BlockingPortal.call`` has two of them, to start it and to end it.

    Parameters:
        resource: entered when the bridge is opened, left when it is closed.
        portal: into whose Trio it leads; without one, a thread of its own runs Trio.
    """

    def __init__(
        self, resource: AbstractAsyncContextManager[object], portal: BlockingPortal | None
    ) -> None:
        self._resource = resource
        self._portal = portal
        self._process = 0
        self._own_thread: threading.Thread | None = None
        self._claimed = False
        self._given_up = False
        self._opened = Outcome[None]()
        self._ended = Outcome[None]()
        # What is below belongs to the Trio thread, and is there before it tells of the opening.
        self._token: trio.lowlevel.TrioToken | None = None
        self._trio_thread = 0
        self._nursery: trio.Nursery | None = None
        self._taking = False
        self._block = trio.CancelScope()
        self._leaving = trio.Event()
        self.at_end: set[Callable[[], object]] = set()
        """Called in Trio when the resource has been left: these end what `start_task` started."""

    # In threads

    def claim(self) -> None:
        """Have it for oneself: what comes before `open`.

        Raises:
            RuntimeError: somebody had it before.
        """
        if self._claimed:
            raise RuntimeError("a BlockingRequestClient is entered once")
        self._claimed = True
        self._process = os.getpid()

    def open(self) -> None:
        """Enter the resource; raises what that raised. `give_up` has to follow if it raises."""
        if self._portal is not None:
            serving = self._portal.start_task_soon(self._serve, name=_NAME)
            serving.add_done_callback(self._note_served)
        else:
            self._own_thread = threading.Thread(target=self._run_trio, name=_NAME, daemon=True)
            self._own_thread.start()
        self._opened.wait()
        self._opened.result()

    def give_up(self) -> None:
        """Take back `open`, however far it came."""
        # Either the token is seen here, or in Trio, that this has been given up.
        self._given_up = True
        if self._token is not None:
            self.tell(self._block.cancel)
            self._wait_ended()

    def close(self, *, cut: bool) -> None:
        """Leave the resource; wait for its end, for calls under way, and for our own thread.

        Interrupted, it cuts, waits for that, and raises. In a forked child it does nothing: what
        there is belongs to the parent.

        Parameters:
            cut: cancel the resource instead of leaving it in order.
        """
        if self.forked:
            return
        self._check()
        try:
            self.tell(self._block.cancel if cut else self._leaving.set)
            self._wait_ended()
        except BaseException:
            self.tell(self._block.cancel)
            self._wait_ended()
            raise
        self._ended.result()

    def call(self, function: Callable[[], Awaitable[T]], *, timeout: float | None = None) -> T:
        """Have something called in Trio; return what it returns, or raise what it raises.

        Interrupted, as by a ``KeyboardInterrupt``, it cancels the call and waits for its end; a
        second interrupt does not wait.

        Parameters:
            function: called, and its result awaited, in a task of its own.
            timeout: seconds after which it is cancelled.

        Raises:
            TimeoutError: they are over.
            PoolClosedError: the resource has been left.
            RuntimeError: it has not been entered, in this process, or this is the Trio thread.
        """
        token = self._check()
        call = Call(function if timeout is None else partial(_within, timeout, function))
        try:
            token.run_sync_soon(self._begin, call)
            call.wait()
        except trio.RunFinishedError:
            raise PoolClosedError("the client is closed") from None
        except BaseException:
            with contextlib.suppress(trio.RunFinishedError):
                token.run_sync_soon(call.abandon)
                call.wait()
            raise
        return call.result()

    def tell(self, function: Callable[[], object]) -> None:
        """Have something called in Trio, if that runs; does not wait."""
        if self._token is not None and not self.forked:
            with contextlib.suppress(trio.RunFinishedError):
                self._token.run_sync_soon(function)

    @property
    def forked(self) -> bool:
        """Whether it was opened in another process than this."""
        return self._claimed and os.getpid() != self._process

    def _check(self) -> trio.lowlevel.TrioToken:
        if self.forked:
            raise RuntimeError("a blocking client does not work after a fork: make one there")
        if not self._opened.succeeded:
            raise RuntimeError("use the client within its with block")
        if threading.get_ident() == self._trio_thread:
            raise RuntimeError("this is the thread that runs Trio: it must not be blocked")
        assert self._token is not None
        return self._token

    def _wait_ended(self) -> None:
        self._ended.wait()
        if self._own_thread is not None:
            self._own_thread.join()

    def _run_trio(self) -> None:
        try:
            trio.run(self._serve)
        except BaseException as error:
            self._note_end(error)
        else:
            self._note_end(None)

    def _note_served(self, serving: Future[None]) -> None:
        error = None if serving.cancelled() else serving.exception()
        self._note_end(None if _is_cancellation(error) else error)

    def _note_end(self, error: BaseException | None) -> None:
        if not self._opened.done:
            self._opened.fail(error or PoolClosedError("Trio ended before the client was open"))
        elif error is not None:
            self._ended.fail(error)
            return
        self._ended.succeed(None)

    # In Trio

    async def _serve(self) -> None:
        if not trio.lowlevel.in_trio_run():
            raise RuntimeError('the portal does not run Trio: start_blocking_portal("trio") does')
        self._token = trio.lowlevel.current_trio_token()
        self._trio_thread = threading.get_ident()
        if self._given_up:
            return
        async with open_plain_nursery() as self._nursery:
            try:
                with self._block:
                    await self._keep_open()
            finally:
                self._taking = False
                for end in self.at_end:
                    end()

    async def _keep_open(self) -> None:
        async with open_plain_nursery() as nursery:
            if self._portal is not None:
                nursery.start_soon(self._leave_with, self._portal)
            async with self._resource:
                self._taking = True
                self._opened.succeed(None)
                await self._leaving.wait()
            nursery.cancel_scope.cancel(reason="the client is closed")

    async def _leave_with(self, portal: BlockingPortal) -> None:
        """Leave when the portal is stopped: it waits for its tasks, this one too."""
        await portal.sleep_until_stopped()
        self._leaving.set()

    def _begin(self, call: Call[Any]) -> None:
        if self._taking:
            call.begun = True
            self.start_task(call.run)
        else:
            call.fail(PoolClosedError("the client is closed"))

    def start_task(self, function: Callable[[], Awaitable[object]]) -> None:
        """Start a task that the bridge's end waits for; only from a call."""
        assert self._nursery is not None
        self._nursery.start_soon(function, name=_NAME)
