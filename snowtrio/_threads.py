"""Functions that block, run in threads under a bound of their own.

A `ThreadedFunction` is known to every place that takes a handler: what it returns there is awaited,
and whoever calls one for each message of a connection calls it for one after the other.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Coroutine
from functools import partial, update_wrapper
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, cast, overload

import attrs
import trio

P = ParamSpec("P")
RestP = ParamSpec("RestP")
ReturnT = TypeVar("ReturnT")
ResultT_co = TypeVar("ResultT_co", covariant=True)
SelfT = TypeVar("SelfT")

MAX_THREADS = 40
"""As many as Trio and anyio have by default, but these are nobody else's."""

# Between two lines that say that all threads are busy, in seconds.
_QUIET = 60.0

logger = logging.getLogger("snowtrio.threads")


@attrs.frozen(kw_only=True)
class ThreadsStatistics:
    """The counts of some threads at one moment (row W32).

    Parameters:
        max_threads: how many there may be at a time.
        busy: in which a function runs, those abandoned among them.
        abandoned: in which one runs for which nobody waits any more.
        waiting: calls that wait for a thread.
        peak: the most that have been busy.
        finished: calls that have returned or raised.
    """

    max_threads: int
    busy: int
    abandoned: int
    waiting: int
    peak: int
    finished: int


class Threads:
    """A bounded number of threads for functions that block (row W32).

    ::

        threads = Threads(8)

        @threads
        def look_up(connection: Connection[bytes], line: bytes) -> bytes:
            return database.ask(line)  # takes its time, and stalls nobody

        trio.run(serve_tcp, look_up, LineCodec(), 7000)

    A function that is marked so can be given wherever a plain function can be a handler, and in its
    place: to the servers and clients of the core, to `RequestHandler`, as a handler of
    `snowtrio.http` and of its routes, as a handler or callback of a WebSocket. It is called in the
    same way, in a thread. Of one connection it is called for one message, or request, after the
    other, and the answers keep their order (`RequestHandler` calls it for `max_concurrent` at a
    time). Its connection is not read further than its bounds meanwhile, and all others go on. What
    it raises is what the handler raises.

    The bound is this object's own: neither other `Threads` nor the threads that Trio takes for
    files and names (``trio.to_thread``) wait when all of these are busy. Functions that share one
    object share its threads; whoever finds none free waits for its turn, the first first, and the
    first such wait is a warning in the log, at most once a minute. Each run of Trio has as many
    threads as the bound says.

    The function sees the context variables of its caller. It may call back into Trio with
    ``trio.from_thread``; connections are Trio's, so that is the way to send more than what it
    returns: ``trio.from_thread.run(connection.send, message)``. It must not wait in that manner for
    another call of the same `Threads`: when all wait so, none can go on.

    A thread cannot be stopped. By default it is abandoned when its caller is cancelled, as a
    handler is whose peer has left, or that a drain cuts at its deadline: the connection ends at
    once, the function runs to its end with the thread still counted, what it returns is dropped,
    and what it raises is logged. It learns of that with ``trio.from_thread.check_cancelled()``.

    Parameters:
        max_threads: how many run at a time. Default 40.
        abandon_on_cancel: False makes a cancellation wait until the function has returned: the
            connection keeps its place, and a drain, or the end of the program, waits without a
            deadline. Only for functions that always end soon. Default True.
        name: for the log and for the threads' names.

    Raises:
        ValueError: `max_threads` is below 1.
    """

    def __init__(
        self,
        max_threads: int = MAX_THREADS,
        *,
        abandon_on_cancel: bool = True,
        name: str = "threads",
    ) -> None:
        self._max_threads = _checked(max_threads)
        self.abandon_on_cancel = abandon_on_cancel
        self.name = name
        # Threads of a run that has ended may go on, and never give back what they have taken.
        self._room: trio.lowlevel.RunVar[_Room] = trio.lowlevel.RunVar(name)

    def __call__(self, function: Callable[P, ReturnT]) -> ThreadedFunction[P, ReturnT]:
        """Mark a function, or a method, as one that blocks; also as a decorator.

        Raises:
            TypeError: it is a coroutine function or a generator, of which a thread would run
                nothing.
        """
        return ThreadedFunction(function, self)

    async def run(self, function: Callable[..., ReturnT], *arguments: object) -> ReturnT:
        """Call a function in one of the threads, for a coroutine that blocks here and there.

        A checkpoint. Cancelled while it waits for a thread, nothing was called.

        Parameters:
            function: called with `arguments`.
            arguments: positional; ``functools.partial`` has others.

        Returns what the function does.

        Raises:
            Exception: what the function raised.
        """
        call = _Call(self._here(), partial(function, *arguments))
        try:
            return cast(
                "ReturnT",
                await trio.to_thread.run_sync(
                    call.run,
                    thread_name=f"{self.name}: {_name_of(function)}",
                    abandon_on_cancel=self.abandon_on_cancel,
                    # Trio takes anything that has a limiter's two methods.
                    limiter=cast("trio.CapacityLimiter", call),
                ),
            )
        except trio.Cancelled:
            call.abandon()
            raise
        except Exception:
            call.forget_error()
            raise

    def _here(self) -> _Room:
        """Return the counts of this run of Trio."""
        try:
            return self._room.get()
        except LookupError:
            room = _Room(self.name, trio.CapacityLimiter(self._max_threads))
            self._room.set(room)
            return room

    @property
    def max_threads(self) -> int:
        """How many run at a time. Changed in Trio it holds for that run at once, and stops none."""
        return self._max_threads

    @max_threads.setter
    def max_threads(self, max_threads: int) -> None:
        self._max_threads = _checked(max_threads)
        if trio.lowlevel.in_trio_run():
            self._here().limiter.total_tokens = max_threads

    def statistics(self) -> ThreadsStatistics:
        """Return the counts of this run of Trio.

        Raises:
            RuntimeError: there is none.
        """
        return self._here().statistics()

    def __repr__(self) -> str:
        return f"Threads({self._max_threads}, name={self.name!r})"


