"""What a server makes of bytes: the table of good and bad requests."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from ..fuzz.http_reading import Reading, cut, read_requests
from .http_request_cases import BAD, GET, GOOD, Bad, Good

LONG = 20_000


def readings(wire: bytes) -> Iterator[Reading]:
    """Read bytes whole, byte by byte, and in pieces of many sizes."""
    yield read_requests([wire])
    if len(wire) < LONG:
        yield read_requests(cut(wire, [1]))
    chance = random.Random(len(wire))
    for most in (3, 40, 1000, LONG):
        yield read_requests(cut(wire, [chance.randint(1, most) for _ in range(50)]))


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.name)
def test_good_requests(case: Good) -> None:
    """Z4: what is taken is the same in all pieces, with whatever stands behind it."""
    for reading in readings(case.wire):
        assert reading.failure is None, reading.reason
        assert [(*message.start[:2], message.body) for message in reading.messages] == list(
            case.messages
        )
        assert all(message.end >= 0 for message in reading.messages)
        assert reading.rest == case.rest
        assert list(reading.messages[-1].trailers) == list(case.trailers)
        assert reading.messages[-1].start[3] is case.keep_alive


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.name[:60])
def test_bad_requests(case: Bad) -> None:
    """Z4: what is refused is refused in all pieces alike, with a status and a reason."""
    first = read_requests([case.wire])
    for reading in readings(case.wire):
        assert (reading.failure, len(reading.messages)) == (case.status, case.before)
        assert reading.shape() == first.shape()
        assert reading.reason.isascii()
        assert reading.reason.isprintable()


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.name[:60])
def test_nothing_behind_a_bad_request_is_believed(case: Bad) -> None:
    """Z4: a request behind one that was refused is not seen."""
    assert len(read_requests([GET, case.wire, GET]).messages) == case.before + 1


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.name)
def test_the_end_of_input_inside_a_request(case: Good) -> None:
    """Z4: a request that was cut short is never taken for a whole one."""
    if len(case.wire) > LONG:
        return
    whole = [message.end for message in read_requests(cut(case.wire, [1])).messages]
    for size in range(0, len(case.wire), 1 + len(case.wire) // 200):
        reading = read_requests([case.wire[:size]])
        assert sum(message.end >= 0 for message in reading.messages) == sum(
            end <= size for end in whole
        )
