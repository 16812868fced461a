"""Where bodies go."""

from __future__ import annotations

import array
import io
from pathlib import Path

import pytest
import trio
from trio.testing import memory_stream_one_way_pair

from snowtrio.http._client._sinks import (
    BufferSink,
    DiscardSink,
    MemorySink,
    Sink,
    StreamSink,
    as_sink,
    pour,
)
from snowtrio.http._errors import ResponseTooLargeError, SinkOverflowError

PIECES = [b"one ", b"", b"two ", b"three"]
BODY = b"".join(PIECES)


async def pour_all(sink: Sink | trio.abc.SendStream) -> None:
    for piece in PIECES:
        await pour(piece, as_sink(sink))


async def test_into_a_buffer() -> None:
    """Z12: from its beginning on, and no further than the body goes."""
    buffer = bytearray(b"." * 20)
    sink = BufferSink(buffer)
    await pour_all(sink)
    assert buffer == BODY + b"." * (20 - len(BODY))
    assert (bytes(sink.filled), sink.size) == (BODY, len(BODY))


@pytest.mark.parametrize("size", range(len(BODY)))
async def test_nothing_is_written_beyond_the_end_of_a_buffer(size: int) -> None:
    """Z12: the error names both sizes; the buffer is filled."""
    memory = bytearray(b"." * 20)
    with pytest.raises(SinkOverflowError) as caught:
        await pour_all(BufferSink(memoryview(memory)[2 : 2 + size]))
    assert memory == b".." + BODY[:size] + b"." * (18 - size)
    assert caught.value.limit == size < caught.value.size <= len(BODY)
    assert str(size) in str(caught.value)
    assert isinstance(caught.value, ResponseTooLargeError)


async def test_a_buffer_that_fits_exactly() -> None:
    """Z12."""
    buffer = bytearray(len(BODY))
    await pour_all(BufferSink(buffer))
    assert buffer == BODY


async def test_a_buffer_of_other_things_than_bytes() -> None:
    """Z12: counted in bytes all the same."""
    numbers = array.array("I", [0, 0, 0])
    sink = BufferSink(memoryview(numbers))
    sink.write((7).to_bytes(4, "little") + b"\x01\0")
    assert sink.size == 6
    assert numbers.tobytes()[:6] == b"\x07\0\0\0\x01\0"


def test_a_buffer_that_cannot_be_written_to() -> None:
    """Z12: said before anything is asked."""
    with pytest.raises(TypeError):
        BufferSink(memoryview(b"const"))


async def test_into_memory_within_a_bound() -> None:
    """Z12: a piece that does not fit is not added."""
    sink = MemorySink(len(BODY))
    await pour_all(sink)
    assert (bytes(sink.body), sink.size) == (BODY, len(BODY))
    small = MemorySink(7)
    with pytest.raises(ResponseTooLargeError) as caught:
        await pour_all(small)
    assert (caught.value.size, caught.value.limit, bytes(small.body)) == (8, 7, b"one ")
    await pour_all(MemorySink(None))


async def test_thrown_away_and_counted() -> None:
    """Z12."""
    sink = DiscardSink()
    await pour_all(sink)
    assert sink.size == len(BODY)


async def test_into_files(tmp_path: Path) -> None:
    """Z12: those of Python, unbuffered ones, those of Trio."""
    memory = io.BytesIO()
    await pour_all(memory)
    assert memory.getvalue() == BODY
    for buffering in (0, -1):
        with open(tmp_path / "plain", "wb", buffering=buffering) as file:  # noqa: ASYNC230, PTH123
            await pour_all(file)
        assert (tmp_path / "plain").read_bytes() == BODY
    async with await trio.open_file(tmp_path / "trio", "wb") as file:
        await pour_all(file)
    assert (tmp_path / "trio").read_bytes() == BODY


async def test_into_a_stream() -> None:
    """Z12: neither ended nor closed."""
    sending, receiving = memory_stream_one_way_pair()
    await pour_all(sending)
    sink = StreamSink(sending)
    await pour_all(sink)
    assert sink.size == len(BODY)
    assert await receiving.receive_some() == BODY * 2


async def test_a_sink_that_takes_a_part_is_given_the_rest() -> None:
    """Z12: as an unbuffered file does."""
    taken = bytearray()

    class Small:
        def write(self, piece: bytes) -> int:
            taken.extend(piece[:2])
            return len(piece[:2])

    class Waiting:
        async def write(self, piece: bytes) -> int:
            await trio.lowlevel.checkpoint()
            taken.extend(piece[:3])
            return len(piece[:3])

    for sink in (Small(), Waiting()):
        taken.clear()
        await pour_all(sink)
        assert taken == BODY


@pytest.mark.parametrize("answer", [0, -1, 6])
async def test_a_sink_that_takes_nothing_or_too_much_is_no_endless_loop(answer: int) -> None:
    """Z12."""

    class Full:
        def write(self, piece: bytes) -> int:
            return answer

    with pytest.raises(OSError, match="says that it took"):
        await pour(b"piece", Full())


async def test_what_a_sink_raises_is_not_hidden() -> None:
    """Z12."""

    class Broken:
        async def write(self, piece: bytes) -> None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await pour(b"piece", Broken())


def test_what_is_no_sink() -> None:
    """Z12."""
    with pytest.raises(TypeError, match="write method"):
        as_sink(b"bytes")  # type: ignore[arg-type]
