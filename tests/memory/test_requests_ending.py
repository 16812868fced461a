"""Deadlines, silence, and how connections with requests on them end."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
import trio
import trio.testing

from snowtrio import (
    BufferedStream,
    ById,
    Cause,
    Codec,
    ConnectError,
    Connection,
    ConnectionLostError,
    DrainTimeouts,
    HandshakeError,
    InOrder,
    JSONLinesCodec,
    LineCodec,
    LocalProtocolError,
    PoolClosedError,
    Protocol,
    ReceiveBuffer,
    RemoteProtocolError,
    RequestClient,
    RequestInDoubtError,
    RequestNotSentError,
    Side,
    SkippedMessageError,
    StalledError,
)

from .asking import Asked, asking, start, start_all
from .client_peers import Peers, Recording

# Deadlines


class Slow(Recording):
    """A handshake that waits for the peer."""

    async def handshake(self, side: Side, stream: BufferedStream) -> None:
        await stream.receive_line()


async def late(client: RequestClient[bytes], kind: type[Exception]) -> Exception:
    """Ask for five seconds, and see that it ends then and in that way."""
    before = trio.current_time()
    with pytest.raises(kind, match="within 5 seconds") as caught:
        await client.request(b"late", timeout=5)
    assert trio.current_time() - before == 5
    assert isinstance(caught.value.__cause__, trio.TooSlowError)
    assert client.statistics().waiting == client.statistics().client.waiting == 0
    return caught.value


@pytest.mark.parametrize("phase", ["connect", "handshake", "line", "room", "outbox", "lent"])
async def test_out_of_time_before_it_was_accepted(
    phase: str, autojump_clock: trio.testing.MockClock
) -> None:
    """S17: in line, connecting, shaking hands, waiting for room: the request was not sent."""
    peers = Peers(closed=phase == "connect", lockstep=phase == "outbox")
    limits: dict[str, Any] = {
        "line": {"max_in_flight": 1},
        "room": {"max_pending": 1},
        "outbox": {"max_outbox_messages": 1},
    }
    protocol = Slow() if phase == "handshake" else None
    client = asking(peers, protocol=protocol, max_connections=1, **limits.get(phase, {}))
    async with client, trio.open_nursery() as nursery:
        if phase == "lent":

            async def lend() -> None:
                async with client.session():
                    await trio.sleep_forever()

            await start(nursery, lend)
        elif phase not in ("connect", "handshake"):
            await start(nursery, lambda: client.request(b"first"))
        await late(client, RequestNotSentError)
        assert client.statistics().in_flight == (phase not in ("connect", "handshake", "lent"))
        nursery.cancel_scope.cancel()


async def test_out_of_time_without_a_reply(autojump_clock: trio.testing.MockClock) -> None:
    """S17, B6: accepted and not answered, it is in doubt; its reply is nobody else's."""
    peers = Peers()
    async with asking(peers, max_connections=1) as client:
        await late(client, RequestInDoubtError)
        assert client.statistics().in_flight == 1
        async with trio.open_nursery() as nursery:
            asked = await start(nursery, lambda: client.request(b"next", timeout=5))
            await peers.say(0, b"for late\nfor next\n")
        assert asked.result == b"for next"
        assert client.statistics().in_flight == 0


async def test_a_reply_in_time_counts(autojump_clock: trio.testing.MockClock) -> None:
    """S17: a reply that comes in the moment of the deadline, and was given, is returned."""
    peers = Peers()
    async with asking(peers, max_connections=1) as client:
        async with trio.open_nursery() as nursery:
            asked = await start(nursery, lambda: client.request(b"a", timeout=5))
            await trio.sleep(4.999)
            await peers.say(0, b"1\n")
        assert asked.result == b"1"


