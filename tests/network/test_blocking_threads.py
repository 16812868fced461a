"""Many threads with one client, and a server that is killed under them."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import attrs

from snowtrio import (
    ConnectError,
    LineCodec,
    RequestClient,
    RequestInDoubtError,
    RequestLimits,
    RequestNotSentError,
)
from snowtrio.blocking import BlockingRequestClient

from ..serving import LIMIT
from .examples import EXAMPLES
from .threads import Worker, blocking_threads, talking


def test_fifty_threads_ask_a_hundred_times_each() -> None:
    """S14, S16: each gets the replies to its own requests, over four connections."""

    def ask(number: int) -> int:
        right = 0
        for each in range(100):
            line = b"thread %d asks %d" % (number, each)
            right += client.request(line, timeout=LIMIT) == line
        return right

    with talking() as talker:
        with talker.client(RequestLimits(max_connections=4)) as client:
            workers = [Worker(lambda number=number: ask(number)) for number in range(50)]  # type: ignore[misc]
            assert [worker.outcome() for worker in workers] == [100] * 50
            statistics = client.statistics()
        assert statistics.answered == 5000
        assert statistics.client.pool.opened <= 4
        assert not blocking_threads()


def test_threads_mix_all_that_can_be_asked() -> None:
    """S14: requests, batches, streams and sessions at the same time."""

    def ask(number: int) -> None:
        for each in range(10):
            line = b"%d %d" % (number, each)
            assert client.request(line) == line
            assert client.request_batch([line, b"x", line]) == [line, b"x", line]
            with client.stream(b"count 20", ends=lambda reply: reply == b"20") as replies:
                assert len(list(replies)) == 20
            with client.session() as session:
                assert session.request(line) == line

    with talking() as talker, talker.client(RequestLimits(max_connections=4)) as client:
        workers = [Worker(lambda number=number: ask(number)) for number in range(12)]  # type: ignore[misc]
        assert [worker.outcome() for worker in workers] == [None] * 12
        assert client.statistics().in_flight == 0


@contextmanager
def running_echo_server() -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run the echo server in a process of its own; gives that and its port."""
    server = subprocess.Popen(
        [sys.executable, str(EXAMPLES / "echo_server.py"), "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    with server:
        assert server.stdout is not None
        address = server.stdout.readline().removeprefix("listening on ").strip()
        try:
            yield server, int(address.rpartition(":")[2])
        finally:
            server.kill()


@attrs.define
class Ledger:
    """What became of one thread's requests."""

    answered: int = 0
    in_doubt: int = 0
    not_sent: int = 0
    not_connected: int = 0


def test_a_server_that_is_killed_leaves_no_request_untold() -> None:
    """B5: each is answered rightly, or in doubt, or never left; the counts agree to the last."""
    answers = threading.Semaphore(0)

    def ask_until_it_is_gone(number: int) -> Ledger:
        ledger = Ledger()
        while True:
            line = b"thread %d asks %d" % (number, ledger.answered)
            try:
                assert client.request(line, timeout=LIMIT) == line
            except RequestInDoubtError:
                ledger.in_doubt += 1
            except RequestNotSentError:
                ledger.not_sent += 1
            except ConnectError:
                ledger.not_connected += 1
                return ledger
            else:
                ledger.answered += 1
                answers.release()

    with running_echo_server() as (server, port):
        limits = RequestLimits(max_connections=4, connect_attempts=1)
        asking = RequestClient(LineCodec(), "127.0.0.1", port, limits=limits)
        with BlockingRequestClient(asking) as client:
            workers = [Worker(partial(ask_until_it_is_gone, number)) for number in range(20)]
            for _ in range(500):
                assert answers.acquire(timeout=LIMIT)
            server.kill()
            ledgers = [worker.outcome() for worker in workers]
            statistics = client.statistics()
    found = [ledger for ledger in ledgers if isinstance(ledger, Ledger)]
    assert len(found) == len(ledgers), ledgers
    assert sum(each.answered for each in found) == statistics.answered
    assert sum(each.in_doubt for each in found) == statistics.in_doubt
    assert sum(each.not_sent for each in found) == statistics.not_sent
    assert statistics.in_doubt > 0
    assert statistics.in_flight == 0
    assert not blocking_threads()
