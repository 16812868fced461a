"""The codec of ``examples/smtp_client.py``, and what it says before a message."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from snowtrio import (
    Codec,
    IncompleteFrameError,
    LocalProtocolError,
    ReceiveBuffer,
    ReceiveTooLargeError,
    RemoteProtocolError,
    SendTooLargeError,
    Side,
)
from snowtrio.testing import check_codec, decode_chunks

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

from smtp_client import ADDRESS, Reply, Request, SmtpCodec, SmtpError, make_envelope

REPLIES = [
    Reply(220, ("mail.example.org ESMTP",)),
    Reply(250, ("mail.example.org", "SIZE 1000000", "8BITMIME", "AUTH LOGIN PLAIN", "HELP")),
    Reply(250, ("",)),
    Reply(354, ("End data with <CR><LF>.<CR><LF>",)),
    Reply(550, ("5.1.1 No such user", "5.1.1 here")),
    Reply(221, ("2.0.0 Grüß Gott",)),
    Reply(250, ("-", "250 250-x", " ", "")),
]


class ServersSide(Codec[Reply, Request]):
    """What a server does, written down once more: commands as lines, and no messages."""

    def encode(self, message: Reply) -> bytes:
        lines = [f"{message.code}-{line}\r\n" for line in message.lines[:-1]]
        return "".join([*lines, f"{message.code} {message.lines[-1]}\r\n"]).encode()

    def decode(self, buffer: ReceiveBuffer) -> Iterator[Request]:
        while (line := buffer.take_until(b"\r\n")) is not None:
            yield line.decode()


class ServersText(Codec[Reply, Request]):
    """The same after DATA: messages, with the dots taken away again."""

    def encode(self, message: Reply) -> bytes:
        return ServersSide().encode(message)

    def decode(self, buffer: ReceiveBuffer) -> Iterator[Request]:
        while len(buffer) >= 3:
            if buffer.peek(3) == b".\r\n":
                buffer.shift(3)
                yield b""
            elif (end := buffer.find(b"\r\n.\r\n")) != -1:
                yield re.sub(rb"(?m)^\.", b"", buffer.take(end + 5).removesuffix(b".\r\n"))
            else:
                return


def decode(data: bytes) -> list[Reply]:
    return decode_chunks(SmtpCodec(), [data], side=Side.CLIENT)


# The contract


def test_the_codec_keeps_its_contract() -> None:
    """Row S7: replies one way, commands and messages the other."""
    check_codec(
        ServersSide(),
        REPLIES,
        side=Side.SERVER,
        peer=SmtpCodec(),
        too_large=b"250-fine\r\n250-" + b"x" * 5000,
    )
    check_codec(
        SmtpCodec(),
        ["EHLO [127.0.0.1]", "MAIL FROM:<grün@example.org> SMTPUTF8", "DATA", "QUIT"],
        side=Side.CLIENT,
        peer=ServersSide(),
        refused=["QUIT\r\nQUIT", "QUIT\nQUIT", "QUIT\rQUIT", "QUIT\r", "x" * 2049],
    )
    check_codec(
        SmtpCodec(),
        [
            b"",
            b"a\r\n",
            b".\r\n",
            b"..\r\n.a\r\n\r\n",
            b"\r\n",
            b"\xff\0\r\n",
            b"x" * 998 + b"\r\n",
        ],
        side=Side.CLIENT,
        peer=ServersText(),
        refused=[b"x" * 999, b"a\n" + b"x" * 999 + b"\nb"],
    )


TEXT = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=50)
REPLY = st.builds(Reply, st.integers(200, 599), st.lists(TEXT, min_size=1).map(tuple))


@given(st.lists(REPLY), st.data())
def test_replies_come_out_however_they_are_cut(replies: list[Reply], data: st.DataObject) -> None:
    """Row S7."""
    wire = b"".join(map(ServersSide().encode, replies))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)))))
    chunks = [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
    assert decode_chunks(SmtpCodec(), chunks, side=Side.CLIENT) == replies


def take_all(chunks: list[bytes]) -> tuple[list[Reply], bool]:
    """Return what comes out of them, and whether their end is an error."""
    coder, buffer = SmtpCodec().start(Side.CLIENT, None), ReceiveBuffer()
    taken: list[Reply] = []
    try:
        for chunk in chunks:
            buffer.append(chunk)
            taken += coder.decode(buffer)
        taken += coder.decode_eof(buffer)
    except RemoteProtocolError:
        return taken, True
    return taken, False


PIECES = [b"250", b"354", b"999", b"2", b"-", b" ", b"\r\n", b"\n", b"\r", b"ok", b"\xff"]


@given(st.binary() | st.lists(st.sampled_from(PIECES)).map(b"".join))
def test_anything_may_come(data: bytes) -> None:
    """Row S3: what is no reply is an error of its own kind, and the same one however it is cut."""
    assert take_all([data]) == take_all([data[i : i + 1] for i in range(len(data))])


@given(
    st.lists(st.sampled_from([b".", b"\r", b"\n", b"\r\n", b"a", b"\xff", b"QUIT"])).map(b"".join)
)
@example(b".\n.")
@example(b"\r.\r")
@example(b"\n.\r\nQUIT")
def test_a_message_ends_where_it_does(text: bytes) -> None:
    """Row S6: nothing in it is taken for its end, by no reading of line ends; it is not changed."""
    wire = SmtpCodec().encode(text)
    assert wire.endswith(b".\r\n")
    assert b"\r" not in wire.replace(b"\r\n", b"")
    assert b"\n" not in wire.replace(b"\r\n", b"")
    *lines, end, rest = wire.split(b"\r\n")
    assert (end, rest) == (b".", b"")
    assert b"." not in lines
    ours = re.split(rb"\r\n|\r|\n", text)
    theirs = [line.removeprefix(b".") for line in lines]
    assert theirs == (ours[:-1] if ours[-1] == b"" else ours)


# What must not come


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n",
        b"25\r\n",
        b"2500\r\n",
        b"250x\r\n",
        b"150 no\r\n",
        b"650 no\r\n",
        b"250-a\r\n251 b\r\n",
        b"HTTP/1.1 400 Bad Request\r\n",
        b"250-x\r\n" * 200,
    ],
)
def test_what_is_no_reply_ends_the_connection(data: bytes) -> None:
    """Row S3: and what came before it is there."""
    coder, buffer = SmtpCodec().start(Side.CLIENT, None), ReceiveBuffer(b"220 hello\r\n" + data)
    replies = iter(coder.decode(buffer))
    assert next(replies) == Reply(220, ("hello",))
    with pytest.raises(RemoteProtocolError):
        next(replies)


def test_a_reply_without_text() -> None:
    """RFC 5321 has servers send a space; not all do."""
    assert decode(b"250\r\n250-\r\n250 \r\n") == [Reply(250, ("",)), Reply(250, ("", ""))]


@pytest.mark.parametrize(
    "data", [b"250", b"250 ok", b"250 ok\r", b"250-ok\r\n", b"250-ok\r\n250 o"]
)
def test_an_end_within_a_reply(data: bytes) -> None:
    """Row S4."""
    with pytest.raises(IncompleteFrameError):
        decode(b"220 hello\r\n" + data)


def test_a_line_above_the_limit() -> None:
    """Row S3."""
    with pytest.raises(ReceiveTooLargeError):
        decode(b"250 " + b"x" * 2045 + b"\r\n")


@pytest.mark.parametrize(
    ("text", "enhanced_code"),
    [
        ("5.1.1 No such user", "5.1.1"),
        ("5.7.60", "5.7.60"),
        ("5.1.1000 no", None),
        ("10.5.1.1 no", None),
        ("No 5.1.1", None),
        ("", None),
    ],
)
def test_errors_have_their_codes(text: str, enhanced_code: str | None) -> None:
    """RFC 3463."""
    error = SmtpError(Reply(550, (text, "more")), "bob@example.org")
    assert (error.code, error.enhanced_code) == (550, enhanced_code)
    assert str(error) == f"bob@example.org: 550 {text} more"


# Before a message

OFFERS = {"SIZE": "100", "8BITMIME": "", "SMTPUTF8": ""}


@pytest.mark.parametrize(
    ("sender", "text", "offers", "mail"),
    [
        ("a@x", b"s: t\n\nhi\n", {}, "MAIL FROM:<a@x>"),
        ("a@x", b"s: t\n\nhi\n", OFFERS, "MAIL FROM:<a@x> SIZE=12"),
        ("", b"s: t\n\nhi\n", {"SIZE": ""}, "MAIL FROM:<> SIZE=12"),
        ("a@x", b"x" * 98, {"SIZE": "100"}, "MAIL FROM:<a@x> SIZE=100"),
        ("a@x", b".\r" * 33 + b".", {"SIZE": "102"}, "MAIL FROM:<a@x> SIZE=102"),
        ("a@x", b"x" * 99, {"SIZE": "0"}, "MAIL FROM:<a@x> SIZE=101"),
        ("a@x", b"x" * 99, {"SIZE": "much"}, "MAIL FROM:<a@x> SIZE=101"),
        ("a@x", b"s: t\n\n\xff\n", {"8BITMIME": ""}, "MAIL FROM:<a@x> BODY=8BITMIME"),
        ("ä@x", b"s: t\n\nhi\n", {"SMTPUTF8": ""}, "MAIL FROM:<ä@x> SMTPUTF8"),
        ("a@x", b"s: \xc3\xa4\r\n\r\nhi", OFFERS, "MAIL FROM:<a@x> BODY=8BITMIME SMTPUTF8 SIZE=13"),
    ],
)
def test_what_is_said_of_a_message(
    sender: str, text: bytes, offers: dict[str, str], mail: str
) -> None:
    """Its size as it goes, and what is special about it, where the server wants to know."""
    envelope = make_envelope(sender, ["b@x", "c@x"], text, offers)
    assert envelope == [mail, "RCPT TO:<b@x>", "RCPT TO:<c@x>", "DATA"]


@pytest.mark.parametrize(
    ("to", "text", "offers", "reason"),
    [
        ("b@x", b"\xff", {"SMTPUTF8": ""}, "8BITMIME"),
        ("b@x", b"s: \xff\n\nhi", {"8BITMIME": ""}, "SMTPUTF8"),
        ("ä@x", b"s: t\n\nhi", {"8BITMIME": ""}, "SMTPUTF8"),
        ("b@x", b"x" * 99, {"SIZE": "100"}, "101 bytes"),
        ("b@x", b"x" * 999, {}, "999 bytes"),
    ],
)
def test_what_the_server_would_not_take(
    to: str, text: bytes, offers: dict[str, str], reason: str
) -> None:
    """Row S6: is not sent."""
    with pytest.raises(LocalProtocolError, match=reason) as caught:
        make_envelope("a@x", [to], text, offers)
    assert isinstance(caught.value, SendTooLargeError) is ("bytes" in reason)


@pytest.mark.parametrize(
    "address",
    [
        *("a@x\r\nDATA", "a@x\n", "a@x\r", "a@x>", "<a@x", "a@x> SIZE=1", "a b@x", "a\0@x"),
        *("a\x7f@x", "a@\udcff", "a" * 255),
    ],
)
def test_no_address_is_two(address: str) -> None:
    """Row S6."""
    assert not ADDRESS.fullmatch(address)