@pytest.mark.parametrize("sent", [0, 1, 2])
async def test_a_batch_that_runs_out_of_time(
    sent: int, autojump_clock: trio.testing.MockClock
) -> None:
    """S17, B5: it says of each request whether it was answered, is in doubt, or was not sent."""
    peers = Peers(lockstep=True, closed=not sent)
    async with asking(peers, max_connections=1, max_outbox_messages=2) as client:
        async with trio.open_nursery() as nursery:
            batch = await start(
                nursery, lambda: client.request_batch([b"a", b"b", b"c", b"d", b"e"], timeout=5)
            )
            if sent == 2:
                assert await peers.read(0) == b"a\nb\n"
                await trio.testing.wait_all_tasks_blocked()
                await peers.say(0, b"1\n")
        error: Any = batch.result
        kinds = [type(each) for each in error.outcomes]
        unsent: Any = RequestNotSentError
        doubtful: Any = RequestInDoubtError
        if sent == 0:
            assert type(error) is unsent
            assert kinds == [unsent] * 5
        elif sent == 1:
            assert type(error) is doubtful
            assert kinds == [doubtful] * 2 + [unsent] * 3
        else:
            assert type(error) is doubtful
            assert error.outcomes[0] == b"1"
            assert kinds[1:] == [doubtful] * 3 + [unsent]
        assert isinstance(error.__cause__, trio.TooSlowError)