class ThreadedFunction(Generic[P, ResultT_co]):
    """A function whose calls run in threads; made by calling `Threads`.

    To call it is to get something to await. It is not a coroutine function: where one is told from
    a plain function, it counts as the plain function that it wraps.

    Parameters:
        function: what is called in a thread.
        threads: in one of which.
    """

    def __init__(self, function: Callable[P, ResultT_co], threads: Threads) -> None:
        called = getattr(function, "__call__", None)  # noqa: B004 - of an object that is called
        for kind in (
            inspect.iscoroutinefunction,
            inspect.isasyncgenfunction,
            inspect.isgeneratorfunction,
        ):
            if kind(function) or kind(called):
                raise TypeError(f"only a plain function is run in a thread, not {function!r}")
        if called is None:
            raise TypeError(f"a function is needed, not {function!r}")
        update_wrapper(self, function)
        self.function = function
        self.threads = threads

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, ResultT_co]:
        """Call the function in a thread; to be awaited, see `Threads.run`."""
        return self.threads.run(partial(self.function, *args, **kwargs))

    @overload
    def __get__(self, instance: None, owner: type) -> ThreadedFunction[P, ResultT_co]: ...

    @overload
    def __get__(
        self: ThreadedFunction[Concatenate[SelfT, RestP], ResultT_co], instance: SelfT, owner: type
    ) -> ThreadedFunction[RestP, ResultT_co]: ...

    def __get__(self, instance: object, owner: type) -> ThreadedFunction[..., ResultT_co]:
        """Return a method, where the function stands in a class."""
        bind = getattr(self.function, "__get__", None)
        if instance is None or bind is None:
            return self
        return ThreadedFunction(bind(instance, owner), self.threads)

    def __repr__(self) -> str:
        return f"<{self.function!r} in {self.threads!r}>"


class _Room:
    """The threads of one run of Trio.

    Parameters:
        name: for the log.
        limiter: how many there may be.
    """

    def __init__(self, name: str, limiter: trio.CapacityLimiter) -> None:
        self.limiter = limiter
        self.abandoned = 0
        self.finished = 0
        self._name = name
        self._peak = 0
        self._told = float("-inf")

    async def enter(self, borrower: object) -> None:
        """Wait for a thread."""
        if self.limiter.available_tokens < 1:
            self._tell_of_wait()
        await self.limiter.acquire_on_behalf_of(borrower)
        self._peak = max(self._peak, self.limiter.borrowed_tokens)

    def _tell_of_wait(self) -> None:
        now = trio.current_time()
        if now - self._told >= _QUIET:
            self._told = now
            busy = self.limiter.borrowed_tokens
            logger.warning("all %d threads of %r are busy: calls wait", busy, self._name)

    def leave(self, borrower: object) -> None:
        """Give a thread back."""
        self.limiter.release_on_behalf_of(borrower)
        self.finished += 1

    def statistics(self) -> ThreadsStatistics:
        """Return the counts of this moment."""
        return ThreadsStatistics(
            max_threads=int(self.limiter.total_tokens),
            busy=self.limiter.borrowed_tokens,
            abandoned=self.abandoned,
            waiting=self.limiter.statistics().tasks_waiting,
            peak=self._peak,
            finished=self.finished,
        )


class _Call:
    """One call, and for Trio the limiter that it asks.

    Parameters:
        room: where it runs.
        function: called once.
    """

    __slots__ = ("_abandoned", "_error", "_function", "_held", "_room")

    def __init__(self, room: _Room, function: Callable[[], object]) -> None:
        self._room = room
        self._function = function
        self._held = False
        self._abandoned = False
        # Appended in the thread and taken by whichever of the two sides comes second.
        self._error: list[Exception] = []

    # In the thread

    def run(self) -> object:
        """Call the function."""
        try:
            return self._function()
        except Exception as error:
            self._error.append(error)
            if self._abandoned:
                self._tell()
            raise

    def _tell(self) -> None:
        """Log what the function has raised, if it has: nobody else gets it."""
        try:
            error = self._error.pop()
        except IndexError:
            return
        logger.error("%s failed after it was abandoned", _name_of(self._function), exc_info=error)

    # In Trio

    def forget_error(self) -> None:
        """Note that somebody has got what was raised; its frames hold this call."""
        self._error.clear()

    async def acquire_on_behalf_of(self, borrower: object) -> None:
        await self._room.enter(borrower)
        self._held = True

    def release_on_behalf_of(self, borrower: object) -> None:
        self._held = False
        self._room.leave(borrower)
        if self._abandoned:
            self._room.abandoned -= 1

    def abandon(self) -> None:
        """Note that nobody waits any more; nothing if there is no thread."""
        if self._held:
            self._abandoned = True
            self._room.abandoned += 1
            self._tell()


def _name_of(function: Callable[..., object]) -> str:
    while isinstance(function, partial):
        function = function.func
    return getattr(function, "__qualname__", None) or repr(function)


def _checked(max_threads: int) -> int:
    if max_threads < 1:
        raise ValueError(f"max_threads is at least 1, not {max_threads}")
    return max_threads
