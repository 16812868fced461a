"""What a peer can cost: bytes kept, and time taken, for what it sends."""

from __future__ import annotations

import tracemalloc
import zlib
from collections.abc import Callable, Iterable

import pytest

from snowtrio import ReceiveBuffer, Side
from snowtrio.websocket import Close, Deflate, WebSocketLimits
from snowtrio.websocket._wire import WebSocketCodec, WebSocketCoder
from snowtrio.websocket._wire._deflate import Inflater

from .reading import BINARY, CONTINUATION, TEXT, Log, frame

KIB = 1024
LIMITS = WebSocketLimits(max_message_size=64 * KIB)


class Peer:
    """Sends to a coder, and looks at what it keeps."""

    def __init__(
        self, deflate: Deflate | None = None, *, pieces: bool = False, most: int = 64 * KIB
    ) -> None:
        self.log = Log()
        limits = WebSocketLimits(max_message_size=most, pieces=pieces)
        codec = WebSocketCodec(self.log, limits, deflate)
        self.coder: WebSocketCoder = codec.start(Side.SERVER, None)
        self.buffer = ReceiveBuffer()
        self.largest = 0
        self.got = 0

    def send(self, data: bytes) -> None:
        self.buffer.append(data)
        for message in self.coder.decode(self.buffer):
            assert not isinstance(message, (str, bytes))
            self.got += len(message.data)
            self.largest = max(self.largest, len(message.data))

    def send_all(self, parts: Iterable[bytes]) -> None:
        for part in parts:
            self.send(part)

    def send_until_refused(self, data: bytes, most: int = 1000) -> int:
        for count in range(most):
            try:
                self.send(data)
            except Exception:
                assert self.log.calls == [("violation", 1009)]
                return count
        raise AssertionError("never refused")


def peak(function: Callable[[], object]) -> int:
    """Return how many bytes more than before were held at the most."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        function()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def bomb(size: int) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (compressor.compress(bytes(size)) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


@pytest.mark.parametrize("deflate", [None, Deflate()], ids=["plain", "deflate"])
@pytest.mark.parametrize("rsv", [0, 4])
def test_a_header_of_2_to_the_62_allocates_nothing(deflate: Deflate | None, rsv: int) -> None:
    """W16: refused by the header, compressed or not."""
    peer = Peer(deflate)
    header = frame(BINARY, size=1 << 62, rsv=rsv if deflate else 0)
    assert peak(lambda: peer.send_until_refused(header)) < 16 * KIB


def test_a_bomb_is_refused_before_it_has_gone_off() -> None:
    """W22: 64 MiB in 64 KiB, of which no more than about the limit is made."""
    data = bomb(64 * KIB * KIB)
    assert len(data) < 70_000
    peer = Peer(Deflate(peer_window_bits=15))
    whole = frame(BINARY, data, rsv=4)
    assert peak(lambda: peer.send_until_refused(whole)) < 16 * 64 * KIB


def test_a_bomb_in_fragments_is_refused_as_soon() -> None:
    """W22: the limit is on what all fragments together become."""
    data = bomb(64 * KIB * KIB)
    peer = Peer(Deflate(peer_window_bits=15))
    peer.send(frame(BINARY, data[:30], fin=False, rsv=4))
    parts = [frame(CONTINUATION, data[at : at + 16], fin=False) for at in range(30, 4000, 16)]
    sent = iter(parts)
    with pytest.raises(Exception, match="65536"):
        peer.send_all(sent)
    refused = len(parts) - len(list(sent))
    assert refused * 16 * 1000 < 2 * 64 * KIB
    assert peer.log.calls == [("violation", 1009)]


def test_a_bomb_in_pieces_comes_in_small_ones() -> None:
    """W15, W22: who reads piece by piece never has more than 64 KiB in one."""
    peer = Peer(Deflate(peer_window_bits=15), pieces=True)
    whole = frame(BINARY, bomb(8 * KIB * KIB), rsv=4)
    assert peak(lambda: peer.send(whole)) < 8 * 64 * KIB
    assert peer.got == 8 * KIB * KIB
    assert peer.largest <= 64 * KIB


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("payload", [b"", b"a"])
def test_a_million_fragments_hold_their_bytes_alone(opcode: int, payload: bytes) -> None:
    """W15, W16: empty or of one byte, memory is that of the message, and reading goes on."""
    peer = Peer(most=16 * KIB)
    peer.send(frame(opcode, payload, fin=False))
    part = frame(CONTINUATION, payload, fin=False)
    many = part * 1000  # a read; a thousand of them would be a million
    held = peak(lambda: peer.send_all([many] * 12))
    assert held < 4 * len(many) + 2 * 12_000
    if payload:
        assert peer.send_until_refused(part * 5000) <= 1


def test_blocks_that_say_they_are_the_last_cost_no_more_than_others() -> None:
    """W22: what follows one is not copied once for each of them."""
    read = b"\x03\x00" * 2**19
    parts = Inflater(15, remembers=True).inflate(read, last=False)

    def take_some() -> None:
        for _ in range(100):
            assert next(parts) == b""

    assert peak(take_some) < len(read) // 8


class CountingBuffer(ReceiveBuffer):
    """Counts the bytes that are put into it, and handed out."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.moved = 0

    def append(self, data: bytes) -> None:
        self.moved += len(data)
        super().append(data)

    def peek(self, size: int, offset: int = 0) -> bytes:
        return self._count(super().peek(size, offset))

    def take(self, size: int) -> bytes:
        return self._count(super().take(size))

    def take_all(self) -> bytes:
        return self._count(super().take_all())

    def cut(self, size: int) -> bytes:
        return self._count(super().cut(size))

    def _count(self, data: bytes) -> bytes:
        self.moved += len(data)
        return data


