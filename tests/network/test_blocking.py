"""Requests from ordinary threads, to a server on a real socket."""

from __future__ import annotations

import contextlib
import inspect
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator

import pytest
from anyio.from_thread import start_blocking_portal

from snowtrio import (
    BufferedStream,
    Cause,
    Codec,
    ConnectRefusedError,
    DrainTimeouts,
    HandshakeError,
    LineCodec,
    LocalProtocolError,
    PoolClosedError,
    Protocol,
    ReceiveBuffer,
    RequestClient,
    RequestInDoubtError,
    RequestLimits,
    RequestNotSentError,
    Side,
)
from snowtrio.blocking import BlockingRequestClient, BlockingSession

from .threads import ONE, Talker, Worker, blocking_threads, talking


@pytest.fixture
def talker() -> Iterator[Talker]:
    with talking() as server:
        yield server
    assert not blocking_threads()


# Asking


def test_a_request_returns_its_reply(talker: Talker) -> None:
    """S14: one after the other, with and without a timeout, on one connection."""
    with talker.client() as client:
        for number in range(20):
            line = b"line %d" % number
            timeout = 5.0 if number % 2 else None
            assert client.request(line, timeout=timeout) == line
        assert client.statistics().client.pool.opened == 1
        assert client.limits is ONE


def test_a_batch_returns_its_replies_in_order(talker: Talker) -> None:
    """B1: also from a generator, which runs in the caller's thread."""
    callers: set[int] = set()

    def lines() -> Iterator[bytes]:
        for number in range(100):
            callers.add(threading.get_ident())
            yield b"%d" % number

    with talker.client() as client:
        assert client.request_batch(lines(), timeout=5.0) == [b"%d" % each for each in range(100)]
        assert client.request_batch([]) == []
    assert callers == {threading.get_ident()}


@pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 1000])
def test_a_stream_gives_replies_to_the_last(talker: Talker, count: int) -> None:
    """S14: as many as there are, beyond what is kept, and the next request gets its own."""
    limits = RequestLimits(max_connections=1, max_stream_replies=10)
    last = b"%d" % count
    with talker.client(limits) as client:
        with client.stream(b"count " + last, ends=lambda reply: reply == last) as replies:
            assert list(replies) == [b"%d" % each for each in range(1, count + 1)]
            assert next(replies, None) is None
        assert client.request(b"next") == b"next"


def test_what_is_left_of_a_stream_is_thrown_away(talker: Talker) -> None:
    """B6: left in the middle, it shifts no reply."""
    with talker.client() as client:
        with client.stream(b"count 500", ends=lambda reply: reply == b"500") as replies:
            assert next(replies) == b"1"
        with pytest.raises(RuntimeError, match="with block"):
            list(replies)
        assert client.request(b"next") == b"next"


def test_a_stream_whose_reply_is_late_can_be_waited_for_again(talker: Talker) -> None:
    with (
        talker.client() as client,
        client.stream(b"wait", ends=lambda _: True, timeout=0.05) as replies,
    ):
        talker.wait_came()
        with pytest.raises(TimeoutError):
            next(replies)
        talker.release()
        assert retry(lambda: next(replies)) == b"wait"
        assert list(replies) == []


def retry(call: Callable[[], bytes]) -> bytes:
    while True:
        with contextlib.suppress(TimeoutError):
            return call()


def test_a_session_has_a_connection_alone(talker: Talker) -> None:
    """S15: what others ask meanwhile goes to another one."""
    with talker.client(RequestLimits(max_connections=2)) as client:
        with client.session(timeout=5.0) as session:
            asking = Worker(lambda: session.request(b"wait"))
            talker.wait_came()
            assert client.request(b"other") == b"other"
            assert client.statistics().client.pool.connections == 2
            talker.release()
            assert asking.outcome() == b"wait"
            assert session.context is None
            assert session.keep
            session.keep = False
        with pytest.raises(RuntimeError, match="with block"):
            session.request(b"late")
    assert client.statistics().client.pool.ended[Cause.DROPPED] == 1


