"""How a WebSocket ends, on both sides."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import trio
import trio.testing

from snowtrio import Side
from snowtrio.http import HTTPLimits
from snowtrio.testing import FaultyStream
from snowtrio.testing.websocket import (
    Opcode,
    open_websocket_pair,
    open_websocket_with_peer,
    serve_websocket_in_memory,
)
from snowtrio.websocket import (
    AbnormalCloseError,
    Close,
    WebSocket,
    WebSocketClosedError,
    WebSocketLimits,
    WebSocketProtocolError,
)

from ..cancelling import cancelled_at, every_suspension

quiet = trio.testing.wait_all_tasks_blocked
SIDES = pytest.mark.parametrize("side", list(Side))


async def receive_all(websocket: WebSocket) -> list[str | bytes]:
    return [message async for message in websocket]


async def why(websocket: WebSocket) -> list[Exception]:
    """Return what a receiver, a sender and a pinger get."""
    reasons: list[Exception] = []
    for call in (websocket.receive, lambda: websocket.send("late"), websocket.ping):
        with pytest.raises(Exception) as caught:  # noqa: PT011 - the caller looks what it is
            await call()
        reasons.append(caught.value)
    return reasons


@pytest.mark.parametrize("server_closes", [False, True])
@pytest.mark.parametrize(
    ("code", "reason"), [(1000, ""), (1001, "bye"), (4999, "é" * 61), (3000, "x" * 123)]
)
async def test_both_sides_know_what_both_said(server_closes: bool, code: int, reason: str) -> None:
    """Rows W11 to W13: whoever closes, both ends have code and reason of both, in every error."""
    async with open_websocket_pair() as pair, trio.open_nursery() as nursery:
        ours, theirs = reversed(pair) if server_closes else pair
        nursery.start_soon(receive_all, theirs)
        await quiet()
        await ours.close(code, reason)
        said = Close(code, reason)
        assert (ours.close_sent, ours.close_received) == (said, Close(code))
        assert (theirs.close_received, theirs.close_sent) == (said, Close(code))
        assert (theirs.close_code, theirs.close_reason) == (code, reason)
        assert ours.close_code == code
        for error in await why(ours):
            assert isinstance(error, WebSocketClosedError)
            assert (error.received, error.sent) == (Close(code), said)
        for error in await why(theirs):
            assert isinstance(error, WebSocketClosedError)
            assert (error.code, error.reason, error.sent) == (code, reason, Close(code))


@SIDES
async def test_a_close_without_a_code(side: Side) -> None:
    """Row W11: it is answered by one without a code, and reads as 1005."""
    async with open_websocket_with_peer(side) as (websocket, peer):
        await peer.send_close(None)
        with pytest.raises(WebSocketClosedError) as caught:
            await websocket.receive()
        assert caught.value.code == websocket.close_code == 1005
        frame = await peer.expect_frame(Opcode.CLOSE, b"")
        assert frame.payload == b""


@SIDES
@pytest.mark.parametrize("receives", [False, True])
@pytest.mark.parametrize(
    ("opcode", "payload", "code"),
    [(3, b"", 1002), (1, b"\xff", 1007), (8, b"\x03", 1002), (8, b"\x03\xe8\xff", 1007)],
)
async def test_a_violation_is_told(
    side: Side, receives: bool, opcode: int, payload: bytes, code: int, autojump_clock: object
) -> None:
    """Rows W11, W13: the peer is told its code before the end, the application what it was."""
    async with open_websocket_with_peer(side) as (websocket, peer):
        await peer.send_frame(opcode, payload)
        if receives:
            with pytest.raises(WebSocketProtocolError) as caught:
                await websocket.receive()
            assert caught.value.code == code
        close = await peer.expect_close(code)
        assert close.reason
        if side is Side.SERVER:
            await peer.expect_end()
        for error in await why(websocket):
            assert isinstance(error, WebSocketProtocolError)
            assert (error.code, error.reason) == (code, close.reason)
        assert websocket.close_sent == close
        assert websocket.close_received is None
        with trio.fail_after(60):
            await peer.aclose()
            await websocket.close()
        assert websocket.close_code == 1006


@pytest.mark.parametrize("last", [b"\x88\x82", b"\x83\x80"], ids=["close", "violation"])
@pytest.mark.parametrize("plain", [False, True], ids=["coroutine", "function"])
async def test_replies_go_before_our_close(last: bytes, plain: bool) -> None:
    """Row W7: what came together with the close, or a violation, can still be answered."""
    async with open_websocket_with_peer() as (websocket, peer), trio.open_nursery() as nursery:

        @nursery.start_soon
        async def echo() -> None:
            with pytest.raises(WebSocketProtocolError) if last[0] == 0x83 else nullcontext():
                if plain:
                    await websocket.answer(lambda _, message: message)
                else:
                    async for message in websocket:
                        await websocket.send(message)

        await quiet()
        behind = last + (b"\0\0\0\0\x03\xe8" if last[0] == 0x88 else b"\0\0\0\0")
        messages = b"".join(peer.encode(1, b"%d" % number) for number in range(3))
        await peer.send(messages + behind)
        for number in range(3):
            await peer.expect_frame(Opcode.TEXT, b"%d" % number)
        await peer.expect_close()
        await peer.aclose()


async def test_a_handler_in_the_middle_of_an_answer(autojump_clock: object) -> None:
    """Row W7: it has a moment to finish, and is told when it takes too long."""
    results: list[object] = []

    async def answer_late(websocket: WebSocket) -> None:
        await trio.sleep(float(await websocket.receive()))
        try:
            await websocket.send("done")
            results.append(True)
        except WebSocketClosedError as error:
            results.append(error.received)

    async with serve_websocket_in_memory(answer_late) as server:
        for delay in ("0.1", "1"):
            async with server.open() as client:
                await client.send(delay)
                began = trio.current_time()
                await client.close(4000)
                assert trio.current_time() - began < 0.5
            await trio.sleep(3)
    assert results == [True, Close(4000)]


async def test_a_handler_that_does_not_receive(autojump_clock: object) -> None:
    """Row W12: its connection is closed soon; it is cancelled after ``handler_timeout``."""
    cancelled_after: list[float] = []

    async def sleep(websocket: WebSocket) -> None:
        began = trio.current_time()
        try:
            await trio.sleep_forever()
        finally:
            cancelled_after.append(trio.current_time() - began)

    limits = WebSocketLimits(handler_timeout=5)
    async with serve_websocket_in_memory(sleep, limits=limits) as server:
        async with server.open() as client:
            began = trio.current_time()
            await client.close()
            assert trio.current_time() - began < 1
        await trio.sleep(10)
        assert len(cancelled_after) == 1
        assert 5 <= cancelled_after[0] < 6


@SIDES
@pytest.mark.parametrize("lockstep", [False, True])
async def test_a_peer_that_never_answers(
    side: Side, lockstep: bool, autojump_clock: object
) -> None:
    """Row W12: it is cut at ``close_timeout``, and the task that closed goes on."""
    limits = WebSocketLimits(close_timeout=3)
    async with open_websocket_with_peer(side, limits=limits, lockstep=lockstep) as (ours, peer):
        began = trio.current_time()
        await ours.close(4001, "enough")
        assert trio.current_time() - began == 3
        await trio.sleep(1)  # Nobody has cancelled us.
        assert ours.close_code == 1006
        for error in await why(ours):
            assert isinstance(error, WebSocketClosedError)
            assert (error.received, error.sent) == (None, Close(4001, "enough"))
        if not lockstep:
            await peer.expect_close(4001, "enough")
            await peer.expect_end()


@SIDES
async def test_a_close_that_nobody_waits_for(side: Side, autojump_clock: object) -> None:
    """Row W12: the keeper cuts a peer that does not answer."""
    limits = WebSocketLimits(close_timeout=3)
    async with open_websocket_with_peer(side, limits=limits) as (ours, peer):
        ours.close_nowait(1001)
        ours.close_nowait(1000)
        began = trio.current_time()
        assert await receive_all(ours) == []
        assert trio.current_time() - began == pytest.approx(3, abs=0.1)
        await peer.expect_close(1001)
        await peer.expect_end()


@SIDES
async def test_an_end_without_a_close(side: Side) -> None:
    """Row W13: receivers and pingers are told: 1006."""
    async with open_websocket_with_peer(side) as (websocket, peer):
        got: list[Exception] = []

        async def note(call: object) -> None:
            try:
                await call()  # type: ignore[operator]
            except AbnormalCloseError as error:
                got.append(error)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(note, websocket.receive)
            nursery.start_soon(note, websocket.ping)
            nursery.start_soon(websocket.wait_closed)
            await quiet()
            assert websocket.close_code is None
            await peer.aclose()
        assert len(got) == 2
        assert websocket.close_code == 1006
        assert (websocket.close_received, websocket.close_sent) == (None, None)
        assert all(isinstance(error, AbnormalCloseError) for error in await why(websocket))
        await websocket.close()


async def test_a_servers_handler_is_told_of_an_end_without_a_close() -> None:
    """Row W13: its receive raises that; what it waits for after that is cancelled."""
    seen: list[str] = []

    async def handle(websocket: WebSocket) -> None:
        try:
            await websocket.receive()
        except AbnormalCloseError:
            seen.append("told")
            try:
                await trio.sleep_forever()
            finally:
                seen.append("cancelled")

    async with serve_websocket_in_memory(handle) as server:
        stream = await server.connect()
        await stream.send_all(
            b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        await stream.receive_some()
        await stream.aclose()
        await quiet()
    assert seen == ["told", "cancelled"]


@SIDES
async def test_a_peer_that_hangs_up_on_our_close(side: Side) -> None:
    """Row W12: many do; whoever closed is not cancelled, and receivers end."""
    async with open_websocket_with_peer(side) as (websocket, peer), trio.open_nursery() as nursery:
        nursery.start_soon(receive_all, websocket)
        await quiet()
        nursery.start_soon(peer.aclose)
        await websocket.close()
        await trio.lowlevel.checkpoint()
        assert (websocket.close_code, websocket.close_sent) == (1006, Close(1000))


@SIDES
async def test_what_came_before_our_close_is_received(side: Side) -> None:
    """Row W12: a receiver in the middle of a batch gets the rest; then the end."""
    async with open_websocket_with_peer(side) as (websocket, peer), trio.open_nursery() as nursery:
        await peer.send(b"".join(peer.encode(1, b"%d" % number) for number in range(5)))
        assert await websocket.receive() == "0"
        nursery.start_soon(websocket.close)
        await peer.expect_close(1000)
        await peer.send_frame(1, b"late")
        await peer.send_close()
        await peer.aclose()
        await websocket.wait_closed()
        await quiet()
        assert await receive_all(websocket) == ["1", "2", "3", "4", "late"]


@SIDES
async def test_close_while_nobody_takes_what_comes(side: Side) -> None:
    """Row W12: with the inbox full, what comes is thrown away until the peer's close."""
    limits = WebSocketLimits(max_queued_messages=4)
    async with open_websocket_with_peer(side, limits=limits) as (websocket, peer):
        for _ in range(100):
            await peer.send_frame(1, b"x" * 1000)
        await quiet()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(websocket.close)
            await peer.expect_close(1000)
            for _ in range(100):
                await peer.send_frame(1, b"x" * 1000)
            await peer.send_close()
            await peer.aclose()
        assert websocket.close_received == Close(1000)
        assert len(await receive_all(websocket)) <= 8


