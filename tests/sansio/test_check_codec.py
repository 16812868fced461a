"""The check for codecs: good ones pass, and each way to be wrong is found."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Any

import attrs
import pytest
from typing_extensions import override

from snowtrio import (
    Codec,
    IncompleteFrameError,
    LengthPrefixCodec,
    LineCodec,
    LocalProtocolError,
    RawCodec,
    ReceiveBuffer,
    ReceiveTooLargeError,
    RemoteProtocolError,
    SendTooLargeError,
    Side,
    SkippedMessageError,
)
from snowtrio.testing import check_codec, decode_chunks
from snowtrio.testing._codec_check import MAX_CUTS, choose_cuts

MESSAGES = [b"hello", b"", b"x", b"world" * 8]


def name_codec(value: object) -> str:
    """Return what to call a codec in the names of tests."""
    return type(value).__name__ if isinstance(value, Codec) else "-"


class Pascal(Codec[bytes, bytes]):
    """One length byte, then up to fifty bytes: a codec as it should be."""

    limit = 50

    @override
    def encode(self, message: bytes) -> bytes:
        if len(message) > self.limit:
            raise SendTooLargeError(len(message), self.limit)
        return bytes([len(message)]) + message

    @override
    def decode(self, buffer: ReceiveBuffer) -> Iterable[bytes]:
        while buffer:
            size = buffer.peek(1)[0]
            if size > self.limit:
                raise ReceiveTooLargeError(size, self.limit)
            if len(buffer) <= size:
                return
            buffer.shift(1)
            yield buffer.take(size)


@attrs.define
class Numbered(Pascal):
    """Frames have numbers, so that the coders of a connection have state."""

    sent: int = 0
    received: int = 0

    @override
    def start(self, side: Side, context: object) -> Numbered:
        return Numbered()

    @override
    def encode(self, message: bytes) -> bytes:
        frame = bytes([self.sent]) + super().encode(message)
        self.sent += 1
        return frame

    @override
    def decode(self, buffer: ReceiveBuffer) -> Iterator[bytes]:
        while len(buffer) > 1 and len(buffer) > 1 + buffer.peek(1, 1)[0]:
            if buffer.take(1)[0] != self.received:
                raise RemoteProtocolError("wrong number")
            self.received += 1
            yield buffer.take(buffer.take(1)[0])


def test_a_good_codec_passes() -> None:
    check_codec(
        Pascal(),
        MESSAGES,
        wire=b"\5hello\0\1x\x28" + b"world" * 8,
        too_large=b"\x33",
        refused=[bytes(51)],
    )


def test_a_good_codec_with_state_passes() -> None:
    """S25."""
    check_codec(Numbered(), MESSAGES, refused=[bytes(51)])


class OneFrameACall(Pascal):
    """Leaves the rest for the next read."""

    def decode(self, buffer: ReceiveBuffer) -> Iterable[bytes]:
        return [message for message, _ in zip(super().decode(buffer), "1", strict=False)]


class GivesUnfinished(Pascal):
    """Does not wait for the body."""

    def decode(self, buffer: ReceiveBuffer) -> Iterator[bytes]:
        while buffer:
            size = buffer.take(1)[0]
            yield buffer.take(min(size, len(buffer)))


class LosesUnfinished(Pascal):
    """Takes the beginning of a frame, and forgets it."""

    def decode(self, buffer: ReceiveBuffer) -> Iterator[bytes]:
        yield from super().decode(buffer)
        buffer.take_all()


class GivesBeforeTaking(Pascal):
    """Works as long as nobody looks at the buffer."""

    def decode(self, buffer: ReceiveBuffer) -> Iterator[bytes]:
        while buffer and len(buffer) > buffer.peek(1)[0]:
            size = buffer.peek(1)[0]
            yield buffer.peek(size, 1)
            buffer.shift(1 + size)


class NeedsTheHeaderWhole(Codec[bytes, bytes]):
    """Fails when the two bytes of the header are cut."""

    def encode(self, message: bytes) -> bytes:
        return struct.pack(">H", len(message)) + message

    def decode(self, buffer: ReceiveBuffer) -> Iterator[bytes]:
        while buffer and len(buffer) >= 2 + struct.unpack(">H", buffer.peek(2))[0]:
            yield buffer.take(struct.unpack(">H", buffer.take(2))[0])


class WaitsForOneByteMore(Pascal):
    """An empty message waits for the next."""

    def decode(self, buffer: ReceiveBuffer) -> Iterator[bytes]:
        while len(buffer) > 1 and len(buffer) > buffer.peek(1)[0]:
            yield buffer.take(buffer.take(1)[0])


class SharedHeader(Pascal):
    """Keeps a connection's state in what all connections share."""

    size: int | None = None

    def decode(self, buffer: ReceiveBuffer) -> Iterator[bytes]:
        while True:
            if self.size is None:
                if not buffer:
                    return
                self.size = buffer.take(1)[0]
            if len(buffer) < self.size:
                return
            size, self.size = self.size, None
            yield buffer.take(size)


