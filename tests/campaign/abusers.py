"""Those who do not behave, one function a kind.

Each makes one connection and does its worst with it. When that is over, because it was cut or
wanted so, it comes again a moment later, until the campaign ends.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias

import attrs
import trio
from sockets import GONE, connected, read_to_end, reset_on_close

TOO_LONG = 130_000
"""Bytes of a line that is too long: about twice the limit, and little enough to be sent at once."""


@attrs.define
class Tally:
    """What the abusers of one kind have done."""

    connections: int = 0
    present: int = 0
    violations: list[str] = attrs.Factory(list)


@attrs.define
class Abuser:
    """One of them.

    Parameters:
        port: of the server.
        tls_port: of the one that speaks TLS.
        tally: of its kind.
        chance: its own.
        mean_pause: seconds.
    """

    port: int
    tls_port: int
    tally: Tally
    chance: random.Random
    mean_pause: float

    @contextlib.asynccontextmanager
    async def connected(
        self, *, tls: bool = False, receive_buffer: int | None = None
    ) -> AsyncIterator[trio.SocketStream]:
        """Connect for the time of a block."""
        port = self.tls_port if tls else self.port
        async with connected(port, receive_buffer=receive_buffer) as stream:
            self.tally.connections += 1
            self.tally.present += 1
            try:
                yield stream
            finally:
                self.tally.present -= 1

    async def pause(self) -> None:
        """Let some seconds pass."""
        await trio.sleep(self.mean_pause * self.chance.uniform(0.5, 1.5))

    async def run(self, abuse: Abuse) -> None:
        """Come again and again, until cancelled."""
        await trio.sleep(self.chance.random())
        while True:
            with contextlib.suppress(*GONE):
                await abuse(self)
            await self.pause()


Abuse: TypeAlias = Callable[[Abuser], Awaitable[None]]


async def never_send(abuser: Abuser) -> None:
    """Connect and say nothing."""
    async with abuser.connected() as stream:
        await read_to_end(stream)


async def never_shake_hands(abuser: Abuser) -> None:
    """Connect where TLS is spoken and say nothing."""
    async with abuser.connected(tls=True) as stream:
        await read_to_end(stream)


async def drip(abuser: Abuser) -> None:
    """Send a byte a second of a line that never ends."""
    async with abuser.connected() as stream:
        while True:
            await stream.send_all(b"x")
            await trio.sleep(1)


async def never_read(abuser: Abuser) -> None:
    """Send lines without a pause and read no reply."""
    line = (b"%d " % abuser.chance.randrange(10**9)).ljust(16_000, b".") + b"\n"
    async with abuser.connected(receive_buffer=4096) as stream:
        while True:
            await stream.send_all(line * 4)


async def send_too_long_lines(abuser: Abuser) -> None:
    """Send a line without end; the server must say so, and be heard."""
    said: bytes | Exception
    async with abuser.connected() as stream:
        await abuser.pause()
        try:
            await stream.send_all(b"x" * TOO_LONG)
            said = await read_to_end(stream)
        except GONE as error:
            said = error
    if not (isinstance(said, bytes) and said.startswith(b"error: message of ")):
        abuser.tally.violations.append(f"a too long line was answered with {said!r}")


async def reset_in_mid_frame(abuser: Abuser) -> None:
    """Send half a line and reset."""
    async with abuser.connected() as stream:
        await stream.send_all(b"a whole line\nand half a")
        await abuser.pause()
        reset_on_close(stream)


async def vanish(abuser: Abuser) -> None:
    """Connect and leave."""
    async with abuser.connected():
        pass


async def send_garbage(abuser: Abuser) -> None:
    """Send bytes by chance, to either server, and leave with half of the replies unread."""
    async with abuser.connected(tls=abuser.chance.random() < 0.5) as stream:
        for _ in range(abuser.chance.randrange(1, 10)):
            await stream.send_all(abuser.chance.randbytes(abuser.chance.randrange(1, 3000)))
            await trio.sleep(abuser.chance.random())
            with trio.move_on_after(0.1):
                await stream.receive_some(2000)


ABUSES: dict[str, Abuse] = {
    "never send": never_send,
    "never shake hands": never_shake_hands,
    "drip": drip,
    "never read": never_read,
    "too long lines": send_too_long_lines,
    "reset in mid-frame": reset_in_mid_frame,
    "connect and vanish": vanish,
    "send garbage": send_garbage,
}


@attrs.define
class Abusers:
    """All of them.

    Parameters:
        each: how many of each kind.
        pause: seconds between what each does and its next, on average.
        abuses: the kinds.
    """

    each: int
    pause: float
    abuses: dict[str, Abuse] = attrs.Factory(lambda: ABUSES)
    tallies: dict[str, Tally] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.tallies = {kind: Tally() for kind in self.abuses}

    @property
    def count(self) -> int:
        """How many there are."""
        return self.each * len(self.abuses)

    @property
    def present(self) -> int:
        """How many are connected now."""
        return sum(tally.present for tally in self.tallies.values())

    async def run(self, port: int, tls_port: int) -> None:
        """Run all of them until cancelled."""
        async with trio.open_nursery() as nursery:
            for kind, abuse in self.abuses.items():
                for number in range(self.each):
                    chance = random.Random(f"{kind} {number}")
                    abuser = Abuser(port, tls_port, self.tallies[kind], chance, self.pause)
                    nursery.start_soon(abuser.run, abuse)
