"""The outbox: every message that is put in comes out once, with its fate."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from snowtrio._connection._outbox import Batch, Outbox

SIZES = st.lists(st.integers(0, 40), max_size=30)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 9)),
        st.tuples(st.just("take"), st.integers(0, 12)),
    ),
    max_size=60,
)


def new_outbox() -> Outbox[int]:
    return Outbox(1024, 1 << 20)


def take(outbox: Outbox[int], batch: Batch[int] | None, size: int) -> tuple[bytes, int]:
    """Have a kernel take `size` bytes of a sealed batch; return them and the messages completed."""
    if batch is None or not batch.chunks:
        return b"", 0
    taken = bytes(batch.gather()[:size])
    return taken, outbox.advance(len(taken))


@given(STEPS, st.integers(0, 20))
def test_every_message_has_one_fate_whatever_the_kernel_takes(
    steps: list[tuple[str, int]], at_risk: int
) -> None:
    """B5: sent, in doubt or unsent, in that order and none of them twice."""
    outbox, put, wire, sent = new_outbox(), list[bytes](), b"", 0
    opened: list[Batch[int]] = []
    sealed: Batch[int] | None = None
    for step, size in steps:
        if step == "put":
            put.append(bytes([len(put)]) * size)
            if (batch := outbox.put(len(put) - 1, put[-1])) is not None:
                opened.append(batch)
            continue
        if not outbox.in_flight and opened:
            assert outbox.seal() is opened[0]
            sealed = opened.pop(0)
        taken, completed = take(outbox, sealed, size)
        wire, sent = wire + taken, sent + completed
    assert wire == b"".join(put)[: len(wire)]
    assert outbox.size == sum(map(len, put)) - len(wire)
    assert outbox.count == len(put) - sent
    in_doubt, unsent = outbox.give_up(at_risk)
    assert [*range(sent), *in_doubt, *unsent] == [*range(len(put))]
    # What is in doubt begins before the furthest byte that may have gone, and what is unsent does
    # not: nothing that a peer may have is given back as untouched.
    reached = len(wire) + at_risk
    starts = [sum(map(len, put[:index])) for index in range(len(put))]
    assert all(starts[index] >= reached for index in unsent)
    assert all(starts[index] < reached for index in in_doubt)
    assert (outbox.count, outbox.size) == (0, 0)


def test_a_message_sent_in_part_at_once_keeps_its_place() -> None:
    """S5: the rest of a message whose head has gone is what goes next, and only that."""
    outbox = new_outbox()
    batch = outbox.put(1, b"hello", taken=2)
    assert batch is not None
    assert (outbox.count, outbox.size) == (1, 3)
    outbox.put(2, b"world")
    assert bytes(outbox.seal().gather()) == b"lloworld"
    assert outbox.advance(3) == 1
    assert (outbox.count, outbox.size) == (1, 5)
    assert outbox.give_up() == ([], [2])


def test_only_what_was_touched_is_in_doubt() -> None:
    """B5: a part of the first message went, the one behind it is untouched."""
    outbox = new_outbox()
    for message in (1, 2, 3):
        outbox.put(message, b"abc")
    outbox.seal()
    outbox.put(4, b"abc")
    assert outbox.advance(4) == 1
    assert outbox.give_up() == ([2], [3, 4])


def test_bytes_at_risk_put_each_message_they_reach_in_doubt() -> None:
    """B5: of a slice that failed on a stream that cannot say how far it came."""
    outbox = new_outbox()
    for message in (1, 2, 3, 4):
        outbox.put(message, b"abc")
    outbox.seal()
    outbox.advance(4)
    assert outbox.give_up(3) == ([2, 3], [4])


def test_a_none_is_a_message_like_any_other() -> None:
    """S25: any object can be a message, and be in doubt."""
    outbox = Outbox[None](10, 100)
    outbox.put(None, b"null")
    outbox.seal()
    outbox.advance(1)
    assert outbox.give_up() == ([None], [])


@given(SIZES)
def test_messages_gather_into_one_write(sizes: list[int]) -> None:
    """S12: what was put before the seal is one piece of bytes."""
    outbox = new_outbox()
    for index, size in enumerate(sizes):
        outbox.put(index, b"x" * size)
    if sizes:
        assert len(outbox.seal().gather()) == sum(sizes)


def test_one_write_has_a_bound() -> None:
    """S12: more than a quarter of a megabyte is not copied together."""
    outbox = new_outbox()
    for index in range(5):
        outbox.put(index, b"x" * 100_000)
    batch = outbox.seal()
    assert len(batch.gather()) == 200_000
    outbox.advance(200_000)
    assert len(batch.gather()) == 200_000


def test_a_single_message_is_not_copied() -> None:
    data = b"x" * 1_000_000
    outbox = new_outbox()
    outbox.put(1, data)
    assert outbox.seal().gather() is data


def test_the_peak_stays() -> None:
    """B7: the most messages there have been at a time."""
    outbox = new_outbox()
    for message in range(3):
        outbox.put(message, b"x")
    outbox.seal()
    outbox.advance(3)
    outbox.put(3, b"x")
    assert outbox.peak == 3
