"""The protocol without I/O: frames, fragments, masks, text, compression, and the handshake's words.

``_messages`` is what goes through a coder; ``_codec`` joins an ``_encoder`` and a ``_decoder`` to
one; ``_frames``, ``_masking`` and ``_deflate`` are what they stand on.
"""

from ._codec import Agreed, WebSocketCodec, WebSocketCoder
from ._deflate import Deflate
from ._frames import MAX_CONTROL
from ._handshake import (
    VERSION,
    accept_value,
    as_fields,
    check_subprotocols,
    has_token,
    is_key,
    make_key,
    split_list,
)
from ._limits import WebSocketLimits
from ._messages import (
    Incoming,
    Listener,
    Message,
    Outgoing,
    Part,
    Piece,
    Ping,
    Pong,
    Prepared,
    ToSend,
)
from ._negotiation import accept_offer, check_answer, offer

__all__ = [
    "MAX_CONTROL",
    "VERSION",
    "Agreed",
    "Deflate",
    "Incoming",
    "Listener",
    "Message",
    "Outgoing",
    "Part",
    "Piece",
    "Ping",
    "Pong",
    "Prepared",
    "ToSend",
    "WebSocketCodec",
    "WebSocketCoder",
    "WebSocketLimits",
    "accept_offer",
    "accept_value",
    "as_fields",
    "check_answer",
    "check_subprotocols",
    "has_token",
    "is_key",
    "make_key",
    "offer",
    "split_list",
]
