"""permessage-deflate: what it does to payloads (RFC 7692, section 7.2)."""

from __future__ import annotations

import zlib

import attrs
from attrs.validators import ge, in_

from .._errors import WebSocketProtocolError, WebSocketTooLargeError

_TAIL = b"\x00\x00\xff\xff"


@attrs.frozen(kw_only=True)
class Deflate:
    """How messages are compressed, where the peer agrees.

    Each connection holds, for each direction, up to 2 ** window_bits bytes to decompress and some
    8 times 2 ** memory_level KiB to compress: hundreds of KiB with zlib's own defaults, which is
    why it is off unless it is asked for, and why these defaults are smaller.

    Parameters:
        level: 1, fast, to 9, small; of zlib.
        window_bits: 9 to 15: how far back we look when compressing; the peer must agree.
        peer_window_bits: the same, asked of the peer.
        memory_level: 1 to 9; of zlib.
        context_takeover: whether we go on with what earlier messages had in them.
        peer_context_takeover: whether the peer may.
        threshold: bytes of a message below which it is sent as it is.
    """

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

    __slots__ = ("_compressor", "_settings", "remembers", "way")

    def __init__(self, settings: Deflate) -> None:
        self._settings = settings
        self._compressor = self._fresh()
        self.remembers = settings.context_takeover
        """Whether what a message becomes depends on those before it."""
        self.way = (settings.level, settings.window_bits, settings.memory_level, settings.threshold)
        """Equal for all that make the same of a message."""

    def _fresh(self) -> zlib._Compress:
        settings = self._settings
        return zlib.compressobj(
            settings.level, zlib.DEFLATED, -settings.window_bits, settings.memory_level
        )

    def wants(self, size: int) -> bool:
        """Say whether a message of so many bytes is worth it."""
        return size >= self._settings.threshold

    def compress(self, data: bytes, *, last: bool) -> bytes:
        """Return what a message, or a part of it, becomes."""
        out = self._compressor.compress(data) + self._compressor.flush(zlib.Z_SYNC_FLUSH)
        if not last:
            return out
        if not self.remembers:
            self._compressor = self._fresh()
        return out[:-4]


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
        self._decompressor = zlib.decompressobj(-window_bits)

    def decompress(self, data: bytes, room: int | None, limit: int | None, *, last: bool) -> bytes:
        """Return what a part of a message was.

        Parameters:
            data: as it came.
            room: bytes that the message may still have; None is no bound.
            limit: of the whole message, for the error.
            last: whether the message ends with it.

        Raises:
            WebSocketTooLargeError: there is more in it.
            WebSocketProtocolError: it is not what deflate makes (1007).
        """
        if last:
            data += _TAIL
        inflate = self._decompressor.decompress
        try:
            out = inflate(data) if room is None else inflate(data, room + 1)
        except zlib.error as error:
            raise WebSocketProtocolError(f"compressed data is broken: {error}", 1007) from None
        if room is not None and limit is not None and len(out) > room:
            raise WebSocketTooLargeError(limit - room + len(out), limit)
        if last and not self._remembers:
            self._decompressor = zlib.decompressobj(-self._window_bits)
        return out
