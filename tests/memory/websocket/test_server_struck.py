"""Struck at every step in turn, a WebSocket server leaves nothing; close hooks run once."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
import trio
from trio.testing import MockClock
from wsproto.utilities import LocalProtocolError

from snowtrio import DrainTimeouts
from snowtrio.http import Request
from snowtrio.websocket import Message, WebSocket, WebSocketCallbacks

from ...serving import Steps
from ...websocket_serving import WebSocketServed, serving_websocket


class Ledger(WebSocketCallbacks):
    """Counts what is opened and closed."""

    def __init__(self) -> None:
        self.opened: list[WebSocket] = []
        self.closed: list[WebSocket] = []

    async def on_open(self, websocket: WebSocket) -> None:
        self.opened.append(websocket)
        await trio.lowlevel.checkpoint()

    async def on_message(self, websocket: WebSocket, message: Message) -> Message:
        await trio.lowlevel.checkpoint()
        return message

    async def on_close(self, websocket: WebSocket) -> None:
        await trio.lowlevel.checkpoint()
        self.closed.append(websocket)


async def look(request: Request) -> str:
    await trio.lowlevel.checkpoint()
    return "context"


async def converse(served: WebSocketServed) -> None:
    """Open, exchange, close; whatever the server does meanwhile."""
    try:
        peer = await served.open()
        await peer.echoed("hello")
        await peer.close()
        await peer.rest()
        await peer.stream.aclose()
    except (trio.BrokenResourceError, trio.ClosedResourceError, EOFError, AssertionError):
        pass  # It was struck.
    except LocalProtocolError:
        pass  # It is being closed.


Strike = Callable[[WebSocketServed, trio.Nursery], object]


async def drain(served: WebSocketServed) -> None:
    with contextlib.suppress(RuntimeError):  # At the last step the server was about to end.
        await served.server.drain(DrainTimeouts(goodbye=1, wait=1))


STRIKES: dict[str, Strike] = {
    "cancel": lambda served, nursery: served.nursery.cancel_scope.cancel(),
    "cut": lambda served, nursery: served.server.close_all(),
    "drain": lambda served, nursery: nursery.start_soon(drain, served),
}


async def run_and_strike(kind: str, number: int) -> tuple[Ledger, int]:
    """Serve one client, struck at a step; return what the hooks were told, and the steps taken."""
    ledger = Ledger()
    async with (
        trio.open_nursery() as nursery,
        serving_websocket(ledger, process_request=look, patience=1000) as served,
    ):
        steps = Steps(number, lambda: STRIKES[kind](served, nursery))
        trio.lowlevel.add_instrument(steps)
        try:
            await converse(served)
            await trio.sleep(30)
        finally:
            trio.lowlevel.remove_instrument(steps)
    return ledger, steps.taken


@pytest.mark.parametrize("kind", STRIKES)
async def test_struck_at_every_step(
    kind: str, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """W9, W26: what was opened is closed, once; nobody is left, and nothing is said."""
    _, total = await run_and_strike(kind, 0)
    opened = 0
    for number in range(1, total + 1):
        ledger, _ = await run_and_strike(kind, number)
        assert len(ledger.opened) <= 1
        assert ledger.closed == ledger.opened
        opened += len(ledger.opened)
    assert opened > total // 3 > 10
    assert not [each for each in caplog.records if each.levelname in ("WARNING", "ERROR")]