@SIDES
async def test_close_while_another_task_receives(side: Side) -> None:
    """Row W12: its iteration goes on, gets what still comes, and ends."""
    got: list[list[str | bytes]] = []
    async with open_websocket_with_peer(side) as (websocket, peer), trio.open_nursery() as nursery:

        @nursery.start_soon
        async def iterate() -> None:
            got.append(await receive_all(websocket))

        await quiet()
        nursery.start_soon(websocket.close)
        await peer.expect_close(1000)
        await peer.send_frame(1, b"one more")
        await peer.send_close()
        await peer.aclose()
    assert got == [["one more"]]


@SIDES
@pytest.mark.parametrize("closers", [1, 3])
@pytest.mark.parametrize("answers", [False, True])
async def test_close_is_cancelled_anywhere(
    side: Side, closers: int, answers: bool, autojump_clock: object
) -> None:
    """Row W12: cancelled, it cuts the connection; the other closers return as well."""

    async def strike(suspension: int) -> bool:
        async with open_websocket_with_peer(side) as (ours, peer), trio.open_nursery() as nursery:
            if answers:
                await peer.send_close()
            for _ in range(closers - 1):
                nursery.start_soon(ours.close)
            struck = await cancelled_at(suspension, ours.close)
            assert ours.close_sent == Close(1000)
            with trio.fail_after(0.5):
                await ours.wait_closed()
                await ours.close()
        return struck

    struck = [suspension async for suspension in every_suspension(strike)]
    assert len(struck) >= 2


