"""Our frames for wsproto and websockets to read, and theirs for us: all must agree."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol
from websockets.protocol import Side as TheirSide
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, Event, TextMessage
from wsproto.events import CloseConnection as WsprotoClose
from wsproto.events import Ping as WsprotoPing
from wsproto.extensions import PerMessageDeflate as WsprotoDeflate

from snowtrio import Side
from snowtrio.websocket import Close, Deflate, WebSocketLimits
from snowtrio.websocket._wire import Part, Ping, WebSocketCodec

from .reading import Log, read

LIMITS = WebSocketLimits()
PARTS = st.one_of(
    st.lists(st.text(max_size=200), min_size=1, max_size=3),
    st.lists(st.binary(max_size=200), min_size=1, max_size=3),
    st.lists(
        st.binary(min_size=60, max_size=70).map(lambda part: part * 9), min_size=1, max_size=2
    ),
)
MESSAGES = st.lists(PARTS, max_size=6)
CUTS = st.lists(st.integers(1, 400), min_size=1, max_size=5)
DEFLATES = st.one_of(
    st.none(),
    st.builds(
        Deflate,
        window_bits=st.integers(9, 15),
        peer_window_bits=st.integers(9, 15),
        context_takeover=st.booleans(),
        peer_context_takeover=st.booleans(),
        threshold=st.sampled_from([0, 64]),
    ),
)

Messages = Sequence[Sequence[Any]]


def cut(wire: bytes, sizes: Sequence[int]) -> list[bytes]:
    chunks: list[bytes] = []
    while wire:
        size = sizes[len(chunks) % len(sizes)]
        chunks.append(wire[:size])
        wire = wire[size:]
    return chunks


def joined(messages: Messages) -> list[str | bytes]:
    return [type(parts[0])().join(parts) for parts in messages]


def our_wire(
    side: Side, deflate: Deflate | None, messages: Messages, *, pings: bool = True
) -> bytes:
    """Return messages as we send them, with a ping inside each of several parts, and a close."""
    coder = WebSocketCodec(Log(), LIMITS, deflate).start(side, None)
    wire = b""
    for parts in messages:
        if len(parts) == 1:
            wire += coder.encode(parts[0])
            continue
        for part in parts[:-1]:
            wire += coder.encode(Part(part))
            wire += coder.encode(Ping(b"p")) if pings else b""
        wire += coder.encode(Part(parts[-1], last=True))
    return wire + coder.encode(Close(4000, "bye"))


def websockets_peer(side: Side, deflate: Deflate | None) -> Protocol:
    """Return the sans-I/O protocol of websockets, at the end that `side` is."""
    theirs = Protocol(TheirSide.SERVER if side is Side.SERVER else TheirSide.CLIENT)
    if deflate is not None:
        theirs.extensions = [
            PerMessageDeflate(
                remote_no_context_takeover=not deflate.peer_context_takeover,
                local_no_context_takeover=not deflate.context_takeover,
                remote_max_window_bits=deflate.peer_window_bits,
                local_max_window_bits=deflate.window_bits,
            )
        ]
    return theirs


def mirrored(deflate: Deflate | None) -> Deflate | None:
    """Return settings as the other end has them."""
    if deflate is None:
        return None
    return Deflate(
        window_bits=deflate.peer_window_bits,
        peer_window_bits=deflate.window_bits,
        context_takeover=deflate.peer_context_takeover,
        peer_context_takeover=deflate.context_takeover,
    )


def websockets_reads(
    side: Side, deflate: Deflate | None, chunks: Sequence[bytes]
) -> tuple[list[str | bytes], int | None]:
    theirs = websockets_peer(side, deflate)
    messages: list[str | bytes] = []
    parts: list[bytes] = []
    kind: Opcode | None = None
    for chunk in chunks:
        theirs.receive_data(chunk)
        for event in theirs.events_received():
            assert isinstance(event, Frame)
            if event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                kind = kind if event.opcode is Opcode.CONT else event.opcode
                parts.append(bytes(event.data))
                if event.fin:
                    whole = b"".join(parts)
                    messages.append(whole.decode() if kind is Opcode.TEXT else whole)
                    parts = []
    return messages, theirs.close_rcvd.code if theirs.close_rcvd else None


def websockets_wire(side: Side, deflate: Deflate | None, messages: Messages) -> bytes:
    theirs = websockets_peer(side, deflate)
    for parts in messages:
        for at, part in enumerate(parts):
            data = part.encode() if isinstance(part, str) else part
            last = at == len(parts) - 1
            if at:
                theirs.send_continuation(data, fin=last)
            else:
                send = theirs.send_text if isinstance(part, str) else theirs.send_binary
                send(data, fin=last)
            theirs.send_ping(b"p")
    theirs.send_close(4000, "bye")
    return b"".join(theirs.data_to_send())


def wsproto_peer(side: Side, deflate: Deflate | None) -> Connection:
    extensions: list[Any] = []
    if deflate is not None:
        client = side is Side.CLIENT
        ours, theirs = deflate, mirrored(deflate)
        assert theirs is not None
        mine, other = (ours, theirs) if client else (theirs, ours)
        extension = WsprotoDeflate(
            client_no_context_takeover=not mine.context_takeover,
            client_max_window_bits=mine.window_bits,
            server_no_context_takeover=not other.context_takeover,
            server_max_window_bits=other.window_bits,
        )
        extension._enabled = True
        extensions.append(extension)
    kind = ConnectionType.SERVER if side is Side.SERVER else ConnectionType.CLIENT
    return Connection(kind, extensions)


def wsproto_reads(
    side: Side, deflate: Deflate | None, chunks: Sequence[bytes]
) -> tuple[list[str | bytes], int | None]:
    theirs = wsproto_peer(side, deflate)
    messages: list[str | bytes] = []
    parts: list[Any] = []
    code = None
    for chunk in chunks:
        theirs.receive_data(chunk)
        event: Event
        for event in theirs.events():
            if isinstance(event, (TextMessage, BytesMessage)):
                parts.append(event.data if isinstance(event, TextMessage) else bytes(event.data))
                if event.message_finished:
                    messages.append(type(parts[0])().join(parts))
                    parts = []
            elif isinstance(event, WsprotoClose):
                code = event.code
    return messages, code


def wsproto_wire(side: Side, deflate: Deflate | None, messages: Messages) -> bytes:
    theirs = wsproto_peer(side, deflate)
    wire = b""
    for parts in messages:
        for at, part in enumerate(parts):
            kind: Callable[..., Any] = TextMessage if isinstance(part, str) else BytesMessage
            wire += theirs.send(kind(data=part, message_finished=at == len(parts) - 1))
            wire += theirs.send(WsprotoPing(b"p"))
    return wire + theirs.send(WsprotoClose(4000, "bye"))


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("reads", [websockets_reads, wsproto_reads])
@settings(max_examples=50)
@given(messages=MESSAGES, sizes=CUTS, deflate=DEFLATES)
def test_they_read_what_we_write(
    side: Side, reads: Callable[..., Any], messages: Messages, sizes: list[int], deflate: Any
) -> None:
    """W8, W14, W15, W22: both roles, compressed or not, cut anywhere."""
    # wsproto 1.3 takes what follows a control frame inside a compressed message for uncompressed.
    pings = deflate is None or reads is not wsproto_reads
    chunks = cut(our_wire(side, deflate, messages, pings=pings), sizes)
    assert reads(side.peer, mirrored(deflate), chunks) == (joined(messages), 4000)


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("writes", [websockets_wire, wsproto_wire])
@settings(max_examples=50)
@given(messages=MESSAGES, sizes=CUTS, deflate=DEFLATES)
def test_we_read_what_they_write(
    side: Side, writes: Callable[..., Any], messages: Messages, sizes: list[int], deflate: Any
) -> None:
    """W8, W14, W15, W22: both roles, compressed or not, cut anywhere."""
    wire = writes(side.peer, mirrored(deflate), messages)
    reading = read(cut(wire, sizes), side, LIMITS, deflate)
    assert reading.messages == joined(messages)
    pings = [("ping", b"p")] * sum(map(len, messages))
    assert reading.calls == [*pings, ("close", (4000, "bye"))]
    assert reading.error == "WebSocketClosedError 4000"
