"""Frames of messages, and what cannot be one."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from snowtrio import LocalProtocolError, Side
from snowtrio.testing import check_codec
from snowtrio.websocket import Close, Deflate, Prepared
from snowtrio.websocket._wire import Outgoing, Part, Ping, Pong, WebSocketCodec, WebSocketCoder
from snowtrio.websocket._wire._masking import Masks

from .reading import LIMITS, Log, read

SMALL = Deflate(context_takeover=False, peer_context_takeover=False)
SNOW = "❄ snow" * 30
CODECS = [None, Deflate(), SMALL, Deflate(threshold=0, level=1)]


def coder(side: Side = Side.SERVER, deflate: Deflate | None = None) -> WebSocketCoder:
    return WebSocketCodec(Log(), LIMITS, deflate).start(side, None)


@pytest.mark.parametrize("deflate", CODECS)
def test_it_keeps_the_contract_of_codecs(deflate: Deflate | None) -> None:
    """W8, W14, W16, W19: both sides; what cannot be sent is refused, and others can be."""
    messages = ["", b"", "hello", b"\0\xff", SNOW, b"s" * 300, SNOW, b"a" * 1000]
    refused: list[Any] = ["\ud800", Ping(b"x" * 126), Close(1006), Close(1000, "x" * 124)]
    codec = WebSocketCodec(Log(), LIMITS, deflate)
    too_large = bytes.fromhex("82fe03e901020304") if deflate is None else None
    check_codec(codec, messages, side=Side.CLIENT, refused=refused, too_large=too_large)
    too_large = bytes.fromhex("827e03e9") if deflate is None else None
    check_codec(codec, messages, side=Side.SERVER, refused=refused, too_large=too_large)


@pytest.mark.parametrize(
    ("message", "wire"),
    [
        ("Hello", "81 05 48656c6c6f"),
        (b"Hello", "82 05 48656c6c6f"),
        (bytearray(b"Hello"), "82 05 48656c6c6f"),
        (memoryview(b"H-e-l-l-o")[::2], "82 05 48656c6c6f"),
        (Prepared("Hello"), "81 05 48656c6c6f"),
        (Ping(b"Hello"), "89 05 48656c6c6f"),
        (Pong(b"Hello"), "8a 05 48656c6c6f"),
        (Close(1000, "Hello"), "88 07 03e8 48656c6c6f"),
        (Close(1005), "88 00"),
        (Part("Hel"), "01 03 48656c"),
        (Part(b"Hello", last=True), "82 05 48656c6c6f"),
        (b"a" * 126, "82 7e 007e" + "61" * 126),
        (b"a" * 65536, "82 7f 0000000000010000" + "61" * 65536),
    ],
)
def test_the_frame_of_a_message(message: Outgoing, wire: str) -> None:
    """W8, W15: examples of RFC 6455, section 5.7, among them."""
    assert coder().encode(message) == bytes.fromhex(wire)


def test_the_frame_of_a_compressed_message() -> None:
    """W22: the examples of RFC 7692, section 7.2.3: the second looks back at the first."""
    encode = coder(deflate=Deflate(threshold=0, window_bits=15, memory_level=8)).encode
    assert encode("Hello") == bytes.fromhex("c1 07 f248cdc9c90700")
    assert encode("Hello") == bytes.fromhex("c1 05 f200110000")
    assert encode("") == bytes.fromhex("c1 01 00")
    assert encode(Ping(b"Hello" * 20))[0] == 0x89  # Control frames never are.


def test_a_message_in_parts() -> None:
    """W15, W21: only the first says what it is; control frames go between, messages do not."""
    encode = coder().encode
    assert encode(Part("a")) == b"\x01\x01a"
    assert encode(Ping()) == b"\x89\0"
    for message in (b"b", "b", Prepared("b"), bytearray(b"b"), Part(b"b")):
        with pytest.raises(LocalProtocolError):
            encode(message)
    with pytest.raises(LocalProtocolError):
        encode(Part("\ud800"))
    assert encode(Part("", last=False)) == b"\0\0"
    assert encode(Part("c", last=True)) == b"\x80\x01c"
    assert encode("d") == b"\x81\x01d"


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("deflate", [None, *CODECS[1:]])
def test_parts_are_one_message_for_the_peer(side: Side, deflate: Deflate | None) -> None:
    """W15, W21, W22: empty ones too, first, in the middle and last."""
    for parts in (["a"], ["", "a", ""], ["snow" * 30] * 3, [""], ["", ""], ["a", "", "", "❄"]):
        sender = coder(side, deflate)
        wire = sender.encode(SNOW)
        for number, part in enumerate(parts, 1):
            wire += sender.encode(Part(part, last=number == len(parts)))
        wire += sender.encode(SNOW)
        for chunks in ([wire], [wire[at : at + 1] for at in range(len(wire))]):
            reading = read(chunks, side.peer, deflate=deflate)
            assert reading.messages == [SNOW, "".join(parts), SNOW]


@pytest.mark.parametrize("deflate", [None, SMALL], ids=["plain", "no takeover"])
@pytest.mark.parametrize("message", ["Hello", SNOW, b"a" * 500, b""])
def test_a_prepared_message_is_what_a_normal_send_is(
    deflate: Deflate | None, message: str | bytes
) -> None:
    """W20: byte for byte, and the same object for all of a thousand connections."""
    prepared = Prepared(message)
    frames = [coder(deflate=deflate).encode(prepared) for _ in range(1000)]
    assert frames[0] == coder(deflate=deflate).encode(message)
    assert all(frame is frames[0] for frame in frames)


def test_a_prepared_message_between_those_that_look_back() -> None:
    """W20, W22: with context takeover it is compressed once as well, and nothing is confused."""
    deflate, prepared, wires = Deflate(), Prepared(SNOW), []
    for before in (SNOW, "other things " * 20):
        sender = coder(deflate=deflate)
        messages: list[Any] = [before, prepared, before, SNOW, prepared, prepared, before]
        wires.append([sender.encode(message) for message in messages])
        got = read([b"".join(wires[-1])], Side.CLIENT, deflate=deflate).messages
        assert got == [SNOW if each is prepared else each for each in messages]
    assert wires[0][1] is wires[1][1] is wires[1][4]
    assert len(prepared.frames) == 1


def test_prepared_for_each_way_of_compressing() -> None:
    """W20: connections that agreed to something else get something else."""
    prepared = Prepared(SNOW)
    for deflate in (None, Deflate(), Deflate(window_bits=9), SMALL):
        wire = coder(deflate=deflate).encode(prepared)
        assert read([wire], Side.CLIENT, deflate=deflate).messages == [SNOW]
    assert len(prepared.frames) == 3


def test_a_client_masks_a_prepared_message_anew() -> None:
    """W14, W20: and what is prepared does not change."""
    data = bytearray(b"abc" * 10)
    prepared, client = Prepared(data), coder(Side.CLIENT)
    data[:] = b"changed"
    wires = [client.encode(prepared) for _ in range(50)]
    assert len({wire[2:6] for wire in wires}) == 50
    assert all(read([wire]).messages == [b"abc" * 10] for wire in wires)
    assert "abc" in repr(prepared)


def test_a_fresh_mask_for_each_frame() -> None:
    """W14: text, binary, control and parts; the caller's data is never changed."""
    client = coder(Side.CLIENT)
    data = bytearray(b"a" * 300)
    masks: set[bytes] = set()
    for _ in range(20):
        masks.add(client.encode(data)[4:8])
        masks.update(client.encode(each)[2:6] for each in ("text", Ping(b"p"), Close()))
    assert len(masks) == 80
    assert data == b"a" * 300


