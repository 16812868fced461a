"""Peers that break the protocol: each is told why, and nobody else notices."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from snowtrio.websocket import WebSocket, WebSocketLimits, WebSocketProtocolError

from ...websocket_serving import echo, handshake, serving_websocket

MASK = b"\x00\x00\x00\x00"
LIMITS = WebSocketLimits(max_message_size=1000)


def frame(first: int, payload: bytes = b"", *, size: int | None = None) -> bytes:
    """Return a masked frame; the mask changes nothing."""
    size = len(payload) if size is None else size
    if size < 126:
        return bytes([first, 0x80 | size]) + MASK + payload
    if size < 65536:
        return bytes([first, 0xFE]) + size.to_bytes(2, "big") + MASK + payload
    return bytes([first, 0xFF]) + size.to_bytes(8, "big") + MASK + payload


BAD: dict[str, tuple[bytes, int]] = {
    "not masked": (b"\x81\x02hi", 1002),
    "reserved bit": (frame(0xC1, b"hi"), 1002),
    "unknown opcode": (frame(0x83, b"hi"), 1002),
    "unknown control opcode": (frame(0x8B), 1002),
    "fragmented ping": (frame(0x09, b"hi"), 1002),
    "long ping": (frame(0x89, b"x" * 126), 1002),
    "orphan continuation": (frame(0x80, b"hi"), 1002),
    "nested message": (frame(0x01, b"a") + frame(0x81, b"b"), 1002),
    "text that is none": (frame(0x81, b"\xff\xff"), 1007),
    "half a character at the end": (frame(0x01, b"\xc3") + frame(0x80), 1007),
    "too large by its header": (frame(0x82, size=1001), 1009),
    "huge by its header": (frame(0x82, size=2**62), 1009),
    "too large together": (frame(0x02, b"x" * 900) + frame(0x80, b"x" * 101), 1009),
    "close of one byte": (frame(0x88, b"\x03"), 1002),
    "close with a bad code": (frame(0x88, b"\x03\xed"), 1002),
    "close with a bad reason": (frame(0x88, b"\x03\xe8\xff"), 1007),
}


@pytest.mark.parametrize(("data", "code"), BAD.values(), ids=BAD.keys())
@pytest.mark.parametrize("way", ["behind the handshake", "later", "byte by byte"])
async def test_violations(
    data: bytes, code: int, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    """W11, W14 to W18: the close says so before the end; messages before it are answered."""
    errors: list[Exception] = []

    async def handler(websocket: WebSocket) -> None:
        try:
            await echo(websocket)
        except WebSocketProtocolError as error:
            errors.append(error)
            raise

    async with serving_websocket(handler, limits=LIMITS) as served:
        good = await served.open()
        peer = await served.connect()
        if way == "behind the handshake":
            await peer.send(handshake() + frame(0x81, b"first") + data)
            assert (await peer.reply()).status == 101
            peer.read_frames()
        else:
            await peer.open()
            for piece in _cut(frame(0x81, b"first") + data, 1 if way == "byte by byte" else 2**20):
                await peer.send(piece)
        assert await peer.hear() == "first"
        told, reason = await peer.told()
        assert told == code
        assert reason
        assert await peer.rest() == b""
        await peer.stream.aclose()
        await wait_all_tasks_blocked()
        assert served.counts.closed == {code: 1}
        assert [type(error).__name__ for error in errors] or code == 1000
        assert await good.echoed("still") == "still"
    assert not [each for each in caplog.records if each.levelno > logging.INFO]


def _cut(data: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


async def test_an_unread_message_stalls_no_ping(autojump_clock: MockClock) -> None:
    """W10: pongs come, and closes are answered, while the handler does something else."""

    async def handler(websocket: WebSocket) -> None:
        await trio.sleep(5)

    async with serving_websocket(handler, patience=100) as served:
        peer = await served.open()
        began = trio.current_time()
        for number in range(10):
            await peer.say(f"unread {number}")
            assert await peer.ping(b"%d" % number) == b"%d" % number
        assert await peer.close(4000) == (4000, "")
        assert trio.current_time() - began < 1
        await peer.stream.aclose()


async def test_who_leaves_in_the_middle_of_a_frame() -> None:
    """W9: is gone, 1006; the next one is served."""
    async with serving_websocket() as served:
        for data in (b"\x81", b"\x81\x85", frame(0x81, b"hello")[:-1], frame(0x01, b"a")):
            peer = await served.open()
            await peer.send(data)
            await peer.stream.aclose()
        await wait_all_tasks_blocked()
        assert served.counts.closed == {1006: 4}
        assert await (await served.open()).echoed("x") == "x"
