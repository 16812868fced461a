"""Handlers that are functions or callbacks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import Any

import pytest
import trio
import trio.testing

from snowtrio.testing.websocket import Opcode, WirePeer, open_websocket_with_peer
from snowtrio.websocket import (
    AbnormalCloseError,
    Message,
    WebSocket,
    WebSocketCallbacks,
    WebSocketLimits,
    WebSocketProtocolError,
)
from snowtrio.websocket._socket import run_callbacks

from ..cancelling import cancelled_at, every_suspension

quiet = trio.testing.wait_all_tasks_blocked


class Recording(WebSocketCallbacks):
    """Notes what is called, with plain functions."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def on_open(self, websocket: WebSocket) -> None:
        self.calls.append("open")

    def on_message(self, websocket: WebSocket, message: Message) -> Message | None:
        self.calls.append(message)
        if message == "raise":
            raise KeyError(message)
        return message if isinstance(message, str) else None

    def on_ping(self, websocket: WebSocket, payload: bytes) -> bytes | None:
        self.calls.append(("ping", payload))
        return payload[::-1] or None

    def on_pong(self, websocket: WebSocket, payload: bytes) -> None:
        self.calls.append(("pong", payload))

    def on_close(self, websocket: WebSocket) -> None:
        self.calls.append(("close", websocket.close_code, websocket.close_reason))


class Waiting(Recording):
    """Notes them with coroutine functions."""

    async def on_open(self, websocket: WebSocket) -> None:  # type: ignore[override]
        await trio.lowlevel.checkpoint()
        super().on_open(websocket)

    async def on_message(  # type: ignore[override]
        self, websocket: WebSocket, message: Message
    ) -> Message | None:
        await trio.lowlevel.checkpoint()
        return super().on_message(websocket, message)

    async def on_close(self, websocket: WebSocket) -> None:  # type: ignore[override]
        await trio.lowlevel.checkpoint()
        super().on_close(websocket)


KINDS = pytest.mark.parametrize("kind", [Recording, Waiting])


@KINDS
async def test_what_is_called(kind: type[Recording]) -> None:
    """Row W29: open, messages, pings and pongs, close; a message's answer is sent."""
    calls = kind()
    async with open_websocket_with_peer() as (websocket, peer), trio.open_nursery() as nursery:
        nursery.start_soon(run_callbacks, websocket, calls)
        await quiet()
        await peer.send_frame(Opcode.TEXT, b"text")
        await peer.expect_frame(Opcode.TEXT, b"text")
        await peer.send_frame(Opcode.BINARY, b"bytes")
        await peer.send_frame(Opcode.PING, b"")
        await peer.send_frame(Opcode.PING, b"ab")
        await peer.expect_frame(Opcode.PONG, b"ba")
        await peer.send_frame(Opcode.PONG, b"unasked")
        await quiet()
        await peer.send(peer.encode(Opcode.TEXT, b"last") + b"\x88\x85\0\0\0\0\x10\x00bye")
        await peer.expect_frame(Opcode.TEXT, b"last")
        await peer.expect_close(4096)
        await peer.aclose()
    pings = [("ping", b""), ("ping", b"ab"), ("pong", b"unasked")]
    assert calls.calls == ["open", "text", b"bytes", *pings, "last", ("close", 4096, "bye")]


async def _raise(peer: WirePeer, websocket: WebSocket) -> None:
    await peer.send_frame(Opcode.TEXT, b"raise")
    await peer.expect_close(1011)


async def _vanish(peer: WirePeer, websocket: WebSocket) -> None:
    await peer.aclose()


async def _violate(peer: WirePeer, websocket: WebSocket) -> None:
    await peer.send_frame(Opcode.TEXT, b"\xff")
    await peer.expect_close(1007)


async def _close_ourselves(peer: WirePeer, websocket: WebSocket) -> None:
    websocket.close_nowait()
    await peer.send_close(1000)


@KINDS
@pytest.mark.parametrize(
    ("way", "error", "code"),
    [
        (_raise, KeyError, 1006),
        (_vanish, AbnormalCloseError, 1006),
        (_violate, WebSocketProtocolError, 1006),
        (_close_ourselves, None, 1000),
    ],
)
async def test_close_is_called_once(
    kind: type[Recording],
    way: Callable[[WirePeer, WebSocket], Awaitable[None]],
    error: type[Exception] | None,
    code: int,
    autojump_clock: object,
) -> None:
    """Row W29: for every cause, last."""
    calls = kind()
    limits = WebSocketLimits(close_timeout=1)
    async with (
        open_websocket_with_peer(limits=limits) as (websocket, peer),
        trio.open_nursery() as nursery,
    ):

        @nursery.start_soon
        async def run() -> None:
            with nullcontext() if error is None else pytest.raises(error):
                await run_callbacks(websocket, calls)

        await quiet()
        await way(peer, websocket)
    assert calls.calls[0] == "open"
    closes = [call for call in calls.calls if call[0] == "close"]
    assert closes == calls.calls[-1:]
    if error is not KeyError:  # With that it is called before the peer has answered.
        assert closes[0][1] == code


