"""What is checked of a codec, one method a check."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import accumulate, zip_longest
from typing import Any, Generic, TypeVar, cast

import attrs

from .._buffer import ReceiveBuffer
from .._codec import Codec
from .._errors import (
    ConnectionLostError,
    LocalProtocolError,
    ReceiveTooLargeError,
    RemoteProtocolError,
    SkippedMessageError,
)
from .._side import Side

SendT = TypeVar("SendT")
ReceiveT = TypeVar("ReceiveT")

# What bounds the check of a long stream: so many places to cut it at, so many reads of it, and so
# many distances at which two connections follow each other.
MAX_CUTS = 1024
MAX_READS = 4096
MAX_LAGS = 16

SHARED = "coders share state, so `start` must return a new object each time"

# What a frame may need around its message, in bytes, when the memory that it takes is judged.
FRAME_OVERHEAD = 64


class Receiver(Generic[ReceiveT]):
    """A coder, its buffer, and what came of both: what a connection's reader does with them."""

    def __init__(
        self,
        coder: Codec[Any, ReceiveT],
        on_skip: Callable[[SkippedMessageError], object] | None = None,
    ) -> None:
        self.buffer = ReceiveBuffer()
        self.messages: list[ReceiveT] = []
        self.taken: list[int] = []
        """For each message, how many bytes had left the buffer when it was given."""
        self._coder = coder
        self._on_skip = on_skip
        self.fed = 0

    def feed(self, chunk: bytes) -> None:
        """Take what a read brought."""
        self.buffer.append(chunk)
        self.fed += len(chunk)
        if not self.buffer.paused:
            self.decode()

    def decode(self) -> None:
        """Decode what is there."""
        while True:
            try:
                self._collect(self._coder.decode(self.buffer))
            except SkippedMessageError as error:
                if self._on_skip is None:
                    raise
                self._on_skip(error)
            else:
                return

    def end(self) -> None:
        """Take the end of input."""
        self._collect(self._coder.decode_eof(self.buffer))

    def _collect(self, messages: Iterable[ReceiveT]) -> None:
        for message in messages:
            self.messages.append(message)
            self.taken.append(self.fed - len(self.buffer))


@attrs.frozen
class Stream:
    """The bytes of messages, and where each ends."""

    wire: bytes
    ends: Sequence[int]

    @classmethod
    def join(cls, frames: Sequence[bytes]) -> Stream:
        """Join the frames of messages."""
        return cls(b"".join(frames), list(accumulate(map(len, frames))))

    def count(self, size: int) -> int:
        """Return how many messages are whole in the first `size` bytes."""
        return bisect_right(self.ends, size)

    def split(self) -> list[bytes]:
        """Return the stream byte by byte, if it is not too long for that."""
        return split(self.wire, size_of_reads(self.wire))


