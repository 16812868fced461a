"""Lines."""

from __future__ import annotations

from typing import Literal

import attrs
from typing_extensions import override

from ._delimited import Delimited, Framing

NEWLINES = {"lf": b"\n", "crlf": b"\r\n"}


@attrs.frozen
class LineCodec(Delimited):
    r"""Lines of bytes.

    ::

        codec = LineCodec()
        codec.encode(b"hello")                        # b"hello\n"

    What a newline is, and what encoding refuses because it would not come back as it is:

    ============  ============  =======  ======================================================
    ``newline``   what ends     what is  what is refused
                  a line read   sent
    ============  ============  =======  ======================================================
    ``"either"``  LF and CR LF  LF       an LF; a CR at the end, which would pass for part of
                                         the newline
    ``"lf"``      LF            LF       an LF
    ``"crlf"``    CR LF         CR LF    a CR LF
    ============  ============  =======  ======================================================

    With ``"either"`` and LF, several CRs before an LF are part of the newline too, so that whatever
    is received can be sent. A CR elsewhere is part of the message and no newline.

    With ``"crlf"`` an LF alone is part of the message as well, which is right for a strict peer and
    dangerous with a lenient one: such a peer would see two lines where the sender meant one. For
    those there is
    ``LineCodec("either", send_newline="crlf")``, which never lets an LF through.

    Parameters:
        newline: ``"either"``, ``"lf"`` or ``"crlf"``. Default ``"either"``.
        send_newline: ``"lf"`` or ``"crlf"``, with ``"either"`` alone: what encoding puts at the
            end. Default ``"lf"``. With ``"crlf"`` a message may end with a CR.
        keep_newline: whether messages have their newline with them, in both directions: what is
            received ends with the one that came, what is sent must end with one. Default False.
        max_message_size: bytes in a line, without its newline. Default 64 KiB.
        resync: whether a line that is too long is thrown away, reported once by
            SkippedMessageError, and the next one decoded; the connection ends with
            ReceiveTooLargeError otherwise. Default False.
        deliver_unterminated: whether the end of input ends a line too: what stands there without a
            newline is delivered as it came, a CR included. It is an IncompleteFrameError otherwise.
            Default False.

    Raises:
        ValueError: a newline has another name, `send_newline` was given without ``"either"`` or
            with `keep_newline`, or the limit is below 1.
    """

    newline: Literal["either", "lf", "crlf"] = "either"
    send_newline: Literal["lf", "crlf"] | None = attrs.field(default=None, kw_only=True)
    keep_newline: bool = attrs.field(default=False, kw_only=True)

    @override
    def _make_framing(self) -> Framing:
        if self.newline not in ("either", *NEWLINES):
            raise ValueError(f"newline must be 'either', 'lf' or 'crlf', not {self.newline!r}")
        if self.send_newline is not None:
            self._check_send_newline(self.send_newline)
        either = self.newline == "either"
        return Framing(
            b"\n" if either else NEWLINES[self.newline],
            end_to_send=NEWLINES[self.send_newline] if self.send_newline else None,
            limit=self.max_message_size,
            keep=self.keep_newline,
            optional_cr=either,
        )

    def _check_send_newline(self, send_newline: str) -> None:
        if send_newline not in NEWLINES:
            raise ValueError(f"send_newline must be 'lf' or 'crlf', not {send_newline!r}")
        if self.newline != "either" or self.keep_newline:
            raise ValueError("send_newline belongs to newline='either' without keep_newline")