def test_a_session_whose_block_raised_is_cut(talker: Talker) -> None:
    def fail() -> None:
        with client.session() as session:
            assert session.request(b"x") == b"x"
            raise ZeroDivisionError

    with talker.client() as client:
        with pytest.raises(ZeroDivisionError):
            fail()
        assert client.request(b"next") == b"next"
    assert client.statistics().client.pool.ended[Cause.DROPPED] == 1


def test_a_session_can_be_waited_for_in_vain(talker: Talker) -> None:
    """S16: out of time, nothing of it is left."""
    with talker.client() as client:
        with client.session():
            with pytest.raises(TimeoutError), client.session(timeout=0.01):
                pass
            with pytest.raises(TimeoutError):
                client.notify(b"note x", timeout=0.01)
            with pytest.raises(RequestNotSentError):
                client.request(b"x", timeout=0.01)
        assert client.request(b"next") == b"next"


def test_pushes_come_as_an_iterator(talker: Talker) -> None:
    """S14: what answers nothing; of the client, and of a session."""
    with talker.client() as client:
        assert client.request(b"push one") == b"push one"
        client.request(b"push two")
        assert client.pushes.receive(timeout=0) == b">one"
        assert list(client.pushes.each(timeout=0)) == [b">two"]
        with pytest.raises(TimeoutError):
            client.pushes.receive(timeout=0)
        taking = Worker(lambda: next(client.pushes))
        client.request(b"push three")
        assert taking.outcome() == b">three"
        assert (client.pushes.received, client.pushes.dropped) == (3, 0)
        with client.session() as session:
            session.request(b"push four")
            taking = Worker(lambda: list(session.pushes))
        assert taking.outcome() == [b">four"]


def test_pushes_that_nobody_took_are_there_after_the_end(talker: Talker) -> None:
    with talker.client() as client:
        taking = Worker(lambda: list(client.pushes))
        client.request_batch([b"push %d" % number for number in range(9)])
    taken = taking.outcome()
    assert isinstance(taken, list)
    assert [*taken, *client.pushes] == [b">%d" % number for number in range(9)]


def test_a_notification_waits_for_no_reply(talker: Talker) -> None:
    with talker.client() as client:
        client.notify(b"note 1", timeout=5.0)
        assert next(client.pushes) == b">1"
        assert client.request(b"next") == b"next"
        client.close(DrainTimeouts(goodbye=0, wait=0))


# Errors


def test_errors_come_out_as_they_are(talker: Talker) -> None:
    """S17, S6: no groups around them, and their causes with them."""
    with talker.client() as client:
        with pytest.raises(LocalProtocolError, match="end the message"):
            client.request(b"two\nlines")
        with pytest.raises(RequestInDoubtError) as raised:
            client.request(b"leave")
        assert raised.value.__cause__ is not None
        with pytest.raises(RequestInDoubtError) as raised:
            client.request_batch([b"a", b"leave", b"b"])
        assert raised.value.outcomes[0] == b"a"
        with pytest.raises(RequestInDoubtError):
            client.request(b"wait", timeout=0.01)
        with pytest.raises(TypeError):
            client.request_batch(None)  # type: ignore[arg-type]
        talker.release()


