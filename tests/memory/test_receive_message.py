"""Messages of a codec on a stream of bytes, as handshakes use them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import attrs
import pytest
import trio
import trio.testing
from trio.testing import memory_stream_pair

from snowtrio import (
    BufferedStream,
    ClientLimits,
    Codec,
    DelimiterCodec,
    FixedSizeCodec,
    IncompleteFrameError,
    JSONLinesCodec,
    LengthPrefixCodec,
    LineCodec,
    LocalProtocolError,
    NetstringCodec,
    Protocol,
    RawCodec,
    ReceiveBuffer,
    ReceiveTooLargeError,
    RemoteProtocolError,
    SendTooLargeError,
    Side,
    SkippedMessageError,
    StreamEndpoint,
    TruncatedError,
    open_connection,
)
from snowtrio._transport import as_transport
from snowtrio.testing import FaultyStream, MemoryListener

from ..serving import read_all, read_line, serving
from .cancelling import cancelled_at, every_suspension

BEHIND = b"\x00\xffbytes of\nanother: codec\r\n"


class Pascal(Codec[bytes]):
    """One length byte, then that many bytes; has no way of its own to take one message."""

    def encode(self, message: bytes) -> bytes:
        return bytes([len(message)]) + message

    def decode(self, buffer: ReceiveBuffer) -> Iterator[bytes]:
        while buffer and len(buffer) > buffer.peek(1)[0]:
            yield buffer.take(buffer.take(1)[0])


class Ahead(Pascal):
    """Splits all that is there at once."""

    def decode(self, buffer: ReceiveBuffer) -> Any:
        return list(super().decode(buffer))


@attrs.define(eq=False)
class Walking(Codec[bytes]):
    """Remembers how far it has walked into an unfinished line, and counts lines behind them."""

    walked: int = 0
    lines: int = 0

    def start(self, side: Side, context: object) -> Walking:
        return Walking()

    def encode(self, message: bytes) -> bytes:
        return message + b"\n"

    def decode(self, buffer: ReceiveBuffer) -> Iterator[bytes]:
        assert len(buffer) >= self.walked, "bytes that it had seen were taken away"
        while self.walked < len(buffer):
            self.walked += 1
            if buffer.peek(1, self.walked - 1) == b"\n":
                line = buffer.take(self.walked)[:-1]
                self.walked = 0
                yield line
                self.lines += 1


class Pausing(Pascal):
    """Stops behind each message that changes the protocol."""

    def decode(self, buffer: ReceiveBuffer) -> Iterator[bytes]:
        for message in super().decode(buffer):
            if message == b"upgrade":
                buffer.pause()
                yield message
                return
            yield message


CASES: list[tuple[Codec[Any, Any], list[Any]]] = [
    (LineCodec(), [b"one", b"", b"three"]),
    (LineCodec("crlf"), [b"one", b"\n", b"three"]),
    (LineCodec(keep_newline=True), [b"one\n", b"\r\n"]),
    (LineCodec(send_newline="crlf", max_message_size=5), [b"12345", b"1234\r"]),
    (LineCodec(resync=True), [b"one", b"two"]),
    (DelimiterCodec(b"--"), [b"one", b"-a", b"three"]),
    (DelimiterCodec(b"\0", max_message_size=3), [b"one", b"two"]),
    (LengthPrefixCodec(), [b"one", b"", b"x" * 20_000]),
    (LengthPrefixCodec(2, "little", offset=3, includes_header=True), [b"abcone", b"abc"]),
    (NetstringCodec(), [b"one", b"", b"x" * 300]),
    (FixedSizeCodec(3), [b"one", b"two"]),
    (JSONLinesCodec(), [None, {"a": [1, "b"]}, ""]),
    (Pascal(), [b"one", b"", b"x" * 255]),
    (Ahead(), [b"one", b"", b"x" * 255]),
    (Walking(), [b"one", b"", b"x" * 3000]),
    (Pausing(), [b"one", b"upgrade", b"three"]),
]


async def stream_of(data: bytes, chunk_size: int | None = None) -> BufferedStream:
    """Return a stream on which bytes come, and then the end of input."""
    ours, theirs = memory_stream_pair()
    await theirs.send_all(data)
    await theirs.send_eof()
    return BufferedStream(as_transport(FaultyStream(ours, chunk_size=chunk_size)))


def encode(codec: Codec[Any, Any], messages: list[Any]) -> list[bytes]:
    coder = codec.start(Side.CLIENT, None)
    return [coder.encode(message) for message in messages]


@pytest.mark.parametrize("chunk_size", [None, 1, 7])
@pytest.mark.parametrize(("codec", "messages"), CASES, ids=lambda value: type(value).__name__)
async def test_one_message_is_taken_and_all_behind_it_stays(
    codec: Codec[Any, Any], messages: list[Any], chunk_size: int | None
) -> None:
    """S7: with every codec, in one read, byte by byte, and with bytes of another one behind."""
    frames = encode(codec, messages)
    wire = b"".join(frames) + BEHIND
    stream = await stream_of(wire, chunk_size)
    coder = codec.start(Side.SERVER, None)
    for message, frame in zip(messages, frames, strict=True):
        assert await stream.receive_message(coder) == message
        wire = wire.removeprefix(frame)
        came = stream.buffer.peek(len(wire))
        assert wire.startswith(came)
        assert came == wire or chunk_size is not None
        assert not came or chunk_size != 1
        assert not stream.buffer.paused
    assert await stream.receive_exactly(len(BEHIND)) == BEHIND
    assert await stream.receive_some() == b""


async def test_each_call_may_have_another_codec() -> None:
    """S7: and the helpers for bytes stand beside them."""
    stream = await stream_of(b'{"a":1}\nline\n\3abc3:def,xyzrest')
    assert await stream.receive_message(JSONLinesCodec()) == {"a": 1}
    assert await stream.receive_line() == b"line"
    assert await stream.receive_message(Pascal()) == b"abc"
    assert await stream.receive_message(NetstringCodec()) == b"def"
    assert await stream.receive_message(FixedSizeCodec(3)) == b"xyz"
    assert await stream.receive_message(RawCodec(max_message_size=2)) == b"re"
    assert await stream.receive_message(RawCodec()) == b"st"
    with pytest.raises(trio.EndOfChannel):
        await stream.receive_message(RawCodec())


async def test_what_a_coder_does_behind_a_message_is_done() -> None:
    """S7: decoding is run to its end, not left where the message was given."""
    coder = Walking()
    stream = await stream_of(b"a\nb\n")
    assert await stream.receive_message(coder) == b"a"
    assert coder.lines == 1
    assert await stream.receive_message(coder) == b"b"
    assert coder.lines == 2


@pytest.mark.parametrize("chunk_size", [None, 1])
@pytest.mark.parametrize(
    "codec", [LineCodec(), Pascal(), Walking()], ids=lambda codec: type(codec).__name__
)
async def test_the_end_of_input(codec: Codec[bytes], chunk_size: int | None) -> None:
    """S4: between messages, and inside one."""
    (frame,) = encode(codec, [b"last"])
    stream = await stream_of(frame, chunk_size)
    assert await stream.receive_message(codec) == b"last"
    for _ in range(2):
        with pytest.raises(trio.EndOfChannel):
            await stream.receive_message(codec)
    coder = codec.start(Side.SERVER, None)
    stream = await stream_of(frame + frame[:2], chunk_size)
    assert await stream.receive_message(coder) == b"last"
    with pytest.raises(IncompleteFrameError) as caught:
        await stream.receive_message(coder)
    assert caught.value.partial == frame[:2]


async def test_a_last_message_that_the_end_of_input_ends() -> None:
    """Z2."""
    codec = LineCodec(deliver_unterminated=True)
    stream = await stream_of(b"one\ntwo")
    assert await stream.receive_message(codec) == b"one"
    assert await stream.receive_message(codec) == b"two"
    with pytest.raises(trio.EndOfChannel):
        await stream.receive_message(codec)


class Truncating(FaultyStream):
    """Ends as TLS does that was cut short."""

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        data = await super().receive_some(max_bytes)
        if not data:
            raise TruncatedError("no closing alert")
        return data


class EndsItself(Pascal):
    """Says where the conversation ends."""

    ends_itself = True


async def test_tls_cut_short() -> None:
    """S4: a clean end only for a codec that knows its own, and only between messages."""

    async def receive(codec: Codec[bytes], data: bytes) -> bytes:
        ours, theirs = memory_stream_pair()
        await theirs.send_all(data)
        await theirs.send_eof()
        return await BufferedStream(as_transport(Truncating(ours))).receive_message(codec)

    with pytest.raises(TruncatedError):
        await receive(Pascal(), b"")
    with pytest.raises(trio.EndOfChannel):
        await receive(EndsItself(), b"")
    with pytest.raises(TruncatedError):
        await receive(EndsItself(), b"\2a")


@pytest.mark.parametrize("chunk_size", [None, 1])
async def test_a_message_that_is_too_large(chunk_size: int | None) -> None:
    """S3: is refused as soon as that is known; or thrown away, and the next one comes."""
    stream = await stream_of(b"abc\n123456789" + b"x" * 1000, chunk_size)
    codec = LineCodec(max_message_size=5)
    assert await stream.receive_message(codec) == b"abc"
    with pytest.raises(ReceiveTooLargeError):
        await stream.receive_message(codec)
    stream = await stream_of(b"abc\n123456789\ndef\n", chunk_size)
    coder = LineCodec(max_message_size=5, resync=True).start(Side.SERVER, None)
    assert await stream.receive_message(coder) == b"abc"
    with pytest.raises(SkippedMessageError):
        await stream.receive_message(coder)
    assert await stream.receive_message(coder) == b"def"


class Skipping(Pascal):
    """Throws away what begins with a minus."""

    def decode(self, buffer: ReceiveBuffer) -> Iterator[bytes]:
        for message in super().decode(buffer):
            if message.startswith(b"-"):
                raise SkippedMessageError("thrown away")
            yield message


async def test_a_message_that_is_skipped_byte_by_byte() -> None:
    """S3: once, and then the next."""
    stream = await stream_of(b"\2-a\2-b\1c")
    for _ in range(2):
        with pytest.raises(SkippedMessageError):
            await stream.receive_message(Skipping())
    assert await stream.receive_message(Skipping()) == b"c"


class RaisesBehind(Pascal):
    """Raises once it has given a message."""

    def decode(self, buffer: ReceiveBuffer) -> Iterator[bytes]:
        for message in super().decode(buffer):
            yield message
            raise RemoteProtocolError("and no more")


async def test_what_is_raised_behind_a_message_comes_behind_it() -> None:
    """B5: the message is not lost for it."""
    stream, codec = await stream_of(b"\1a\1b"), RaisesBehind()
    assert await stream.receive_message(codec) == b"a"
    with pytest.raises(RemoteProtocolError, match="no more"):
        await stream.receive_message(codec)


class Batches(Pascal):
    """Each byte of a frame is a message."""

    def decode(self, buffer: ReceiveBuffer) -> Iterator[bytes]:
        return (bytes([byte]) for message in super().decode(buffer) for byte in message)


async def test_several_messages_in_a_frame_are_an_error() -> None:
    """B5: none of them could be taken alone, and none is lost in silence."""
    stream = await stream_of(b"\1a\2bc")
    assert await stream.receive_message(Batches()) == b"a"
    with pytest.raises(RemoteProtocolError, match="2 messages came in a frame"):
        await stream.receive_message(Batches())


@pytest.mark.parametrize(
    "codec",
    [LineCodec(), LineCodec(resync=True), Pascal(), Ahead(), Walking()],
    ids=lambda codec: type(codec).__name__,
)
async def test_a_cancelled_call_loses_nothing(codec: Codec[bytes]) -> None:
    """B6: at every await of it; the next call goes on where it was."""
    first, second = encode(codec, [b"first", b"second"])

    async def strike(suspension: int) -> bool:
        stream = await stream_of(first + second + BEHIND, chunk_size=3)
        coder = codec.start(Side.SERVER, None)
        got: list[bytes] = []

        async def receive() -> None:
            got.append(await stream.receive_message(coder))

        struck = await cancelled_at(suspension, receive)
        if not got:
            await receive()
        assert await stream.receive_message(coder) == b"second"
        assert got == [b"first"]
        assert await stream.receive_exactly(len(BEHIND)) == BEHIND
        return struck

    assert len([k async for k in every_suspension(strike)]) > 3


async def shift(stream: BufferedStream) -> None:
    stream.shift(4)


@pytest.mark.parametrize(
    "take",
    [
        shift,
        lambda stream: stream.receive_some(4),
        lambda stream: stream.receive_exactly(4),
        lambda stream: stream.receive_until(b"c"),
    ],
    ids=["shift", "some", "exactly", "until"],
)
async def test_bytes_taken_between_two_calls(
    take: Callable[[BufferedStream], Awaitable[object]],
) -> None:
    """S7: a call that was cancelled inside a message, and then its bytes as bytes."""
    ours, theirs = memory_stream_pair()
    stream, codec = BufferedStream(as_transport(ours)), Pascal()
    await theirs.send_all(b"\5abc")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.receive_message, codec)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    await theirs.send_all(b"\1x\1y\1z")
    assert await stream.peek(10) == b"\5abc\1x\1y\1z"
    await take(stream)
    assert await stream.receive_message(codec) == b"x"
    assert await stream.receive_message(codec) == b"y"
    assert stream.buffer.peek(9) == b"\1z"


async def test_a_large_message_leaves_others_their_turn() -> None:
    """S7: where it is looked at byte by byte."""
    stream, turns, done = await stream_of(b"x" * 10_000 + b"\n"), 0, False

    async def count() -> None:
        nonlocal turns
        while not done:
            turns += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(count)
        assert len(await stream.receive_message(Walking())) == 10_000
        done = True
    assert turns > 8


async def test_one_task_a_direction() -> None:
    """P7."""
    ours, _ = trio.testing.lockstep_stream_pair()
    stream = BufferedStream(as_transport(ours))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.receive_message, LineCodec())
        nursery.start_soon(stream.send_message, LineCodec(), b"x")
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await stream.receive_message(LineCodec())
        with pytest.raises(trio.BusyResourceError):
            await stream.send_message(LineCodec(), b"x")
        nursery.cancel_scope.cancel()


async def test_sending_messages() -> None:
    """S6: what cannot be encoded sends nothing; others follow."""
    ours, theirs = memory_stream_pair()
    stream = BufferedStream(as_transport(ours))
    await stream.send_message(JSONLinesCodec(), {"a": None})
    with pytest.raises(LocalProtocolError):
        await stream.send_message(LineCodec(), b"a\nb")
    with pytest.raises(SendTooLargeError):
        await stream.send_message(LineCodec(max_message_size=1), b"ab")
    await stream.send_message(NetstringCodec(), b"abc")
    await stream.send_eof()
    with pytest.raises(trio.ClosedResourceError):
        await stream.send_message(LineCodec(), b"late")
    assert await read_all(theirs) == b'{"a":null}\n3:abc,'
    await stream.aclose()
    with pytest.raises(trio.ClosedResourceError):
        await stream.receive_message(LineCodec())


class Login(Protocol[bytes, bytes, str]):
    """JSON to log in with, lines from there on."""

    codec = LineCodec()

    async def handshake(self, side: Side, stream: BufferedStream) -> str:
        login = JSONLinesCodec()
        if side is Side.CLIENT:
            await stream.send_message(login, {"name": "ann"})
            return str(await stream.receive_message(login))
        name = (await stream.receive_message(login))["name"]
        await stream.send_message(login, f"welcome, {name}")
        return str(name)


async def test_a_login_in_messages() -> None:
    """S7: both sides; what the client sends together with it reaches the connection's codec."""
    listener = MemoryListener()
    async with serving(protocol=Login(), listener=listener) as served:
        stream = await served.connect(b'{"name":"bob"}\nfirst\nsecond\n')
        lines = [await read_line(stream) for _ in range(3)]
        assert lines == [b'"welcome, bob"\n', b"first\n", b"second\n"]
        await stream.aclose()
        endpoint = StreamEndpoint(listener.connect, "memory")
        limits = ClientLimits(linger_timeout=0)
        async with open_connection(Login(), endpoint, limits=limits) as connection:
            assert connection.context == "welcome, ann"
            await connection.send(b"hello")
            assert await connection.receive() == b"hello"


async def test_a_login_that_is_not_of_the_protocol() -> None:
    """S8: refused with the codec's own error."""
    async with serving(protocol=Login()) as served:
        stream = await served.connect(b"no json\nfirst\n")
        assert await read_all(stream) == b""
        assert served.server.statistics().pool.handshakes_failed == 1


async def test_the_connection_breaks_inside_a_message() -> None:
    """S8."""
    ours, theirs = memory_stream_pair()
    faulty = FaultyStream(ours)
    stream = BufferedStream(as_transport(faulty))
    await theirs.send_all(b"\5ab")
    async with trio.open_nursery() as nursery:

        async def receive() -> None:
            with pytest.raises(trio.BrokenResourceError):
                await stream.receive_message(Pascal())

        nursery.start_soon(receive)
        await trio.testing.wait_all_tasks_blocked()
        faulty.break_now()
    assert stream.buffer.peek(9) == b"\5ab"
