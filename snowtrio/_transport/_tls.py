"""TLS over any transport, without I/O of its own: an ``ssl.SSLObject`` between two memory buffers.

What can be done without waiting is a plain call here too, so that a watched socket is read,
decrypted, encrypted and written where it has become readable. Two things differ from a socket, and
shape this file. Bytes may be inside TLS already, of which the socket will never say that they are
there. And a record that was made has to go before any other: what the kernel does not take of it
stays here, and the plaintext in it counts as sent when all of it has gone.
"""

from __future__ import annotations

import contextlib
import ssl
import sys
from collections.abc import Callable

import trio

from .._errors import LocalProtocolError, StalledError
from ._base import Address, PlainSocket, Transport
from ._ciphertext import Ciphertext
from ._plaintext import RECORD, Plaintext, broken

# What is encrypted and not taken costs memory, so this is the most at a time.
_STEP = 4 * RECORD

_RECEIVE_SIZE = 32 * 1024


class TLSTransport(Transport):
    """A TLS connection over another transport, whose addresses and sense of progress it keeps.

    Made by `shake_hands`. Reading makes TLS answer by itself, to a new key for example; that goes
    out at once where nothing is before it, and else with what is.

    Parameters:
        below: carries the ciphertext; owned from now on.
        context: certificates and rules.
        server_side: whether we are the server of this TLS connection.
        server_hostname: the name that the peer's certificate must have; clients only.
        received: ciphertext that was received already.
    """

    __slots__ = (
        "_below",
        "_closed",
        "_fed",
        "_function",
        "_input",
        "_outgoing",
        "_tls",
        "_turn",
        "_unsent",
        "sends_nowait",
    )

    def __init__(
        self,
        below: Transport,
        context: ssl.SSLContext,
        *,
        server_side: bool,
        server_hostname: str | None,
        received: bytes = b"",
    ) -> None:
        super().__init__(below.peer_address)
        self.proxy = below.proxy
        self.sends_nowait = below.sends_nowait
        self._below = below
        incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(incoming, self._outgoing, server_side, server_hostname)
        self._input = Plaintext(self._tls, incoming)
        if received:
            self._input.feed(received)
        self._function: Callable[[bool], None] | None = None
        self._unsent: Ciphertext | None = None
        self._turn: trio.Lock | None = None
        """Held by the task that waits for the transport below to take something."""
        self._fed: trio.Event | None = None
        self._closed = False

    @property
    def local_address(self) -> Address | None:
        """That of the transport below."""
        return self._below.local_address

    @property
    def socket(self) -> PlainSocket | None:
        """That of the transport below."""
        return self._below.socket

    @property
    def tls(self) -> ssl.SSLObject:
        """What speaks TLS here."""
        return self._tls

    @property
    def at_risk(self) -> int:
        """The plaintext of records that went in part."""
        return 0 if self._unsent is None else self._unsent.at_risk(self._below.at_risk)

    # Receiving

    async def receive_some(self, max_bytes: int) -> bytes:
        """Return what is there, or wait for more. Not a checkpoint when something is there.

        Raises:
            TruncatedError: the peer ended its input without a closing alert.
        """
        data = self._take(max_bytes) if self._input.ready else None
        while data is None:
            if self._must_answer:
                await self._answer()
            self._feed(await self._below.receive_some(max(max_bytes, _RECEIVE_SIZE)))
            data = self._take(max_bytes)
        return data

    def watch(self, function: Callable[[bool], None]) -> bool:
        """Have the transport below watched, while it alone knows when there is something to do."""
        if self._input.ready or self._must_answer or not self._below.watch(function):
            return False
        self._function = function
        return True

    def unwatch(self) -> None:
        """Call the function no more."""
        self._function = None
        self._below.unwatch()

    def receive_nowait(self, max_bytes: int) -> bytes | None:
        """Return what is inside already, or read below once and return what that completed."""
        if self._input.ready and (plaintext := self._take()) is not None:
            return plaintext
        data = self._below.receive_nowait(max_bytes)
        if data is None:
            return None
        self._feed(data)
        plaintext = self._take()
        if self._function is not None and (self._input.ended or self._must_answer):
            # The socket may never become readable for what is left to do: a task has to do it.
            self._function(False)
        return plaintext

    def has_input(self) -> bool:
        """Whether there is something inside, or below: that may be of TLS alone."""
        return self._input.ready or self._below.has_input()

    def _feed(self, data: bytes) -> None:
        self._input.feed(data)
        if self._fed is not None:
            self._fed.set()
            self._fed = None

    def _take(self, most: int = sys.maxsize) -> bytes | None:
        try:
            return self._input.take(most)
        finally:
            if self._outgoing.pending:
                self._answer_nowait()

    # What TLS has to say by itself

    @property
    def _must_answer(self) -> bool:
        """Whether there is ciphertext that no sender will come back for."""
        if self._unsent is None:
            return self._outgoing.pending > 0
        return not (self._owes or self._waiting)

    @property
    def _owes(self) -> bool:
        """Whether there is ciphertext of a sender's."""
        return self._unsent is not None and self._unsent.owed > 0

    @property
    def _waiting(self) -> bool:
        return self._turn is not None and self._turn.locked()

    def _answer_nowait(self) -> None:
        """Send what TLS has to say, unless something has to go before it."""
        if self._unsent is not None or not self.sends_nowait:
            return
        self._collect(0)
        try:
            self._push_nowait()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            # That the peer is gone shows when all that it sent before has been read.
            self._unsent = None

    async def _answer(self) -> None:
        """Send all that TLS has to say, waiting for the transport below where that has to be."""
        if self._outgoing.pending:
            self._answer_nowait()
        if not self._must_answer:
            return
        async with self._take_turn():
            self._collect(0)
            while self._unsent is not None and not self._unsent.owed:
                await self._push()
                self._collect(0)
            # What is a sender's it comes back for, and this goes along.

    def _take_turn(self) -> trio.Lock:
        if self._turn is None:
            self._turn = trio.Lock()
        return self._turn

    # Sending

    def send_nowait(self, data: bytes | memoryview) -> int:
        """Encrypt some of `data` and hand it down; return how much of it has gone whole.

        What was encrypted and has not gone is kept, so the next call must begin with the same
        bytes, unless `send_some` has raised meanwhile.
        """
        if self._unsent is not None:
            return self._go_on(data)
        if not data or not self.sends_nowait:
            return 0
        if len(data) > RECORD:
            return self._push_nowait() if self._encrypt(data) else 0
        try:
            self._tls.write(data)
        except ssl.SSLError as error:
            return self._refused(error)
        ciphertext = self._outgoing.read()
        taken = self._below.send_nowait(ciphertext)
        if taken == len(ciphertext):
            return len(data)
        unsent = self._unsent = Ciphertext()
        unsent.put(ciphertext, len(data))
        return unsent.advance(taken)

    def _go_on(self, data: bytes | memoryview) -> int:
        """Send what was kept, and if nobody counts that, of `data` too."""
        if self._waiting or not self.sends_nowait:
            return 0
        taken = self._push_nowait()
        return taken if taken or self._unsent is not None else self.send_nowait(data)

    async def send_some(self, data: memoryview) -> int:
        """Wait until a record of `data` has gone; the transport below watches for stalls.

        Cancelled or broken, it goes on with other bytes: what was encrypted before goes first, and
        counts for nobody.
        """
        try:
            taken = self.send_nowait(data)
            while data and not taken:
                async with self._take_turn():
                    if self._owes or self._encrypt(data):
                        taken = await self._push()
                if not taken and self._unsent is None:
                    await self._wait_fed()
            return taken
        except BaseException:
            if self._unsent is not None:
                self._unsent.disown(self._below.at_risk)
            raise

    def _encrypt(self, data: bytes | memoryview) -> bool:
        """Make records of the next of `data`, to a bound; return whether anything is to be sent."""
        view = memoryview(data)[:_STEP]
        try:
            for start in range(0, len(view), RECORD):
                record = view[start : start + RECORD]
                self._tls.write(record)
                self._collect(len(record))
        except ssl.SSLError as error:
            self._refused(error)
        self._collect(0)
        return self._unsent is not None

    def _refused(self, error: ssl.SSLError) -> int:
        """Return 0 where TLS wants to read before it writes on, and raise what else it has."""
        if isinstance(error, ssl.SSLWantReadError):
            return 0
        if self._closed:
            raise trio.ClosedResourceError("this side closed the TLS connection") from error
        raise broken(error) from error

    def _collect(self, plaintext: int) -> None:
        """Take what TLS has made; `plaintext` bytes of a sender's are in it."""
        if self._outgoing.pending:
            if self._unsent is None:
                self._unsent = Ciphertext()
            self._unsent.put(self._outgoing.read(), plaintext)

    def _push_nowait(self) -> int:
        """Hand down what is taken without waiting; return how much plaintext has gone with it."""
        assert self._unsent is not None
        return self._went(self._below.send_nowait(self._unsent.view()))

    async def _push(self) -> int:
        """Wait until something is taken; return how much plaintext has gone with it."""
        assert self._unsent is not None
        self._below.stall_timeout = self.stall_timeout
        return self._went(await self._below.send_some(self._unsent.view()))

    def _went(self, size: int) -> int:
        assert self._unsent is not None
        plaintext = self._unsent.advance(size)
        if not self._unsent:
            self._unsent = None
            if self._outgoing.pending:
                self._answer_nowait()
        return plaintext

    async def _wait_fed(self) -> None:
        """Wait until more has been received: TLS 1.2 may negotiate anew in between."""
        if self._fed is None:
            self._fed = trio.Event()
        with trio.move_on_after(self.stall_timeout) as scope:
            await self._fed.wait()
        if scope.cancelled_caught:
            raise StalledError(f"peer took nothing for {self.stall_timeout:g} seconds")

    async def wait_send_might_not_block(self) -> None:
        """Ask the transport below."""
        await self._below.wait_send_might_not_block()

    # The ends

    async def shake_hands(self) -> None:
        """Agree on keys; on failure the transport below is still open, and the peer told why.

        Raises:
            trio.BrokenResourceError: it failed, for the reason that is its cause.
        """
        try:
            while not self._agreed():
                await self._answer()
                self._feed(await self._below.receive_some(_RECEIVE_SIZE))
        except ssl.SSLError as error:
            with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await self._answer()
            raise broken(error) from error
        await self._answer()

    def _agreed(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    async def send_eof(self) -> None:
        """Not of TLS."""
        raise LocalProtocolError("TLS cannot end one direction alone")

    async def finish(self) -> None:
        """Send the closing alert, and let the transport below do the rest."""
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            self._say_goodbye()
            await self._answer()
        await self._below.finish()

    def reset_on_close(self) -> None:
        """Have the close be seen as a reset."""
        self._below.reset_on_close()

    async def aclose(self) -> None:
        """Send the closing alert where that needs no waiting, or cannot be had without; close.

        There is none when plaintext is left, or in a cancelled scope: the peer has to see that it
        did not get all.
        """
        closed, self._closed = self._closed, True
        try:
            await trio.lowlevel.checkpoint_if_cancelled()
            if self._unsent is None and not closed:
                self._say_goodbye()
                if not self.sends_nowait:
                    with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                        await self._answer()
        finally:
            await self._below.aclose()

    def _say_goodbye(self) -> None:
        # It also looks for the peer's, which may not be there, or behind what nobody reads.
        with contextlib.suppress(ssl.SSLError):
            self._tls.unwrap()
        if self._outgoing.pending:
            self._answer_nowait()
