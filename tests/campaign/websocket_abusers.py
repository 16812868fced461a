"""Those who do not behave towards a WebSocket server, one function a kind; see `abusers`."""

from __future__ import annotations

import zlib

import trio
from abusers import Abuse, Abuser, never_send, vanish
from sockets import GONE, read_to_end, reset_on_close
from websocket_frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    DEFLATE,
    HANDSHAKE,
    PING,
    TEXT,
    frame,
    read_close,
    read_frame,
    shake_hands,
)

MOST = 1_000_000
"""Bytes of a message, as the server is told."""

_compressor = zlib.compressobj(9, zlib.DEFLATED, -12)
BOMB = (_compressor.compress(bytes(100 * MOST)) + _compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]

VIOLATIONS = {
    "2 ** 62 bytes": (frame(BINARY, size=1 << 62), 1009),
    "2 ** 63 bytes": (frame(BINARY, size=1 << 63), 1002),
    "one byte too many": (frame(BINARY, size=MOST + 1), 1009),
    "too much in fragments": (
        frame(TEXT, b"x" * 600_000, fin=False) + frame(CONTINUATION, b"x" * 600_000),
        1009,
    ),
    "no mask": (b"\x81\x01x", 1002),
    "a reserved bit": (b"\xa1\x80\0\0\0\0", 1002),
    "a reserved opcode": (frame(3), 1002),
    "a continuation of nothing": (frame(CONTINUATION), 1002),
    "a message in a message": (frame(TEXT, fin=False) + frame(TEXT), 1002),
    "a ping in fragments": (frame(PING, fin=False), 1002),
    "a long ping": (frame(PING, bytes(126)), 1002),
    "no UTF-8": (frame(TEXT, b"\xff"), 1007),
    "no UTF-8, in fragments": (frame(TEXT, b"\xed", fin=False) + frame(0, b"\xa0\x80"), 1007),
    "a close of one byte": (frame(CLOSE, b"\x03"), 1002),
    "a close that nobody may send": (frame(CLOSE, b"\x03\xee"), 1002),
    "a reason that is no UTF-8": (frame(CLOSE, b"\x03\xe8\xff"), 1007),
}
"""What breaks the protocol, and the code that it is closed with (RFC 6455, section 7.4)."""


async def drip_handshake(abuser: Abuser) -> None:
    """Send a byte a second of a handshake that never ends."""
    async with abuser.connected() as stream:
        await stream.send_all(HANDSHAKE + b"X: ")
        while True:
            await stream.send_all(b"x")
            await trio.sleep(1)


async def drip_message(abuser: Abuser) -> None:
    """Send a message a fragment of one byte a second."""
    async with abuser.connected() as stream:
        await shake_hands(stream)
        await stream.send_all(frame(TEXT, b"x", fin=False))
        while True:
            await stream.send_all(frame(CONTINUATION, b"x", fin=False))
            await trio.sleep(1)


async def break_the_rules(abuser: Abuser) -> None:
    """Break the protocol behind a good message; that is answered, then the close has its code."""
    kind = abuser.chance.choice(list(VIOLATIONS))
    sent, code = VIOLATIONS[kind]
    said: object
    async with abuser.connected() as stream:
        await shake_hands(stream)
        try:
            await stream.send_all(frame(TEXT, b"good") + sent)
            said = await read_frame(stream), await read_close(stream)
        except GONE as error:
            said = error
    if said != ((TEXT, b"good"), code):
        abuser.tally.violations.append(f"{kind} was answered with {said!r}")


async def never_read(abuser: Abuser) -> None:
    """Send messages without a pause and read no answer."""
    async with abuser.connected(receive_buffer=4096) as stream:
        await shake_hands(stream)
        while True:
            await stream.send_all(frame(BINARY, bytes(16_000)) * 4)


async def ping_without_end(abuser: Abuser) -> None:
    """Send pings by the thousand; read the pongs, or not."""
    async with abuser.connected(receive_buffer=4096) as stream:
        await shake_hands(stream)
        reads = abuser.chance.random() < 0.5
        with trio.move_on_after(abuser.mean_pause):
            while True:
                await stream.send_all(frame(PING, b"x" * 125) * 1000)
                if reads:
                    await stream.receive_some()


async def send_fragments(abuser: Abuser) -> None:
    """Send a message in as many fragments as it has bytes, or in more: empty ones."""
    part = frame(CONTINUATION, b"x" * abuser.chance.randrange(2), fin=False)
    async with abuser.connected() as stream:
        await shake_hands(stream)
        await stream.send_all(frame(TEXT, fin=False))
        with trio.move_on_after(abuser.mean_pause):
            while True:
                await stream.send_all(part * 1000)
                await trio.sleep(0.05)


async def send_bombs(abuser: Abuser) -> None:
    """Send what is small and becomes large."""
    async with abuser.connected() as stream:
        if DEFLATE.strip()[-8:] not in await shake_hands(stream, DEFLATE):
            abuser.tally.violations.append("nothing was compressed")
            return
        await stream.send_all(frame(BINARY, BOMB, compressed=True))
        if (code := await read_close(stream)) != 1009:
            abuser.tally.violations.append(f"a bomb was closed with {code}")


async def close_and_stay(abuser: Abuser) -> None:
    """Close, be answered, and neither end the connection nor be quiet."""
    async with abuser.connected() as stream:
        await shake_hands(stream)
        await stream.send_all(frame(CLOSE, b"\x03\xe8"))
        if (code := await read_close(stream)) != 1000:
            abuser.tally.violations.append(f"a close was answered with {code}")
        while True:
            await stream.send_all(frame(TEXT, b"still here"))
            await trio.sleep(0.5)


async def half_close(abuser: Abuser) -> None:
    """End the input in the middle of a message, without a close."""
    async with abuser.connected() as stream:
        await shake_hands(stream)
        await stream.send_all(frame(TEXT, b"half", size=100))
        await stream.send_eof()
        await read_to_end(stream)


async def reset_in_mid_frame(abuser: Abuser) -> None:
    """Send a message, half of another, and reset."""
    async with abuser.connected() as stream:
        await shake_hands(stream)
        await stream.send_all(frame(TEXT, b"whole") + frame(TEXT, b"half", size=100))
        await abuser.pause()
        reset_on_close(stream)


async def send_garbage(abuser: Abuser) -> None:
    """Send frames with some bytes of them changed by chance."""
    frames = bytearray(frame(TEXT, b"hello") * 3 + frame(PING, b"?") + frame(CLOSE, b"\x03\xe8"))
    for _ in range(abuser.chance.randrange(1, 6)):
        frames[abuser.chance.randrange(len(frames))] = abuser.chance.randrange(256)
    async with abuser.connected() as stream:
        await shake_hands(stream)
        await stream.send_all(frames)
        with trio.move_on_after(1):
            await read_to_end(stream)


WEBSOCKET_ABUSES: dict[str, Abuse] = {
    "never send": never_send,
    "drip a handshake": drip_handshake,
    "drip a message": drip_message,
    "break the rules": break_the_rules,
    "never read": never_read,
    "pings without end": ping_without_end,
    "fragments": send_fragments,
    "bombs": send_bombs,
    "close and stay": close_and_stay,
    "half a message and EOF": half_close,
    "reset in mid-frame": reset_in_mid_frame,
    "connect and vanish": vanish,
    "changed bytes": send_garbage,
}