class SharedNumbers(Numbered):
    """One count for all connections."""

    def start(self, side: Side, context: object) -> Numbered:
        return self


class SilentEnd(Pascal):
    """Does not tell an end inside a frame from one between frames."""

    def decode_eof(self, buffer: ReceiveBuffer) -> Iterable[bytes]:
        return ()


class NoisyEnd(Pascal):
    """Does not tell an end between frames from one inside a frame."""

    def decode_eof(self, buffer: ReceiveBuffer) -> Iterable[bytes]:
        raise IncompleteFrameError(buffer.take_all())


class TalkativeEnd(Pascal):
    """Makes a message of nothing."""

    def decode_eof(self, buffer: ReceiveBuffer) -> Iterable[bytes]:
        return [b"bye"]


class BrokenEnd(Pascal):
    """Fails for an end inside a frame."""

    def decode_eof(self, buffer: ReceiveBuffer) -> Iterable[bytes]:
        return [buffer.take(1000)] if buffer else ()


class DecodesNothing(Pascal):
    """Makes a message of an empty buffer."""

    def decode(self, buffer: ReceiveBuffer) -> Iterator[bytes]:
        yield buffer.take(len(buffer))


class FailsOnNothing(Pascal):
    """Fails for an empty buffer."""

    def decode(self, buffer: ReceiveBuffer) -> Iterator[bytes]:
        while len(buffer) > buffer.peek(1)[0]:
            yield buffer.take(buffer.take(1)[0])


class MakesBytearrays(Pascal):
    """Encodes to what is no bytes."""

    def encode(self, message: bytes) -> Any:
        return bytearray(super().encode(message))


class MakesNothing(Pascal):
    """Encodes to nothing what is empty."""

    def encode(self, message: bytes) -> bytes:
        return super().encode(message) if message else b""


class RefusesAll(Pascal):
    """Refuses what it should encode."""

    def encode(self, message: bytes) -> bytes:
        raise LocalProtocolError("no")


class Changes(Pascal):
    """Decodes something else."""

    def decode(self, buffer: ReceiveBuffer) -> Iterator[bytes]:
        return (message.replace(b"x", b"y") for message in super().decode(buffer))


class SaysTwice(Pascal):
    """Gives messages that nobody sent."""

    def decode(self, buffer: ReceiveBuffer) -> Iterator[bytes]:
        for message in super().decode(buffer):
            yield from (message, message)


class LosesTheLast(Pascal):
    """Throws a message away."""

    def decode(self, buffer: ReceiveBuffer) -> Iterable[bytes]:
        return [message for message in super().decode(buffer) if not message.startswith(b"world")]


@pytest.mark.parametrize(
    ("codec", "problem"),
    [
        (OneFrameACall(), "delivered whole: decode left frames in the buffer"),
        (
            GivesUnfinished(),
            "delivered byte by byte: 1 messages came where 0 were whole, after 1 of 50 bytes",
        ),
        (LosesUnfinished(), "delivered byte by byte: "),
        (GivesBeforeTaking(), "message 0 was given with its bytes still in the buffer"),
        (NeedsTheHeaderWhole(), "delivered byte by byte: decode raised error"),
        (
            WaitsForOneByteMore(),
            "delivered byte by byte: 1 messages came where 2 were whole, after 7 of",
        ),
        (SharedHeader(), "share state, so `start` must return a new object"),
        (SharedNumbers(), "share state, so `start` must return a new object|wrong number"),
        (SilentEnd(), "cut after byte 1 .*end of input there: .* passed in silence"),
        (
            NoisyEnd(),
            "before anything came: decode_eof raised IncompleteFrameError.*between frames",
        ),
        (TalkativeEnd(), "before anything came: decode_eof gave b'bye' of no bytes"),
        (BrokenEnd(), "cut after byte 1 .*end of input there: decode_eof raised ValueError"),
        (DecodesNothing(), "before anything came: decode gave b''"),
        (FailsOnNothing(), "before anything came: decode raised IndexError"),
        (MakesBytearrays(), "encode returned bytearray for b'hello', not bytes"),
        (MakesNothing(), "encode made no bytes of b''"),
        (RefusesAll(), r"encode raised LocalProtocolError\('no'\) for b'hello'"),
        (Changes(), "delivered whole: message 2 was b'x', came b'y'"),
        (SaysTwice(), "delivered whole: 8 messages came where 4 were whole"),
        (
            LosesTheLast(),
            "delivered whole: 3 messages came where 4 were whole, after 50 of 50 bytes",
        ),
        (RawCodec(), "encode made no bytes of b''"),
    ],
    ids=name_codec,
)
def test_a_broken_codec_is_found(codec: Codec[bytes, bytes], problem: str) -> None:
    """S1, S2, S4: with what is wrong, and where."""
    with pytest.raises(AssertionError, match=problem) as caught:
        check_codec(codec, MESSAGES)
    assert repr(codec) in str(caught.value)


