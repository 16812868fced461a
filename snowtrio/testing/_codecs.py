"""Does a codec keep its contract? The check for those who write one."""

from __future__ import annotations

import operator
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, zip_longest
from typing import Any, Generic, TypeVar, cast

import attrs

from .._buffer import ReceiveBuffer
from .._codec import Codec
from .._errors import (
    LocalProtocolError,
    ReceiveTooLargeError,
    RemoteProtocolError,
    SkippedMessageError,
)
from .._side import Side

SendT = TypeVar("SendT")
ReceiveT = TypeVar("ReceiveT")

# What bounds the check of a long stream: so many places to cut it at, and so many reads of it.
MAX_CUTS = 2048
MAX_READS = 16384

# What a frame may need around its message, in bytes, when the memory that it takes is judged.
FRAME_OVERHEAD = 64


def decode_chunks(
    codec: Codec[Any, ReceiveT],
    chunks: Iterable[bytes],
    *,
    side: Side = Side.SERVER,
    context: object = None,
    eof: bool = True,
    on_skip: Callable[[SkippedMessageError], object] | None = None,
) -> list[ReceiveT]:
    """Return the messages that a codec makes of chunks, each of them one read.

    Decoding stops where the decoder pauses (see `ReceiveBuffer.pause`).

    Parameters:
        codec: a coder is started from it.
        chunks: what comes, in order.
        side: the end that receives. Default: the server.
        context: what the handshake returned. Default None.
        eof: whether the end of input follows the last chunk. Default True.
        on_skip: called with what is raised for a message that was thrown away; decoding then goes
            on, as a connection does. Default: it is raised.

    Raises:
        RemoteProtocolError: the bytes break the protocol, or with `eof` end inside a frame.
        SkippedMessageError: a message was thrown away, and there is no `on_skip`.
    """
    receiver: Receiver[ReceiveT] = Receiver(codec.start(side, context), on_skip)
    for chunk in chunks:
        receiver.feed(chunk)
    if eof and not receiver.buffer.paused:
        receiver.end()
    return receiver.messages


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
        self._fed = 0

    def feed(self, chunk: bytes) -> None:
        """Take what a read brought."""
        self.buffer.append(chunk)
        self._fed += len(chunk)
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
            self.taken.append(self._fed - len(self.buffer))


