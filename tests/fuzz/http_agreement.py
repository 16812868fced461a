"""Do two parsers, ours and h11, and two ways of cutting bytes, see the same messages?

h11 is more lenient: what it takes and we refuse is fine. What both take must be the same messages,
and each must end at the same byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import h11

from .http_reading import Limits, Message, Reading, cut, read_requests, read_responses

LENIENT = 1 << 20


def check_requests(data: bytes, sizes: Sequence[int], *, limits: Limits | None = None) -> Reading:
    """Check that requests are the same in pieces, and the same for h11."""
    limits = limits or Limits()
    whole = read_requests([data], limits=limits, decline=True)
    for pieces in (cut(data, [1]), cut(data, sizes)):
        other = read_requests(pieces, limits=limits, decline=True)
        assert other.shape() == whole.shape(), (other, whole)
    bytewise = read_requests(cut(data, [1]), limits=limits, decline=True)
    compare(bytewise.messages, read_requests_with_h11(data))
    return whole


def check_responses(
    data: bytes, sizes: Sequence[int], methods: Sequence[str], *, limits: Limits | None = None
) -> Reading:
    """Check that responses are the same in pieces, and the same for h11."""
    limits = limits or Limits()
    whole = read_responses([data], methods, limits=limits)
    for pieces in (cut(data, [1]), cut(data, sizes)):
        other = read_responses(pieces, methods, limits=limits)
        assert other.shape() == whole.shape(), (other, whole)
    bytewise = read_responses(cut(data, [1]), methods, limits=limits)
    compare(bytewise.messages, read_responses_with_h11(data, methods))
    return whole


def compare(ours: Sequence[Message], theirs: Sequence[Message]) -> None:
    """Compare as many messages as both have taken whole."""
    for mine, other in zip(ours, theirs, strict=False):
        if mine.end < 0 or other.end < 0:
            return
        assert other.start == mine.start[: len(other.start)], (mine, other)
        assert lowered(other.fields) == lowered(mine.fields), (mine, other)
        assert other.body == mine.body, (mine, other)
        assert lowered(other.trailers) == lowered(mine.trailers), (mine, other)
        assert other.end == mine.end, (mine, other)


def lowered(fields: Any) -> list[tuple[bytes, bytes]]:
    """Return fields with the value in lower case that h11 gives so."""
    return [
        (bytes(name), bytes(value).lower() if name == b"transfer-encoding" else bytes(value))
        for name, value in fields
    ]


def read_requests_with_h11(data: bytes) -> list[Message]:
    """Read requests as h11 does, and refuse each so that the next one can come."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=LENIENT)
    connection.receive_data(data)
    messages: list[Message] = []
    try:
        while _read_one(connection, messages, len(data)):
            no = h11.Response(status_code=400, headers=[("content-length", "0")])
            connection.send(no)
            connection.send(h11.EndOfMessage())
            if connection.our_state is not h11.DONE:
                break
            connection.start_next_cycle()
    except (h11.RemoteProtocolError, h11.LocalProtocolError):
        pass
    return messages


def read_responses_with_h11(data: bytes, methods: Sequence[str]) -> list[Message]:
    """Read responses as h11 does."""
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=LENIENT)
    messages: list[Message] = []
    fed = False
    try:
        for method in methods:
            connection.send(h11.Request(method=method, target="/", headers=[("host", "a")]))
            connection.send(h11.EndOfMessage())
            if not fed:
                connection.receive_data(data)
                connection.receive_data(b"")
                fed = True
            if not _read_one(connection, messages, len(data)):
                break
            connection.start_next_cycle()
    except (h11.RemoteProtocolError, h11.LocalProtocolError):
        pass
    return messages


def _read_one(connection: h11.Connection, messages: list[Message], size: int) -> bool:
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Request):
            start: tuple[object, ...] = (event.method.decode(), event.target.decode("latin-1"))
            version = event.http_version.decode()
            messages.append(Message((*start, version), list(event.headers)))
        elif isinstance(event, h11.Response | h11.InformationalResponse):
            start = (event.status_code, event.http_version.decode())
            messages.append(Message(start, list(event.headers)))
            if isinstance(event, h11.InformationalResponse):
                messages[-1].end = size - len(connection.trailing_data[0])
        elif isinstance(event, h11.Data):
            messages[-1].body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            messages[-1].trailers = list(event.headers)
            messages[-1].end = size - len(connection.trailing_data[0])
            return True
        else:
            return False
