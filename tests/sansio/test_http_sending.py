"""What the codecs of HTTP send: others read the same message, and nothing can be injected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snowtrio import LocalProtocolError, ReceiveBuffer, Side
from snowtrio.http import BadFieldError
from snowtrio.http._wire import (
    ClientCodec,
    EndOfMessage,
    Fields,
    RequestHead,
    ResponseHead,
    ServerCodec,
)
from snowtrio.testing import check_codec

from ..fuzz.http_agreement import read_requests_with_h11, read_responses_with_h11
from ..fuzz.http_reading import LIMITS, Message, read_requests, read_responses

TOKEN = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
names = (
    st.text(TOKEN, min_size=1, max_size=10)
    .map(str.encode)
    .filter(
        lambda name: (
            name
            not in {
                *(b"content-length", b"transfer-encoding", b"connection", b"host", b"expect"),
                b"upgrade",
            }
        )
    )
)
VISIBLE = st.integers(0x21, 0x7E) | st.integers(0x80, 0xFF)
values = st.lists(VISIBLE | st.sampled_from(b" \t"), max_size=12).map(
    lambda codes: bytes(codes).strip(b" \t")
)
some_fields = st.lists(st.tuples(names, values), max_size=5)
some_pieces = st.lists(st.binary(max_size=40), max_size=4)
targets = st.text("abcAZ09-._~!$&'()*+,;=:@/?%", max_size=20).map(lambda text: "/" + text)
methods = st.sampled_from(["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "M-SEARCH"])


@attrs.frozen
class Sent:
    """A message, and how its body leaves."""

    head: Any
    pieces: Sequence[bytes]
    trailers: Fields

    def events(self) -> list[Any]:
        if self.head.body is not None:
            return [self.head]
        return [self.head, *self.pieces, EndOfMessage(self.trailers)]

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)


@st.composite
def messages(draw: st.DrawFn, kind: Any, options: dict[str, Any]) -> Sent:
    pieces = draw(some_pieces)
    size = sum(map(len, pieces))
    how = draw(st.sampled_from(["whole", "length", "chunks"]))
    options = dict(options)
    options["fields"] = [*options.get("fields", ()), *draw(some_fields)]
    if how == "whole":
        options["body"] = b"".join(pieces)
    else:
        options |= {"body": None, "content_length": size if how == "length" else None}
    trailers = draw(some_fields) if how == "chunks" else []
    return Sent(kind(**options), pieces, trailers)


@st.composite
def requests(draw: st.DrawFn) -> Sent:
    options: dict[str, Any] = {"method": draw(methods), "target": draw(targets)}
    return draw(messages(RequestHead, options | {"fields": [(b"host", b"a")]}))


@st.composite
def responses(draw: st.DrawFn) -> Sent:
    status = draw(st.integers(200, 999).filter(lambda status: status not in (204, 304)))
    return draw(messages(ResponseHead, {"status": status}))


def compare(sent: Sent, came: Message, start: tuple[object, ...]) -> None:
    own = [(name, value) for name, value in came.fields if name in dict(sent.head.fields)]
    assert came.start[: len(start)] == start
    assert own == list(sent.head.fields)
    assert came.body == sent.body
    assert list(came.trailers) == list(sent.trailers)
    assert came.end >= 0


@given(st.lists(requests(), min_size=1, max_size=3))
def test_requests_that_were_sent(sent: list[Sent]) -> None:
    """Z7: our server and h11 read what our client has sent, one after the other."""
    coder = ClientCodec(LIMITS).start(Side.CLIENT, None)
    wire = b"".join([coder.encode(event) for message in sent for event in message.events()])
    reading = read_requests([wire])
    assert reading.failure is None
    for came in (reading.messages, read_requests_with_h11(wire)):
        assert len(came) == len(sent)
        for one, other in zip(sent, came, strict=True):
            compare(one, other, (one.head.method, one.head.target))


@given(st.lists(responses(), min_size=1, max_size=3))
def test_responses_that_were_sent(sent: list[Sent]) -> None:
    """Z5: our client and h11 read what our server has sent, one after the other."""
    coder = ServerCodec(LIMITS).start(Side.SERVER, None)
    wire = b"".join([coder.encode(event) for message in sent for event in message.events()])
    asked = ["GET"] * len(sent)
    reading = read_responses([wire], asked)
    assert reading.failure is None
    for came in (reading.messages, read_responses_with_h11(wire, asked)):
        assert len(came) == len(sent)
        for one, other in zip(sent, came, strict=True):
            compare(one, other, (one.head.status,))


@given(st.binary(max_size=6), st.binary(max_size=6), st.booleans())
def test_no_field_can_inject(name: bytes, value: bytes, trailing: bool) -> None:
    """Z5: whatever a name or a value is, it is refused or is one field."""
    coder = ServerCodec(LIMITS).start(Side.SERVER, None)
    fields = [(b"a", b"b"), (name, value), (b"c", b"d")]
    try:
        if trailing:
            wire = coder.encode(ResponseHead(status=200, body=None))
            wire += coder.encode(EndOfMessage(fields))
        else:
            wire = coder.encode(ResponseHead(status=200, fields=fields))
    except BadFieldError:
        return
    (message,) = read_responses([wire]).messages
    came = message.trailers if trailing else message.fields[:3]
    assert list(came) == [(b"a", b"b"), (name.lower(), value.strip(b" \t")), (b"c", b"d")]


@given(st.text(max_size=8), st.text(max_size=8))
def test_no_request_line_can_inject(method: str, target: str) -> None:
    """Z7: whatever a method or a target is, it is refused or is one word."""
    coder = ClientCodec(LIMITS).start(Side.CLIENT, None)
    try:
        wire = coder.encode(RequestHead(method=method, target=target))
    except LocalProtocolError:
        return
    line, rest = wire.split(b"\r\n", 1)
    assert line == f"{method} {target} HTTP/1.1".encode("ascii")
    assert line.split() == [method.encode(), target.encode(), b"HTTP/1.1"]
    assert rest == b"\r\n"


HEAD = ResponseHead(status=200, body=None)
SIZED = ResponseHead(status=200, body=None, content_length=3)


@pytest.mark.parametrize(
    ("begun", "bad"),
    [
        ([], b"abc"),
        ([], EndOfMessage()),
        ([], ResponseHead(status=99)),
        ([], ResponseHead(status=1000)),
        ([], ResponseHead(status=100, body=b"abc")),
        ([], ResponseHead(status=204, body=b"abc")),
        ([], ResponseHead(status=304, body=b"abc")),
        ([], ResponseHead(status=200, body=b"abc", method="CONNECT")),
        ([], ResponseHead(status=200, body=None, content_length=-1)),
        ([], ResponseHead(status=200, body=None, http_version="1.0")),
        ([], ResponseHead(status=200, fields=[(b"content-length", b"3")])),
        ([], ResponseHead(status=200, fields=[(b"Transfer-Encoding", b"chunked")])),
        ([], ResponseHead(status=200, body=None, fields=[(b"a b", b"c")])),
        ([HEAD], ResponseHead(status=200)),
        ([HEAD], EndOfMessage([(b"a", b"\r\nb")])),
        ([HEAD], EndOfMessage([(b"content-length", b"3")])),
        ([SIZED], ResponseHead(status=200)),
        ([SIZED], EndOfMessage()),
        ([SIZED], b"abcd"),
        ([SIZED, b"abc"], b"d"),
        ([SIZED, b"abc"], EndOfMessage([(b"a", b"b")])),
        ([ResponseHead(status=200, body=None, method="HEAD")], b"abc"),
        ([ResponseHead(status=204, body=None)], b"abc"),
    ],
)
def test_contradicting_responses(begun: list[Any], bad: Any) -> None:
    """Z5: what contradicts itself is refused, and the coder is as it was."""
    codec = ServerCodec(LIMITS)
    coder, other = codec.start(Side.SERVER, None), codec.start(Side.SERVER, None)
    for event in begun:
        assert coder.encode(event) == other.encode(event)
    with pytest.raises(LocalProtocolError):
        coder.encode(bad)
    for event in (b"abc", EndOfMessage([(b"x", b"y")]), EndOfMessage(), ResponseHead(status=200)):
        assert outcome(coder, event) == outcome(other, event)


@pytest.mark.parametrize(
    "bad",
    [
        b"abc",
        EndOfMessage(),
        RequestHead(method="", target="/"),
        RequestHead(method="G T", target="/"),
        RequestHead(method="G\xcbT", target="/"),
        RequestHead(method="GET", target=""),
        RequestHead(method="GET", target="/ HTTP/1.1\r\n"),
        RequestHead(method="GET", target="/\xe4"),
        RequestHead(method="GET", target="/", fields=[(b"content-length", b"3")]),
        RequestHead(method="GET", target="/", fields=[(b"x", b"a\nb")]),
        RequestHead(method="PUT", target="/", body=None, content_length=-1),
        RequestHead(method="CONNECT", target="a:80", body=b"abc"),
        RequestHead(method="CONNECT", target="a:80", body=None, content_length=None),
    ],
)
def test_contradicting_requests(bad: Any) -> None:
    """Z7: what contradicts itself is refused; nothing is under way, and nothing was asked."""
    coder = ClientCodec(LIMITS).start(Side.CLIENT, None)
    with pytest.raises(LocalProtocolError):
        coder.encode(bad)
    assert not coder.sending
    assert not coder.receiving


def outcome(coder: Any, event: Any) -> object:
    try:
        return coder.encode(event)
    except LocalProtocolError as error:
        return str(error)


def test_a_large_response_that_ends_with_the_input() -> None:
    """Z14: that it has no end of its own is known however much of it came at once."""
    coder = ClientCodec(LIMITS).start(Side.CLIENT, None)
    coder.encode(RequestHead(method="GET", target="/"))
    list(coder.decode(ReceiveBuffer(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 99999)))
    assert not coder.ends_itself


def same_request(sent: RequestHead, came: RequestHead) -> bool:
    return (sent.method, sent.target) == (came.method, came.target)


def test_the_contract_of_codecs() -> None:
    """S2 and Z4: requests without a body keep what `check_codec` asks of every codec."""
    fields = [(b"host", b"a")]
    check_codec(
        ClientCodec(LIMITS),
        [
            RequestHead(method=method, target=target, fields=fields)
            for method, target in (("GET", "/a"), ("DELETE", "/"), ("OPTIONS", "*"), ("GET", "/b"))
        ],
        side=Side.CLIENT,
        peer=ServerCodec(LIMITS),
        equal=same_request,
        refused=[RequestHead(method="GET", target="a b"), b"abc", EndOfMessage()],
    )