def check_codec(
    codec: Codec[SendT, Any],
    messages: Iterable[SendT],
    *,
    side: Side | None = None,
    context: object = None,
    peer: Codec[Any, Any] | None = None,
    wire: bytes | None = None,
    equal: Callable[[SendT, Any], object] = operator.eq,
    boundaries: bool = True,
    too_large: bytes | None = None,
    refused: Iterable[SendT] = (),
) -> None:
    r"""Check that a codec keeps the contract of `snowtrio.Codec`.

    A coder encodes the messages, one by one, and others decode the stream. Checked:

    * What is decoded equals what was encoded, whether the stream comes whole, byte by byte, or in
      two parts, cut at every place.
    * A message is given as soon as its last byte is there, by one call of ``decode``, with nothing
      before that, and its bytes have left the buffer by then.
    * The end of input between frames is clean; inside a frame it is an error, or a message.
    * An empty buffer gives nothing.
    * Two coders started from the codec know nothing of each other.

    A stream of more than 2,048 bytes is cut in no more than so many places, at the ends of frames
    and evenly between; one of more than 16,384 bytes comes in no more than so many pieces.

    ::

        check_codec(LineCodec(), [b"hello", b"", b"world"], wire=b"hello\n\nworld\n")

    Parameters:
        codec: what encodes; also what decodes, unless there is a `peer`.
        messages: at least one; several of different sizes show more.
        side: the end that encodes; the other decodes. Default: each in turn.
        context: what the handshake returned, for both ends. Default None.
        peer: the codec of the end that decodes, where it is another one.
        wire: the stream that the messages must make. Default: any.
        equal: called with what was encoded and what was decoded. Default ``==``.
        boundaries: whether messages come out as they went in. False for a codec of bytes without
            frames, such as `RawCodec`: then the bytes are compared, and frames are not looked at.
        too_large: bytes, after those of the messages, that must raise ReceiveTooLargeError; with
            no more in the buffer, when they come byte by byte, than the error's ``limit`` and 64
            bytes for what a frame has around its message.
        refused: messages that ``encode`` must refuse with LocalProtocolError, and go on with
            others.

    Raises:
        AssertionError: the contract is broken; says how, and where the stream was cut.
    """
    messages, refused = list(messages), list(refused)
    peer = codec if peer is None else peer
    if not messages:
        raise ValueError("check_codec needs at least one message")
    for sender in (Side.CLIENT, Side.SERVER) if side is None else (side,):
        check = Check(codec, peer, sender, context, messages, equal, boundaries)
        if wire is not None and check.wire != wire:
            raise check.failure(f"encode made {brief(check.wire)}, not {brief(wire)}")
        check.check_empty()
        check.check_pieces(max(1, len(check.wire)), "delivered whole")
        check.check_pieces(size_of_reads(check.wire), "delivered byte by byte")
        check.check_independence()
        for cut in choose_cuts(len(check.wire), check.ends):
            check.check_cut(cut)
        if refused:
            check.check_refused(refused)
        if too_large is not None:
            check.check_too_large(too_large)


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
    wire: bytes = attrs.field(init=False)
    ends: Sequence[int] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        sender = self.start_sender()
        frames = [self.encode(sender, message) for message in self.messages]
        object.__setattr__(self, "wire", b"".join(frames))
        object.__setattr__(self, "ends", list(accumulate(map(len, frames))))

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
            raise self.failure(f"{where}: decode_eof raised {error!r}") from error
        if inside and len(receiver.messages) == before:
            raise self.failure(f"{where}: the end of input inside a frame passed in silence")
        if not inside and len(receiver.messages) > before:
            raise self.failure(
                f"{where}: decode_eof gave {brief(receiver.messages[before])} of no bytes"
            )

    def compare(self, receiver: Receiver[Any], where: str, count: int | None = None) -> None:
        """Compare what came with the messages, or with the first `count` of them."""
        if not self.boundaries:
            if count is None and b"".join(receiver.messages) != join(self.messages):
                raise self.failure(f"{where}: other bytes came than were sent")
            return
        expected, came = self.messages[:count], receiver.messages
        for number, (message, other) in enumerate(zip(expected, came, strict=False)):
            if not self.equal(message, other):
                raise self.failure(
                    f"{where}: message {number} was {brief(message)}, came {brief(other)}"
                )
        if len(came) > len(expected):
            raise self.failure(
                f"{where}: decode gave {brief(came[len(expected)])}, which has not come whole"
            )
        if len(came) < len(expected):
            raise self.missing(receiver, where, len(expected))

    def missing(self, receiver: Receiver[Any], where: str, expected: int) -> AssertionError:
        """Return why fewer messages came than were complete."""
        came = len(receiver.messages)
        self.feed(receiver, b"", where)
        if len(receiver.messages) > came:
            return self.failure(
                f"{where}: decode left whole frames in the buffer; it must take them all"
            )
        return self.failure(f"{where}: {came} messages came where {expected} were complete")

    def compare_taken(self, receiver: Receiver[Any], where: str) -> None:
        """Check that no message was given with its bytes still in the buffer."""
        if not self.boundaries:
            return
        for number, (taken, end) in enumerate(zip(receiver.taken, self.ends, strict=True)):
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

    def check_pieces(self, size: int, where: str) -> None:
        """Let the stream come in pieces of one size, then end."""
        receiver = self.start_receiver()
        for piece in split(self.wire, size):
            self.feed(receiver, piece, where)
        self.compare(receiver, where)
        self.compare_taken(receiver, where)
        self.end(receiver, where, inside=False)

    def check_cut(self, cut: int) -> None:
        """Let the stream come in two parts; and let its first part come and input end."""
        first, second = self.wire[:cut], self.wire[cut:]
        where = f"cut after byte {cut} of {len(self.wire)}, {first[-20:]!r} | {second[:20]!r}"
        receiver = self.start_receiver()
        self.feed(receiver, first, where)
        self.compare(receiver, f"{where}, before the cut", bisect_right(self.ends, cut))
        self.feed(receiver, second, where)
        self.compare(receiver, where)
        self.compare_taken(receiver, where)
        if self.boundaries:
            receiver = self.start_receiver()
            self.feed(receiver, first, where)
            self.end(receiver, f"{where}, end of input there", inside=cut not in self.ends)

    def check_independence(self) -> None:
        """Serve two connections at once, one half a stream behind the other."""
        where = "two coders of one codec share state, so `start` must return a new object each time"
        senders = self.start_sender(), self.start_sender()
        pairs = [[self.encode(sender, message) for sender in senders] for message in self.messages]
        streams = [b"".join(pair[which] for pair in pairs) for which in (0, 1)]
        ahead, behind = (split(stream, size_of_reads(stream)) for stream in streams)
        delay = [b""] * (len(ahead) // 2)
        receivers = self.start_receiver(), self.start_receiver()
        for pieces in zip_longest(ahead, delay + behind, fillvalue=b""):
            for receiver, piece in zip(receivers, pieces, strict=True):
                self.feed(receiver, piece, where)
        for receiver in receivers:
            self.compare(receiver, where)

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
        self.feed(receiver, b"".join(frames), where)
        self.compare(receiver, where)

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
        self.expect_too_large(receiver, [self.wire + too_large], where)
        self.compare(receiver, f"{where} with the messages before it")
        where = "a frame that is too large, delivered byte by byte"
        receiver = self.start_receiver()
        self.feed(receiver, self.wire, where)
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


def choose_cuts(size: int, ends: Sequence[int]) -> Sequence[int]:
    """Return where to cut a stream: everywhere, or in `MAX_CUTS` places at the most."""
    if size <= MAX_CUTS:
        return range(1, size)
    near = sorted({end + step for end in ends for step in (-1, 0, 1)} - {size, size + 1})
    half = MAX_CUTS // 2
    return [*near[:: -(-len(near) // half)], *range(1, size, -(-size // half))]
