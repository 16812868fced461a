"""What a WebSocket may hold, and how long it waits."""

from __future__ import annotations

from typing import cast

import attrs
from attrs.validators import ge, gt, optional

KIB = 1024
MIB = 1024 * KIB


@attrs.frozen(kw_only=True)
class WebSocketLimits:
    """The bounds of a WebSocket.

    Those of connections hold besides: on a server `snowtrio.http.HTTPLimits` have how many there
    are, how long a handshake takes, and what may wait for a client that takes nothing.

    Parameters:
        max_message_size: bytes of a message that is received, decompressed and with all its
            fragments; None is no bound. One byte more closes with 1009.
        max_queued_messages: received and not taken by the application; then reading stops, and
            pings are not answered.
        max_queued_size: of all of those, in bytes and characters; the message that goes beyond it
            is still taken.
        max_pongs: pongs that wait for a peer that sends pings and takes nothing; beyond that only
            its latest ping is answered, as RFC 6455 section 5.5.3 allows.
        message_timeout: seconds that a message may take from its first byte to its last, besides
            what `min_message_rate` gives it; up to as much again is given, for it is looked at now
            and then. Closes with 1008. None is for ever, as is a message that is decoded piece by
            piece.
        min_message_rate: bytes a second that a message has to come with once `message_timeout` is
            used up.
        ping_interval: seconds from one ping of the heartbeat to the next; None sends none. While
            reading has stopped there are none either: nothing that answers them could be seen.
        ping_timeout: seconds for anything to come after that; then the connection is cut.
        close_timeout: seconds for the peer's answer to our close, and for the end of the
            connection after both.
        handler_timeout: seconds that a handler may go on after its WebSocket has closed, before it
            is cancelled; None is for ever.
        validate_text: whether text that is no UTF-8 closes with 1007; otherwise the bytes that are
            none become U+FFFD.
        pieces: whether messages are decoded piece by piece, as they come, for `receive_stream`;
            then one may be of any size.
    """

    max_message_size: int | None = attrs.field(
        default=cast("int | None", MIB), validator=optional(ge(0))
    )
    max_queued_messages: int = attrs.field(default=256, validator=ge(1))
    max_queued_size: int = attrs.field(default=256 * KIB, validator=ge(1))
    max_pongs: int = attrs.field(default=16, validator=ge(1))
    message_timeout: float | None = attrs.field(
        default=cast("float | None", 60.0), validator=optional(gt(0))
    )
    min_message_rate: int = attrs.field(default=500, validator=ge(1))
    ping_interval: float | None = attrs.field(
        default=cast("float | None", 20.0), validator=optional(gt(0))
    )
    ping_timeout: float = attrs.field(default=20.0, validator=gt(0))
    close_timeout: float = attrs.field(default=10.0, validator=gt(0))
    handler_timeout: float | None = attrs.field(
        default=cast("float | None", 30.0), validator=optional(gt(0))
    )
    validate_text: bool = True
    pieces: bool = False