@SIDES
async def test_close_with_a_full_outbox(side: Side, autojump_clock: object) -> None:
    """Row W12: it goes behind what was accepted, past the bound, and is cut in time."""
    limits = WebSocketLimits(close_timeout=3)
    http_limits = HTTPLimits(max_outbox_bytes=1000) if side is Side.SERVER else None
    async with (
        open_websocket_with_peer(side, limits=limits, http_limits=http_limits, lockstep=True) as (
            ours,
            _,
        ),
        trio.open_nursery() as nursery,
    ):
        failed: list[WebSocketClosedError] = []

        @nursery.start_soon
        async def send() -> None:
            try:
                for _ in range(3000):
                    await ours.send(b"x" * 1000)
            except WebSocketClosedError as error:
                failed.append(error)

        await quiet()
        began = trio.current_time()
        await ours.close(4000, "full")
        assert trio.current_time() - began == 3
        await quiet()
        assert [(error.sent, error.received) for error in failed] == [(Close(4000, "full"), None)]


@SIDES
async def test_close_within_a_message(side: Side) -> None:
    """Rows W12, W21: the close goes between its parts, and nothing after it."""
    async with open_websocket_with_peer(side) as (websocket, peer), trio.open_nursery() as nursery:

        async def send() -> None:
            async with websocket.send_stream(str) as stream:
                await stream.send("begun")
                nursery.start_soon(websocket.close, 4000)
                await quiet()
                with pytest.raises(WebSocketClosedError):
                    await stream.send("late")

        with pytest.raises(WebSocketClosedError):  # It was not completed, either.
            await send()
        await peer.expect_frame(Opcode.TEXT, b"begun")
        await peer.expect_close(4000)
        await peer.send_close(4000)
        await peer.aclose()