@attrs.frozen
class Check(Generic[SendT]):
    """One codec, one direction, one list of messages, and all that is checked of them."""

    codec: Codec[SendT, Any]
    peer: Codec[Any, Any]
    side: Side
    context: object
    messages: Sequence[SendT]
    equal: Callable[[SendT, Any], object]
    boundaries: bool
    stream: Stream = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        sender = self.start_sender()
        frames = [self.encode(sender, message) for message in self.messages]
        object.__setattr__(self, "stream", Stream.join(frames))

    def failure(self, problem: str) -> AssertionError:
        """Return what is wrong, and with which codec."""
        direction = f"{self.side.value} to {self.side.peer.value}"
        return AssertionError(f"{self.codec!r}, {direction}: {problem}")

    # What the checks do

    def start_sender(self) -> Codec[SendT, Any]:
        """Start the coder that encodes."""
        return self.codec.start(self.side, self.context)

    def start_receiver(self) -> Receiver[Any]:
        """Start the coder that decodes."""
        return Receiver(self.peer.start(self.side.peer, self.context))

    def encode(self, sender: Codec[SendT, Any], message: SendT) -> bytes:
        """Return the frame of a message that must have one."""
        try:
            frame = cast("object", sender.encode(message))
        except Exception as error:
            raise self.failure(f"encode raised {error!r} for {brief(message)}") from error
        if not isinstance(frame, bytes):
            raise self.failure(
                f"encode returned {type(frame).__name__} for {brief(message)}, not bytes"
            )
        if self.boundaries and not frame:
            raise self.failure(f"encode made no bytes of {brief(message)}: nobody can decode that")
        return frame

    def feed(self, receiver: Receiver[Any], chunk: bytes, where: str) -> None:
        """Let good bytes come."""
        try:
            receiver.feed(chunk)
        except Exception as error:
            raise self.failure(f"{where}: decode raised {error!r}") from error

    def end(self, receiver: Receiver[Any], where: str, *, inside: bool) -> None:
        """Let input end, between frames or inside one."""
        if receiver.buffer.paused:
            return
        before = len(receiver.messages)
        try:
            receiver.end()
        except RemoteProtocolError as error:
            if not inside:
                raise self.failure(
                    f"{where}: decode_eof raised {error!r} between frames"
                ) from error
            return
        except Exception as error:
            if isinstance(error, ConnectionLostError) and self.peer.ends_itself:
                return  # The conversation had not ended.
            raise self.failure(f"{where}: decode_eof raised {error!r}") from error
        if inside and len(receiver.messages) == before:
            raise self.failure(f"{where}: the end of input inside a frame passed in silence")
        if not inside and len(receiver.messages) > before:
            raise self.failure(
                f"{where}: decode_eof gave {brief(receiver.messages[before])} of no bytes"
            )

    def compare(self, receiver: Receiver[Any], stream: Stream, where: str) -> None:
        """Compare what came with those of the messages that have come whole."""
        if not self.boundaries:
            if receiver.fed == len(stream.wire) and join(receiver.messages) != join(self.messages):
                raise self.failure(f"{where}: other bytes came than were sent")
            return
        for number, (message, came) in enumerate(
            zip(self.messages, receiver.messages, strict=False)
        ):
            if not self.equal(message, came):
                raise self.failure(
                    f"{where}: message {number} was {brief(message)}, came {brief(came)}"
                )
        self.compare_count(receiver, stream, where)

    def compare_count(self, receiver: Receiver[Any], stream: Stream, where: str) -> None:
        """Check that as many messages came as have come whole."""
        came, whole = len(receiver.messages), stream.count(receiver.fed)
        if came == whole or not self.boundaries:
            return
        # An error is not what went wrong here: it says what comes next.
        with suppress(Exception):
            receiver.decode()
        if came < len(receiver.messages) <= whole:
            raise self.failure(f"{where}: decode left frames in the buffer; it must take them all")
        progress = f"after {receiver.fed} of {len(stream.wire)} bytes"
        raise self.failure(f"{where}: {came} messages came where {whole} were whole, {progress}")

    def compare_taken(self, receiver: Receiver[Any], where: str) -> None:
        """Check that no message was given with its bytes still in the buffer."""
        if not self.boundaries:
            return
        for number, (taken, end) in enumerate(zip(receiver.taken, self.stream.ends, strict=True)):
            if taken < end:
                raise self.failure(
                    f"{where}: message {number} was given with its bytes still in the buffer"
                )

    # The checks

    def check_empty(self) -> None:
        """Let an empty buffer be decoded, and input end before it began."""
        where = "before anything came"
        receiver = self.start_receiver()
        self.feed(receiver, b"", where)
        if receiver.messages:
            raise self.failure(f"{where}: decode gave {brief(receiver.messages[0])}")
        self.end(receiver, where, inside=False)

    def check_pieces(self, pieces: list[bytes], where: str) -> None:
        """Let the stream come in pieces, then end."""
        receiver = self.start_receiver()
        for piece in pieces:
            self.feed(receiver, piece, where)
            self.compare_count(receiver, self.stream, where)
        self.compare(receiver, self.stream, where)
        self.compare_taken(receiver, where)
        self.end(receiver, where, inside=False)

    def check_cut(self, cut: int) -> None:
        """Let the stream come in two parts; and let its first part come and input end."""
        first, second = self.stream.wire[:cut], self.stream.wire[cut:]
        where = (
            f"cut after byte {cut} of {len(self.stream.wire)}, {first[-20:]!r} | {second[:20]!r}"
        )
        receiver = self.start_receiver()
        self.feed(receiver, first, where)
        self.compare(receiver, self.stream, where)
        self.feed(receiver, second, where)
        self.compare(receiver, self.stream, where)
        self.compare_taken(receiver, where)
        if self.boundaries:
            receiver = self.start_receiver()
            self.feed(receiver, first, where)
            self.end(receiver, f"{where}, end of input there", inside=cut not in self.stream.ends)

    def check_bystander(self, cut: int) -> None:
        """Let another connection come and go while the stream of one is cut."""
        where = f"while another coder waits for the rest after byte {cut}: {SHARED}"
        receiver, bystander = self.start_receiver(), self.start_receiver()
        self.feed(receiver, self.stream.wire[:cut], where)
        self.feed(bystander, self.stream.wire, where)
        self.compare(bystander, self.stream, where)
        self.feed(receiver, self.stream.wire[cut:], where)
        self.compare(receiver, self.stream, where)

    def check_side_by_side(self, lag: int) -> None:
        """Serve two connections at once, one of them `lag` reads behind the other."""
        where = f"beside another coder, {lag} bytes apart: {SHARED}"
        senders = self.start_sender(), self.start_sender()
        pairs = [[self.encode(sender, message) for sender in senders] for message in self.messages]
        ahead, behind = (Stream.join(frames) for frames in zip(*pairs, strict=True))
        both = (self.start_receiver(), ahead), (self.start_receiver(), behind)
        for pieces in zip_longest(ahead.split(), [b""] * lag + behind.split(), fillvalue=b""):
            for (receiver, stream), piece in zip(both, pieces, strict=True):
                self.feed(receiver, piece, where)
                self.compare_count(receiver, stream, where)
        for receiver, stream in both:
            self.compare(receiver, stream, where)

    def check_batches(self, refused: Sequence[SendT]) -> None:
        """Encode messages together: all of them, each by itself, and with one that is refused."""
        self.check_batch(self.messages, self.stream.wire)
        for message in self.messages:
            self.check_batch([message], self.encode(self.start_sender(), message))
        for bad in refused:
            for batch in ([bad], [bad, *self.messages], [*self.messages, bad]):
                self.check_batch(batch, None)

    def check_batch(self, messages: Sequence[SendT], expected: bytes | None) -> None:
        """Compare what `encode_batch` makes of messages with what `encode` makes of each."""
        where = f"encode_batch of {len(messages)} messages"
        sender = self.start_sender()
        try:
            frames = cast("object", sender.encode_batch(messages))
        except Exception as error:
            raise self.failure(f"{where} raised {error!r}; None says that it cannot") from error
        if frames is None:
            return
        if expected is None:
            raise self.failure(f"{where} made {brief(frames)}, though one of them must be refused")
        if not isinstance(frames, bytes):
            raise self.failure(f"{where} returned {type(frames).__name__}, not bytes")
        if frames != expected:
            raise self.failure(f"{where} made {brief(frames)}, encode {brief(expected)}")
        # What the kernel did not take at once is encoded again, message by message.
        if b"".join(self.encode(sender, message) for message in messages) != expected:
            raise self.failure(f"{where} changed what encode makes of them afterwards")

    def check_refused(self, refused: Sequence[SendT]) -> None:
        """Try to send what cannot be sent before each message."""
        sender = self.start_sender()
        frames: list[bytes] = []
        for message in self.messages:
            for bad in refused:
                self.check_refusal(sender, bad)
            frames.append(self.encode(sender, message))
        receiver = self.start_receiver()
        where = "after encode refused messages"
        stream = Stream.join(frames)
        self.feed(receiver, stream.wire, where)
        self.compare(receiver, stream, where)

    def check_refusal(self, sender: Codec[SendT, Any], bad: SendT) -> None:
        """Try to send one message that cannot be sent."""
        try:
            frame = sender.encode(bad)
        except LocalProtocolError:
            return
        except Exception as error:
            raise self.failure(
                f"encode raised {error!r} for {brief(bad)}, no LocalProtocolError"
            ) from error
        raise self.failure(f"encode made {brief(frame)} of {brief(bad)}, which it must refuse")

    def check_too_large(self, too_large: bytes) -> None:
        """Let a frame come that is too large, at once and in pieces."""
        where = "a frame that is too large, delivered whole"
        receiver = self.start_receiver()
        self.expect_too_large(receiver, [self.stream.wire + too_large], where)
        self.compare(receiver, self.stream, f"{where} with the messages before it")
        where = "a frame that is too large, delivered byte by byte"
        receiver = self.start_receiver()
        self.feed(receiver, self.stream.wire, where)
        read = size_of_reads(too_large)
        limit = self.expect_too_large(receiver, split(too_large, read), where)
        if len(receiver.buffer) > limit + read + FRAME_OVERHEAD:
            size = len(receiver.buffer)
            raise self.failure(
                f"{where}: {size} bytes were kept before the error; its limit is {limit}"
            )

    def expect_too_large(self, receiver: Receiver[Any], pieces: list[bytes], where: str) -> int:
        """Feed until the error comes, and return its limit."""
        try:
            for piece in pieces:
                receiver.feed(piece)
            # A decoder may give what is good, and raise when it is called again.
            receiver.decode()
        except ReceiveTooLargeError as error:
            return error.limit
        except Exception as error:
            raise self.failure(
                f"{where}: decode raised {error!r}, no ReceiveTooLargeError"
            ) from error
        raise self.failure(f"{where}: decode did not raise ReceiveTooLargeError")