def test_nobody_listens() -> None:
    """S17, P4: refused, for every thread that asks, and the client goes on."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        limits = RequestLimits(connect_attempts=1)
        asking = RequestClient(LineCodec(), "127.0.0.1", closed.getsockname()[1], limits=limits)
        with BlockingRequestClient(asking) as client:
            for _ in range(3):
                with pytest.raises(ConnectRefusedError):
                    client.request(b"x")
            with pytest.raises(ConnectRefusedError), client.session():
                pass
            with pytest.raises(ConnectRefusedError), client.stream(b"x", ends=lambda _: True):
                pass


def test_a_handshake_runs_in_trio(talker: Talker) -> None:
    """S8: its failure reaches the thread that asked."""

    class Suspicious(Protocol[bytes]):
        codec = LineCodec()

        async def handshake(self, side: Side, stream: BufferedStream) -> None:
            await stream.send_all(b"password\n")
            if await stream.receive_line() != b"welcome":
                raise HandshakeError("not welcome")

    asking = RequestClient(Suspicious(), "127.0.0.1", talker.port)
    with (
        BlockingRequestClient(asking) as client,
        pytest.raises(HandshakeError, match="not welcome"),
    ):
        client.request(b"x")


def test_a_codec_that_exits_ends_its_caller_alone(talker: Talker) -> None:
    """S22: what is raised in the Trio thread belongs to the thread that called."""

    class Exiting(Codec[bytes]):
        lines = LineCodec()

        def encode(self, message: bytes) -> bytes:
            if message == b"exit":
                raise SystemExit(7)
            return self.lines.encode(message)

        def decode(self, buffer: ReceiveBuffer) -> Iterable[bytes]:
            return self.lines.decode(buffer)

    with BlockingRequestClient(RequestClient(Exiting(), "127.0.0.1", talker.port)) as client:
        with pytest.raises(SystemExit):
            client.request(b"exit")
        assert client.request(b"x") == b"x"


# The block


def test_leaving_the_block_drains(talker: Talker) -> None:
    """S23: what is under way is answered, what comes then is refused."""
    with talker.client() as client:
        asking = Worker(lambda: client.request(b"wait"))
        talker.wait_came()

        def ask_until_it_is_closed() -> None:
            while True:
                try:
                    client.notify(b"note more")
                except PoolClosedError:
                    break
            talker.release()

        asking_more = Worker(ask_until_it_is_closed)
    assert asking.outcome() == b"wait"
    assert asking_more.outcome() is None
    assert not blocking_threads()
    with pytest.raises(PoolClosedError):
        client.request(b"late")
    with pytest.raises(PoolClosedError):
        client.close()


def test_a_block_that_raises_cuts(talker: Talker) -> None:
    """S23: those who wait have their errors at once."""
    client = talker.client()
    client.__enter__()
    asking = Worker(lambda: client.request(b"wait"))
    taking = Worker(lambda: list(client.pushes))
    talker.wait_came()
    client.__exit__(ZeroDivisionError, ZeroDivisionError(), None)
    assert isinstance(asking.outcome(), RequestInDoubtError)
    assert taking.outcome() == []
    assert client.statistics().in_doubt == 1


def test_the_end_does_not_wait_for_sessions_that_threads_hold(talker: Talker) -> None:
    """S23: they end with the client, and their threads find that out."""
    held, ended = threading.Barrier(3), threading.Event()

    def hold_a_session(client: BlockingRequestClient[bytes]) -> None:
        with client.session() as session:
            held.wait()
            ended.wait()
            session.request(b"late")

    def hold_a_stream(client: BlockingRequestClient[bytes]) -> None:
        with client.stream(b"wait", ends=lambda _: True) as replies:
            held.wait()
            ended.wait()
            list(replies)

    with talker.client(RequestLimits()) as client:
        workers = [
            Worker(lambda: hold_a_session(client)),
            Worker(lambda: hold_a_stream(client)),
        ]
        held.wait()
        report = client.close(DrainTimeouts(goodbye=0.05, wait=0.05))
        assert len(report.connections) == 2
        assert client.close() is report
    ended.set()
    assert [type(worker.outcome()) for worker in workers] == [PoolClosedError, PoolClosedError]


def test_clients_share_a_thread(talker: Talker) -> None:
    """S19: several clients on one portal; it goes on when they have ended."""
    with start_blocking_portal("trio") as portal:
        threads = threading.active_count()
        with talker.client(portal=portal) as one, talker.client(portal=portal) as two:
            one.bootstrap(timeout=5.0)
            assert (one.request(b"1"), two.request(b"2")) == (b"1", b"2")
            assert threading.active_count() == threads
        with pytest.raises(PoolClosedError):
            one.request(b"late")
        assert two.statistics().answered == 1
        with talker.client(portal=portal) as three:
            assert three.request(b"3") == b"3"


def test_a_portal_that_ends_takes_its_client_along(talker: Talker) -> None:
    """B6: no deadlock between the two ends, and no call that hangs."""
    with start_blocking_portal("trio") as portal:
        client = talker.client(portal=portal)
        client.__enter__()
        assert client.request(b"x") == b"x"
    with pytest.raises(PoolClosedError):
        client.request(b"late")
    client.__exit__(None, None, None)


def test_a_portal_that_is_cancelled_takes_its_client_along(talker: Talker) -> None:
    """B6: as one whose own block raised."""
    opened = start_blocking_portal("trio")
    client = talker.client(portal=opened.__enter__())
    client.__enter__()
    asking = Worker(lambda: client.request(b"wait"))
    talker.wait_came()
    assert not opened.__exit__(ZeroDivisionError, ZeroDivisionError(), None)
    assert isinstance(asking.outcome(), PoolClosedError | RequestInDoubtError)
    client.__exit__(None, None, None)


# Misuse


def test_it_is_used_within_its_block(talker: Talker) -> None:
    client = talker.client()
    for call in (lambda: client.request(b"x"), client.statistics, client.close, client.bootstrap):
        with pytest.raises(RuntimeError, match="with block"):
            call()
    with pytest.raises(RuntimeError, match="with block"), client.session():
        pass
    with client:
        with pytest.raises(RuntimeError, match="entered once"):
            client.__enter__()
        assert client.request(b"x") == b"x"
    with pytest.raises(RuntimeError, match="entered once"):
        client.__enter__()


def test_a_client_is_wrapped_once(talker: Talker) -> None:
    asking = RequestClient(LineCodec(), "127.0.0.1", talker.port)
    with BlockingRequestClient(asking) as client:
        second = BlockingRequestClient(asking)
        with pytest.raises(RuntimeError, match="a RequestClient is entered once"):
            second.__enter__()
        assert client.request(b"x") == b"x"
        assert len(blocking_threads()) == 1


def test_the_trio_thread_does_not_wait_for_itself(talker: Talker) -> None:
    """An error, not a deadlock."""
    caught: list[str] = []

    def ends(reply: bytes) -> bool:
        try:
            client.request(b"from Trio")
        except RuntimeError as error:
            caught.append(str(error))
        return True

    with start_blocking_portal("trio") as portal, talker.client(portal=portal) as client:
        with client.stream(b"x", ends=ends) as replies:
            assert list(replies) == [b"x"]
        assert "must not be blocked" in caught[0]
        for call in (client.close, lambda: client.__exit__(None, None, None), client.statistics):
            with pytest.raises(RuntimeError, match="must not be blocked"):
                portal.call(call)
        other = talker.client(portal=portal)
        with pytest.raises(RuntimeError, match="event loop thread"):
            portal.call(other.__enter__)


def test_a_portal_has_to_run_trio(talker: Talker) -> None:
    with start_blocking_portal("asyncio") as portal:
        client = talker.client(portal=portal)
        with pytest.raises(RuntimeError, match="does not run Trio"):
            client.__enter__()


# Python warns of forks in processes with threads, with good reason.
FORKING = (sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c")
FORKED = """
import os, sys
from snowtrio import LineCodec, RequestClient
from snowtrio.blocking import BlockingRequestClient