class SharedSearch(Codec[bytes, bytes]):
    """Remembers in the codec how far it has looked into a buffer: right for one connection."""

    looked = 0

    def encode(self, message: bytes) -> bytes:
        return message + b"\n"

    def decode(self, buffer: ReceiveBuffer) -> Iterator[bytes]:
        while (found := buffer.peek(len(buffer)).find(b"\n", self.looked)) != -1:
            self.looked = 0
            yield buffer.take(found + 1)[:-1]
        self.looked = len(buffer)


def test_shared_state_is_found_when_connections_are_not_at_the_same_byte() -> None:
    with pytest.raises(AssertionError, match="share state"):
        check_codec(SharedSearch(), [b"hello", b"a", b"", b"world"])


class TakesTwo(Pascal):
    """Decodes ahead where one message is asked for."""

    def decode_one(self, buffer: ReceiveBuffer) -> list[bytes]:
        return list(self.decode(buffer))[:1]


class TakesNone(Pascal):
    """Waits for more than it needs."""

    def decode_one(self, buffer: ReceiveBuffer) -> list[bytes]:
        return next(([each] for each in super().decode(buffer) if buffer), [])


class TakesAnother(Pascal):
    """Agrees with itself about the sizes alone."""

    def decode_one(self, buffer: ReceiveBuffer) -> list[bytes]:
        return [next(iter(super().decode(buffer))).upper()] if buffer else []


class TakesTooLarge(Pascal):
    """Has no limit where one message is asked for."""

    def decode_one(self, buffer: ReceiveBuffer) -> list[bytes]:
        size = buffer.peek(1)[0] if buffer else 0
        return [buffer.take(buffer.take(1)[0])] if len(buffer) > size else []


@pytest.mark.parametrize(
    ("codec", "problem"),
    [
        (TakesTwo(), "one at a time, delivered whole: after 50 bytes the messages taken end at"),
        (TakesNone(), "one at a time, delivered whole: after 50 bytes the messages taken end at"),
        (TakesAnother(), "one at a time, delivered whole: message 0 was b'hello', came b'HELLO'"),
        (TakesTooLarge(), "one at a time, a frame that is too large: raised no Receive"),
    ],
    ids=name_codec,
)
def test_a_message_that_is_not_taken_alone_is_found(
    codec: Codec[bytes, bytes], problem: str
) -> None:
    """S7: a handshake would lose what stands behind it."""
    with pytest.raises(AssertionError, match=problem):
        check_codec(codec, MESSAGES, too_large=b"\xc8" + bytes(200))


class TakesOne(Pascal):
    """Has a way to take one message alone."""

    def decode_one(self, buffer: ReceiveBuffer) -> list[bytes]:
        size = buffer.peek(1)[0] if buffer else 0
        if size > self.limit:
            raise ReceiveTooLargeError(size, self.limit)
        return [buffer.take(buffer.take(1)[0])] if len(buffer) > size else []


def test_a_good_way_to_take_one_message_passes() -> None:
    """S7."""
    check_codec(TakesOne(), MESSAGES, too_large=b"\xc8" + bytes(200))


def test_a_subclass_with_its_own_decode_takes_one_message_by_it() -> None:
    """S7: what its base class does for one alone would pass it by."""
    assert Inherits().decode_one(ReceiveBuffer(b"\1x")) == [b"x"]
    assert DecodesOtherwise().decode_one(ReceiveBuffer(b"\1x")) is None


