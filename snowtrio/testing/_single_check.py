"""What is checked of messages that are taken one at a time, as a handshake takes them."""

from __future__ import annotations

from typing import Any

import attrs

from .._buffer import ReceiveBuffer
from .._codec import Codec
from .._errors import ReceiveTooLargeError
from .._single_messages import SingleMessages
from ._codec_check import MAX_READS, Check, brief, choose_cuts


class Taker:
    """Takes messages one at a time from what has come."""

    def __init__(self, coder: Codec[Any, Any]) -> None:
        self.buffer = ReceiveBuffer()
        self.messages: list[Any] = []
        self.taken: list[int] = []
        """For each message, how many bytes had left the buffer when it was given."""
        self._single: SingleMessages[Any] = SingleMessages(coder, self.buffer)
        self._fed = 0

    def feed(self, data: bytes) -> None:
        """Take the messages of what a read brought, one after the other."""
        self.buffer.append(data)
        self._fed += len(data)
        while (message := self._single.take()) or self._single.more:
            if message:
                self.messages += message
                self.taken.append(self._fed - len(self.buffer))


@attrs.frozen
class SingleCheck:
    """The same codec, direction and messages as of a `Check`."""

    check: Check[Any]

    def run(self, too_large: bytes | None) -> None:
        """Check it all. Of what comes byte by byte anyway, once is enough."""
        wire = self.check.stream.wire
        own = self._start().decode_one(ReceiveBuffer()) is not None
        if not own and len(wire) > MAX_READS:
            return
        self._take([wire], "one at a time, delivered whole")
        if own:
            self._take(self.check.stream.split(), "one at a time, delivered byte by byte")
            for cut in choose_cuts(len(wire), self.check.stream.ends):
                self._take([wire[:cut], wire[cut:]], f"one at a time, cut after byte {cut}")
        if too_large is not None:
            self._take_too_large(too_large)

    def _start(self) -> Codec[Any, Any]:
        return self.check.peer.start(self.check.side.peer, self.check.context)

    def _take(self, pieces: list[bytes], where: str) -> None:
        check, taker = self.check, Taker(self._start())
        fed = 0
        for piece in pieces:
            fed += len(piece)
            self._feed(taker, piece, where)
            ends = list(check.stream.ends[: check.stream.count(fed)])
            if check.boundaries and taker.taken != ends:
                raise check.failure(
                    f"{where}: after {fed} bytes the messages taken end at {brief(taker.taken)}, "
                    f"not at {brief(ends)}"
                )
        if not check.boundaries:
            if b"".join(taker.messages) != b"".join(check.messages):
                raise check.failure(f"{where}: other bytes came than were sent")
            return
        for number, (sent, came) in enumerate(zip(check.messages, taker.messages, strict=True)):
            if not check.equal(sent, came):
                raise check.failure(
                    f"{where}: message {number} was {brief(sent)}, came {brief(came)}"
                )

    def _feed(self, taker: Taker, piece: bytes, where: str) -> None:
        try:
            taker.feed(piece)
        except Exception as error:
            raise self.check.failure(f"{where}: raised {error!r}") from error

    def _take_too_large(self, too_large: bytes) -> None:
        where = "one at a time, a frame that is too large"
        taker = Taker(self._start())
        try:
            taker.feed(self.check.stream.wire + too_large)
        except ReceiveTooLargeError:
            if len(taker.messages) == len(self.check.messages):
                return
            raise self.check.failure(f"{where} hid messages before it") from None
        except Exception as error:
            raise self.check.failure(f"{where}: raised {error!r}") from error
        raise self.check.failure(f"{where}: raised no ReceiveTooLargeError")
