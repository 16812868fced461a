"""One WebSocket after the other to the same URL."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Self, Unpack

import trio
from yarl import URL

from ..._protocol import is_departure
from ...http import HTTPClient
from .._socket import Conversation, WebSocket
from ._asked import Asked
from ._open import OpenOptions, as_asked, as_client
from ._opened import open_on
from ._reconnect import Reconnect

logger = logging.getLogger("snowtrio.websocket.client")


@asynccontextmanager
async def open_reconnecting(
    url: str | URL, *, reconnect: Reconnect | None = None, **options: Unpack[OpenOptions]
) -> AsyncGenerator[Reconnecting, None]:
    """Open one WebSocket after the other to the same URL, for as long as the block runs.

    ::

        async with open_reconnecting("wss://example.org/prices") as connections:
            async for connection in connections:
                async with connection as websocket:
                    await websocket.send("subscribe")
                    async for message in websocket:
                        print(message)

    Each turn of the loop is one connection. The inner ``async with`` opens it: it waits as
    `Reconnect` says, and tries again when that fails. Its block is left when the connection is
    done with, in any of three ways, and then the loop goes on with the next one:

    - it comes to its end, as iterating does when the server closes: ``websocket.close_received``
      says how;
    - what it awaits raises because this connection has ended, in order or not: that is not raised
      further, but logged and kept as ``connections.last_error``;
    - it raises anything else: that is raised, and so ends the loop.

    ``break`` ends the loop too; in each case the WebSocket is closed as by `open_websocket`. What
    was sent and not answered may be lost with a connection; nothing is sent again.

    Parameters:
        url: as for `open_websocket`.
        reconnect: when there is another attempt.
        options: those of `open_websocket`, the same for each connection.

    Raises:
        Exception: what `open_websocket` raises for arguments that will not do. The inner ``async
            with`` raises what it does if another attempt would not help.
    """
    asked = as_asked(url, options)
    policy = reconnect if reconnect is not None else Reconnect()
    client = as_client(
        options.get("client"),
        options.get("ssl_context"),
        options.get("endpoint"),
        options.get("proxy"),
        options.get("options"),
    )
    async with client as opener:
        yield Reconnecting(opener, asked, policy)


class Reconnecting:
    """Gives connections, one after the other: see `open_reconnecting`."""

    def __init__(self, client: HTTPClient, asked: Asked, policy: Reconnect) -> None:
        """Begin; nothing has been opened.

        Parameters:
            client: opens them.
            asked: what is wanted.
            policy: when there is another attempt.
        """
        self.opened = 0
        """How many WebSockets were opened."""
        self.failed_in_a_row = 0
        """Attempts that have failed since."""
        self.last_error: Exception | None = None
        """What ended the last attempt that failed, or the last connection that was lost."""
        self._client = client
        self._asked = asked
        self._policy = policy
        self._losses = 0
        """Connections lost and attempts failed since one has settled."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> AbstractAsyncContextManager[WebSocket]:
        await trio.lowlevel.checkpoint()
        return self._connect()

    @asynccontextmanager
    async def _connect(self) -> AsyncGenerator[WebSocket, None]:
        async with AsyncExitStack() as stack:
            websocket, conversation = await self._open(stack)
            since = trio.current_time()
            try:
                yield websocket
            except Exception as error:
                if not _has_ended(conversation, error):
                    raise
                logger.info("lost the WebSocket to %s: %s", self._asked.shown, error)
                # What its frames hold would stay as long as the error does.
                self.last_error = error.with_traceback(None)
            finally:
                if trio.current_time() - since >= self._policy.settled:
                    self._losses = 0
                self._losses += 1

    async def _open(self, stack: AsyncExitStack) -> tuple[WebSocket, Conversation]:
        """Open a WebSocket, with as many attempts as the policy allows."""
        error: Exception | None = None
        while True:
            if self._losses:
                await trio.sleep(self._policy.pause_after(self._losses, error))
            try:
                opened = await stack.enter_async_context(open_on(self._client, self._asked))
            except Exception as failure:
                self._note_failure(failure)
                error = failure.with_traceback(None)
            else:
                self.opened += 1
                self.failed_in_a_row = 0
                return opened

    def _note_failure(self, error: Exception) -> None:
        """Count an attempt that has failed.

        Raises:
            Exception: the error, if there is to be no other.
        """
        self.last_error = error
        self.failed_in_a_row += 1
        self._losses += 1
        if self.failed_in_a_row == self._policy.max_attempts or not self._policy.retry(error):
            raise error
        logger.info("no WebSocket to %s: %s", self._asked.shown, error)


def _has_ended(conversation: Conversation, error: Exception) -> bool:
    """Whether an error only says that this WebSocket has ended, and not another connection."""
    return conversation.unusable and is_departure(error)
