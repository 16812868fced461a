"""JSON lines."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from snowtrio import (
    IncompleteFrameError,
    JSONLinesCodec,
    LocalProtocolError,
    ReceiveBuffer,
    ReceiveTooLargeError,
    RemoteProtocolError,
    SendTooLargeError,
)
from snowtrio.testing import check_codec, decode_chunks


def test_any_json_value_is_a_message() -> None:
    """S25."""
    check_codec(
        JSONLinesCodec(),
        [{"a": [1, 2.5, None]}, None, True, "é\r\n\0\u2028", 10**40, [], ""],
        wire='{"a":[1,2.5,null]}\nnull\ntrue\n"é\\r\\n\\u0000\u2028"\n1'.encode()
        + b"0" * 40
        + b'\n[]\n""\n',
    )


def test_lines_of_other_writers_are_read() -> None:
    """S25: spaces, CR LF, escapes."""
    assert decode_chunks(JSONLinesCodec(), [b' [1 , 2]\t\r\n"\\u00e9"\n']) == [[1, 2], "é"]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b" ",
        b"{",
        b"[1,]",
        b"1 2",
        b"'a'",
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b"\xef\xbb\xbf1",
        "1".encode("utf-16-le"),
        b"9" * 5000,
        b"[" * 60_000,
        b'{"a":' * 12_000,
    ],
)
def test_what_is_no_json_breaks_the_protocol(line: bytes) -> None:
    """S25: whatever Python's parser makes of it; what came before is delivered."""
    messages: list[Any] = []
    with pytest.raises(RemoteProtocolError, match="not JSON") as caught:
        messages.extend(JSONLinesCodec().decode(ReceiveBuffer(b"1\n" + line + b"\n2\n")))
    assert messages == [1]
    assert caught.value.__cause__ is not None


def nest(depth: int) -> list[Any]:
    """Return lists within lists."""
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def test_what_has_no_json_is_refused() -> None:
    """S6, S25: its author gets the error, and later messages are as they should be."""
    circle: list[Any] = []
    circle.append(circle)
    refused = [
        float("nan"),
        [float("inf")],
        {1, 2},
        b"bytes",
        {("a", "b"): 1},
        "\ud800",
        circle,
        nest(100_000),
    ]
    check_codec(JSONLinesCodec(), [1, {"a": 2}], refused=refused)


def test_what_the_writer_raised_is_the_cause() -> None:
    with pytest.raises(LocalProtocolError, match="no JSON") as caught:
        JSONLinesCodec().encode({1, 2})
    assert isinstance(caught.value.__cause__, TypeError)


def test_the_limit_is_for_the_text_of_one_message() -> None:
    """S3."""
    codec = JSONLinesCodec(max_message_size=6)
    check_codec(codec, ["four", [1, 2]], too_large=b'"fives"\n', refused=["fives"])
    with pytest.raises(SendTooLargeError) as sent:
        codec.encode("fives")
    assert (sent.value.size, sent.value.limit) == (7, 6)
    with pytest.raises(ReceiveTooLargeError):
        list(codec.decode(ReceiveBuffer(b"x" * 8)))


def test_default_gives_json_to_what_has_none() -> None:
    """S25."""
    codec = JSONLinesCodec(default=date.isoformat)
    assert codec.encode([date(2024, 2, 29)]) == b'["2024-02-29"]\n'
    with pytest.raises(LocalProtocolError):
        codec.encode({1, 2})


def test_other_readers_and_writers_can_be_used() -> None:
    """S25: a writer may return text or bytes, a reader gets bytes."""
    taken: list[bytes] = []

    def loads(line: bytes) -> object:
        taken.append(line)
        return json.loads(line)

    for dumps in (json.dumps, lambda message: json.dumps(message).encode()):
        codec = JSONLinesCodec(dumps=dumps, loads=loads)
        assert codec.encode([1, "é"]) == b'[1, "\\u00e9"]\n'
        assert decode_chunks(codec, [b"[1, 2]\r\n"]) == [[1, 2]]
    assert taken == [b"[1, 2]"] * 2


def test_whatever_another_reader_or_writer_raises_has_its_side() -> None:
    """S25: the peer's fault or the sender's; no other error comes out."""

    class OddError(Exception):
        pass

    def fail(_: object) -> Any:
        raise OddError

    codec = JSONLinesCodec(dumps=fail, loads=fail)
    with pytest.raises(LocalProtocolError) as local:
        codec.encode(1)
    with pytest.raises(RemoteProtocolError) as remote:
        decode_chunks(codec, [b"1\n"])
    assert isinstance(local.value.__cause__, OddError)
    assert isinstance(remote.value.__cause__, OddError)


def test_a_writer_that_makes_several_lines_is_refused() -> None:
    """S6."""

    def dumps(message: object) -> str:
        return json.dumps(message, indent=1)

    codec = JSONLinesCodec(dumps=dumps)
    check_codec(codec, [1, "a"], refused=[[1], {"a": 1}])


def test_an_unterminated_line() -> None:
    """S4: an error, or the last message where that is asked for; never half a value."""
    with pytest.raises(IncompleteFrameError):
        decode_chunks(JSONLinesCodec(), [b"1\n[2]"])
    codec = JSONLinesCodec(deliver_unterminated=True)
    assert decode_chunks(codec, [b"1\n[2]"]) == [1, [2]]
    assert decode_chunks(codec, [b"1\n"]) == [1]
    with pytest.raises(RemoteProtocolError, match="not JSON"):
        decode_chunks(codec, [b"1\n[2"])


def test_arguments_are_checked() -> None:
    with pytest.raises(ValueError, match="default"):
        JSONLinesCodec(default=str, dumps=json.dumps)
    with pytest.raises(ValueError, match="max_message_size"):
        JSONLinesCodec(max_message_size=0)
