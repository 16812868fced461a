"""The ledger: every message that a send accepted is sent, in doubt or purged, and none twice.

Faults are injected at random places; what the peer got is counted at the other end of the stream.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence

import attrs
import trio
from hypothesis import example, given
from hypothesis import strategies as st
from trio.testing import MockClock, lockstep_stream_pair, memory_stream_pair

from snowtrio import (
    Cause,
    ClientLimits,
    Connection,
    LineCodec,
    Protocol,
    SnowtrioError,
    StreamEndpoint,
    open_connection,
)
from snowtrio.testing import FaultyStream

from .cancelling import cancelled_at


class Fault(enum.Enum):
    """What goes wrong."""

    NONE = "none"
    BREAK = "the stream breaks after so many bytes"
    STALL = "the peer takes nothing after so many bytes"
    DROP = "we drop the connection after so many messages"
    CANCEL = "the scope is cancelled at an await"
    PEER_LEAVES = "the peer stops and closes after so many bytes"


@attrs.frozen
class Plan:
    """One story: what is sent, over what, and what goes wrong when."""

    groups: list[list[int]]
    """Message sizes; a group of one is a `send`, another a `send_batch`."""
    fault: Fault
    at: int
    chunk_size: int | None
    lockstep: bool
    max_outbox: int
    flushes: bool


PLANS = st.builds(
    Plan,
    groups=st.lists(st.lists(st.integers(0, 30), max_size=8), max_size=12),
    fault=st.sampled_from(Fault),
    at=st.integers(0, 150),
    chunk_size=st.none() | st.integers(1, 20),
    lockstep=st.booleans(),
    max_outbox=st.integers(1, 6),
    flushes=st.booleans(),
)


class Book(Protocol[bytes]):
    """Keeps what the hooks were told."""

    codec = LineCodec(max_message_size=100)

    def __init__(self) -> None:
        super().__init__()
        self.events: list[str] = []
        self.purged: list[bytes] = []

    async def close(self, connection: Connection[bytes]) -> None:
        self.events.append("close")

    def purge(self, connection: Connection[bytes], messages: Sequence[bytes]) -> None:
        self.events.append("purge")
        self.purged += messages


@attrs.define
class Story:
    """A plan as it is carried out, and what became of each message."""

    plan: Plan
    book: Book = attrs.Factory(Book)
    offered: list[bytes] = attrs.Factory(list)
    returned: int = 0
    """Messages whose send returned."""
    arrived: bytearray = attrs.Factory(bytearray)
    connection: Connection[bytes] | None = None

    async def run(self) -> None:
        """Send until done or until it goes wrong, with the peer's end running beside."""
        ours, theirs = (lockstep_stream_pair if self.plan.lockstep else memory_stream_pair)()
        faulty = FaultyStream(ours, chunk_size=self.plan.chunk_size)
        if self.plan.fault is Fault.BREAK:
            faulty.break_after_sent = self.plan.at
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.peer, theirs, faulty)
            strike = self.plan.at if self.plan.fault is Fault.CANCEL else 1_000_000
            await cancelled_at(strike, lambda: self.client(faulty))

    async def peer(self, stream: trio.abc.Stream, faulty: FaultyStream) -> None:
        while data := await stream.receive_some(16):
            self.arrived += data
            if self.plan.fault is Fault.STALL and len(self.arrived) >= self.plan.at:
                faulty.stall()
            if self.plan.fault is Fault.PEER_LEAVES and len(self.arrived) >= self.plan.at:
                break
        await stream.aclose()

    async def client(self, stream: trio.abc.Stream) -> None:
        async def connect() -> trio.abc.Stream:
            return stream

        limits = ClientLimits(
            max_outbox_messages=self.plan.max_outbox, stall_timeout=5, drain_timeout=3
        )
        try:
            async with open_connection(self.book, StreamEndpoint(connect), limits=limits) as one:
                self.connection = one
                await self.send_all(one)
        except SnowtrioError:
            pass  # The connection's end, told to the sender.
        finally:
            with trio.CancelScope(shield=True):
                await stream.aclose()

    async def send_all(self, connection: Connection[bytes]) -> None:
        for sizes in self.plan.groups:
            if self.plan.fault is Fault.DROP and len(self.offered) >= self.plan.at % 40:
                connection.drop()
            if len(sizes) == 1:
                await connection.send(next(self.make(sizes)))
            else:
                await connection.send_batch(self.make(sizes))
            self.returned = len(self.offered)
            if self.plan.flushes:
                await connection.flush()
                assert connection.pending == 0

    def make(self, sizes: list[int]) -> Iterator[bytes]:
        for size in sizes:
            self.offered.append(b"%d %b" % (len(self.offered), b"x" * size))
            yield self.offered[-1]

    def balance(self) -> None:
        """Check the account."""
        if self.connection is None:
            return  # It was cancelled before there was one.
        ending, counts = self.connection.ending, self.connection.statistics()
        assert ending is not None
        accepted = self.offered[: counts.messages_accepted]
        assert self.returned <= len(accepted) <= len(self.offered)
        sent = accepted[: counts.messages_sent]
        assert accepted == [*sent, *ending.in_doubt, *ending.unsent]
        assert self.book.purged == list(ending.unsent)
        assert self.book.events == (["close", "purge"] if ending.unsent else ["close"])
        arrived = bytes(self.arrived).split(b"\n")[:-1]
        possible = [*sent, *ending.in_doubt]
        assert arrived == possible[: len(arrived)]
        if self.plan.fault is not Fault.PEER_LEAVES:
            assert len(arrived) >= len(sent)
        if self.plan.fault is Fault.NONE:
            assert arrived == self.offered
            assert ending.cause in (Cause.CLOSED, Cause.DONE)


@given(PLANS)
@example(Plan([[1], [1], [1]], Fault.DROP, 1, None, False, 1, False))
@example(Plan([[5] * 8], Fault.BREAK, 10, 3, True, 6, False))
@example(Plan([[5] * 8], Fault.STALL, 0, None, False, 6, True))
def test_the_ledger_balances(plan: Plan) -> None:
    """B5, S11: accepted = handed over + in doubt + purged, in order, whatever goes wrong."""
    story = Story(plan)
    trio.run(story.run, clock=MockClock(autojump_threshold=0))
    story.balance()
