"""What the codecs of HTTP make of bytes, whole messages again whatever pieces they came in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import attrs

from snowtrio import IncompleteFrameError, ReceiveBuffer, Side
from snowtrio.http import BadMessageError
from snowtrio.http._wire import (
    ClientCodec,
    EndOfMessage,
    Fields,
    RequestHead,
    ResponseHead,
    ServerCodec,
)


@attrs.frozen
class Limits:
    """Small ones, so that they are met."""

    max_head_size: int = 4096
    max_target_size: int = 512
    max_fields: int = 20


LIMITS = Limits()


@attrs.define
class Message:
    """A request or a response."""

    start: tuple[object, ...]
    fields: Fields
    body: bytes = b""
    trailers: Fields = ()
    end: int = -1
    """How many bytes had come when it was complete; -1 where it is not."""


@attrs.define
class Reading:
    """What came of a stream of bytes."""

    messages: list[Message] = attrs.Factory(list)
    failure: int | None = None
    """The status with which the rest was refused; 0 for an end of input inside a message."""
    reason: str = ""
    """What is wrong, as a client is told it."""
    rest: bytes | None = None
    """What is left for another protocol, where one was asked for."""

    def shape(self) -> tuple[Any, ...]:
        """Return all that must not depend on the pieces."""
        messages = [
            (message.start, tuple(message.fields), message.body, tuple(message.trailers))
            for message in self.messages
        ]
        whole = [message.end >= 0 for message in self.messages]
        return messages, whole, self.failure, self.rest


def read_requests(
    pieces: Iterable[bytes], *, limits: Limits = LIMITS, decline: bool = False, eof: bool = True
) -> Reading:
    """Read requests; with `decline`, go on behind those that offer an upgrade."""
    coder = ServerCodec(limits).start(Side.SERVER, None)
    return _read(coder, pieces, decline=decline, eof=eof)


def read_responses(
    pieces: Iterable[bytes],
    methods: Sequence[str] = ("GET",),
    *,
    limits: Limits = LIMITS,
    eof: bool = True,
) -> Reading:
    """Read the responses to requests with these methods."""
    coder = ClientCodec(limits).start(Side.CLIENT, None)
    for method in methods:
        target = "a:1" if method == "CONNECT" else "/"
        coder.encode(RequestHead(method=method, target=target, fields=[(b"host", b"a")]))
    return _read(coder, pieces, decline=False, eof=eof)


def _read(coder: Any, pieces: Iterable[bytes], *, decline: bool, eof: bool) -> Reading:
    buffer, reading, fed = ReceiveBuffer(), Reading(), 0
    for piece in pieces:
        fed += len(piece)
        buffer.append(piece)
        while not buffer.paused or decline:
            buffer.resume()
            if not _gather(coder.decode, buffer, reading, fed):
                return reading
            if not buffer.paused:
                break
    if buffer.paused:
        reading.rest = buffer.take_all()
    elif eof:
        _gather(coder.decode_eof, buffer, reading, fed)
    return reading


def _gather(
    decode: Callable[[ReceiveBuffer], Iterable[object]],
    buffer: ReceiveBuffer,
    reading: Reading,
    fed: int,
) -> bool:
    try:
        for event in decode(buffer):
            _add(event, reading.messages, fed)
    except BadMessageError as error:
        reading.failure, reading.reason = error.status, error.reason
        return False
    except IncompleteFrameError:
        reading.failure = 0
        return False
    return True


def _add(event: object, messages: list[Message], fed: int) -> None:
    if isinstance(event, RequestHead | ResponseHead):
        message = Message(_start(event), event.fields)
        messages.append(message)
        if event.body is not None:
            message.body, message.trailers, message.end = event.body, event.trailers, fed
    elif isinstance(event, EndOfMessage):
        messages[-1].trailers, messages[-1].end = event.trailers, fed
    else:
        assert isinstance(event, bytes)
        assert event
        assert messages[-1].end == -1
        messages[-1].body += event


def _start(head: RequestHead | ResponseHead) -> tuple[object, ...]:
    version, keep_alive, length = head.http_version, head.keep_alive, head.content_length
    if isinstance(head, ResponseHead):
        return head.status, version, keep_alive, length, head.method
    rest = (length, head.expects_continue, head.upgrade)
    return head.method, head.target, version, keep_alive, *rest


def cut(data: bytes, sizes: Sequence[int]) -> Iterator[bytes]:
    """Cut data into pieces of these sizes, over and over; what a size of 0 would give is one."""
    at = number = 0
    while at < len(data):
        size = max(1, sizes[number % len(sizes)])
        yield data[at : at + size]
        at, number = at + size, number + 1