@pytest.mark.parametrize(
    "unit",
    [
        frame(BINARY, b"a", fin=False) + frame(CONTINUATION, b"b") + frame(BINARY, b"c"),
        frame(9) + frame(BINARY, b"c"),
        frame(9),
    ],
)
def test_no_mix_of_frames_is_copied_again_and_again(unit: bytes) -> None:
    """W15: what is left of a read is not taken and put back for each frame that it has."""
    coder = WebSocketCodec(Log(), LIMITS).start(Side.SERVER, None)
    buffer = CountingBuffer(unit * 1000)
    size = len(buffer)
    for _ in coder.decode(buffer):
        pass
    assert not buffer
    assert buffer.moved < 10 * size


def test_a_coder_is_small() -> None:
    """W24: what a connection holds that has nothing under way; compression is made on first use."""
    codec = WebSocketCodec(Log(), LIMITS, Deflate())
    coders: list[object] = []
    held = peak(lambda: coders.extend(codec.start(Side.SERVER, None) for _ in range(100)))
    assert held / 100 < 2 * KIB


@pytest.mark.parametrize("size", [20, 64, 5000])
def test_the_receive_buffer_is_used_again(size: int) -> None:
    """W24: what many messages hold at a time is what the first ones did."""
    coder = WebSocketCodec(Log(), LIMITS).start(Side.SERVER, None)
    buffer = ReceiveBuffer()
    stream = frame(BINARY, b"m" * 100) * 60
    parts = [stream[start : start + size] for start in range(0, len(stream), size)]

    def run(rounds: int) -> None:
        for _ in range(rounds):
            for part in parts:
                buffer.append(part)
                for message in coder.decode(buffer):
                    assert message == b"m" * 100

    run(1)  # What is made once is there.
    assert peak(lambda: run(20)) < peak(lambda: run(1)) + KIB
    assert not buffer


def test_a_close_frees_what_had_come() -> None:
    """W24: the rest of the message is not waited for."""
    peer = Peer()
    peer.send(frame(BINARY, b"a" * 60_000, fin=False))

    def close() -> None:
        with pytest.raises(Exception, match="1000"):
            peer.send(frame(8, b"\x03\xe8"))

    close()
    assert peer.log.calls == [("close", (Close().code, ""))]
    assert list(peer.coder.decode(peer.buffer)) == []