class Inherits(TakesOne):
    """Changes nothing of it."""

    limit = 40


class DecodesOtherwise(TakesOne):
    """Has a way of its own to decode."""

    def decode(self, buffer: ReceiveBuffer) -> Iterator[bytes]:
        return (message.upper() for message in super().decode(buffer))


class KeepsTooLarge(Pascal):
    """Waits for the whole of a frame before it looks at its size."""

    def decode(self, buffer: ReceiveBuffer) -> Iterator[bytes]:
        while buffer and len(buffer) > (size := buffer.peek(1)[0]):
            if size > self.limit:
                raise ReceiveTooLargeError(size, self.limit)
            yield buffer.take(buffer.take(1)[0])


class LosesWhatWasGood(Pascal):
    """Raises before it gives what came first."""

    def decode(self, buffer: ReceiveBuffer) -> Iterable[bytes]:
        return list(super().decode(buffer))


class RaisesAnother(Pascal):
    """Blames nobody."""

    def decode(self, buffer: ReceiveBuffer) -> Iterator[bytes]:
        try:
            yield from super().decode(buffer)
        except ReceiveTooLargeError as error:
            raise ValueError("too large") from error


class TakesAll(Pascal):
    """Has no limit."""

    limit = 255


class RaisesNextTime(Pascal):
    """Gives what is good, and raises when it is called again: right as well."""

    def decode(self, buffer: ReceiveBuffer) -> Iterable[bytes]:
        messages: list[bytes] = []
        try:
            messages.extend(super().decode(buffer))
        except ReceiveTooLargeError:
            if not messages:
                raise
        return messages


@pytest.mark.parametrize(
    ("codec", "problem"),
    [
        (KeepsTooLarge(), "delivered byte by byte: 201 bytes were kept .*; its limit is 50"),
        (LosesWhatWasGood(), "messages before it: 0 messages came where 4 were whole"),
        (RaisesAnother(), "delivered whole: decode raised ValueError.*no ReceiveTooLargeError"),
        (TakesAll(), "delivered whole: decode did not raise ReceiveTooLargeError"),
    ],
    ids=name_codec,
)
def test_a_limit_that_does_not_hold_is_found(codec: Codec[bytes, bytes], problem: str) -> None:
    """S3."""
    with pytest.raises(AssertionError, match=problem):
        check_codec(codec, MESSAGES, too_large=b"\xc8" + bytes(200))


def test_an_error_at_the_next_call_is_good_enough() -> None:
    """S3."""
    check_codec(RaisesNextTime(), MESSAGES, too_large=b"\xc8" + bytes(200))


class NeverRefuses(Pascal):
    """Cuts what it should refuse."""

    def encode(self, message: bytes) -> bytes:
        return super().encode(message[: self.limit])


class RefusesOddly(Pascal):
    """Blames nobody."""

    def encode(self, message: bytes) -> bytes:
        return bytes([len(message)]) + message


class CountsRefused(Numbered):
    """A message that is refused has changed the coder."""

    def start(self, side: Side, context: object) -> Numbered:
        return CountsRefused()

    def encode(self, message: bytes) -> bytes:
        try:
            return super().encode(message)
        except LocalProtocolError:
            self.sent += 1
            raise


@pytest.mark.parametrize(
    ("codec", "problem"),
    [
        (NeverRefuses(), "encode made .* which it must refuse"),
        (RefusesOddly(), "encode raised ValueError.*, no LocalProtocolError"),
        (CountsRefused(), "after encode refused messages: decode raised .*wrong number"),
    ],
    ids=name_codec,
)
def test_a_refusal_that_is_none_is_found(codec: Codec[bytes, bytes], problem: str) -> None:
    """S6."""
    with pytest.raises(AssertionError, match=problem):
        check_codec(codec, MESSAGES, refused=[bytes(1000)])


class OneSided(Pascal):
    """Wrong at the server's end only."""

    def start(self, side: Side, context: object) -> Codec[bytes, bytes]:
        return Changes() if side is Side.SERVER else self


def test_each_side_is_checked() -> None:
    with pytest.raises(AssertionError, match="client to server: "):
        check_codec(OneSided(), MESSAGES)
    check_codec(OneSided(), MESSAGES, side=Side.SERVER)