def test_threads_never_have_the_same_mask() -> None:
    """W14: one pool serves every run of Trio in the process."""
    masks, taken = Masks(), [[] for _ in range(4)]  # type: ignore[var-annotated]

    def take(mine: list[bytes]) -> None:
        mine.extend(masks.take() for _ in range(5000))

    threads = [threading.Thread(target=take, args=(mine,)) for mine in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [mask for mine in taken for mask in mine]
    assert all(len(mask) == 4 for mask in found)
    assert len(set(found)) > 19_990  # Of 2 ** 32, two may be equal by chance.


def test_what_is_no_message() -> None:
    """W8: refused with a TypeError."""
    for wrong in (1, None, ["a"]):
        with pytest.raises(TypeError):
            coder().encode(wrong)  # type: ignore[arg-type]


def test_many_at_once() -> None:
    """W19: what is not simple is left to `encode`."""
    messages: list[Outgoing] = ["a", b"b" * 200, "❄", b""]
    server = coder()
    assert server.encode_batch(messages) == b"".join(map(server.encode, messages))
    for bad in ("\ud800", Ping(), Part("a"), 1):
        assert server.encode_batch(["a", bad]) is None  # type: ignore[list-item]
    assert coder(Side.CLIENT).encode_batch(messages) is None
    assert coder(deflate=SMALL).encode_batch(messages) is None
    server.encode(Part("a"))
    assert server.encode_batch(messages) is None
