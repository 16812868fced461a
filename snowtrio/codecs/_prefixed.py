"""Frames that begin with their size: what they share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator

from .._buffer import ReceiveBuffer
from .._codec import Codec


class Prefixed(Codec[bytes, bytes]):
    """A codec of frames whose first bytes say how large they are."""

    __slots__ = ()

    def decode(self, buffer: ReceiveBuffer) -> Iterator[bytes]:
        """Take every whole frame.

        Raises:
            ReceiveTooLargeError: the next message is above ``max_message_size``; known from its
                header, before its body has come.
            RemoteProtocolError: the next frame is malformed.
        """
        while self._is_whole(buffer):
            yield from self._take_whole(buffer)

    def decode_one(self, buffer: ReceiveBuffer) -> list[bytes]:
        """Take the first frame, if it is whole; raises as `decode`."""
        return [self._take_first(buffer)] if self._is_whole(buffer) else []

    @abstractmethod
    def _is_whole(self, buffer: ReceiveBuffer) -> bool:
        """Say whether the first frame is here; raise if it breaks the protocol."""

    @abstractmethod
    def _take_whole(self, buffer: ReceiveBuffer) -> list[bytes]:
        """Take the first frame, which is here, and all good ones behind it."""

    @abstractmethod
    def _take_first(self, buffer: ReceiveBuffer) -> bytes:
        """Take the first frame, which is here, and no other."""
