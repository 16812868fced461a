"""One connection: the application is called for its requests, one after the other.

Two tasks do it. The connection's own only waits: it is cancelled when the client leaves, and the
application must not be. The other one, in the application's nursery, takes the requests and calls
the application itself: a task for each request would cost as much as all the rest. Where an
application goes on behind its response, it keeps that task, and another one goes on with the
connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from .._connection import Slot
from .._errors import RemoteProtocolError
from ..http import HTTPError, Request
from ..http._server import Exchange, answer_failure, note_answered, refuse
from ..http._wire import RequestHead
from ..websocket import Close, CloseCode
from ..websocket._server import check_request
from ..websocket._wire import split_list
from ._call import Call
from ._exchange import ASGIExchange
from ._scope import Ends, make_scope, make_websocket_scope
from ._websocket import ASGIWebSocket

if TYPE_CHECKING:
    from ._runner import Runner


class Session:
    """Serves one connection.

    Parameters:
        runner: what it shares with the others.
        exchange: the connection's.
    """

    __slots__ = (
        "_call",
        "_ends",
        "_exchange",
        "_failure",
        "_leaving",
        "_over",
        "_runner",
        "_scope",
        "_slot",
    )

    def __init__(self, runner: Runner, exchange: Exchange) -> None:
        self._runner = runner
        self._exchange = exchange
        self._ends = Ends.of(exchange.connection)
        self._call: Call | None = None
        """The one whose response is due."""
        self._slot: Slot[None] = Slot()
        self._scope: trio.CancelScope | None = None
        """Of what is done for the client besides the application."""
        self._leaving = False
        self._over = False
        self._failure: Exception | None = None

    # In the connection's own task

    async def run(self) -> None:
        """Serve the connection until it ends."""
        self._runner.nursery.start_soon(self._serve, None)
        try:
            await self._attend()
        except trio.Cancelled:
            self._leave()
            # Its place is held as long as its request makes work.
            with trio.CancelScope(shield=True):
                await self._attend()
            raise
        if self._failure is not None:
            await trio.lowlevel.checkpoint_if_cancelled()  # It tells of the same end.
            raise self._failure
        if self._call is not None:  # Its task was cancelled.
            await self._conclude(self._call)

    async def _attend(self) -> None:
        """Wait for the end, and have the connection go on behind applications that do."""
        while True:
            call = self._call
            if call is not None and call.lags and self._runner.may_leave(call):
                if self._leaving:
                    return
                self._runner.nursery.start_soon(self._serve, call)
            if self._over:
                return
            await self._slot.wait()

    def _leave(self) -> None:
        """Have all that is under way end."""
        self._leaving = True
        nursery = trio.lowlevel.current_task().parent_nursery
        if nursery is not None and nursery.cancel_scope.cancel_called:
            # The whole server ends, and not by a drain: a listener broke. Nothing else would end
            # applications that wait for something.
            self._runner.nursery.cancel_scope.cancel(reason="the server has failed")
        self._exchange.connection.stop_receiving()
        if self._scope is not None:
            self._scope.cancel(reason="the connection ends")
        if self._call is not None:
            self._call.exchange.abandon()

    def _wake(self) -> None:
        if self._slot.waiting is not None:
            self._slot.put(None)

    # In the application's

    async def _serve(self, behind: Call | None) -> None:
        """Answer requests until the connection ends, or the application keeps this task.

        Parameters:
            behind: the call that has kept the task before.
        """
        call = behind
        try:
            while call is None or self._settle(call) or await self._conclude(call):
                self._call = call = None
                head = await self._next_head()
                if head is None:
                    return
                self._call = call = self._make_call(head)
                patience = call.exchange.patience
                if patience is None:
                    await self._runner.run(call)
                else:
                    with patience:
                        await self._runner.run(call)
                if call.left:
                    return
        except Exception as error:
            self._failure = error
        finally:
            if call is None or call is behind or not call.left:
                self._over = True
                self._wake()

    async def _next_head(self) -> RequestHead | None:
        """Return what the application is to answer next, None at the end."""
        exchange = self._exchange
        while True:
            try:
                head = exchange.take_early() or await exchange.connection.receive()
            except trio.EndOfChannel:
                if exchange.expired:
                    await self._refuse(HTTPError(408, "the request came too slowly"))
                return None
            except RemoteProtocolError as error:
                await self._refuse(error)
                return None
            assert isinstance(head, RequestHead)
            exchange.begin(head)
            problem = self._find_problem(head)
            if problem is None:
                return head
            if not await self._refuse_request(head, problem):
                return None

    def _make_call(self, head: RequestHead) -> Call:
        runner, exchange = self._runner, self._exchange
        if head.upgrade is not None and asks_websocket(head.upgrade):
            offered = Request(exchange, head).headers.getall("sec-websocket-protocol", [])
            subprotocols = split_list(offered)
            scope = make_websocket_scope(head, runner.around, self._ends, subprotocols)
            websocket = ASGIWebSocket(exchange, head, runner.terms, subprotocols)
            return Call(runner.app, scope, head, websocket, self._wake)
        scope = make_scope(head, runner.around, self._ends)
        ours = ASGIExchange(exchange, self._wake)
        return Call(runner.app, scope, head, ours, self._wake)

    def _settle(self, call: Call) -> bool:
        """Say whether a request needs nothing more, as nearly all do, and note its end then."""
        exchange, ours = self._exchange, call.exchange
        if not (ours.over and ours.complete and exchange.settled) or ours.failure is not None:
            return False
        if call.began is not None:
            self._note(call, call.began)
        exchange.head = None
        return True

    # Besides the application

    async def _conclude(self, call: Call) -> bool:
        """Do what is left to do for a request; say whether another one may follow."""
        exchange, goes_on = self._exchange, False
        self._call = None
        try:
            if not self._leaving:
                with trio.CancelScope() as self._scope:
                    goes_on = await self._answer_for(call)
        finally:
            self._scope = None
            if exchange.responding and call.began is not None:
                self._note(call, call.began)
            exchange.head = None
        return goes_on

    async def _answer_for(self, call: Call) -> bool:
        """Do for the client what the application has not done."""
        exchange, ours, failure = self._exchange, call.exchange, call.exchange.failure
        if isinstance(ours, ASGIWebSocket) and exchange.upgraded:
            await ours.finish(self._last_word(call))
            return False
        if failure is None and not (ours.complete or exchange.responding):
            ended = self._runner.nursery.cancel_scope.cancel_called
            failure = HTTPError(503 if ended else 500)
        if failure is None or (exchange.responding and type(failure) is HTTPError):
            if exchange.body_open:
                exchange.body_open = False
                await exchange.cut()  # Why is in the log already.
            return exchange.settled or await exchange.finish()
        return await answer_failure(exchange, Request(exchange, call.head), failure)

    async def _refuse(self, error: RemoteProtocolError | HTTPError) -> None:
        """Answer what was no request."""
        with trio.CancelScope() as self._scope:
            await refuse(self._exchange, error)

    def _last_word(self, call: Call) -> Close:
        """Return what a client is told whose WebSocket the application has left open."""
        if self._runner.nursery.cancel_scope.cancel_called:
            return Close(CloseCode.GOING_AWAY)
        return Close(CloseCode.INTERNAL_ERROR if call.failed else CloseCode.NORMAL)

    def _find_problem(self, head: RequestHead) -> HTTPError | None:
        """Return why a request has no scope, if so."""
        if head.method == "CONNECT":
            return HTTPError(501, "there are no tunnels here")
        if head.upgrade is not None and asks_websocket(head.upgrade):
            try:
                check_request(Request(self._exchange, head))
            except HTTPError as error:
                return error
        return None

    async def _refuse_request(self, head: RequestHead, problem: HTTPError) -> bool:
        """Answer what the application is not asked."""
        exchange = self._exchange
        with trio.CancelScope() as self._scope:
            goes_on = await answer_failure(exchange, Request(exchange, head), problem)
            exchange.head = None
            return goes_on
        return False

    def _note(self, call: Call, began: float) -> None:
        note_answered(self._exchange, Request(self._exchange, call.head), began)


def asks_websocket(upgrade: str) -> bool:
    """Say whether a client that offers to go on in other protocols would in WebSocket."""
    return "websocket" in (each.strip().lower() for each in upgrade.split(","))
