"""What a decoder makes of bytes: messages, what its listener is told, and what it raises."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

import attrs

from snowtrio import ReceiveBuffer, Side
from snowtrio.websocket import Close, Deflate, WebSocketLimits, WebSocketProtocolError
from snowtrio.websocket._wire import Incoming, WebSocketCodec

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
MASK = b"\x01\x82\x43\xf4"

LIMITS = WebSocketLimits(max_message_size=1000)


@attrs.define
class Log:
    """A listener that writes down what it is told."""

    calls: list[tuple[str, object]] = attrs.field(factory=list)
    unfinished: bool = False

    def on_ping(self, payload: bytes) -> None:
        self.calls.append(("ping", payload))

    def on_pong(self, payload: bytes) -> None:
        self.calls.append(("pong", payload))

    def on_close(self, close: Close) -> None:
        self.calls.append(("close", (close.code, close.reason)))

    def on_violation(self, error: WebSocketProtocolError) -> None:
        self.calls.append(("violation", error.code))


@attrs.frozen
class Reading:
    """What came of it; the error without what depends on how the bytes came."""

    messages: list[Incoming]
    calls: list[tuple[str, object]]
    error: str | None
    left: int


def mask(data: bytes, key: bytes = MASK) -> bytes:
    return bytes(byte ^ key[at % 4] for at, byte in enumerate(data))


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    side: Side = Side.SERVER,
    size: int | None = None,
    width: int | None = None,
) -> bytes:
    """Return a frame for a side to read, by the book where nothing else is asked for.

    Parameters:
        size: that it announces, instead of its payload's.
        width: bytes of the size, instead of the least: 0, 2 or 8.
    """
    size = len(payload) if size is None else size
    if width is None:
        width = 0 if size < 126 else 2 if size < 65536 else 8
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    bit = 0x80 if side is Side.SERVER else 0
    head = bytes([first, bit | {0: size & 0x7F, 2: 126, 8: 127}[width]])
    head += {0: b"", 2: struct.pack(">H", size & 0xFFFF), 8: struct.pack(">Q", size)}[width]
    return head + (MASK + mask(payload) if side is Side.SERVER else payload)


def read(
    chunks: Iterable[bytes],
    side: Side = Side.SERVER,
    limits: WebSocketLimits = LIMITS,
    deflate: Deflate | None = None,
    *,
    pieces: bool = False,
) -> Reading:
    """Decode chunks, each of them one read."""
    log = Log()
    limits = attrs.evolve(limits, pieces=pieces)
    coder = WebSocketCodec(log, limits, deflate).start(side, None)
    buffer = ReceiveBuffer()
    messages: list[Incoming] = []
    error = None
    for chunk in chunks:
        buffer.append(chunk)
        try:
            for message in coder.decode(buffer):
                messages.append(message)
        except Exception as raised:
            assert error is None, "raised twice"
            error = f"{type(raised).__name__} {getattr(raised, 'code', '')}"
    return Reading(messages, log.calls, error, len(buffer))


def cuts(wire: bytes) -> Iterator[list[bytes]]:
    """Cut a stream in every way that matters: whole, in bytes, in two, in parts of some sizes."""
    yield [wire]
    for size in (1, 2, 3, 7, 130):
        if len(wire) // size < 3000:
            yield [wire[at : at + size] for at in range(0, len(wire), size)]
    for at in range(1, len(wire), max(1, len(wire) // 60)):
        yield [wire[:at], wire[at:]]
