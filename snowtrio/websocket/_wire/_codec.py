"""Frames as a codec of the core."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import attrs

from ..._buffer import ReceiveBuffer
from ..._codec import Codec
from ..._side import Side
from ._decoder import Decoder
from ._deflate import Deflate, Deflater, Inflater
from ._encoder import Encoder
from ._limits import WebSocketLimits
from ._messages import Incoming, Listener, Outgoing


@attrs.frozen(kw_only=True)
class Agreed:
    """What the handshake came to.

    Parameters:
        subprotocol: the one that was chosen, if any.
        deflate: how messages are compressed, None if they are not.
    """

    subprotocol: str | None = None
    deflate: Deflate | None = None


class WebSocketCodec(Codec[Outgoing, Incoming]):
    """Describes the frames of one connection.

    Parameters:
        listener: is told of everything that is no message.
        limits: the bounds.
        deflate: how messages are compressed, None if they are not.
    """

    ends_itself = True

    def __init__(
        self,
        listener: Listener,
        limits: WebSocketLimits | None = None,
        deflate: Deflate | None = None,
    ) -> None:
        self._listener = listener
        self._limits = limits if limits is not None else WebSocketLimits()
        self._deflate = deflate

    def start(self, side: Side, context: object) -> WebSocketCoder:
        """Return the coder of one connection."""
        deflate = self._deflate
        deflater = inflater = None
        if deflate is not None:
            deflater = Deflater(deflate)
            remembers = deflate.peer_context_takeover
            inflater = Inflater(deflate.peer_window_bits, remembers=remembers)
        decoder = Decoder(side, self._limits, self._listener, inflater, pieces=self._limits.pieces)
        coder = WebSocketCoder(Encoder(side, deflater), decoder)
        if side is Side.SERVER and deflater is None:
            coder.alike = WebSocketCodec  # Frames have no mask, and nothing is remembered.
        return coder

    def encode(self, message: Outgoing) -> bytes:
        """Not of a description: see `start`."""
        raise NotImplementedError

    def decode(self, buffer: ReceiveBuffer) -> Iterable[Incoming]:
        """Not of a description: see `start`."""
        raise NotImplementedError


class WebSocketCoder(Codec[Outgoing, Incoming]):
    """Both halves of one connection.

    Parameters:
        encoder: of what is sent.
        decoder: of what is received.
    """

    ends_itself = True

    if TYPE_CHECKING:

        def encode(self, message: Outgoing) -> bytes: ...
        def decode(self, buffer: ReceiveBuffer) -> Iterable[Incoming]: ...

    else:
        # The halves' own methods stand here, for a call less on each message.
        __slots__ = ("alike", "decode", "decode_eof", "encode", "encode_batch")

    def __init__(self, encoder: Encoder, decoder: Decoder) -> None:
        self.alike: object = None
        self.encode = encoder.encode  # type: ignore[method-assign]
        self.encode_batch = encoder.encode_batch  # type: ignore[method-assign]
        self.decode = decoder.decode  # type: ignore[method-assign]
        self.decode_eof = decoder.decode_eof  # type: ignore[method-assign]
