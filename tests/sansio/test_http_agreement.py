"""Two parsers never disagree on where a message ends: ours and h11, over messages gone wrong."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ..fuzz.http_agreement import check_requests, check_responses
from ..fuzz.http_reading import read_requests, read_responses
from . import http_request_cases as requests
from . import http_response_cases as responses

SHORT = 2000
WIRES = [
    wire
    for wire in (*(case.wire for case in requests.GOOD), *(case.wire for case in requests.BAD))
    if len(wire) < SHORT
]
ANSWERS = [
    (wire, methods)
    for wire, methods in (
        *((case.wire, case.methods) for case in responses.GOOD),
        *((case.wire, case.methods) for case in responses.BAD),
    )
    if len(wire) < SHORT and "CONNECT" not in methods
]

# What messages are made of, and what parsers are known to disagree about.
SPLICES = [
    *(
        b"\r",
        b"\n",
        b"\r\n",
        b"\r\n\r\n",
        b" ",
        b"\t",
        b"\0",
        b"\x0b",
        b"\x7f",
        b"\xff",
        b":",
        b";",
    ),
    *(b",", b"0", b"1", b"-1", b"+", b"0x", b"_", b"a", b"GET", b"HEAD", b"POST", b"HTTP/1.1"),
    *(b"HTTP/1.0", b"Host: a\r\n", b"Content-Length: 3\r\n", b"Content-Length: 0\r\n"),
    *(b"Transfer-Encoding: chunked\r\n", b"chunked", b"identity", b"Connection: close\r\n"),
    *(b"Connection: upgrade\r\nUpgrade: x\r\n", b"Connection: keep-alive\r\n", b"3\r\nabc\r\n"),
    *(b"0\r\n\r\n", b"0\r\n", b"0\r\nX: y\r\n\r\n", b"Expect: 100-continue\r\n", requests.GET),
    *(b"204", b"304", b"100", b"HTTP/1.1 200 OK\r\n"),
]

# A place, how many bytes to cut out there, what to put in.
mutations = st.lists(
    st.tuples(
        st.integers(0, 300), st.integers(0, 3), st.sampled_from(SPLICES) | st.binary(max_size=2)
    ),
    max_size=4,
)
sizes = st.lists(st.integers(1, 60), min_size=1, max_size=6)


def mutate(wire: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    for place, count, splice in changes:
        at = place % (len(wire) + 1)
        wire = wire[:at] + splice + wire[at + count :]
    return wire


@pytest.mark.parametrize("wire", WIRES, ids=range(len(WIRES)))
def test_all_requests_of_the_table(wire: bytes) -> None:
    """Z4: each of them, cut in two at every place, and another one behind it."""
    whole = check_requests(wire + requests.GET, [5, 17])
    for place in range(1, len(wire)):
        pieces = [wire[:place], wire[place:] + requests.GET]
        assert read_requests(pieces, decline=True).shape() == whole.shape()


@pytest.mark.parametrize(("wire", "methods"), ANSWERS, ids=range(len(ANSWERS)))
def test_all_responses_of_the_table(wire: bytes, methods: Sequence[str]) -> None:
    """Z5: each of them, cut in two at every place, and another one behind it."""
    methods = [*methods, "GET"]
    whole = check_responses(wire + responses.NONE, [5, 17], methods)
    for place in range(1, len(wire)):
        pieces = [wire[:place], wire[place:] + responses.NONE]
        assert read_responses(pieces, methods).shape() == whole.shape()


@given(st.lists(st.sampled_from(WIRES), min_size=1, max_size=3), mutations, sizes)
@example([requests.GET], [], [1])
def test_requests_gone_wrong(
    wires: list[bytes], changes: list[tuple[int, int, bytes]], cuts: list[int]
) -> None:
    """Z4: the same messages in all pieces, and for h11, each with the same end."""
    check_requests(mutate(b"".join(wires), changes), cuts)


@given(
    st.lists(st.sampled_from(ANSWERS), min_size=1, max_size=3),
    mutations,
    sizes,
    st.lists(st.sampled_from(["GET", "HEAD", "POST"]), max_size=3),
)
def test_responses_gone_wrong(
    answers: list[tuple[bytes, Sequence[str]]],
    changes: list[tuple[int, int, bytes]],
    cuts: list[int],
    more: list[str],
) -> None:
    """Z5: the same messages in all pieces, and for h11, each with the same end."""
    wire = mutate(b"".join([wire for wire, _ in answers]), changes)
    methods = [method for _, methods in answers for method in methods]
    check_responses(wire, cuts, [*methods, *more])