async def test_a_batch_of_which_one_cannot_be_encoded(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """S3, B5: those before it are answered, it and those behind it have not been sent."""
    peers = Peers()
    async with asking(peers, max_connections=1) as client:
        async with trio.open_nursery() as nursery:
            batch = await start(nursery, lambda: client.request_batch([b"a", b"b\nb", b"c"]))
            assert await peers.read(0) == b"a\n"
            await peers.say(0, b"1\n")
        error: Any = batch.result
        assert type(error) is RequestNotSentError
        outcomes: Any = error.outcomes
        assert outcomes[0] == b"1"
        assert [type(each.__cause__) for each in outcomes[1:]] == [LocalProtocolError] * 2
        assert client.statistics().in_flight == 0


# No connection


async def test_no_connection_can_be_opened(autojump_clock: trio.testing.MockClock) -> None:
    """S17: refused, or refused in the handshake, is told as it is; nothing was sent."""
    peers = Peers()
    peers.always = ConnectionRefusedError("not here")
    async with asking(peers, max_connections=1) as client:
        with pytest.raises(ConnectError, match="not here"):
            await client.request(b"a")
        with pytest.raises(ConnectError):
            await client.request_batch([b"a", b"b"])
        with pytest.raises(ConnectError):
            async with client.stream(b"a", ends=bool):
                pass
        with pytest.raises(ConnectError):
            async with client.session():
                pass
        assert client.statistics().in_flight == 0

    class Refused(Recording):
        async def handshake(self, side: Side, stream: BufferedStream) -> None:
            raise HandshakeError("no entry")

    async with asking(Peers(), protocol=Refused(), max_connections=1) as client:
        with pytest.raises(HandshakeError, match="no entry"):
            await client.request(b"a")
        assert client.statistics().in_flight == 0


# Silence


async def test_a_silent_peer_is_cut(autojump_clock: trio.testing.MockClock) -> None:
    """S17: where none of the replies due comes in ``reply_timeout``, they are in doubt."""
    peers = Peers()
    async with asking(peers, max_connections=1, reply_timeout=8.0) as client:
        async with trio.open_nursery() as nursery:
            one, other = await start_all(nursery, client, b"a", b"b")
            await trio.sleep(7)
            await peers.say(0, b"1\n")
            await trio.sleep(7)
            assert (one.result, other.done.is_set()) == (b"1", False)
            await trio.sleep(4)
            assert other.done.is_set()
        assert isinstance(other.result, RequestInDoubtError)
        assert isinstance(other.result.__cause__, StalledError)
        async with trio.open_nursery() as nursery:
            again = await start(nursery, lambda: client.request(b"again"))
            await peers.say(1, b"2\n")
        assert again.result == b"2"
        # One without requests may be silent for ever.
        await trio.sleep(1000)
        assert peers.connected == 1


async def test_a_session_may_wait_for_ever(autojump_clock: trio.testing.MockClock) -> None:
    """S17: a blocking command in a session is not taken for a silent peer."""
    peers = Peers()
    async with asking(peers, max_connections=1, reply_timeout=8.0) as client:

        async def block() -> bytes:
            async with client.session() as session:
                return await session.request(b"BLPOP")

        async with trio.open_nursery() as nursery:
            asked = await start(nursery, block)
            await trio.sleep(1000)
            await peers.say(0, b"at last\n")
        assert asked.result == b"at last"


async def test_a_session_that_waits_for_its_connection_hides_no_silence(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """S17: requests of others that a session waits for are not exempt."""
    peers = Peers()
    async with asking(peers, max_connections=1, reply_timeout=8.0) as client:

        async def use() -> bytes:
            async with client.session() as session:
                return await session.request(b"mine")

        async with trio.open_nursery() as nursery:
            other = await start(nursery, lambda: client.request(b"a"))
            asked = await start(nursery, use)
            with trio.fail_after(20):
                await other.done.wait()
            assert isinstance(other.result, RequestInDoubtError)
            await trio.sleep(1)
            await peers.say(1, b"reply\n")
        assert asked.result == b"reply"


# The peer ends it, or breaks the protocol


async def test_the_peer_ends_with_requests_open(autojump_clock: trio.testing.MockClock) -> None:
    """B5: what came before is given, the others are in doubt; the next request opens another."""
    peers = Peers()
    async with asking(peers, max_connections=1) as client:
        async with trio.open_nursery() as nursery:
            asked = await start_all(nursery, client, b"a", b"b", b"c")
            await peers.say(0, b"1\n")
            await peers.streams[0].aclose()
        assert asked[0].result == b"1"
        for each in asked[1:]:
            assert isinstance(each.result, RequestInDoubtError)
            assert isinstance(each.result.__cause__, ConnectionLostError)
        async with trio.open_nursery() as nursery:
            again = await start(nursery, lambda: client.request(b"d"))
            await peers.say(1, b"2\n")
        assert again.result == b"2"


async def test_a_reply_that_nobody_asked_for(autojump_clock: trio.testing.MockClock) -> None:
    """B5: it ends the connection: who knows whose the next one would be."""
    peers = Peers()
    async with asking(peers, max_connections=1) as client:
        async with trio.open_nursery() as nursery:
            asked = await start(nursery, lambda: client.request(b"a"))
            await peers.say(0, b"1\n2\n")
            await trio.testing.wait_all_tasks_blocked()
        assert asked.result == b"1"
        assert peers.connected == 0
        found = client.statistics()
        assert (found.answered, found.in_flight) == (1, 0)


async def test_an_unknown_id(autojump_clock: trio.testing.MockClock) -> None:
    """B5: a reply to nothing that was asked fails the requests of its connection."""
    for unknown in (b'{"id": 7}\n', b'{"id": [1]}\n'):
        peers = Peers()
        by_id: ById[Any, Any] = ById(lambda request: request["id"], lambda reply: reply.get("id"))
        client: Any = asking(peers, protocol=JSONLinesCodec(), correlation=by_id, max_connections=1)
        async with client:
            async with trio.open_nursery() as nursery:
                asked = await start(nursery, partial(client.request, {"id": 1}))
                with pytest.raises(LocalProtocolError, match="waits for its reply already"):
                    await client.request({"id": 1})
                with pytest.raises(LocalProtocolError, match="notify"):
                    await client.request({"id": None})
                await peers.say(0, unknown)
            assert isinstance(asked.result, RequestInDoubtError)
            assert isinstance(asked.result.__cause__, RemoteProtocolError)
            assert client.statistics().in_flight == 0


class Skipping(Codec[bytes, bytes]):
    """Lines; throws away those that begin with a question mark."""

    def __init__(self, *, listed: bool) -> None:
        self._lines = LineCodec()
        self._listed = listed

    def encode(self, message: bytes) -> bytes:
        return self._lines.encode(message)

    def decode(self, buffer: ReceiveBuffer) -> Any:
        return self._checked(buffer) if not self._listed else list(self._checked(buffer))

    def _checked(self, buffer: ReceiveBuffer) -> Any:
        for line in self._lines.decode(buffer):
            if line.startswith(b"?"):
                raise SkippedMessageError("a question")
            yield line


@pytest.mark.parametrize("listed", [False, True])
async def test_a_reply_that_cannot_be_read(
    listed: bool, autojump_clock: trio.testing.MockClock
) -> None:
    """B5: a message that a codec skips may have been a reply: no other is taken for it."""
    peers = Peers()
    async with asking(peers, protocol=Skipping(listed=listed), max_connections=1) as client:
        async with trio.open_nursery() as nursery:
            asked = await start_all(nursery, client, b"a", b"b")
            await peers.say(0, b"?\nfor b\n")
        for each in asked:
            assert isinstance(each.result, RequestInDoubtError)
            assert isinstance(each.result.__cause__, RemoteProtocolError)


async def test_a_push_predicate_that_fails(autojump_clock: trio.testing.MockClock) -> None:
    """B5: it ends its connection, and is the cause that its requests are given."""
    peers = Peers()

    def failing(message: bytes) -> bool:
        raise ZeroDivisionError

    async with asking(peers, correlation=InOrder(is_push=failing), max_connections=1) as client:
        async with trio.open_nursery() as nursery:
            asked = await start(nursery, lambda: client.request(b"a"))
            await peers.say(0, b"1\n")
        assert isinstance(asked.result.__cause__, ZeroDivisionError)
        assert client.statistics().in_flight == 0


# Closing


class Polite(Protocol[bytes]):
    """Says QUIT, and notes its hooks."""

    def __init__(self) -> None:
        super().__init__(LineCodec())
        self.hooks: list[str] = []
        self.purged: list[bytes] = []

    async def goodbye(self, connection: Connection[bytes]) -> None:
        self.hooks.append("goodbye")
        await connection.send(b"QUIT")

    async def close(self, connection: Connection[bytes]) -> None:
        self.hooks.append("close")

    def purge(self, connection: Connection[bytes], messages: Sequence[bytes]) -> None:
        self.hooks.append("purge")
        self.purged += messages


async def test_a_drain_waits_for_replies_and_says_goodbye(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """S23: replies come first; that to the goodbye, which nobody awaits, is no error."""
    peers, protocol = Peers(), Polite()
    async with asking(peers, protocol=protocol, max_connections=1) as client:
        async with trio.open_nursery() as nursery:
            asked = await start(nursery, lambda: client.request(b"a"))
            closing = await start(nursery, client.aclose)
            assert await peers.read(0) == b"a\n"
            with pytest.raises(PoolClosedError):
                await client.request(b"too late")
            await trio.sleep(3)
            assert protocol.hooks == []
            await peers.say(0, b"1\n")
            assert await peers.read(0) == b"QUIT\n"
            await peers.say(0, b"OK bye\n")
            await peers.streams[0].aclose()
        assert asked.result == b"1"
        assert closing.result.clean
        assert [each.cause for each in closing.result.connections] == [Cause.PEER_CLOSED]
        assert protocol.hooks == ["goodbye", "close"]


async def test_a_drain_waits_for_no_notice(autojump_clock: trio.testing.MockClock) -> None:
    """S23: a message that nobody answers is sent by the drain, which does not wait for a reply."""
    peers, protocol = Peers(lockstep=True), Polite()
    async with asking(peers, protocol=protocol, max_connections=1) as client:
        async with trio.open_nursery() as nursery:
            await client.notify(b"told")
            closing = await start(nursery, client.aclose)
            assert protocol.hooks == ["goodbye"]
            assert await peers.read_lines(0, 2) == [b"told", b"QUIT"]
            await peers.streams[0].aclose()
        assert closing.result.clean
        assert trio.current_time() == 0


async def test_a_reply_that_is_late_for_the_goodbye(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """S23: without a goodbye, the connection ends when the last reply has come."""
    peers, protocol = Peers(), Polite()
    async with asking(peers, protocol=protocol, max_connections=1) as client:
        async with trio.open_nursery() as nursery:
            asked = await start_all(nursery, client, b"a", b"b")
            closing = await start(nursery, lambda: client.aclose(DrainTimeouts(goodbye=5, wait=30)))
            await trio.sleep(6)
            await peers.say(0, b"1\n")
            await trio.sleep(6)
            assert peers.connected == 1
            before = trio.current_time()
            await peers.say(0, b"2\n")
            await closing.done.wait()
            assert trio.current_time() == before
        assert [each.result for each in asked] == [b"1", b"2"]
        assert closing.result.clean
        assert protocol.hooks == ["close"]


async def test_a_drain_does_not_wait_for_ever(autojump_clock: trio.testing.MockClock) -> None:
    """S23, B5: what is not answered by the end of the drain is in doubt."""
    peers = Peers()
    async with asking(peers, max_connections=1) as client:
        async with trio.open_nursery() as nursery:
            asked = await start(nursery, lambda: client.request(b"a"))
            report = await client.aclose(DrainTimeouts(goodbye=1, wait=2))
        assert report.cut == 1
        assert isinstance(asked.result, RequestInDoubtError)


@pytest.mark.parametrize("bound", ["max_in_flight", "max_pending"])
async def test_who_waits_is_told_of_the_close_at_once(
    bound: str, autojump_clock: trio.testing.MockClock
) -> None:
    """S23: requests in line raise when the client is closed, while those sent are answered."""
    peers = Peers()
    async with asking(peers, max_connections=1, **{bound: 1}) as client:
        async with trio.open_nursery() as nursery:
            asked = await start_all(nursery, client, b"a", b"b", b"c")
            closing = await start(nursery, client.aclose)
            assert [each.done.is_set() for each in asked] == [False, True, True]
            for each in asked[1:]:
                assert isinstance(each.result, PoolClosedError)
            with pytest.raises(PoolClosedError):
                await client.request(b"d")
            await peers.say(0, b"1\n")
            await closing.done.wait()
        assert asked[0].result == b"1"
        assert await peers.read_rest(0) == b"a\n"
        assert client.statistics().in_flight == 0


async def test_who_waits_is_told_when_the_block_is_left(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """S23: requests of tasks outside of the block that wait in line raise at once."""
    peers = Peers()
    async with trio.open_nursery() as nursery:
        async with asking(peers, max_connections=1, max_in_flight=1) as client:
            asked = await start_all(nursery, client, b"a", b"b")

            async def answer_once_the_other_is_told() -> None:
                await asked[1].done.wait()
                assert not asked[0].done.is_set()
                await peers.say(0, b"1\n")

            nursery.start_soon(answer_once_the_other_is_told)
        assert isinstance(asked[1].result, PoolClosedError)
        assert asked[0].result == b"1"


async def test_a_block_that_raises_leaves_no_request_behind(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """S23, B6: other tasks' requests end, in line or sent, when the client's block fails."""
    peers = Peers()
    client = asking(peers, max_connections=1, max_in_flight=2, max_pending=1)
    async with trio.open_nursery() as nursery:
        asked: list[Asked] = []

        async def use() -> None:
            async with client:
                asked.extend(await start_all(nursery, client, b"a", b"b", b"c", b"d"))
                raise KeyError

        with pytest.raises(KeyError):
            await use()
        for each in asked:
            await each.done.wait()
    assert isinstance(asked[0].result, RequestInDoubtError)
    for each in asked[1:]:
        assert isinstance(each.result, PoolClosedError)
    assert client.statistics().in_flight == 0


async def test_unsent_notices_go_to_the_purge_hook(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """S11, B5: requests are told by their errors, messages without a reply by the hook."""
    peers, protocol = Peers(lockstep=True), Polite()
    async with asking(peers, protocol=protocol, max_connections=1) as client:
        async with trio.open_nursery() as nursery:
            asked = await start_all(nursery, client, b"a", b"b")
            await client.notify(b"told")
            last = await start(nursery, lambda: client.request(b"c"))
            peers.theirs[0].break_now()
        assert isinstance(asked[0].result, RequestInDoubtError)
        for each in (asked[1], last):
            assert isinstance(each.result, RequestNotSentError)
        assert protocol.purged == [b"told"]
        assert protocol.hooks == ["close", "purge"]


# Moving


async def test_unsent_requests_move(autojump_clock: trio.testing.MockClock) -> None:
    """S18: those that were not begun are sent by another connection, one that was left is not."""
    peers = Peers(lockstep=True)
    async with asking(peers, max_connections=1, move_unsent=True) as client:
        async with trio.open_nursery() as nursery:
            asked = await start_all(nursery, client, b"a", b"left", b"b", b"c")
            asked[1].scope.cancel()
            await trio.testing.wait_all_tasks_blocked()
            peers.theirs[0].break_now()
            await trio.testing.wait_all_tasks_blocked()
            assert await peers.read_lines(1, 2) == [b"b", b"c"]
            await peers.say(1, b"1\n2\n")
        assert isinstance(asked[0].result, RequestInDoubtError)
        assert (asked[2].result, asked[3].result) == (b"1", b"2")
        found = client.statistics()
        assert (found.in_flight, found.abandoned, found.replies_dropped) == (0, 1, 0)


@pytest.mark.parametrize("purged", [False, True])
async def test_a_request_that_was_left_and_moves_twice(
    purged: bool, autojump_clock: trio.testing.MockClock
) -> None:
    """B5, S18: it gives its place back once, however many connections die under it."""
    peers = Peers(lockstep=True)
    async with asking(peers, max_connections=2, move_unsent=True) as client:
        async with trio.open_nursery() as nursery:
            asked = await start_all(nursery, client, b"a", b"x", b"left", b"b")
            asked[2].scope.cancel()
            await trio.testing.wait_all_tasks_blocked()
            peers.close()
            for index in range(2):
                # First it moves behind what the other connection has not sent, then from there.
                peers.theirs[index].break_now()
                await trio.sleep(2)
            peers.open()
            await trio.sleep(2)
            if purged:
                peers.always = ConnectionRefusedError()
                for each in peers.theirs[2:]:
                    each.break_now()
            else:
                assert await peers.read(2) == b"b\n"
                await peers.say(2, b"1\n")
            await asked[3].done.wait()
            await trio.sleep(20)
        if not purged:
            assert asked[3].result == b"1"
        found = client.statistics()
        assert (found.in_flight, found.abandoned) == (0, 1)


async def test_what_moves_keeps_the_bound(autojump_clock: trio.testing.MockClock) -> None:
    """S13, S18: requests of a dead connection find room like others, before those in line."""
    peers = Peers(lockstep=True)
    limits = {"max_connections": 2, "max_pending": 3, "backoff": 0.01}
    letters = [b"%c" % each for each in b"abcdef"]
    async with asking(peers, move_unsent=True, **limits) as client:
        async with trio.open_nursery() as nursery:
            asked = await start_all(nursery, client, *letters, b"late")
            peers.close()  # No third one for now.
            assert await peers.read_lines(1, 3) == [b"b", b"d", b"f"]
            peers.theirs[0].break_now()
            await trio.testing.wait_all_tasks_blocked()
            assert isinstance(asked[0].result, RequestInDoubtError)
            for answered, following in ((b"b", b"c"), (b"d", b"e"), (b"f", b"late")):
                await peers.say(1, b"for " + answered + b"\n")
                await trio.testing.wait_all_tasks_blocked()
                assert await peers.read_lines(1, 1) == [following]
            await peers.say(1, b"for c\nfor e\nfor late\n")
        assert [each.result for each in asked[1:]] == [
            b"for " + letter for letter in (*letters[1:], b"late")
        ]
