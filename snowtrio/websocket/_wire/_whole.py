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
    if not masked:
        frames, taken = _find_frames(data, 0, most, masked=False)
        payloads = [data[start:stop] for _, start, stop in frames]
        return _make_messages(data, frames, payloads, taken)
    messages, begin = _take_short(data, most)
    if begin == len(data):
        return messages, begin
    frames, taken = _find_frames(data, begin, most, masked=True)
    others, taken = _make_messages(data, frames, _unmask(data, frames, begin, taken), taken)
    return messages + others, taken


def _take_short(data: bytes, most: int) -> tuple[list[Incoming], int]:
    """Take the masked frames of up to 125 bytes at the front, with one XOR for all.

    Each mask goes on over the next frame's first two bytes, which nobody looks at there, so that
    it is one cut for each frame.
    """
    begin, end = 0, len(data)
    frames: list[Frame] = []
    masks: list[bytes] = []
    longest = min(most, 125)
    texts = False
    while begin + 6 <= end:
        first, size = data[begin], data[begin + 1] - 128
        stop = begin + 6 + size
        if stop > end or not 0 <= size <= longest:
            break
        if first != _BINARY:
            if first != _TEXT:
                break
            texts = True
        masks.append((data[begin + 2 : begin + 6] * 33)[: size + 6])
        frames.append((begin, begin + 4, stop - 2))
        begin = stop
    if not frames:
        return [], 0
    plain = xor(data[2:begin], b"".join(masks)[:-2])
    payloads = [plain[start:stop] for _, start, stop in frames]
    if texts:
        return _make_messages(data, frames, payloads, begin)
    return [*payloads], begin


def _make_messages(
    data: bytes, frames: list[Frame], payloads: list[bytes], taken: int
) -> tuple[list[Incoming], int]:
    """Return payloads as messages, up to the first text that is none, and what they take."""
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


def _find_frames(data: bytes, begin: int, most: int, *, masked: bool) -> tuple[list[Frame], int]:
    """Return where frames are from `begin` on, and where they end."""
    frames: list[Frame] = []
    end = len(data)
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


def _unmask(data: bytes, frames: list[Frame], begin: int, end: int) -> list[bytes]:
    """Return the payloads of masked frames, which stand from `begin` to `end`."""
    if len(frames) < _FEW:
        return [apply_mask(data[start:stop], data[start - 4 : start]) for _, start, stop in frames]
    # One XOR for all: each mask, as long as its payload, behind a gap as long as the header.
    masks: list[bytes] = []
    for at, start, stop in frames:
        masks.append(data[at : start - 4])
        masks.append(repeat(data[start - 4 : start], stop - start + 4))
    plain = xor(data[begin:end], b"".join(masks))
    return [plain[start - begin : stop - begin] for _, start, stop in frames]
