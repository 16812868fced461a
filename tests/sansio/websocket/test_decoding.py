"""What comes of frames: the table of good and bad streams."""

from __future__ import annotations

from typing import Any

import pytest

from snowtrio import ReceiveBuffer, Side
from snowtrio.websocket import AbnormalCloseError, Deflate, WebSocketLimits
from snowtrio.websocket._wire import Piece, WebSocketCodec

from .cases import ALL, BAD, CLOSES, GOOD, Case
from .reading import BINARY, CLOSE, LIMITS, PING, TEXT, Log, Reading, cuts, frame, mask, read

BEHIND = frame(BINARY, b"behind")


def expected(case: Case) -> Reading:
    error = None
    if case.code is not None:
        kind = "WebSocketClosedError"
        if case.violation:
            kind = "WebSocketTooLargeError" if case.code == 1009 else "WebSocketProtocolError"
        error = f"{kind} {case.code}"
    return Reading(list(case.messages), case.all_calls, error, 0)


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("deflate", [None, Deflate()], ids=["plain", "deflate"])
@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_it_comes_to_the_same_however_it_comes(
    case: Case, deflate: Deflate | None, side: Side
) -> None:
    """W11, W14 to W18: in one read or in many: messages, control frames, error, nothing more."""
    if deflate and "reserved bits 4 of" in case.name and case.name[-1] in "12":
        return  # That is how compressed messages are marked.
    wire = case.wire(side)
    for chunks in cuts(wire):
        assert read(chunks, side, case.limits, deflate) == expected(case)


@pytest.mark.parametrize("case", [*CLOSES, *BAD], ids=lambda case: case.name)
def test_nothing_behind_the_end_is_looked_at(case: Case) -> None:
    """W11: no message, no ping and no second error, in the same read or the next."""
    behind = BEHIND + frame(PING) + frame(CLOSE) + b"\xff" * 9
    wire = case.wire(Side.SERVER)
    for chunks in ([wire + behind], [wire, behind], [wire, BEHIND, behind]):
        assert read(chunks, limits=case.limits) == expected(case)


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.name)
def test_what_comes_behind_is_taken_as_well(case: Case) -> None:
    """W15: half a frame is left, and does no harm."""
    wire = case.wire(Side.SERVER)
    for size in range(len(BEHIND) + 1):
        reading = read([wire + BEHIND[:size], BEHIND[size:]], limits=case.limits)
        assert reading.messages == [*case.messages, b"behind"]
        assert reading.error is None


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.name)
def test_pieces_are_the_message(case: Case) -> None:
    """W15: without a bound on the whole, and with no character cut in two."""
    for chunks in cuts(case.wire(Side.SERVER)):
        reading = read(chunks, limits=case.limits, pieces=True)
        assert reading.calls == case.all_calls
        messages: list[str | bytes] = []
        parts: list[Piece] = []
        for piece in reading.messages:
            assert isinstance(piece, Piece)
            parts.append(piece)
            if piece.last:
                kind: Any = type(piece.data)
                joined = kind().join(part.data for part in parts)
                messages.append(joined)
                parts = []
        assert messages == list(case.messages)
        assert not parts


def test_pieces_have_no_bound() -> None:
    """W15, W16: the limit is for messages that are gathered."""
    reading = read([frame(BINARY, b"a" * 3000)], pieces=True)
    assert reading.messages == [Piece(b"a" * 3000, last=True)]


@pytest.mark.parametrize("side", Side)
def test_masks_are_looked_at(side: Side) -> None:
    """W14: a server refuses frames that are not masked, a client those that are."""
    for opcode in (TEXT, PING, CLOSE):
        for chunks in cuts(frame(opcode, b"abc", side=side.peer)):
            reading = read(chunks, side)
            assert reading.calls == [("violation", 1002)]
            assert not reading.messages


@pytest.mark.parametrize(
    ("wire", "code", "needed"),
    [
        (frame(3), 1002, 1),
        (frame(TEXT, rsv=1), 1002, 1),
        (frame(PING, fin=False), 1002, 1),
        (frame(0), 1002, 1),
        (frame(TEXT, side=Side.CLIENT), 1002, 2),
        (frame(PING, size=126), 1002, 2),
        (frame(BINARY, b"a", width=2), 1002, 4),
        (frame(BINARY, size=1 << 63, width=8), 1002, 10),
        (frame(BINARY, size=1001), 1009, 4),
        (frame(BINARY, size=1 << 62), 1009, 10),
        (frame(TEXT, b"abc\xffdef"), 1007, 10),
        (frame(TEXT, b"ab\xed\xa0\x80"), 1007, 10),
        (frame(TEXT, b"ab\xf4\x90\x80\x80"), 1007, 10),
        (frame(TEXT, b"ab\xe0\x80\x80"), 1007, 10),
    ],
)
def test_a_violation_is_known_with_the_byte_that_makes_it(
    wire: bytes, code: int, needed: int
) -> None:
    """W16 to W18: text within a frame, sizes with the header, bits with the first byte."""
    one_by_one = [wire[at : at + 1] for at in range(needed)]
    assert read(one_by_one[:-1]).calls == []
    assert read(one_by_one).calls == [("violation", code)]


def test_messages_before_a_violation_are_given_first() -> None:
    """W8: one call of decode gives them, and then raises."""
    log = Log()
    coder = WebSocketCodec(log, LIMITS).start(Side.SERVER, None)
    buffer = ReceiveBuffer(frame(TEXT, b"a") + frame(BINARY, b"b") + frame(3))
    decoding = iter(coder.decode(buffer))
    assert [next(decoding), next(decoding)] == ["a", b"b"]
    with pytest.raises(Exception, match="opcode 3"):
        next(decoding)
    assert log.calls == [("violation", 1002)]


@pytest.mark.parametrize("size", range(40))
def test_the_end_of_input_is_no_close(size: int) -> None:
    """W9: 1006, and it says whether a message was cut short."""
    wire = frame(TEXT, b"abc") + frame(BINARY, b"a", fin=False) + frame(0, b"b")
    coder = WebSocketCodec(Log(), LIMITS).start(Side.SERVER, None)
    buffer = ReceiveBuffer(wire[:size])
    list(coder.decode(buffer))
    with pytest.raises(AbnormalCloseError) as caught:
        coder.decode_eof(buffer)
    inside = 0 < size < len(wire) and size != len(frame(TEXT, b"abc"))
    assert ("inside a message" in str(caught.value)) is inside


def test_the_end_of_input_behind_a_close_is_nothing() -> None:
    """W9: what was said stands."""
    coder = WebSocketCodec(Log(), LIMITS).start(Side.SERVER, None)
    buffer = ReceiveBuffer(frame(CLOSE, b"\x03\xe8"))
    with pytest.raises(Exception, match="1000"):
        list(coder.decode(buffer))
    assert list(coder.decode_eof(buffer)) == []


def test_unmasked_by_hand() -> None:
    """W14: the helper of these tests is right about the example of RFC 6455, section 5.7."""
    hello = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"
    assert mask(hello[6:], hello[2:6]) == b"Hello"
    assert read([hello], limits=WebSocketLimits()).messages == ["Hello"]
