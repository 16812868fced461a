"""Frames as a test writes and reads them: nothing is checked, everything can be said."""

from __future__ import annotations

import enum

import attrs


class Opcode(enum.IntEnum):
    """What a frame is (RFC 6455, section 5.2)."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


@attrs.frozen
class Frame:
    """A frame, right or wrong.

    Parameters:
        opcode: an `Opcode`, or any number up to 15.
        payload: unmasked.
        fin: whether it is the message's last.
        rsv: the reserved bits, 4 for the first of the three, which says that it is compressed.
        masked: whether it is masked; None, to be sent, is as the sender's side has to.
    """

    opcode: int
    payload: bytes = b""
    fin: bool = attrs.field(default=True, kw_only=True)
    rsv: int = attrs.field(default=0, kw_only=True)
    masked: bool | None = attrs.field(default=None, kw_only=True, eq=False)

    def encode(self, *, mask: bytes = b"\x37\xfa\x21\x3d", announce: int | None = None) -> bytes:
        """Return it as bytes.

        Parameters:
            mask: of a masked frame.
            announce: the size that the header says, if not the payload's: a header alone can
                announce what never comes.
        """
        size = len(self.payload) if announce is None else announce
        bit = 0x80 if self.masked else 0
        first = (0x80 if self.fin else 0) | self.rsv << 4 | self.opcode
        if size < 126:
            header = bytes((first, bit | size))
        elif size < 65536:
            header = bytes((first, bit | 126)) + size.to_bytes(2, "big")
        else:
            header = bytes((first, bit | 127)) + size.to_bytes(8, "big")
        return header + (mask + _mask(self.payload, mask) if self.masked else self.payload)


def take_frame(received: bytearray) -> Frame | None:
    """Remove the first frame from what has come and return it, None while there is no whole one."""
    if len(received) < 2:
        return None
    first, second = received[0], received[1]
    at, size = 2, second & 0x7F
    if size > 125:
        at = 4 if size == 126 else 10
        size = int.from_bytes(received[2:at], "big")
    masked = bool(second & 0x80)
    begin = at + 4 if masked else at
    if len(received) < at or len(received) < begin + size:
        return None
    payload = bytes(received[begin : begin + size])
    if masked:
        payload = _mask(payload, bytes(received[at:begin]))
    del received[: begin + size]
    opcode = first & 0x0F
    known = Opcode(opcode) if opcode in set(Opcode) else opcode
    return Frame(known, payload, fin=bool(first & 0x80), rsv=first >> 4 & 7, masked=masked)


def _mask(data: bytes, mask: bytes) -> bytes:
    whole = (mask * (len(data) // 4 + 1))[: len(data)]
    number = int.from_bytes(data, "big") ^ int.from_bytes(whole, "big")
    return number.to_bytes(len(data), "big")
