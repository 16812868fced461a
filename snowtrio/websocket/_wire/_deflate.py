"""permessage-deflate: what it does to payloads (RFC 7692, section 7.2)."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import attrs
from attrs.validators import ge, in_

from .._errors import WebSocketProtocolError

if TYPE_CHECKING:
    # typeshed has no public names for them.
    from zlib import _Compress as Compressor  # pyright: ignore[reportPrivateUsage]
    from zlib import _Decompress as Decompressor  # pyright: ignore[reportPrivateUsage]

_TAIL = b"\x00\x00\xff\xff"
"""How a flushed block ends, which is not sent (section 7.2.1)."""

# An empty one: whoever is between two blocks is at the end behind it.
_LAST_BLOCK = b"\x01\x00\x00\xff\xff"

# Bytes that are made at a time, so that a bomb is noticed before it has gone off; and bytes that
# are given to zlib at a time, since it copies what it leaves.
_STEP = 64 * 1024
_INPUT = 4 * 1024


@attrs.frozen(kw_only=True)
class Deflate:
    """How messages are compressed, where the peer agrees.

    Off unless it is asked for: a connection that remembers what went before (context takeover)
    holds some 60 KiB with these defaults once it has sent and received a compressed message; with
    windows of 15 bits and a memory level of 8, which are zlib's own, some 230 KiB. Without takeover
    it holds none of it between messages.

    Parameters:
        level: 1, fast, to 9, small; of zlib. Default 6.
        window_bits: 9 to 15: how far back we look when compressing, 2 ** window_bits bytes; less if
            the peer says so. Default 12.
        peer_window_bits: the same, asked of the peer. A client that cannot be asked has 15; a
            server that compresses and does not agree is refused (`WebSocketHandshakeError`), which
            it cannot be with 15. Default 12.
        memory_level: 1 to 9; of zlib. Default 5.
        context_takeover: whether we go on with what earlier messages had in them, which makes
            messages smaller that are alike. Default True.
        peer_context_takeover: whether the peer may. Default True.
        threshold: bytes of a message below which it is sent as it is. Default 64.
    """

    # 12 bits and memory level 5 are what `websockets` has as well. Against 15 and 8 they take a
    # quarter of the memory, and make messages of JSON, 1 KiB each, larger by a twentieth (0.134 of
    # what they were, not 0.129) in two thirds of the time. Level 6 is zlib's own: 9 takes half as
    # long again and saves no more than a fiftieth, 1 saves a third of the time for messages that
    # are a third larger.
    level: int = attrs.field(default=6, validator=in_(range(1, 10)))
    window_bits: int = attrs.field(default=12, validator=in_(range(9, 16)))
    peer_window_bits: int = attrs.field(default=12, validator=in_(range(9, 16)))
    memory_level: int = attrs.field(default=5, validator=in_(range(1, 10)))
    context_takeover: bool = True
    peer_context_takeover: bool = True
    threshold: int = attrs.field(default=64, validator=ge(0))


class Deflater:
    """Compresses the messages of a connection.

    Parameters:
        settings: what was agreed.
    """

    __slots__ = ("_compressor", "_settings", "threshold", "way")

    def __init__(self, settings: Deflate) -> None:
        self._settings = settings
        self._compressor: Compressor | None = None
        self.threshold = settings.threshold
        self.way = (settings.level, settings.window_bits, settings.memory_level, settings.threshold)
        """Equal for all that make the same of a message."""

    def _fresh(self) -> Compressor:
        settings = self._settings
        return zlib.compressobj(
            settings.level, zlib.DEFLATED, -settings.window_bits, settings.memory_level
        )

    def compress(self, data: bytes, *, last: bool) -> bytes:
        """Return what a message, or a part of it, becomes."""
        compressor = self._compressor
        if compressor is None:
            compressor = self._compressor = self._fresh()
        out = compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)
        if not last:
            return out
        if not self._settings.context_takeover:
            self._compressor = None
        return out[:-4]

    def compress_alone(self, data: bytes) -> bytes:
        """Return what a message becomes that looks back at no other."""
        compressor = self._fresh()
        return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]

    def forget(self) -> None:
        """Look back at nothing from here on, since the peer has had a message that we do not know.

        Allowed at any time: the peer's window holds more than we use of it then.
        """
        self._compressor = None


class Inflater:
    """Decompresses the messages of a connection.

    Parameters:
        window_bits: of the peer's compressor.
        remembers: whether the peer goes on with what earlier messages had in them.
    """

    __slots__ = ("_decompressor", "_remembers", "_window_bits")

    def __init__(self, window_bits: int, *, remembers: bool) -> None:
        self._window_bits = window_bits
        self._remembers = remembers
        self._decompressor: Decompressor | None = None

    def inflate(self, data: bytes, *, last: bool) -> Iterator[bytes]:
        """Give what a part of a message was, at most 64 KiB at a time.

        Parameters:
            data: as it came.
            last: whether the message ends with it.

        Raises:
            WebSocketProtocolError: it is not what deflate makes (1007).
        """
        if last:
            data += _TAIL
        at = 0
        while at < len(data):
            decompressor = self._decompressor
            if decompressor is None:
                decompressor = self._decompressor = zlib.decompressobj(-self._window_bits)
            given = data[at : at + _INPUT]
            try:
                out = decompressor.decompress(given, _STEP)
            except zlib.error as error:
                raise WebSocketProtocolError(f"compressed data is broken: {error}", 1007) from None
            at += len(given) - len(decompressor.unconsumed_tail) - len(decompressor.unused_data)
            if decompressor.eof:
                # A block that says it is the last one (section 7.2.3.4): what follows begins anew.
                self._decompressor = None
                if last and at == len(data) - len(_TAIL):
                    at = len(data)
            yield out
        if last:
            self._end_message()

    def _end_message(self) -> None:
        """Check that a message does not end inside a block, which the next one would go on with."""
        decompressor = self._decompressor
        if decompressor is None:
            return
        if self._remembers:
            decompressor = decompressor.copy()
        else:
            self._decompressor = None
        try:
            out = decompressor.decompress(_LAST_BLOCK)
        except zlib.error:
            out = b"more"
        if out or not decompressor.eof:
            raise WebSocketProtocolError("compressed data ends inside a block", 1007)
