"""What a codec is: the contract for those who write one.

A codec turns messages into bytes and bytes into messages. It owns no stream, never waits, and
imports nothing of the network. The smallest useful one::

    class PascalString(Codec[bytes, bytes]):
        \"\"\"One length byte, then that many bytes.\"\"\"

        def encode(self, message):
            if len(message) > 255:
                raise SendTooLargeError(len(message), 255)
            return bytes([len(message)]) + message

        def decode(self, buffer):
            while buffer and len(buffer) > buffer.peek(1)[0]:
                size = buffer.take(1)[0]
                yield buffer.take(size)

Put it through `snowtrio.testing.check_codec` and it is done.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, Generic

from typing_extensions import TypeVar

from ._buffer import ReceiveBuffer
from ._errors import IncompleteFrameError
from ._side import Side

SendT_contra = TypeVar("SendT_contra", contravariant=True)
ReceiveT_co = TypeVar("ReceiveT_co", covariant=True, default=SendT_contra)


class Codec(ABC, Generic[SendT_contra, ReceiveT_co]):
    """Messages to bytes, bytes to messages. Any object can be a message.

    A codec given to a server or client is a description: `start` is called once a connection and
    returns the coder of that connection. One that remembers nothing between calls is its own coder,
    so that one object serves any number of connections; the receive buffer remembers how far a
    search came, so most codecs need no memory of their own.
    """

    __slots__ = ()

    ends_itself: bool = False
    """Whether the messages themselves say where the conversation ends.

    Then a TLS connection that stops at a frame boundary without its closing alert is a clean end;
    otherwise it is a `TruncatedError`.
    """

    alike: object = None
    """The same object in all coders that make the same bytes of a message, whatever each of them
    has made before, and whose peers may miss one.

    Then `broadcast` encodes a message once for all of these, and may drop it where a peer is slow.
    For coders that remember something of what they receive alone. One that is its own description,
    as most are, is shared anyway.
    """

    def start(self, side: Side, context: object) -> Codec[SendT_contra, ReceiveT_co]:
        """Return the coder of one connection.

        Parameters:
            side: the end of the connection that we are.
            context: what the handshake returned, None without one.

        Override it when the coder has state (return a new object each time), or when side or
        context choose it.
        """
        return self

    @abstractmethod
    def encode(self, message: SendT_contra) -> bytes:
        """Return the bytes of one message.

        Called within ``send`` with no await before the bytes are queued, in the order in which they
        will leave.

        Raises:
            LocalProtocolError: the message cannot be sent; a coder with state leaves it as it was.
        """

    def encode_batch(self, messages: Sequence[SendT_contra]) -> bytes | None:
        """Return the bytes of many messages, joined, or None to have `encode` asked for each.

        For coders without state that can check and frame many messages for less than one by one.
        It gives what `encode` gives for them, which may be called for the same messages again. None
        where one of them cannot be sent: `encode` then says which one and why. A subclass that
        overrides `encode` alone does not inherit it.

        Parameters:
            messages: at least one.
        """
        return None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # What a base class does for many at once would pass the new `encode` by, and what it does
        # for one alone the new `decode`.
        if "encode" in cls.__dict__ and "encode_batch" not in cls.__dict__:
            cls.encode_batch = Codec.encode_batch  # type: ignore[method-assign]
        if "decode" in cls.__dict__ and "decode_one" not in cls.__dict__:
            cls.decode_one = Codec.decode_one  # type: ignore[method-assign]

    @abstractmethod
    def decode(self, buffer: ReceiveBuffer) -> Iterable[ReceiveT_co]:
        """Take every whole frame from the front of `buffer`, and leave the rest in it.

        Mostly a generator, or a list, which is the caller's from then on. It is always run to its
        end before more bytes are added, though not always at once: with a full inbox the connection
        resumes it later. Each message must have left the buffer by the time it is given, and be
        given when its last byte is there.

        Raises:
            RemoteProtocolError: the connection ends; messages given before are still delivered.
            SkippedMessageError: something was thrown away and `decode` can be called again.
        """

    def decode_one(self, buffer: ReceiveBuffer) -> Iterable[ReceiveT_co] | None:
        """Take the first whole frame alone and leave everything behind it, or return None.

        For `BufferedStream.receive_message`, since `decode` may take more than the first message it
        gives. An empty list says that no frame is whole yet. None, the default, says that the coder
        has no such way: then `decode` is shown the bytes one at a time, which comes to the same for
        every coder that keeps the contract, and is slow for large messages. A subclass that
        overrides `decode` alone does not inherit it.

        Raises:
            RemoteProtocolError: as `decode`.
            SkippedMessageError: as `decode`.
        """
        return None

    def decode_eof(self, buffer: ReceiveBuffer) -> Iterable[ReceiveT_co]:
        """Say what the bytes mean that are left at the end of input.

        Called once, after `decode` has taken what it can. By default left-over bytes are a frame
        cut short. What is thrown away here cannot be reported as a `SkippedMessageError`: no next
        message would follow it.

        Raises:
            IncompleteFrameError: input ended inside a frame.
        """
        if buffer:
            raise IncompleteFrameError(buffer.take_all())
        return ()
