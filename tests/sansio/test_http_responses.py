"""What a client makes of bytes: the table of good and bad responses."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import pytest

from snowtrio import ReceiveBuffer, Side
from snowtrio.http._wire import ClientCodec, RequestHead

from ..fuzz.http_reading import LIMITS, Reading, cut, read_responses
from .http_response_cases import BAD, GOOD, Bad, Good


def readings(wire: bytes, methods: Sequence[str]) -> Iterator[Reading]:
    """Read bytes whole, byte by byte, and in pieces of many sizes."""
    yield read_responses([wire], methods)
    yield read_responses(cut(wire, [1]), methods)
    chance = random.Random(len(wire))
    for most in (3, 10, 40):
        sizes = [chance.randint(1, most) for _ in range(50)]
        yield read_responses(cut(wire, sizes), methods)


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.name)
def test_good_responses(case: Good) -> None:
    """Z5 and Z7: what is taken is the same in all pieces."""
    for reading in readings(case.wire, case.methods):
        assert reading.failure is None, reading.reason
        assert [(message.start[0], message.body) for message in reading.messages] == list(
            case.messages
        )
        assert reading.rest == case.rest
        assert list(reading.messages[-1].trailers) == list(case.trailers)
        assert reading.messages[-1].start[2] is case.keep_alive


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.name[:60])
def test_bad_responses(case: Bad) -> None:
    """Z5 and Z7: what is refused is refused in all pieces alike, and is a 502."""
    first = read_responses([case.wire], case.methods)
    for reading in readings(case.wire, case.methods):
        assert (reading.failure, len(reading.messages)) == (502, case.before)
        assert reading.shape() == first.shape()
        assert reading.reason.isascii()
        assert reading.reason.isprintable()


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.name)
def test_the_end_of_input_inside_a_response(case: Good) -> None:
    """Z7: a response that was cut short is never taken for a whole one."""
    whole = [message.end for message in read_responses(cut(case.wire, [1]), case.methods).messages]
    for size in range(len(case.wire)):
        reading = read_responses([case.wire[:size]], case.methods)
        complete = sum(message.end >= 0 for message in reading.messages)
        if case.to_the_end and size >= case.wire.index(b"\r\n\r\n") + 4:
            assert complete == len(whole)
        else:
            assert complete == sum(end <= size for end in whole)


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.name)
def test_which_responses_end_themselves(case: Good) -> None:
    """Z14: over TLS a body that goes on to the end of input needs to be told that it is the end."""
    coder = ClientCodec(LIMITS).start(Side.CLIENT, None)
    for method in case.methods:
        coder.encode(RequestHead(method=method, target="a:1" if method == "CONNECT" else "/"))
    buffer = ReceiveBuffer(case.wire)
    list(coder.decode(buffer))
    assert coder.ends_itself is not case.to_the_end
    assert coder.reusable is case.keep_alive


def test_a_response_before_its_request_has_ended() -> None:
    """Z8: a connection is in use for as long as either message is under way."""
    coder = ClientCodec(LIMITS).start(Side.CLIENT, None)
    assert not coder.receiving
    coder.encode(RequestHead(method="POST", target="/", body=None, content_length=3))
    assert (coder.sending, coder.receiving) == (True, True)
    buffer = ReceiveBuffer(b"HTTP/1.1 413 No\r\nContent-Le")
    list(coder.decode(buffer))
    assert coder.receiving
    buffer.append(b"ngth: 3\r\n\r\n")
    list(coder.decode(buffer))
    assert coder.receiving
    buffer.append(b"abc")
    list(coder.decode(buffer))
    assert (coder.sending, coder.receiving, coder.reusable) == (True, False, True)
