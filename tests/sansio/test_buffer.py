"""The receive buffer."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snowtrio._buffer import ReceiveBuffer


def test_peek_consumes_nothing() -> None:
    """S4."""
    buffer = ReceiveBuffer(b"hello world")
    assert buffer.peek(5) == b"hello"
    assert buffer.peek(5, 6) == b"world"
    assert buffer.peek(100) == b"hello world"
    assert buffer.peek(1, 11) == b""
    assert buffer.take_all() == b"hello world"


def test_shift_keeps_the_rest() -> None:
    """S4."""
    buffer = ReceiveBuffer(b"hello world")
    buffer.shift(6)
    assert len(buffer) == 5
    buffer.shift(0)
    assert buffer.peek(100) == b"world"
    buffer.shift(5)
    assert not buffer


@pytest.mark.parametrize("size", [6, -1])
def test_what_is_not_there_is_not_dropped(size: int) -> None:
    """S4."""
    buffer = ReceiveBuffer(b"hello")
    with pytest.raises(ValueError, match="cannot shift"):
        buffer.shift(size)
    with pytest.raises(ValueError, match="cannot shift"):
        buffer.take(size)
    assert buffer.take_all() == b"hello"


def test_take_returns_what_it_drops() -> None:
    buffer = ReceiveBuffer()
    buffer.append(b"hello ")
    buffer.append(b"world")
    taken = buffer.take(7)
    assert taken == b"hello w"
    assert type(taken) is bytes
    assert buffer.take_all() == b"orld"
    assert buffer.take_all() == b""


def test_it_is_true_while_it_holds_something() -> None:
    buffer = ReceiveBuffer()
    assert not buffer
    buffer.append(b"\0")
    assert buffer
    assert repr(buffer) == "<ReceiveBuffer of 1 bytes>"


def test_take_until_takes_the_delimiter_too() -> None:
    buffer = ReceiveBuffer(b"one\r\ntwo\r")
    assert buffer.take_until(b"\r\n") == b"one"
    assert buffer.take_until(b"\r\n") is None
    assert buffer.peek(100) == b"two\r"
    buffer.append(b"\n")
    assert buffer.take_until(b"\r\n") == b"two"
    assert not buffer


def test_take_through_last_takes_all_that_is_whole() -> None:
    buffer = ReceiveBuffer(b"one\ntwo\nthr")
    assert buffer.take_through_last(b"\n") == b"one\ntwo\n"
    assert buffer.take_through_last(b"\n") == b""
    assert buffer.take_all() == b"thr"


def test_a_search_goes_on_where_it_stopped() -> None:
    buffer = ReceiveBuffer(b"x" * 1000)
    assert buffer.find(b"\r\n") == -1
    # The last byte may be the first of a delimiter.
    assert buffer._searched == 999
    buffer.append(b"\r\n")
    assert buffer.find(b"\r\n") == 1000
    assert buffer.find(b"x") == 0


def test_what_was_searched_moves_with_the_bytes() -> None:
    buffer = ReceiveBuffer(b"abc")
    assert buffer.find(b"\n") == -1
    buffer.shift(2)
    buffer.append(b"\nd\n")
    assert buffer.find(b"\n") == 1
    buffer.shift(2)
    assert buffer.find(b"\n") == 1


def test_a_pause_lasts_until_it_is_lifted() -> None:
    buffer = ReceiveBuffer()
    assert not buffer.paused
    buffer.pause()
    assert buffer.paused
    buffer.resume()
    assert not buffer.paused


# What can be done; the alphabet is small, so that delimiters are frequent.
small = st.integers(0, 6)
text = st.text("ab", max_size=6).map(str.encode)
delimiters = st.sampled_from([b"a", b"ab", b"aab", b"aba"])
steps = st.one_of(
    st.tuples(st.just("append"), text),
    st.tuples(st.just("take"), small),
    st.tuples(st.just("shift"), small),
    st.tuples(st.just("peek"), small),
    st.tuples(st.just("find"), delimiters),
    st.tuples(st.just("take_until"), delimiters),
    st.tuples(st.just("take_through_last"), st.sampled_from([b"a", b"ab", b"aab"])),
)


def do(model: bytes, step: str, argument: bytes | int) -> tuple[bytes, object]:
    """Return what plain bytes hold after a step, and what the step returns."""
    if isinstance(argument, int):
        taken = model[:argument]
        if step == "peek":
            return model, taken
        if argument > len(model):
            return model, ValueError
        return model[argument:], taken if step == "take" else None
    if step == "append":
        return model + argument, None
    if step == "find":
        return model, model.find(argument)
    if step == "take_through_last":
        end = model.rfind(argument) + len(argument) if argument in model else 0
        return model[end:], model[:end]
    before, delimiter, after = model.partition(argument)
    return (after, before) if delimiter else (model, None)


@settings(max_examples=100)
@given(st.lists(steps, max_size=30))
def test_it_does_as_plain_bytes_do(done: list[tuple[str, bytes | int]]) -> None:
    """S4."""
    buffer, model = ReceiveBuffer(), b""
    for step, argument in done:
        model, expected = do(model, step, argument)
        result: object
        try:
            result = getattr(buffer, step)(argument)
        except ValueError:
            result = ValueError
        assert result == expected
        assert not isinstance(result, bytearray)
        assert buffer.peek(1000) == model
        assert len(buffer) == len(model)
