"""Whole frames that are messages by themselves: what most reads bring, taken together.

Nothing else is looked at here. Whatever is not in order stays where it is, for the decoder's long
way to say what is wrong with it.
"""

from __future__ import annotations

from typing import TypeAlias

from ._frames import BINARY, FIN, TEXT
from ._masking import apply_mask, mask_short, repeat, xor
from ._messages import Incoming, Message

Frame: TypeAlias = tuple[int, int, int]
"""Where a frame begins, and where its payload begins and ends."""

# As many frames are better unmasked together.
_FEW = 4

_TEXT = FIN | TEXT
_BINARY = FIN | BINARY


def take_one(data: bytes, most: int) -> Message | None:
    """Return the message of a read that is one short masked frame, None if it is not.

    Parameters:
        data: the read.
        most: bytes that a message may have.
    """
    if not (6 <= len(data) < 132 and data[1] - 128 == len(data) - 6 <= most):
        return None
    if data[0] == _BINARY:
        return mask_short(data[6:], data[2:6])
    if data[0] == _TEXT:
        try:
            return mask_short(data[6:], data[2:6]).decode()
        except UnicodeDecodeError:
            return None
    return None


def take_many(data: bytes, most: int, *, masked: bool) -> tuple[list[Incoming], int]:
    """Return the messages at the front of a read, and how many bytes they take.

    Parameters:
        data: the read.
        most: bytes that a message may have.
        masked: whether frames have to be.
    """
    frames, taken = _find_frames(data, most, masked=masked)
    if masked:
        payloads = _unmask(data, frames, taken)
    else:
        payloads = [data[start:stop] for _, start, stop in frames]
    messages: list[Incoming] = []
    for (begin, _, _), payload in zip(frames, payloads, strict=True):
        if data[begin] == _BINARY:
            messages.append(payload)
            continue
        try:
            messages.append(payload.decode())
        except UnicodeDecodeError:
            return messages, begin
    return messages, taken


def _find_frames(data: bytes, most: int, *, masked: bool) -> tuple[list[Frame], int]:
    frames: list[Frame] = []
    begin, end = 0, len(data)
    bit, head = (128, 6) if masked else (0, 2)
    while begin + head <= end:
        first = data[begin]
        if first != _BINARY and first != _TEXT:
            break
        size, start = data[begin + 1] - bit, begin + head
        if size == 126 and begin + 4 <= end:
            size, start = data[begin + 2] << 8 | data[begin + 3], start + 2
            if size < 126:
                break
        elif not 0 <= size < 126:
            break
        stop = start + size
        if stop > end or size > most:
            break
        frames.append((begin, start, stop))
        begin = stop
    return frames, begin


def _unmask(data: bytes, frames: list[Frame], end: int) -> list[bytes]:
    """Return the payloads of masked frames."""
    if len(frames) < _FEW:
        return [apply_mask(data[start:stop], data[start - 4 : start]) for _, start, stop in frames]
    # One XOR for all: each mask, as long as its payload, behind a gap as long as the header.
    masks: list[bytes] = []
    for begin, start, stop in frames:
        masks.append(data[begin : start - 4])
        masks.append(repeat(data[start - 4 : start], stop - start + 4))
    plain = xor(data[:end], b"".join(masks))
    return [plain[start:stop] for _, start, stop in frames]
