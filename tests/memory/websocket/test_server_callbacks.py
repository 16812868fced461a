"""A server whose handler is an object with callbacks: what is called, and how often."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from snowtrio import DrainTimeouts
from snowtrio.http import Request, Response
from snowtrio.websocket import Message, WebSocket, WebSocketCallbacks

from ...serving import errors_in
from ...websocket_serving import WebSocketServed, handshake, serving_websocket


class Notes(WebSocketCallbacks):
    """Writes down what is called; waits in each hook, so that a wrong order would show."""

    def __init__(self) -> None:
        self.seen: list[object] = []

    async def on_open(self, websocket: WebSocket) -> None:
        await trio.sleep(0.01)
        self.seen.append("open")
        await websocket.send("welcome")

    async def on_message(self, websocket: WebSocket, message: Message) -> Message | None:
        await trio.sleep(0.01)
        self.seen.append(message)
        if message == "boom":
            raise ZeroDivisionError
        if message == "hang":
            await trio.sleep_forever()
        return message

    def on_pong(self, websocket: WebSocket, payload: bytes) -> None:
        self.seen.append(("pong", payload))

    async def on_close(self, websocket: WebSocket) -> None:
        await trio.sleep(0.1)
        self.seen.append(("close", websocket.close_code))


async def opened(served: WebSocketServed) -> Any:
    peer = await served.open()
    assert await peer.hear() == "welcome"
    return peer


CLOSE_4000 = b"\x88\x82\0\0\0\0\x0f\xa0"

ENDS = {
    "client closes": ("close", 4000),
    "client vanishes": ("close", 1006),
    "client violates": ("close", 1006),
    "callback fails": ("close", 1000),
    "cut": ("close", 1006),
    "drained": ("close", 1000),
    "drained, and cut": ("close", 1006),
    "cancelled": ("close", 1006),
}


@pytest.mark.parametrize("end", ENDS)
async def test_the_close_hook(
    end: str, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """W9: once, after every message hook, for every cause; it is done before all else is over."""
    notes = Notes()
    async with serving_websocket(notes, patience=1000) as served:
        peer = await opened(served)
        assert await peer.echoed("one") == "one"
        await peer.say("two")
        if end == "client closes":
            await peer.send(CLOSE_4000)
        elif end == "client vanishes":
            await peer.stream.aclose()
        elif end == "client violates":
            await peer.send(b"\xf1\x80\0\0\0\0")
            await peer.rest()
        elif end == "callback fails":
            await peer.say("boom")
            assert await peer.hear() == "two"
            assert await peer.told() == (1011, "")
            await peer.answer_close()
            await peer.rest()
        elif end == "cut":
            await trio.sleep(1)
            served.server.close_all()
        elif end == "drained":
            async with trio.open_nursery() as nursery:
                nursery.start_soon(served.server.drain)
                assert await peer.told() == (1001, "")  # Before "two" was answered.
                await peer.answer_close()
                await peer.rest()
                await peer.stream.aclose()
        elif end == "drained, and cut":
            await peer.say("hang")
            await trio.sleep(1)
            await served.server.drain(DrainTimeouts(goodbye=1, wait=1))
            assert notes.seen[-1] == ENDS[end]
        elif end == "cancelled":
            await trio.sleep(1)
            served.nursery.cancel_scope.cancel()
        await trio.sleep(60 if end != "cancelled" else 0)
    assert notes.seen[0] == "open"
    assert notes.seen[1] == "one"
    closes = [each for each in notes.seen if isinstance(each, tuple)]
    assert len(closes) == 1
    assert notes.seen[-1] == closes[0]
    if end not in ("callback fails", "drained"):
        assert closes == [ENDS[end]]
    assert len(errors_in(caplog)) == (end == "callback fails")


@pytest.mark.parametrize("how", ["rejected", "bad", "vanished"])
async def test_no_hook_without_a_websocket(how: str) -> None:
    """W9: nothing is called for a handshake that came to nothing."""
    notes = Notes()

    def process(request: Request) -> object:
        return Response("no", 403) if request.path == "/rejected" else None

    async with serving_websocket(notes, process_request=process) as served:
        peer = await served.connect()
        if how == "vanished":
            await peer.send(handshake()[:-1])
        else:
            await peer.ask(
                handshake(target="/rejected")
                if how == "rejected"
                else handshake(without=("Upgrade",))
            )
        await peer.stream.aclose()
        await wait_all_tasks_blocked()
    assert notes.seen == []


async def test_one_object_for_all(autojump_clock: MockClock) -> None:
    """W29: pongs among its callbacks; what a message hook returns is sent."""
    notes = Notes()
    async with serving_websocket(notes, patience=1000) as served:
        first, second = await opened(served), await opened(served)
        assert await first.echoed("a") == "a"
        assert await second.echoed(b"b") == b"b"
        await first.send(b"\x8a\x81\0\0\0\0!")
        await trio.sleep(1)
    assert notes.seen[:2] == ["open", "open"]
    assert ("pong", b"!") in notes.seen
