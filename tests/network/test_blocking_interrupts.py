"""Ctrl-C while a thread is blocked in a request, and at every step of every call."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest
import trio

import snowtrio.blocking
from snowtrio import (
    DrainTimeouts,
    PoolClosedError,
    RequestInDoubtError,
    RequestLimits,
    WhenCancelled,
)
from snowtrio.blocking import BlockingRequestClient

from ..serving import LIMIT
from .threads import (
    Talker,
    Worker,
    blocking_threads,
    hearing_ctrl_c,
    press_ctrl_c,
    talking,
)

FOLDER = str(Path(snowtrio.blocking.__file__).parent)
PLACES = (FOLDER, trio.lowlevel.TrioToken.run_sync_soon.__code__.co_filename)


@pytest.fixture
def talker() -> Iterator[Talker]:
    with talking() as server, hearing_ctrl_c():
        yield server
    assert not blocking_threads()


def press_when_blocked() -> Worker:
    """Press Ctrl-C when the main thread waits for Trio."""

    def press() -> None:
        pause = threading.Event()
        while not is_blocked(sys._current_frames()[threading.main_thread().ident or 0]):
            pause.wait(0.002)
        press_ctrl_c()

    return Worker(press)


def is_blocked(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(FOLDER) and frame.f_code.co_name == "wait"


def press_when_asked(talker: Talker) -> Worker:
    """Press Ctrl-C when the server has a ``wait``."""

    def press() -> None:
        talker.wait_came()
        press_when_blocked().outcome()

    return Worker(press)


def test_an_interrupted_request_is_abandoned(talker: Talker) -> None:
    """B6: its reply is dropped when it comes, and the next request has its own."""
    with talker.client() as client:
        pressing = press_when_asked(talker)
        with pytest.raises(KeyboardInterrupt):
            client.request(b"wait")
        pressing.outcome()
        statistics = client.statistics()
        assert (statistics.abandoned, statistics.in_flight) == (1, 1)
        talker.release()
        assert client.request(b"next") == b"next"
        statistics = client.statistics()
        assert (statistics.replies_dropped, statistics.in_flight) == (1, 0)
        assert statistics.client.pool.opened == 1


def test_an_interrupted_request_may_take_its_connection_along(talker: Talker) -> None:
    """B6: the policy of the client that is wrapped."""
    with talker.client(when_cancelled=WhenCancelled.CLOSE_CONNECTION) as client:
        press_when_asked(talker)
        with pytest.raises(KeyboardInterrupt):
            client.request(b"wait")
        assert client.request(b"next") == b"next"
        assert client.statistics().client.pool.opened == 2


def test_the_requests_of_other_threads_go_on(talker: Talker) -> None:
    """B6: the interrupt is the main thread's alone."""
    with talker.client(RequestLimits(max_connections=2)) as client:
        asking = Worker(lambda: client.request(b"wait"))
        talker.wait_came()
        press_when_asked(talker)
        with pytest.raises(KeyboardInterrupt):
            client.request_batch([b"a", b"wait", b"b"])
        talker.release()
        assert asking.outcome() == b"wait"


def test_an_interrupted_session_is_cut(talker: Talker) -> None:
    """B6: nobody knows what is under way on it."""
    with talker.client() as client:
        press_when_asked(talker)
        with pytest.raises(KeyboardInterrupt), client.session() as session:
            session.request(b"wait")
        assert client.request(b"next") == b"next"
        assert client.statistics().client.pool.opened == 2


def test_an_interrupted_iteration_goes_on(talker: Talker) -> None:
    """B6: no reply is lost between two of them."""
    with (
        talker.client() as client,
        client.stream(b"wait", ends=lambda _: True) as replies,
    ):
        press_when_blocked()
        with pytest.raises(KeyboardInterrupt):
            next(replies)
        talker.release()
        assert list(replies) == [b"wait"]


def test_an_interrupted_drain_cuts(talker: Talker) -> None:
    """S23: Ctrl-C while the block is left ends it at once."""
    client = talker.client()
    client.__enter__()
    asking = Worker(lambda: client.request(b"wait"))
    talker.wait_came()
    press_when_blocked()
    with pytest.raises(KeyboardInterrupt):
        client.__exit__(None, None, None)
    assert not blocking_threads()
    assert isinstance(asking.outcome(), Exception)


SCRIPT = """
import signal, sys
from snowtrio import LineCodec, RequestClient
from snowtrio.blocking import BlockingRequestClient

signal.signal(signal.SIGINT, signal.default_int_handler)
with BlockingRequestClient(RequestClient(LineCodec(), "127.0.0.1", int(sys.argv[1]))) as client:
    print("ready", flush=True)
    client.request(b"wait")
"""


def test_ctrl_c_ends_a_script(talker: Talker) -> None:
    """P11: through the block, with nothing but the traceback of the interrupt."""
    script = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", SCRIPT, str(talker.port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with script:
        talker.wait_came()
        script.send_signal(signal.SIGINT)
        output, errors = script.communicate(timeout=LIMIT)
    assert script.returncode == -signal.SIGINT
    assert output == "ready\n"
    assert errors.splitlines()[-1] == "KeyboardInterrupt"
    assert "ExceptionGroup" not in errors


# At every step


