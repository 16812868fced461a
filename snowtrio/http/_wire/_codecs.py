"""The codecs of both sides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..._buffer import ReceiveBuffer
from ..._codec import Codec
from ..._errors import LocalProtocolError
from ..._side import Side
from ._events import EndOfMessage, RequestEvent, RequestHead, ResponseEvent, ResponseHead
from ._limits import HeadLimits
from ._requests import RequestDecoder
from ._responses import ResponseDecoder
from ._writing import Body, write_request, write_response


class ServerCodec(Codec[ResponseEvent, RequestEvent]):
    """Requests in, responses out.

    Parameters:
        limits: of the heads.
    """

    ends_itself = True

    def __init__(self, limits: HeadLimits) -> None:
        self.limits = limits

    def start(self, side: Side, context: object) -> ServerCoder:
        """Return the coder of a connection."""
        return ServerCoder(self.limits)

    def encode(self, message: ResponseEvent) -> bytes:
        """Refuse: a connection has a coder of its own."""
        raise LocalProtocolError("this codec has state: start() it for each connection")

    def decode(self, buffer: ReceiveBuffer) -> Iterable[RequestEvent]:
        """Refuse: a connection has a coder of its own."""
        raise LocalProtocolError("this codec has state: start() it for each connection")


class ServerCoder(RequestDecoder, Codec[ResponseEvent, RequestEvent]):
    """The coder of one connection of a server.

    Parameters:
        limits: of the heads.
    """

    ends_itself = True

    def __init__(self, limits: HeadLimits) -> None:
        super().__init__(limits)
        self._body = Body()

    @property
    def ends_with_output(self) -> bool:
        """Whether a body is being sent whose end is the connection's: a cut would look like it."""
        return self._body.ends_with_output

    def leave_out(self, size: int) -> None:
        """Note that so many bytes of the body that is being sent do not come by here.

        Raises:
            LocalProtocolError: there is none of known length, or it is longer than was announced.
        """
        self._body.leave_out(size)

    def encode(self, message: ResponseEvent) -> bytes:
        """Return the bytes of a head, a piece of a body, or an end."""
        if isinstance(message, ResponseHead):
            return write_response(message, self._body)
        if isinstance(message, EndOfMessage):
            return self._body.write_end(message)
        return self._body.write_piece(message)


class ClientCodec(Codec[RequestEvent, ResponseEvent]):
    """Requests out, responses in.

    Parameters:
        limits: of the heads.
    """

    def __init__(self, limits: HeadLimits) -> None:
        self.limits = limits

    def start(self, side: Side, context: object) -> ClientCoder:
        """Return the coder of a connection."""
        return ClientCoder(self.limits)

    def encode(self, message: RequestEvent) -> bytes:
        """Refuse: a connection has a coder of its own."""
        raise LocalProtocolError("this codec has state: start() it for each connection")

    def decode(self, buffer: ReceiveBuffer) -> Iterable[ResponseEvent]:
        """Refuse: a connection has a coder of its own."""
        raise LocalProtocolError("this codec has state: start() it for each connection")


class ClientCoder(Codec[RequestEvent, ResponseEvent]):
    """The coder of one connection of a client.

    Parameters:
        limits: of the heads.
    """

    def __init__(self, limits: HeadLimits) -> None:
        self._decoder = ResponseDecoder(limits)
        self._body = Body()
        self.ends_itself = True

    @property
    def sending(self) -> bool:
        """Whether a request has begun whose body has not ended."""
        return self._body.under_way

    @property
    def receiving(self) -> bool:
        """Whether a response is due, or has begun and is not complete."""
        decoder = self._decoder
        return bool(decoder.asked) or decoder.in_head or decoder.in_body

    @property
    def reusable(self) -> bool:
        """Whether the connection may carry another request, once nothing is under way."""
        return self._decoder.goes_on and not self._decoder.deaf

    def decode(self, buffer: ReceiveBuffer) -> Iterable[ResponseEvent]:
        """Take responses as they come."""
        events = self._decoder.decode(buffer)
        if not isinstance(events, list):
            return self._decode_slowly(events)
        self._note_end()
        return events

    def _decode_slowly(self, events: Iterable[ResponseEvent]) -> Iterator[ResponseEvent]:
        for event in events:
            self._note_end()
            yield event
        self._note_end()

    def _note_end(self) -> None:
        # A body that has no other end than that of the input must have TLS say that it is the end.
        self.ends_itself = not self._decoder.ends_with_input

    def decode_eof(self, buffer: ReceiveBuffer) -> Iterable[ResponseEvent]:
        """Say what the end of input means."""
        return self._decoder.decode_eof(buffer)

    def encode(self, message: RequestEvent) -> bytes:
        """Return the bytes of a head, a piece of a body, or an end."""
        if isinstance(message, RequestHead):
            data = write_request(message, self._body)
            self._decoder.asked.append(message.method)
            return data
        if isinstance(message, EndOfMessage):
            return self._body.write_end(message)
        return self._body.write_piece(message)
