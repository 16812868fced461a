"""Does a codec keep its contract? For those who write one."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from .._codec import Codec
from .._errors import SkippedMessageError
from .._side import Side
from ._codec_check import Check, Receiver, brief, choose_cuts, choose_lags
from ._single_check import SingleCheck

SendT = TypeVar("SendT")
ReceiveT = TypeVar("ReceiveT")


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


def check_codec(
    codec: Codec[Any, Any],
    messages: Iterable[Any],
    *,
    side: Side | None = None,
    context: object = None,
    peer: Codec[Any, Any] | None = None,
    wire: bytes | None = None,
    equal: Callable[[Any, Any], object] = operator.eq,
    boundaries: bool = True,
    too_large: bytes | None = None,
    refused: Iterable[Any] = (),
) -> None:
    r"""Check that a codec keeps the contract of `snowtrio.Codec`.

    A coder encodes the messages, one by one, and others decode the stream. Checked:

    * What is decoded equals what was encoded, whether the stream comes whole, byte by byte, or in
      two parts, cut at every place.
    * A message is given as soon as its last byte is there, by one call of ``decode``, with nothing
      before that, and its bytes have left the buffer by then.
    * The end of input between frames is clean; inside a frame it is an error, or a message. Where
      the codec ``ends_itself`` it may be a ConnectionLostError, there as well as here.
    * Messages can be taken one at a time, as a handshake takes them: each leaves the bytes behind
      it in the buffer, with a ``decode_one`` of the codec's own or without.
    * An empty buffer gives nothing.
    * Two coders started from the codec know nothing of each other.
    * ``encode_batch`` makes of messages what ``encode`` makes of them one by one, or returns None,
      as it must where one of them is refused.

    A stream of more than 1,024 bytes is cut in no more than so many places, at the ends of frames
    and evenly between; one of more than 4,096 bytes comes in no more than so many pieces.

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
        if wire is not None and check.stream.wire != wire:
            raise check.failure(f"encode made {brief(check.stream.wire)}, not {brief(wire)}")
        check.check_batches(refused)
        check.check_empty()
        check.check_pieces([check.stream.wire], "delivered whole")
        check.check_pieces(check.stream.split(), "delivered byte by byte")
        for lag in choose_lags(len(check.stream.split())):
            check.check_side_by_side(lag)
        for cut in choose_cuts(len(check.stream.wire), check.stream.ends):
            check.check_bystander(cut)
            check.check_cut(cut)
        if refused:
            check.check_refused(refused)
        if too_large is not None:
            check.check_too_large(too_large)
        SingleCheck(check).run(too_large)
