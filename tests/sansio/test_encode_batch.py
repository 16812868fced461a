"""Messages encoded together: the same bytes as one by one, or None."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from snowtrio import (
    Codec,
    DelimiterCodec,
    FixedSizeCodec,
    JSONLinesCodec,
    LengthPrefixCodec,
    LineCodec,
    LocalProtocolError,
    NetstringCodec,
    RawCodec,
    Side,
)
from snowtrio.testing import check_codec

CODECS: list[Codec[Any, Any]] = [
    LineCodec(),
    LineCodec(max_message_size=3),
    LineCodec(max_message_size=3, resync=True),
    DelimiterCodec(b"\0"),
    DelimiterCodec(b"ab"),
    DelimiterCodec(b"aba"),
    LengthPrefixCodec(),
    LengthPrefixCodec(1, max_message_size=3),
    NetstringCodec(max_message_size=3),
    FixedSizeCodec(2),
    RawCodec(),
]

messages = st.one_of(
    st.text("ab\n\r\0", max_size=5).map(str.encode),
    st.text("ab\n", max_size=3).map(lambda text: bytearray(text.encode())),
    st.text("ab\n", max_size=3).map(lambda text: memoryview(text.encode())),
    st.sampled_from(["text", None, 7]),
)


def encode_each(coder: Codec[Any, Any], batch: Sequence[Any]) -> bytes | None:
    try:
        return b"".join([coder.encode(message) for message in batch])
    except (LocalProtocolError, TypeError):
        return None


@pytest.mark.parametrize("codec", CODECS, ids=repr)
@given(batch=st.lists(messages, min_size=1, max_size=6))
def test_together_as_one_by_one(codec: Codec[Any, Any], batch: list[Any]) -> None:
    """B1, S6: and what cannot be sent is left to ``encode`` to name."""
    coder = codec.start(Side.CLIENT, None)
    together = coder.encode_batch(batch)
    if together is not None:
        assert together == encode_each(coder, batch)
        assert type(together) is bytes


@given(batch=st.lists(st.integers() | st.text() | st.none(), min_size=1, max_size=6))
def test_together_as_one_by_one_in_json(batch: list[Any]) -> None:
    """B1."""
    coder = JSONLinesCodec().start(Side.CLIENT, None)
    together = coder.encode_batch(batch)
    assert together is None or together == encode_each(coder, batch)


def test_many_are_encoded_together_where_it_pays() -> None:
    """B1: the tests above would pass if it were never done."""
    for codec in (LineCodec(), DelimiterCodec(b"\0"), LengthPrefixCodec()):
        coder = codec.start(Side.CLIENT, None)
        assert coder.encode_batch([b"one", b"two"]) == encode_each(coder, [b"one", b"two"])


class Shouting(LineCodec):
    """Overrides `encode` alone."""

    __slots__ = ()

    @override
    def encode(self, message: Any) -> bytes:
        return super().encode(bytes(message).upper())


class Calm(Shouting):
    """Overrides nothing."""

    __slots__ = ()


@pytest.mark.parametrize("codec", [Shouting(), Calm()], ids=repr)
def test_who_overrides_encode_alone_is_not_passed_by(codec: LineCodec) -> None:
    """S25."""
    assert codec.encode_batch([b"one", b"two"]) in (None, b"ONE\nTWO\n")
    check_codec(codec, [b"ONE", b"TWO"])


class Together(LineCodec):
    """Encodes messages together as it is told to, and wrongly."""

    __slots__ = ()

    @override
    def encode_batch(self, messages: Sequence[Any]) -> Any:
        return b"\n".join(messages)


class TogetherInText(Together):
    """Makes no bytes of them."""

    __slots__ = ()

    @override
    def encode_batch(self, messages: Sequence[Any]) -> Any:
        return "".join(f"{message.decode()}\n" for message in messages)


class TogetherWithoutLooking(Together):
    """Makes frames of anything."""

    __slots__ = ()

    @override
    def encode_batch(self, messages: Sequence[Any]) -> Any:
        return b"".join(message + b"\n" for message in messages)


class RaisesTogether(Together):
    """Raises where it should return None."""

    __slots__ = ()

    @override
    def encode_batch(self, messages: Sequence[Any]) -> Any:
        raise LocalProtocolError("one of them cannot be sent")


class OnlyOnceTogether(LineCodec):
    """Has a state, and changes it."""

    again: list[object]

    @override
    def start(self, side: Side, context: object) -> OnlyOnceTogether:
        coder = type(self)()
        object.__setattr__(coder, "again", [])
        return coder

    @override
    def encode(self, message: Any) -> bytes:
        return b"again\n" if self.again else super().encode(message)

    @override
    def encode_batch(self, messages: Sequence[Any]) -> Any:
        self.again.append(messages)
        return b"".join(message + b"\n" for message in messages)


@pytest.mark.parametrize(
    ("codec", "refused", "match"),
    [
        (Together(), [], r"encode_batch of 2 messages made b'one\\ntwo', encode b'one"),
        (TogetherInText(), [], "returned str, not bytes"),
        (TogetherWithoutLooking(), [b"a\nb"], "though one of them must be refused"),
        (RaisesTogether(), [], "encode_batch of 2 messages raised"),
        (OnlyOnceTogether(), [], "changed what encode makes"),
    ],
)
def test_a_wrong_encode_batch_is_found(
    codec: Codec[Any, Any], refused: Iterable[Any], match: str
) -> None:
    """S25: by the check for those who write codecs."""
    with pytest.raises(AssertionError, match=match):
        check_codec(codec, [b"one", b"two"], refused=refused)
