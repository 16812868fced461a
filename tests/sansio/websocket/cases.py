"""Streams, good and bad, and what a server or client must make of each."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from snowtrio import Side
from snowtrio.websocket import WebSocketLimits

from .reading import (
    BINARY,
    CLOSE,
    CONTINUATION,
    LIMITS,
    PING,
    PONG,
    TEXT,
    frame,
)


@attrs.frozen
class Frame:
    """Arguments of `frame`, so that a case can be made for both sides."""

    opcode: int
    payload: bytes = b""
    fin: bool = True
    rsv: int = 0
    size: int | None = None
    width: int | None = None

    def wire(self, side: Side) -> bytes:
        return frame(**attrs.asdict(self), side=side)


@attrs.frozen
class Case:
    """Frames, and what comes of them.

    Parameters:
        code: of the close or violation at the end; None is a stream that goes on.
        violation: whether it is one.
    """

    name: str
    frames: Sequence[Frame]
    messages: Sequence[str | bytes] = ()
    calls: Sequence[tuple[str, object]] = ()
    code: int | None = None
    violation: bool = False
    limits: WebSocketLimits = LIMITS

    def wire(self, side: Side) -> bytes:
        return b"".join(each.wire(side) for each in self.frames)

    @property
    def all_calls(self) -> list[tuple[str, object]]:
        return [*self.calls, ("violation", self.code)] if self.violation else list(self.calls)


def bad(name: str, *frames: Frame, code: int = 1002, **rest: object) -> Case:
    return Case(name, frames, code=code, violation=True, **rest)  # type: ignore[arg-type]


def close(payload: bytes, code: int, reason: str = "") -> Case:
    name = f"close {payload[:10]!r}"
    return Case(name, [Frame(CLOSE, payload)], calls=[("close", (code, reason))], code=code)


def text(data: bytes, fin: bool = True) -> Frame:
    return Frame(TEXT, data, fin)


def more(data: bytes, fin: bool = True) -> Frame:
    return Frame(CONTINUATION, data, fin)


SNOW = "schnee ❄ 雪 \U0001f328".encode()
MANY = [Frame(BINARY, bytes([n]) * n) for n in range(200)]

GOOD = [
    Case("text", [text(SNOW)], [SNOW.decode()]),
    Case("binary", [Frame(BINARY, b"\xff\0")], [b"\xff\0"]),
    Case("empty ones", [text(b""), Frame(BINARY)], ["", b""]),
    *(
        Case(f"{size} bytes", [Frame(BINARY, b"s" * size)], [b"s" * size])
        for size in (1, 2, 3, 4, 5, 124, 125, 126, 127, 128, 999, 1000)
    ),
    *(
        Case(
            f"{size} bytes of no bound",
            [Frame(BINARY, b"s" * size), text(b"a")],
            [b"s" * size, "a"],
            limits=WebSocketLimits(max_message_size=None),
        )
        for size in (65535, 65536, 70001)
    ),
    Case("many", MANY, [each.payload for each in MANY]),
    Case("many texts", [text(SNOW[:7])] * 40, [SNOW[:7].decode()] * 40),
    Case("fragments", [text(b"a", fin=False), more(b"", fin=False), more(b"b")], ["ab"]),
    Case("empty fragments", [text(b"", fin=False), more(b"", fin=False), more(b"")], [""]),
    Case(
        "a character in two fragments",
        [text(SNOW[:9], fin=False), more(SNOW[9:10], fin=False), more(SNOW[10:])],
        [SNOW.decode()],
    ),
    Case("fragments up to the limit", [text(b"a" * 999, fin=False), more(b"b")], ["a" * 999 + "b"]),
    Case(
        "control frames between fragments",
        [
            *(Frame(PING, b"1"), text(b"a", fin=False), Frame(PING, b"2"), Frame(PONG)),
            *(more(b"b"), Frame(BINARY, b"c"), Frame(PONG, b"3" * 125), Frame(BINARY)),
        ],
        ["ab", b"c", b""],
        [("ping", b"1"), ("ping", b"2"), ("pong", b""), ("pong", b"3" * 125)],
    ),
    Case(
        "messages around fragments",
        [*MANY[:9], text(b"a", fin=False), more(b"b"), *MANY[:9], Frame(PING), *MANY[:9]],
        [*(each.payload for each in MANY[:9]), "ab", *(each.payload for each in MANY[:9] * 2)],
        [("ping", b"")],
    ),
    Case(
        "bad text, where that is allowed",
        [text(b"a\xff"), text(b"\xc3", fin=False), more(b"\xa4\xed\xa0\x80")],
        ["a�", "ä���"],
        limits=WebSocketLimits(validate_text=False),
    ),
]

CLOSES = [
    close(b"", 1005),
    *(
        close(code.to_bytes(2, "big"), code)
        for code in (1000, 1001, 1002, 1003, 1007, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999)
    ),
    close(b"\x03\xe8" + SNOW, 1000, SNOW.decode()),
    close(b"\x03\xe8" + b"r" * 123, 1000, "r" * 123),
    Case(
        "a close inside a message",
        [Frame(BINARY, b"a"), text(b"b", fin=False), Frame(CLOSE, b"\x03\xe9")],
        [b"a"],
        [("close", (1001, ""))],
        code=1001,
    ),
]

BAD = [
    *(
        bad(f"reserved bits {rsv} of {opcode}", Frame(opcode, b"a", rsv=rsv))
        for opcode in (TEXT, BINARY, CLOSE, PING, PONG)
        for rsv in (1, 2, 4, 7)
    ),
    bad("a reserved bit of a continuation", text(b"", fin=False), Frame(CONTINUATION, rsv=4)),
    *(bad(f"opcode {opcode}", Frame(opcode)) for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)),
    *(bad(f"a part of {opcode}", Frame(opcode, fin=False)) for opcode in (CLOSE, PING, PONG)),
    *(bad(f"126 bytes of {opcode}", Frame(opcode, b"a" * 126)) for opcode in (CLOSE, PING, PONG)),
    bad("a long size of a ping", Frame(PING, b"a", width=2)),
    bad("a continuation of nothing", more(b"a")),
    bad("an unfinished continuation of nothing", more(b"a", fin=False)),
    bad("a continuation behind the last", text(b"a", fin=False), more(b""), more(b""),
        messages=["a"]),
    bad("text inside text", text(b"a", fin=False), text(b"b")),
    bad("binary inside text", text(b"a", fin=False), Frame(BINARY, b"b")),
    *(
        bad(f"{size} in {width} bytes", Frame(BINARY, b"a" * size, width=width))
        for size, width in ((0, 2), (1, 2), (125, 2), (0, 8), (126, 8), (999, 8))
    ),
    bad("65535 in 8 bytes", Frame(BINARY, size=65535, width=8)),
    bad("the first bit of a size", Frame(BINARY, size=1 << 63, width=8)),
    bad("half a code", Frame(CLOSE, b"\x03")),
    *(
        bad(f"the code {code}", Frame(CLOSE, code.to_bytes(2, "big")))
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    ),
    bad("a reason that is no text", Frame(CLOSE, b"\x03\xe8\xc3"), code=1007),
    *(
        bad(f"text {data!r}", text(b"ok"), text(data), code=1007, messages=["ok"])
        for data in (
            *(b"\xff", b"a\xc3", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xf5"),
            *(b"a" * 200 + b"\x80", b"\xe2\x9d", b"\xf8\x88\x80\x80\x80"),
        )
    ),
    bad("text that ends too soon", text(b"\xc3", fin=False), more(b""), code=1007),
    bad("a fragment that is no text", text(b"\xc3", fin=False), more(b"a", fin=False), code=1007),
    bad("1001 bytes", Frame(BINARY, b"a" * 1001), code=1009),
    bad("1001 bytes announced", Frame(BINARY, size=1001), code=1009),
    bad("2^62 bytes announced", Frame(BINARY, size=1 << 62), code=1009),
    bad("too much in fragments", text(b"a" * 600, fin=False), more(b"a" * 401), code=1009),
    bad("too much in many", text(b"a", fin=False), *[more(b"a", fin=False)] * 1000, code=1009),
    bad("none is allowed", Frame(BINARY), Frame(BINARY, b"a"), code=1009, messages=[b""],
        limits=WebSocketLimits(max_message_size=0)),
    bad("behind much", *MANY, Frame(PING, b"p"), text(b"a"), Frame(3), messages=[
        *(each.payload for each in MANY), "a"], calls=[("ping", b"p")]),
]  # fmt: skip

ALL = [*GOOD, *CLOSES, *BAD]
