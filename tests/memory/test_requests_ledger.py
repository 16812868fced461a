"""What becomes of each request where connections die and requests are cancelled (row B5).

Every connection counts how many bytes of it came through, and what was encoded on it and in which
order: so for each request it is known whether the peer saw any of it, and whether it saw all.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
import trio
import trio.testing

from snowtrio import (
    BufferedStream,
    ById,
    Codec,
    ConnectError,
    ConnectionClosedError,
    ConnectionLostError,
    InOrder,
    LineCodec,
    PoolBusyError,
    Protocol,
    ReceiveBuffer,
    RequestClient,
    RequestInDoubtError,
    RequestLimits,
    RequestNotSentError,
    Side,
    StreamEndpoint,
    WhenCancelled,
)
from snowtrio.testing import FaultyStream

ID = 6
"""Digits that each message begins with."""


class Notebook:
    """What happened on one connection."""

    def __init__(self) -> None:
        self.encoded: list[tuple[bytes, int]] = []
        self.got = 0
        """Bytes that the peer has read."""

    def seen(self) -> set[bytes]:
        """Messages of which the peer saw at least a byte."""
        seen: set[bytes] = set()
        position = 0
        for message, size in self.encoded:
            if position < self.got:
                seen.add(message)
            position += size
        return seen


class NotingLines(Codec[bytes, bytes]):
    """Lines, with a note of what is encoded where."""

    def __init__(self, notebook: Notebook | None = None) -> None:
        self._lines = LineCodec()
        self._notebook = notebook

    def start(self, side: Side, context: Any) -> NotingLines:
        return NotingLines(context)

    def encode(self, message: bytes) -> bytes:
        data = self._lines.encode(message)
        assert self._notebook is not None
        self._notebook.encoded.append((message, len(data)))
        return data

    def decode(self, buffer: ReceiveBuffer) -> Any:
        return self._lines.decode(buffer)


class Numbered(Protocol[bytes, bytes, Notebook]):
    """The peer tells in the handshake which connection it is."""

    def __init__(self, notebooks: list[Notebook]) -> None:
        super().__init__(NotingLines())
        self._notebooks = notebooks
        self.purged: list[bytes] = []

    async def handshake(self, side: Side, stream: BufferedStream) -> Notebook:
        return self._notebooks[int(await stream.receive_line())]

    def purge(self, connection: Any, messages: Any) -> None:
        self.purged += messages


class Wild:
    """Peers that answer, late, in any order where that may be, and whose connections break."""

    def __init__(self, chance: random.Random, nursery: trio.Nursery, *, in_order: bool) -> None:
        self.notebooks: list[Notebook] = []
        self.executed: Counter[bytes] = Counter()
        self.calm = False
        self._chance = chance
        self._nursery = nursery
        self._in_order = in_order

    async def connect(self) -> trio.abc.Stream:
        chance = self._chance
        await trio.sleep(chance.random() * 0.1)
        if not self.calm and chance.random() < 0.1:
            raise ConnectionRefusedError
        theirs, ours = trio.testing.memory_stream_pair()
        stream = FaultyStream(theirs, chunk_size=chance.choice([None, None, 3, 20]))
        if not self.calm:
            fault = chance.randrange(6)
            if fault == 0:
                stream.break_after_sent = chance.randrange(200)
            elif fault == 1:
                stream.break_after_received = chance.randrange(2, 200)
            elif fault == 2:
                stream.delay = 0.01
            if chance.random() < 0.5:
                self._nursery.start_soon(self._break_later, stream, chance.expovariate(2))
        notebook = Notebook()
        self.notebooks.append(notebook)
        self._nursery.start_soon(self._serve, ours, len(self.notebooks) - 1)
        return stream

    async def _break_later(self, stream: FaultyStream, seconds: float) -> None:
        await trio.sleep(seconds)
        if self._chance.random() < 0.3:
            stream.stall()
            await trio.sleep(self._chance.random())
        stream.break_now()

    async def _serve(self, stream: trio.abc.HalfCloseableStream, number: int) -> None:
        notebook, chance, kept = self.notebooks[number], self._chance, b""
        sending = trio.StrictFIFOLock()
        try:
            await stream.send_all(b"%d\n" % number)
            async with trio.open_nursery() as nursery:
                while data := await stream.receive_some(chance.choice([1, 7, 1000])):
                    notebook.got += len(data)
                    *lines, kept = (kept + bytes(data)).split(b"\n")
                    for line in lines:
                        self.executed[line] += 1
                        if not line.endswith(b"notice"):
                            nursery.start_soon(self._reply, stream, sending, line)
                            if self._in_order:
                                await trio.sleep(0.001)
                    if not self.calm and chance.random() < 0.01:
                        break  # an orderly end, with replies due
                    if chance.random() < 0.3:
                        await trio.sleep(chance.random() * 0.05)
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        await stream.aclose()

    async def _reply(self, stream: Any, sending: trio.StrictFIFOLock, line: bytes) -> None:
        if self._in_order:
            async with sending:
                await trio.sleep(self._chance.random() * 0.02)
                await self._say(stream, line)
        else:
            await trio.sleep(self._chance.random() * 0.02)
            async with sending:
                await self._say(stream, line)

    async def _say(self, stream: Any, line: bytes) -> None:
        count = 3 if line.endswith(b"stream") else 1
        for left in reversed(range(count)):
            await stream.send_all(line[:ID] + b" reply %d\n" % left)


REFUSALS = (ConnectError, PoolBusyError, ConnectionLostError, ConnectionClosedError)


class Authors:
    """Tasks that ask in all ways, and remember how each request ended."""

    def __init__(
        self, client: RequestClient[bytes, bytes, Notebook], chance: random.Random
    ) -> None:
        self.client = client
        self.fates: dict[bytes, object] = {}
        self._chance = chance

    def message(self, kind: bytes = b"request") -> bytes:
        message = b"%06d %s" % (len(self.fates), kind)
        self.fates[message] = None
        return message

    def fate(self, message: bytes, outcome: object) -> None:
        assert self.fates[message] is None, "a request ends once"
        self.fates[message] = outcome

    async def run(self) -> None:
        chance = self._chance
        for _ in range(8):
            await trio.sleep(chance.random() * 0.2)
            ways = (self.ask, self.ask, self.ask, self.batch, self.stream, self.session, self.tell)
            with trio.CancelScope() as scope:
                if chance.random() < 0.3:
                    scope.deadline = trio.current_time() + chance.random() * 0.3
                await chance.choice(ways)(self.client)

    async def ask(self, whom: Any) -> None:
        message = self.message()
        timeout = self._chance.choice([None, None, 0.1, 1])
        try:
            self.fate(message, await whom.request(message, timeout=timeout))
        except (RequestNotSentError, RequestInDoubtError, *REFUSALS) as error:
            self.fate(message, error)
        except trio.Cancelled as error:
            self.fate(message, error)
            raise

    async def batch(self, whom: Any) -> None:
        messages = [self.message() for _ in range(self._chance.randrange(1, 9))]
        timeout = self._chance.choice([None, 0.1, 1])
        outcomes: Any = None
        try:
            outcomes = await whom.request_batch(messages, timeout=timeout)
        except (RequestNotSentError, RequestInDoubtError) as error:
            outcomes = error.outcomes
            check_kind(error)
        except (*REFUSALS, trio.Cancelled) as error:
            for message in messages:
                self.fate(message, error)
            if isinstance(error, trio.Cancelled):
                raise
            return
        for message, outcome in zip(messages, outcomes, strict=True):
            self.fate(message, outcome)

    async def stream(self, whom: Any) -> None:
        message = self.message(b"stream")
        leave_after = self._chance.choice([1, 2, 3, 3, 3])
        got: list[bytes] = []
        try:
            async with whom.stream(message, ends=lambda reply: reply.endswith(b"0")) as replies:
                async for reply in replies:
                    got.append(reply)
                    if len(got) == leave_after:
                        break
        except (RequestNotSentError, RequestInDoubtError, *REFUSALS) as error:
            self.fate(message, error)
        except trio.Cancelled as error:
            self.fate(message, error)
            raise
        else:
            self.fate(message, got)
        expected = [message[:ID] + b" reply %d" % left for left in (2, 1, 0)]
        assert got == expected[: len(got)]

    async def session(self, whom: RequestClient[bytes, bytes, Notebook]) -> None:
        try:
            async with whom.session() as session:
                for _ in range(self._chance.randrange(3)):
                    way = self._chance.choice([self.ask, self.batch, self.stream, self.tell])
                    await way(session)
                session.keep = self._chance.random() < 0.7
        except REFUSALS:
            pass  # for a connection

    async def tell(self, whom: Any) -> None:
        message = self.message(b"notice")
        try:
            await whom.notify(message)
            self.fate(message, "accepted")
        except REFUSALS as error:
            self.fate(message, error)
        except trio.Cancelled as error:
            self.fate(message, error)
            raise


def check_kind(error: RequestNotSentError | RequestInDoubtError) -> None:
    """See that the error of a batch is of the worst kind of its outcomes."""
    kinds = {type(each) for each in error.outcomes if isinstance(each, Exception)}
    worst = RequestInDoubtError if RequestInDoubtError in kinds else RequestNotSentError
    assert type(error) is worst


def check_fates(authors: Authors, wild: Wild, purged: list[bytes]) -> Counter[str]:
    """See that each request ended as it was said to; return how many ended how."""
    seen = set[bytes]().union(*(each.seen() for each in wild.notebooks))
    assert all(times == 1 for times in wild.executed.values()), "nothing is executed twice"
    assert len(purged) == len(set(purged))
    tally: Counter[str] = Counter()
    for message, fate in authors.fates.items():
        assert fate is not None
        if isinstance(fate, bytes):
            assert fate == message[:ID] + b" reply 0"
            assert wild.executed[message] == 1
            tally["answered"] += 1
        elif isinstance(fate, list):
            assert wild.executed[message] == 1
            tally["answered" if len(fate) == 3 else "left"] += 1
        elif isinstance(fate, RequestNotSentError):
            assert message not in seen
            tally["late" if isinstance(fate.__cause__, trio.TooSlowError) else "not sent"] += 1
        elif isinstance(fate, RequestInDoubtError):
            late = isinstance(fate.__cause__, trio.TooSlowError)
            tally["left" if late else "in doubt"] += 1
        elif isinstance(fate, REFUSALS):
            assert message not in seen
        elif isinstance(fate, trio.Cancelled):
            tally["cancelled"] += 1
        assert not (message in purged and message in seen)
    return tally


@pytest.mark.parametrize("when", list(WhenCancelled))
@pytest.mark.parametrize("move_unsent", [False, True])
@pytest.mark.parametrize("in_order", [True, False])
@pytest.mark.parametrize("seed", range(6))
async def test_each_request_ends_once(
    seed: int,
    in_order: bool,
    move_unsent: bool,
    when: WhenCancelled,
    autojump_clock: trio.testing.MockClock,
) -> None:
    """B5, B7: answered with its own reply, not sent and not seen, in doubt, or cancelled."""
    chance = random.Random(seed)
    async with trio.open_nursery() as nursery:
        wild = Wild(chance, nursery, in_order=in_order)
        protocol = Numbered(wild.notebooks)
        by_id: ById[bytes, bytes] = ById(lambda request: request[:ID], lambda reply: reply[:ID])
        client = RequestClient(
            protocol,
            StreamEndpoint(wild.connect, "wild"),
            correlation=InOrder() if in_order else by_id,
            when_cancelled=when,
            move_unsent=move_unsent,
            limits=RequestLimits(
                max_connections=3,
                max_pending=chance.choice([1, 4, 128]),
                max_in_flight=chance.choice([5, 100]),
                max_stream_replies=chance.choice([1, 2, 100]),
                max_outbox_messages=chance.choice([1, 3, 1000]),
                reply_timeout=chance.choice([0.5, 60]),
                backoff=0.01,
                linger_timeout=0,
            ),
        )
        async with client:
            authors = Authors(client, chance)
            with trio.fail_after(500):
                async with trio.open_nursery() as tasks:
                    for _ in range(12):
                        tasks.start_soon(authors.run)
                wild.calm = True
                while client.statistics().in_flight:
                    await trio.sleep(0.1)  # what was abandoned
        found = client.statistics()
        nursery.cancel_scope.cancel()
    tally = check_fates(authors, wild, protocol.purged)
    assert (found.in_flight, found.waiting, found.client.waiting) == (0, 0, 0)
    assert found.answered == found.latency.count
    # What became of those that were cancelled only the statistics know; and of a stream that was
    # left, the last reply may have been there.
    unknown = tally["cancelled"]
    assert 0 <= found.answered - tally["answered"] <= unknown + tally["left"]
    assert 0 <= found.in_doubt - tally["in doubt"] <= unknown
    assert found.not_sent <= tally["not sent"] + unknown
    ended = found.answered + found.in_doubt + found.abandoned
    assert 0 <= ended - tally["answered"] - tally["in doubt"] - tally["left"] <= unknown
    pool = client.statistics().client.pool
    assert pool.messages_accepted == (
        pool.messages_sent
        + pool.messages_unsent
        + pool.messages_in_doubt
        + client.statistics().client.messages_moved
    )
