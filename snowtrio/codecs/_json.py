"""JSON, one value a line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

import attrs

from .._buffer import ReceiveBuffer
from .._codec import Codec
from .._errors import LocalProtocolError, RemoteProtocolError
from ._lines import LineCodec


def refuse_constant(name: str) -> NoReturn:
    """Refuse ``NaN`` and the infinities, which Python's JSON takes and no other does."""
    raise ValueError(f"{name} is not JSON")


DECODER = json.JSONDecoder(parse_constant=refuse_constant)


def read_json(line: bytes) -> Any:
    """Return the value of a JSON text."""
    # The decoding is done here because json.loads takes UTF-16 and UTF-32 too.
    return DECODER.decode(line.decode())


def make_writer(default: Callable[[Any], Any] | None) -> Callable[[Any], str]:
    """Return what gives the JSON text of a value."""
    return json.JSONEncoder(
        ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=default
    ).encode


@attrs.frozen(kw_only=True)
class JSONLinesCodec(Codec[Any, Any]):
    r"""Any JSON value as a message, one a line, in UTF-8.

    ::

        codec = JSONLinesCodec()
        codec.encode({"hello": "world"})              # b'{"hello":"world"}\n'

    A line that comes may end with LF or CR LF; one that leaves ends with LF. The types of messages
    are ``Any``; where they are known, say so: ``codec: Codec[Command, Event] = JSONLinesCodec()``.

    Parameters:
        default: called with what JSON has no form for; returns something that it has. Only
            without `dumps`. Default: such a message is refused.
        dumps: returns the JSON of a message, in one line and without its newline. Default: compact,
            from the standard library; refuses NaN and the infinities.
        loads: returns the message of a line. Default: from the standard library; refuses NaN and
            the infinities.
        max_message_size: bytes in the JSON of one message. Default 64 KiB.
        deliver_unterminated: whether the end of input ends a line too. Default False.

    Raises:
        ValueError: `default` was given with `dumps`, or the limit is below 1.
    """

    default: Callable[[Any], Any] | None = None
    dumps: Callable[[Any], str | bytes] | None = None
    loads: Callable[[bytes], Any] | None = None
    max_message_size: int = 64 * 1024
    deliver_unterminated: bool = False
    _dumps: Callable[[Any], str | bytes] = attrs.field(init=False, repr=False, eq=False)
    _loads: Callable[[bytes], Any] = attrs.field(init=False, repr=False, eq=False)
    _lines: LineCodec = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        if self.default is not None and self.dumps is not None:
            raise ValueError("default belongs to the standard dumps, not to one of your own")
        lines = LineCodec(
            max_message_size=self.max_message_size, deliver_unterminated=self.deliver_unterminated
        )
        object.__setattr__(self, "_dumps", self.dumps or make_writer(self.default))
        object.__setattr__(self, "_loads", self.loads or read_json)
        object.__setattr__(self, "_lines", lines)

    def encode(self, message: Any) -> bytes:
        """Return the message's line.

        Raises:
            LocalProtocolError: there is no JSON for it; what `dumps` raised is the cause. Or
                `dumps` made more than one line.
            SendTooLargeError: its JSON is above ``max_message_size``.
        """
        try:
            text = self._dumps(message)
            line = text.encode() if isinstance(text, str) else text
        except Exception as error:
            raise LocalProtocolError(f"the message has no JSON: {error}") from error
        return self._lines.encode(line)

    def decode(self, buffer: ReceiveBuffer) -> Iterable[Any]:
        """Take every whole line.

        Raises:
            RemoteProtocolError: a line is not JSON; what `loads` raised is the cause.
            ReceiveTooLargeError: the next line is above ``max_message_size``.
        """
        return map(self._parse, self._lines.decode(buffer))

    def decode_one(self, buffer: ReceiveBuffer) -> Iterable[Any]:
        """Take the first line, if it is whole; raises as `decode`."""
        return map(self._parse, self._lines.decode_one(buffer))

    def decode_eof(self, buffer: ReceiveBuffer) -> Iterable[Any]:
        """Deliver the last line without its newline if that is wanted.

        Raises:
            IncompleteFrameError: there is one, and it is not wanted.
            RemoteProtocolError: it is not JSON.
        """
        return map(self._parse, self._lines.decode_eof(buffer))

    def _parse(self, line: bytes) -> Any:
        try:
            return self._loads(line)
        # Whatever the peer's bytes make `loads` raise is the peer's fault: json alone has
        # ValueError and, for a deep nest of lists, RecursionError.
        except Exception as error:
            raise RemoteProtocolError(f"a line is not JSON: {error}") from error
