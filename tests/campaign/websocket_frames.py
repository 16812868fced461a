"""Frames for those who take part in the WebSocket campaign: as many bytes as they ask for."""

from __future__ import annotations

import struct

import trio
from sockets import read_exactly

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
DEFLATE = b"Sec-WebSocket-Extensions: permessage-deflate\r\n"

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    compressed: bool = False,
    size: int | None = None,
) -> bytes:
    """Return a client's frame, whose mask is zero.

    Parameters:
        opcode: its kind.
        payload: what it has.
        fin: whether it is the last one of its message.
        compressed: whether the message says that it is.
        size: that it announces, instead of its payload's.
    """
    first = (0x80 if fin else 0) | (0x40 if compressed else 0) | opcode
    size = len(payload) if size is None else size
    if size < 126:
        head = bytes([first, 0x80 | size])
    elif size < 65536:
        head = struct.pack(">BBH", first, 0x80 | 126, size)
    else:
        head = struct.pack(">BBQ", first, 0x80 | 127, size)
    return head + bytes(4) + payload


async def shake_hands(stream: trio.abc.Stream, more: bytes = b"") -> bytes:
    """Open a WebSocket; return the head of what answers."""
    await stream.send_all(HANDSHAKE + more + b"\r\n")
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = await read_exactly(stream, 1)
        if not byte:
            return head
        head += byte
    return head


async def read_frame(stream: trio.abc.Stream) -> tuple[int, bytes]:
    """Return the opcode and the payload of the server's next frame; -1 and nothing at the end."""
    head = await read_exactly(stream, 2)
    if len(head) < 2:
        return -1, b""
    size = head[1]
    if size >= 126:
        size = int.from_bytes(await read_exactly(stream, 2 if size == 126 else 8), "big")
    return head[0] & 0x0F, await read_exactly(stream, size)


async def read_close(stream: trio.abc.Stream) -> int:
    """Read up to the server's close and return its code; 1006 where the end comes before it."""
    opcode, payload = await read_frame(stream)
    while opcode not in (CLOSE, -1):
        opcode, payload = await read_frame(stream)
    return 1006 if opcode == -1 else int.from_bytes(payload[:2], "big") or 1005