with BlockingRequestClient(RequestClient(LineCodec(), "127.0.0.1", int(sys.argv[1]))) as client:
    client.request(b"before")
    with client.session() as session:
        child = os.fork()
        if child:
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        else:
            for call in (lambda: client.request(b"x"), lambda: session.request(b"x"), client.close):
                try:
                    call()
                except RuntimeError as error:
                    print(error, flush=True)
        assert not child or session.request(b"session") == b"session"
    if child:
        print(client.request(b"after"), flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_a_forked_child_is_told(talker: Talker) -> None:
    """Each call in it raises, its end of the block is quiet, and the parent's client goes on."""
    done = subprocess.run(
        [*FORKING, FORKED, str(talker.port)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    *told, after = done.stdout.splitlines()
    assert after == "b'after'"
    assert len(told) == 3
    assert all("after a fork" in line for line in told)


def test_help_says_what_each_thing_does() -> None:
    for kind in (BlockingRequestClient, BlockingSession):
        for name, member in inspect.getmembers(kind):
            if not name.startswith("_"):
                assert inspect.getdoc(member), name


def test_requests_that_could_not_be_sent_say_so(talker: Talker) -> None:
    """S16: out of time in line."""
    limits = RequestLimits(max_connections=1, max_in_flight=1)
    with talker.client(limits) as client:
        asking = Worker(lambda: client.request(b"wait"))
        talker.wait_came()
        with pytest.raises(RequestNotSentError):
            client.request(b"x", timeout=0.01)
        talker.release()
        assert asking.outcome() == b"wait"
