"""A client of requests whose calls block."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import Generic, Self

from anyio.from_thread import BlockingPortal
from typing_extensions import TypeVar

from .._errors import PoolClosedError
from .._requests import RequestClient, RequestLimits, RequestStatistics, Session
from .._supervisor import DrainReport, DrainTimeouts
from ._bridge import Bridge
from ._hold import Hold
from ._taking import BlockingPushes, BlockingReplies

SendT = TypeVar("SendT")
ReceiveT = TypeVar("ReceiveT", default=SendT)
ContextT = TypeVar("ContextT", default=None)


class BlockingRequester(Generic[SendT, ReceiveT, ContextT]):
    """Something that can be asked from threads.

    Parameters:
        bridge: leads to `asked`.
        asked: does the work, in Trio.
    """

    def __init__(
        self,
        bridge: Bridge,
        asked: RequestClient[SendT, ReceiveT, ContextT] | Session[SendT, ReceiveT, ContextT],
    ) -> None:
        self._bridge = bridge
        self._asked = asked
        self._pushes = BlockingPushes(bridge, asked.pushes)

    def _use(self) -> Bridge:
        return self._bridge

    def request(self, message: SendT, *, timeout: float | None = None) -> ReceiveT:
        """Send a request and return its reply.

        Whatever it raises but `RequestInDoubtError` and an interrupt means that the peer has not
        executed the request, and will not. See `RequestClient.request` for all that it raises.

        Parameters:
            message: the request.
            timeout: seconds for all of it: waiting in line, for a connection, for room, for the
                reply.

        Raises:
            RequestNotSentError: nothing of it left this process.
            RequestInDoubtError: it may have been executed, and there is no reply.
            SnowtrioError: it could not be sent, for other reasons.
        """
        return self._use().call(lambda: self._asked.request(message, timeout=timeout))

    def request_batch(
        self, messages: Iterable[SendT], *, timeout: float | None = None
    ) -> list[ReceiveT]:
        """Send requests together on one connection, in order, and return their replies in order.

        One batch costs one passage to the Trio thread and back, whatever its size.

        Parameters:
            messages: the requests.
            timeout: seconds for all of it.

        Raises as `RequestClient.request_batch`; ``outcomes`` says what became of each request.
        """
        requests = list(messages)
        return self._use().call(lambda: self._asked.request_batch(requests, timeout=timeout))

    @contextmanager
    def stream(
        self,
        message: SendT,
        *,
        ends: Callable[[ReceiveT], bool],
        timeout: float | None = None,
    ) -> Generator[BlockingReplies[ReceiveT], None, None]:
        """Send one request with many replies: ``with client.stream(...) as replies:``.

        The replies come by ``for``, the last one too. What is left when the block is left is thrown
        away as it comes.

        Parameters:
            message: the request.
            ends: whether a reply is the last one; called in the Trio thread.
            timeout: seconds for sending the request, and then for each reply.

        Raises as `request`, here or while the replies are taken, and ``TimeoutError``.
        """
        bridge = self._use()
        hold = Hold(bridge, self._asked.stream(message, ends=ends), timeout)
        with hold.held() as replies:
            yield BlockingReplies(bridge, hold, replies, timeout)

    def notify(self, message: SendT, *, timeout: float | None = None) -> None:
        """Send a message that has no reply; returns when a connection has accepted it.

        Parameters:
            message: what to send.
            timeout: seconds for waiting in line, for a connection, for room.

        Raises as `Client.send`, and ``TimeoutError``: then nothing was sent.
        """
        self._use().call(lambda: self._asked.notify(message), timeout=timeout)

    @property
    def pushes(self) -> BlockingPushes[ReceiveT]:
        """What comes and answers nothing, as an iterator that blocks."""
        return self._pushes


class BlockingSession(BlockingRequester[SendT, ReceiveT, ContextT]):
    """One connection for one user: transactions, blocking commands, subscriptions; see `Session`.

    Parameters:
        bridge: leads to `session`.
        session: does the work, in Trio.
        hold: holds it.
    """

    _asked: Session[SendT, ReceiveT, ContextT]

    def __init__(
        self,
        bridge: Bridge,
        session: Session[SendT, ReceiveT, ContextT],
        hold: Hold[Session[SendT, ReceiveT, ContextT]],
    ) -> None:
        super().__init__(bridge, session)
        self._hold = hold

    def _use(self) -> Bridge:
        if self._hold.left:
            raise RuntimeError("use a session within its with block")
        return self._bridge

    @property
    def context(self) -> ContextT:
        """What the handshake returned."""
        return self._asked.context

    @property
    def keep(self) -> bool:
        """Whether the connection goes back to the others at the end; see `Session.keep`."""
        return self._asked.keep

    @keep.setter
    def keep(self, keep: bool) -> None:
        self._asked.keep = keep


class BlockingRequestClient(BlockingRequester[SendT, ReceiveT, ContextT]):
    """A `RequestClient` for ordinary threads.

    ``with BlockingRequestClient(RequestClient(codec, "127.0.0.1", 6379)) as client:`` — any number
    of threads may call at a time, and share the client's connections; each is blocked in its own
    call alone. It wraps a client rather than taking its parameters, so that whatever the client can
    do, or one derived from it, can be had here, and is written down once.

    Leaving the block takes no more calls, drains, and ends the thread of Trio; a block that raised
    cuts instead. Threads that are still in a call then get its outcome, sessions and streams that
    they hold end, and calls after that raise `PoolClosedError`.

    A ``KeyboardInterrupt``, or what another signal handler raises, abandons the call that the main
    thread is blocked in, as cancelling it does in Trio: the reply of a request is dropped when it
    comes, or the connection cut (see `WhenCancelled`), and the client goes on. Errors come out as
    they were raised in Trio. Codecs, hooks and callbacks run in the Trio thread: those that block
    hold up everybody, and a call of theirs to this client raises ``RuntimeError``; so does one in a
    process that was forked, where there is no Trio thread.

    Parameters:
        client: one that has not been entered, owned from now on: nobody else may use it.
        portal: one that runs Trio, ``start_blocking_portal("trio")``, for several clients on one
            thread; it has to outlive the block. Without one, a thread is started for the block.
    """

    _asked: RequestClient[SendT, ReceiveT, ContextT]

    def __init__(
        self,
        client: RequestClient[SendT, ReceiveT, ContextT],
        *,
        portal: BlockingPortal | None = None,
    ) -> None:
        super().__init__(Bridge(client, portal), client)

    def __enter__(self) -> Self:
        self._bridge.claim()
        try:
            self._bridge.open()
            return self
        except BaseException:
            self._bridge.give_up()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bridge.close(cut=kind is not None)

    @contextmanager
    def session(
        self, *, timeout: float | None = None
    ) -> Generator[BlockingSession[SendT, ReceiveT, ContextT], None, None]:
        """Have a connection alone: ``with client.session() as session:``.

        After the block it goes back to the others, unless the block raised, something is still
        under way on it, or ``session.keep`` is False: then it is cut.

        Parameters:
            timeout: seconds to wait for a connection.

        Raises as `Client.send`, and ``TimeoutError``.
        """
        hold = Hold(self._bridge, self._asked.session(), timeout)
        with hold.held() as session:
            yield BlockingSession(self._bridge, session, hold)

    @property
    def limits(self) -> RequestLimits:
        """The bounds."""
        return self._asked.limits

    def bootstrap(self, *, timeout: float | None = None) -> None:
        """Open one connection ahead of the first request; raises as `Client.bootstrap`.

        Parameters:
            timeout: seconds after which it raises ``TimeoutError``.
        """
        self._bridge.call(self._asked.bootstrap, timeout=timeout)

    def statistics(self) -> RequestStatistics:
        """Return the counts of this moment; after the block, those of its end."""

        async def read() -> RequestStatistics:
            return self._asked.statistics()

        try:
            return self._bridge.call(read)
        except PoolClosedError:  # Nothing changes any more.
            return self._asked.statistics()

    def close(self, timeouts: DrainTimeouts | None = None) -> DrainReport:
        """Take no more requests, wait for replies to those under way, close the connections.

        For the report, or deadlines other than those of leaving the block, with which the Trio
        thread ends. Called again, it waits for the first call and returns the same report.

        Parameters:
            timeouts: of the phases of the drain; replies are waited for in that of the goodbye.
        """
        return self._bridge.call(partial(self._asked.aclose, timeouts))