async def test_the_client_lets_the_server_end_the_connection(autojump_clock: object) -> None:
    """Row W12: RFC 6455, section 7.1.1; but it does not wait for ever."""
    async with (
        open_websocket_with_peer(Side.CLIENT) as (client, peer),
        trio.open_nursery() as tasks,
    ):

        @tasks.start_soon
        async def end_late() -> None:
            await peer.expect_close(1000)
            await peer.send_close(1000)
            await trio.sleep(0.5)
            await peer.aclose()

        began = trio.current_time()
        await client.close()
        assert trio.current_time() - began == 0.5
    async with open_websocket_with_peer(Side.CLIENT) as (client, peer):
        began = trio.current_time()
        await peer.send_close()
        await client.close()
        assert 1 <= trio.current_time() - began < 4


async def test_a_reset_is_an_abnormal_close() -> None:
    """Row W13: of whoever notices: a receiver and a sender."""
    client_end, server_end = trio.testing.memory_stream_pair()
    faulty = FaultyStream(client_end)
    async with open_websocket_pair(streams=(faulty, server_end)) as (client, _):
        faulty.break_now()
        await client.send("into the void")
        await quiet()
        with pytest.raises(AbnormalCloseError):
            await client.send("x")
        with pytest.raises(AbnormalCloseError):
            await client.receive()


@pytest.mark.parametrize(("code", "reason"), [(1005, ""), (999, ""), (1000, "é" * 62), (2999, "")])
async def test_what_cannot_be_said(code: int, reason: str) -> None:
    """Row W12: it is refused, and nothing has happened."""
    async with open_websocket_pair() as (client, server):
        with pytest.raises(ValueError, match=r"sent|bytes"):
            await client.close(code, reason)
        await client.send("still open")
        assert await server.receive() == "still open"
