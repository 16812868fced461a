"""A file's bytes among the messages of a connection."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

import trio

from ._writer import Writer

PART = 1024 * 1024
"""Bytes of a file that are sent before other tasks have their turn."""


async def send_file(
    writer: Writer[Any], cut: Callable[[], None], descriptor: int, places: range
) -> None:
    """Send the bytes that stand at these places of a file, with nothing in between.

    Parameters:
        writer: of the connection.
        cut: ends the connection, where only a part of them was sent.
        descriptor: of the file.
        places: of the bytes.

    Raises:
        OSError: the file has become shorter.
    """
    async with writer.alone():
        left = places
        try:
            while left:
                taken = await writer.send_file(descriptor, left[0], min(len(left), PART))
                if not taken:
                    raise OSError(errno.EIO, "the file has become shorter while it was sent")
                left = left[taken:]
                if left:
                    await trio.lowlevel.checkpoint()
        except BaseException:
            if len(left) < len(places):
                cut()
            raise