def test_what_is_encoded_is_compared() -> None:
    with pytest.raises(AssertionError, match=r"encode made .*, not b'hello'"):
        check_codec(Pascal(), [b"hello"], wire=b"hello")


class Chosen(Pascal):
    """The handshake decides."""

    def start(self, side: Side, context: object) -> Codec[bytes, bytes]:
        assert context == "lines"
        return LineCodec()


def test_both_ends_get_the_context() -> None:
    check_codec(Chosen(), [b"hello"], context="lines", wire=b"hello\n")


def test_the_ends_may_have_codecs_of_their_own() -> None:
    check_codec(LineCodec(), [b"hello", b""], peer=LineCodec("lf"), side=Side.CLIENT)
    with pytest.raises(AssertionError, match="LineCodec"):
        check_codec(LineCodec(), [b"hello"], peer=Pascal())


def test_messages_are_compared_as_one_asks() -> None:
    """S25."""
    with pytest.raises(AssertionError, match="message 2"):
        check_codec(Changes(), MESSAGES)
    check_codec(Changes(), MESSAGES, equal=lambda sent, came: sent == came.replace(b"y", b"x"))


class Uppercase(RawCodec):
    """Changes the bytes."""

    def encode(self, message: Any) -> bytes:
        return super().encode(message).upper()


def test_without_boundaries_the_bytes_are_compared() -> None:
    check_codec(RawCodec(), MESSAGES, boundaries=False)
    check_codec(RawCodec(), [b""], boundaries=False)
    with pytest.raises(AssertionError, match="other bytes came"):
        check_codec(Uppercase(), MESSAGES, boundaries=False)


def test_a_message_is_wanted() -> None:
    with pytest.raises(ValueError, match="at least one"):
        check_codec(Pascal(), [])


def test_a_long_stream_is_cut_at_the_ends_of_frames_and_between() -> None:
    """As documented: not everywhere, or it would take for ever."""
    assert list(choose_cuts(5, [2, 5])) == [1, 2, 3, 4]
    ends = [1000, 40_000, 100_000]
    cuts = choose_cuts(100_000, ends)
    assert len(cuts) <= MAX_CUTS
    assert {999, 1000, 1001, 39_999, 40_000, 40_001, 99_999} <= set(cuts)
    assert all(0 < cut < 100_000 for cut in cuts)
    assert len(choose_cuts(100_000, range(0, 100_001, 10))) <= MAX_CUTS
    check_codec(LengthPrefixCodec(2), [bytes(20_000), b"x"], side=Side.CLIENT)


def test_chunks_are_decoded_to_messages() -> None:
    assert decode_chunks(Pascal(), [b"\1", b"a\0\2b", b"c"]) == [b"a", b"", b"bc"]
    assert decode_chunks(Pascal(), []) == []


def test_chunks_end_with_the_end_of_input_unless_told_otherwise() -> None:
    """S4."""
    with pytest.raises(IncompleteFrameError):
        decode_chunks(Pascal(), [b"\1a\2"])
    assert decode_chunks(Pascal(), [b"\1a\2"], eof=False) == [b"a"]


def test_chunks_with_a_skipped_message() -> None:
    """S3: raised, or handed over."""
    codec = LineCodec(max_message_size=3, resync=True)
    with pytest.raises(SkippedMessageError):
        decode_chunks(codec, [b"a\n12345\nb\n"])
    skipped: list[SkippedMessageError] = []
    assert decode_chunks(codec, [b"a\n12345\nb\n"], on_skip=skipped.append) == [b"a", b"b"]
    assert len(skipped) == 1


def test_the_side_and_the_context_choose_the_coder_of_chunks() -> None:
    assert decode_chunks(OneSided(), [b"\1x"]) == [b"y"]
    assert decode_chunks(OneSided(), [b"\1x"], side=Side.CLIENT) == [b"x"]
    assert decode_chunks(Chosen(), [b"a\n"], context="lines") == [b"a"]


class Upgrade(Pascal):
    """Stops after a message that changes the protocol."""

    def decode(self, buffer: ReceiveBuffer) -> Iterator[bytes]:
        for message in super().decode(buffer):
            if message == b"upgrade":
                buffer.pause()
                yield message
                return
            yield message


def test_chunks_after_a_pause_belong_to_another_codec() -> None:
    assert decode_chunks(Upgrade(), [b"\1a\7upgrade\1", b"GET /"]) == [b"a", b"upgrade"]
    check_codec(Upgrade(), [b"a", b"upgrade"])
