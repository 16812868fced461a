"""The decoder of a connection: batches when they are asked for, and in between whatever comes."""

from __future__ import annotations

from collections.abc import Iterable

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from snowtrio import (
    Codec,
    IncompleteFrameError,
    LineCodec,
    ReceiveBuffer,
    RemoteProtocolError,
    SkippedMessageError,
)
from snowtrio._connection._decoder import Decoder


@attrs.frozen
class Words(Codec[bytes, bytes]):
    """Words, each with a space behind it. Some have a meaning.

    Parameters:
        lists: whether ``decode`` returns lists, where that can be.
    """

    lists: bool = False

    @override
    def encode(self, message: bytes) -> bytes:
        return message + b" "

    @override
    def decode(self, buffer: ReceiveBuffer) -> Iterable[bytes]:
        if self.lists and not {b"fail", b"skip", b"pause"} & set(buffer.peek(len(buffer)).split()):
            return buffer.take_through_last(b" ").split()
        return self._decode(buffer)

    def _decode(self, buffer: ReceiveBuffer) -> Iterable[bytes]:
        while (word := buffer.take_until(b" ")) is not None:
            if word == b"fail":
                raise RemoteProtocolError("fail")
            if word == b"skip":
                raise SkippedMessageError("skip")
            if word == b"pause":
                buffer.pause()
            yield word
            if buffer.paused:
                return


def drain(decoder: Decoder[bytes], size: int, came: list[object] | None = None) -> list[object]:
    """Return all that is there now, added to `came`; what was skipped as its error's text."""
    came = [] if came is None else came
    while (item := decoder.next_batch()) is not None:
        if isinstance(item, SkippedMessageError):
            came.append(str(item))
        else:
            assert 0 < len(item) <= size
            came += item
    assert not decoder.more
    return came


def decoder_of(data: bytes = b"", *, size: int = 3, lists: bool = False) -> Decoder[bytes]:
    return Decoder(Words(lists), ReceiveBuffer(data), size)


@pytest.mark.parametrize("lists", [False, True])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 6, 7])
def test_batches_are_bounded(count: int, lists: bool) -> None:
    """S12: also where the codec gives all at once."""
    decoder = decoder_of(lists=lists)
    assert decoder.next_batch() is None
    words = [b"%d" % number for number in range(count)]
    decoder.feed(b"".join(word + b" " for word in words))
    assert drain(decoder, 3) == words
    decoder.feed(b"more ")
    assert drain(decoder, 3) == [b"more"]


def test_what_the_handshake_left_is_decoded_first() -> None:
    """S7."""
    decoder = decoder_of(b"one tw")
    assert decoder.more
    assert drain(decoder, 3) == [b"one"]
    decoder.feed(b"o ")
    assert drain(decoder, 3) == [b"two"]


@pytest.mark.parametrize("good", [0, 1, 2, 3, 4, 6])
def test_a_failure_comes_after_what_was_good(good: int) -> None:
    """S3: whether or not that makes whole batches."""
    decoder = decoder_of(b"x " * good + b"fail y ")
    came: list[object] = []
    with pytest.raises(RemoteProtocolError):
        drain(decoder, 3, came)
    assert came == [b"x"] * good


@pytest.mark.parametrize("good", [0, 1, 2, 3, 4, 6])
def test_after_what_was_skipped_it_goes_on(good: int) -> None:
    """S3."""
    decoder = decoder_of(b"x " * good + b"skip y skip skip z")
    assert drain(decoder, 3) == [b"x"] * good + ["skip", b"y", "skip", "skip"]
    decoder.feed(b" ")
    assert drain(decoder, 3) == [b"z"]


@pytest.mark.parametrize("good", [0, 1, 2, 3, 4])
def test_a_pause_lasts_until_another_codec_takes_over(good: int) -> None:
    """B1: whatever comes meanwhile."""
    decoder = decoder_of(b"x " * good + b"pause one two\n")
    assert drain(decoder, 3) == [b"x"] * good + [b"pause"]
    decoder.feed(b"three\n")
    assert drain(decoder, 3) == []
    decoder.switch(LineCodec())
    assert decoder.more
    assert drain(decoder, 3) == [b"one two", b"three"]


@pytest.mark.parametrize("lists", [False, True])
def test_a_switch_between_batches_of_one_read(lists: bool) -> None:
    """B1: what was decoded already, or is about to be, is the old codec's."""
    decoder = decoder_of(b"1 2 3 4 5 6 7 left\n", lists=lists)
    assert decoder.next_batch() == [b"1", b"2", b"3"]
    decoder.switch(LineCodec())
    assert drain(decoder, 3) == [b"4", b"5", b"6", b"7", b"left"]


def test_the_end_of_input_inside_a_frame() -> None:
    """S4."""
    decoder = decoder_of(b"one tw")
    assert drain(decoder, 3) == [b"one"]
    decoder = decoder_of(b"tw")
    assert drain(decoder, 3) == []
    with pytest.raises(IncompleteFrameError):
        decoder.feed_eof()


def test_the_end_of_input_between_frames() -> None:
    """S4."""
    decoder = decoder_of(b"one ")
    assert drain(decoder, 3) == [b"one"]
    decoder.feed_eof()
    assert drain(decoder, 3) == []


@given(
    words=st.lists(st.sampled_from([b"a", b"bc", b"def", b"skip"]), max_size=30),
    cuts=st.lists(st.integers(1, 12), min_size=1),
    size=st.integers(1, 5),
    lists=st.booleans(),
)
def test_however_it_comes_it_is_the_same(
    words: list[bytes], cuts: list[int], size: int, lists: bool
) -> None:
    """S1, S12."""
    decoder = decoder_of(size=size, lists=lists)
    stream = b"".join(word + b" " for word in words)
    came: list[object] = []
    turn = 0
    while stream:
        cut = cuts[turn % len(cuts)]
        decoder.feed(stream[:cut])
        stream, turn = stream[cut:], turn + 1
        came += drain(decoder, size)
    assert came == [word if word != b"skip" else "skip" for word in words]