@KINDS
async def test_it_is_cancelled_anywhere(kind: type[Recording], autojump_clock: object) -> None:
    """Row W29: what was opened is closed, once."""

    async def strike(suspension: int) -> bool:
        calls = kind()
        async with open_websocket_with_peer() as (websocket, peer):
            await peer.send_frame(Opcode.TEXT, b"text")
            await peer.send_close()
            struck = await cancelled_at(suspension, lambda: run_callbacks(websocket, calls))
            await peer.aclose()
        assert calls.calls.count("open") <= 1
        assert sum(call[0] == "close" for call in calls.calls) == 1
        assert calls.calls[-1][0] == "close"
        return struck

    assert [number async for number in every_suspension(strike)]


async def test_a_hook_for_pings_that_is_a_coroutine() -> None:
    """Row W29: is refused before anything is called."""

    class Wrong(Recording):
        async def on_ping(self, websocket: WebSocket, payload: bytes) -> bytes:  # type: ignore[override]
            return payload

    calls = Wrong()
    async with open_websocket_with_peer() as (websocket, _):
        with pytest.raises(TypeError, match="on_ping"):
            await run_callbacks(websocket, calls)
        assert calls.calls == []


async def test_a_function_that_closes() -> None:
    """Row W7: a plain function can say that it is enough; what comes after is not answered."""
    asked: list[Message] = []

    def answer(websocket: WebSocket, message: Message) -> Message:
        asked.append(message)
        if message == "enough":
            websocket.send_nowait("bye")
            websocket.close_nowait(4000, "enough")
        return message

    async with open_websocket_with_peer() as (websocket, peer), trio.open_nursery() as nursery:
        nursery.start_soon(websocket.answer, answer)
        await quiet()
        for word in (b"a", b"enough", b"late"):
            await peer.send_frame(Opcode.TEXT, word)
        await peer.expect_frame(Opcode.TEXT, b"a")
        await peer.expect_frame(Opcode.TEXT, b"bye")
        await peer.expect_close(4000, "enough")
        await peer.send_close(4000)
        await peer.aclose()
    assert asked[:2] == ["a", "enough"]


async def test_a_function_with_pieces() -> None:
    """Rows W7, W15: it gets whole messages."""
    limits = WebSocketLimits(pieces=True)
    async with open_websocket_with_peer(limits=limits) as (websocket, peer):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(websocket.answer, lambda _, message: message)
            await peer.send_frame(Opcode.TEXT, b"a", fin=False)
            await peer.send_frame(Opcode.CONTINUATION, b"b")
            await peer.expect_frame(Opcode.TEXT, b"ab")
            await peer.send_close()
            await peer.expect_close()
        await peer.aclose()


async def test_an_error_of_a_function() -> None:
    """Row W8: comes out; the answers before it are sent."""
    async with open_websocket_with_peer() as (websocket, peer):
        await peer.send(peer.encode(1, b"a") + peer.encode(1, b"raise"))
        with pytest.raises(KeyError):
            await websocket.answer(Recording().on_message)
        await peer.expect_frame(Opcode.TEXT, b"a")
        websocket.close_nowait(1011)
        await peer.expect_close(1011)
        await peer.aclose()


async def test_statistics() -> None:
    """Row W24: what a WebSocket counts, without its handshake."""
    async with open_websocket_with_peer() as (websocket, peer):
        before = websocket.statistics()
        assert (before.messages_received, before.messages_accepted) == (0, 0)
        assert (before.bytes_received, before.bytes_sent) == (0, 0)
        await peer.send_frame(Opcode.TEXT, b"12")
        await peer.send_frame(Opcode.PING, b"1")
        await peer.expect_frame(Opcode.PONG, b"1")
        await websocket.send(b"123")
        await peer.expect_frame(Opcode.BINARY, b"123")
        after = websocket.statistics()
        assert (after.messages_received, after.messages_accepted) == (1, 1)
        assert (after.bytes_received, after.bytes_sent) == (8 + 7, 3 + 5)
        assert (after.pings_received, after.pongs_sent, after.queued_messages) == (1, 1, 1)
        assert after.latency is None
        websocket.close_nowait()
        await peer.expect_close()
        assert websocket.statistics().messages_accepted == 1
        await peer.aclose()
