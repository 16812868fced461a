"""Messages that end with a delimiter of the user's choice."""

from __future__ import annotations

import attrs
from typing_extensions import override

from ._delimited import Delimited, Framing


@attrs.frozen
class DelimiterCodec(Delimited):
    r"""Messages of bytes, each followed by a delimiter of one or more bytes.

    ::

        codec = DelimiterCodec(b"\0", max_message_size=1024)
        codec.encode(b"hello")                        # b"hello\0"

    Encoding refuses a message that would not come back as it is, for it contains the delimiter or
    makes one together with the delimiter behind it: ``b"a-"`` before ``b"--"``.

    Parameters:
        delimiter: what ends each message. Where it can overlap itself, as ``b"--"`` does in
            ``b"---"``, it is found from the left; such delimiters are slower to decode.
        keep_delimiter: whether messages have the delimiter with them, in both directions: what is
            received ends with it, what is sent must. Default False.
        max_message_size: bytes in a message, without its delimiter. Default 64 KiB.
        resync: whether a message that is too large is thrown away, reported once by
            SkippedMessageError, and the next one decoded; the connection ends with
            ReceiveTooLargeError otherwise. Default False.
        deliver_unterminated: whether the end of input ends a message too: what stands there without
            a delimiter is delivered as it came. It is an IncompleteFrameError otherwise. Default
            False.

    Raises:
        ValueError: the delimiter is empty, or the limit below 1.
    """

    delimiter: bytes = attrs.field(validator=attrs.validators.min_len(1))
    keep_delimiter: bool = attrs.field(default=False, kw_only=True)

    @override
    def _make_framing(self) -> Framing:
        return Framing(
            self.delimiter,
            limit=self.max_message_size,
            keep=self.keep_delimiter,
        )