def brief(value: object) -> str:
    """Return a representation short enough for a line."""
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:80]}... ({len(text)} characters)"


def join(messages: Sequence[Any]) -> bytes:
    """Return the bytes of messages that are bytes."""
    return b"".join(messages)


def split(stream: bytes, size: int) -> list[bytes]:
    """Cut a stream into pieces of one size."""
    return [stream[start : start + size] for start in range(0, len(stream), size)]


def size_of_reads(stream: bytes) -> int:
    """Return the smallest size of pieces that makes no more than `MAX_READS`."""
    return max(1, -(-len(stream) // MAX_READS))


def choose_lags(reads: int) -> Sequence[int]:
    """Return by how many reads one of two connections is behind the other."""
    lags = min(MAX_LAGS, 4 * MAX_READS // max(1, reads))
    return range(0, reads, max(1, reads // lags))


def choose_cuts(size: int, ends: Sequence[int]) -> Sequence[int]:
    """Return where to cut a stream: everywhere, or in `MAX_CUTS` places at the most."""
    if size <= MAX_CUTS:
        return range(1, size)
    near = sorted({end + step for end in ends for step in (-1, 0, 1) if 0 < end + step < size})
    half = MAX_CUTS // 2
    return [*near[:: -(-len(near) // half)], *range(1, size, -(-size // half))]