class Strike:
    """Interrupts the calling thread at the n-th place where Python looks for signals.

    Those are, among others, the beginning of a function and the return from a built-in one; what
    counts are those in the façade, and where it hands calls to Trio. (By a profile, since coverage
    has the trace.)

    Parameters:
        number: counted from 1.
    """

    def __init__(self, number: int) -> None:
        self.left = number

    def __enter__(self) -> Strike:
        self._before = sys.getprofile()
        sys.setprofile(self._profile)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(self._before)

    def _profile(self, frame: FrameType, event: str, argument: object) -> None:
        if event in ("call", "c_return") and frame.f_code.co_filename.startswith(PLACES):
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt


def strike_everywhere(call: Callable[[], object], check: Callable[[bool], object]) -> int:
    """Call again and again, interrupted one step later each time, until it is no more.

    Parameters:
        call: what to interrupt.
        check: called after each, with whether it was interrupted.
    """
    number = 1
    while True:
        struck = False
        with Strike(number) as strike:
            try:
                call()
            except KeyboardInterrupt:
                struck = True
        check(struck)
        if strike.left > 0:
            assert not struck
            return number
        number += 1


CALLS: dict[str, Callable[[BlockingRequestClient[bytes]], object]] = {
    "request": lambda client: client.request(b"x"),
    "timeout": lambda client: client.request(b"x", timeout=5.0),
    "batch": lambda client: client.request_batch([b"a", b"b"]),
    "notify": lambda client: client.notify(b"note x"),
    "statistics": lambda client: client.statistics(),
    "bootstrap": lambda client: client.bootstrap(),
}


@pytest.mark.parametrize("name", CALLS)
def test_struck_at_every_step_of_a_call(talker: Talker, name: str) -> None:
    """B6: whatever step the interrupt comes at, nothing hangs, and the next reply is its own."""
    numbers = iter(range(1_000_000))
    with talker.client() as client:

        def check(_: bool) -> None:
            line = b"%d" % next(numbers)
            assert client.request(line) == line
            assert client.statistics().in_flight == 0

        steps = strike_everywhere(lambda: CALLS[name](client), check)
        assert steps > 15
        assert client.statistics().client.pool.opened == 1


def test_struck_at_every_step_of_a_session(talker: Talker) -> None:
    """B6: the connection is somebody's again, or another one takes its place."""

    def use_a_session() -> None:
        with client.session() as session:
            assert session.request(b"x") == b"x"

    with talker.client() as client:
        strike_everywhere(use_a_session, lambda _: client.request(b"y", timeout=LIMIT))


def test_struck_at_every_step_of_a_stream(talker: Talker) -> None:
    """B6: what was not taken is thrown away, and nothing of it is taken for other replies."""

    def take_a_stream() -> None:
        with client.stream(b"count 3", ends=lambda reply: reply == b"3") as replies:
            assert list(replies) == [b"1", b"2", b"3"]

    def check(_: bool) -> None:
        assert client.request(b"y", timeout=LIMIT) == b"y"

    with talker.client() as client:
        strike_everywhere(take_a_stream, check)


def test_struck_at_every_step_of_taking_pushes(talker: Talker) -> None:
    """B5: each push comes once, in order, however often taking it is interrupted."""
    numbers = iter(range(1_000_000))
    taken: list[bytes] = []
    with talker.client() as client:

        def push() -> None:
            client.request(b"push %d" % next(numbers))

        def check(struck: bool) -> None:
            if not struck:
                push()

        push()
        strike_everywhere(lambda: taken.append(client.pushes.receive()), check)
    taken += client.pushes
    assert len(taken) > 1
    assert taken == [b">%d" % number for number in range(len(taken))]


def test_struck_at_every_step_of_the_beginning(talker: Talker) -> None:
    """B6: a client that was not entered leaves no thread behind."""
    clients = [talker.client()]

    def check(struck: bool) -> None:
        if not struck:
            clients[-1].__exit__(None, None, None)
        clients.append(talker.client())
        for thread in blocking_threads():
            thread.join(LIMIT)
            assert not thread.is_alive()

    strike_everywhere(lambda: clients[-1].__enter__(), check)


def test_struck_at_every_step_of_the_end(talker: Talker) -> None:
    """B6: leaving that was interrupted before it began can be done again; nothing hangs."""
    entered: list[BlockingRequestClient[bytes]] = []

    def leave() -> None:
        entered[-1].__exit__(None, None, None)

    def check(struck: bool) -> None:
        if struck:
            with contextlib.suppress(KeyboardInterrupt):
                leave()
        assert not blocking_threads()
        entered.append(enter())

    def enter() -> BlockingRequestClient[bytes]:
        client = talker.client()
        client.__enter__()
        client.request(b"x")
        return client

    entered.append(enter())
    strike_everywhere(leave, check)
    leave()


def test_a_block_can_be_left_after_an_interrupted_close(talker: Talker) -> None:
    """S23: the client takes no more requests, and what was under way has its end."""
    with talker.client() as client:
        asking = Worker(lambda: client.request(b"wait"))
        talker.wait_came()
        press_when_blocked()
        with pytest.raises(KeyboardInterrupt):
            client.close(DrainTimeouts(goodbye=LIMIT, wait=0.1))
        with pytest.raises(PoolClosedError):
            client.request(b"late")
        talker.release()
    assert isinstance(asking.outcome(), bytes | RequestInDoubtError)
