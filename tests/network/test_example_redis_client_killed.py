"""A real Redis is killed under many requests: what became of each, and what it has executed."""

from __future__ import annotations

import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from snowtrio import (
    ConnectError,
    ConnectionLostError,
    RequestInDoubtError,
    RequestLimits,
    RequestNotSentError,
)

from .examples import EXAMPLES, needs_program
from .redis_peers import RedisServer, redis_on_a_port

sys.path.insert(0, str(EXAMPLES))

from _redis_values import RedisError
from redis_client import RedisClient

pytestmark = [needs_program("redis-server"), pytest.mark.on_one_python]

TIMEOUT = 50.0
# Each reply leaves only when what it answers is on the disk.
DURABLE = ("--appendonly", "yes", "--appendfsync", "always")


@attrs.define
class Account:
    """What a task knows of its own counter.

    Parameters:
        answered: how often it was told the new value.
        in_doubt: how often it may have been raised.
        not_sent: how often nothing was sent.
        refused: how often Redis said that it is not ready.
        last: the value that it was told last.
    """

    answered: int = 0
    in_doubt: int = 0
    not_sent: int = 0
    refused: int = 0
    last: int = 0


class Counting:
    """Tasks that raise a counter each.

    Parameters:
        redis: who is asked.
        server: who is killed.
    """

    def __init__(self, redis: RedisClient, server: RedisServer) -> None:
        self.accounts: dict[str, Account] = {}
        self._redis = redis
        self._server = server
        self._missing = 0
        self._enough = trio.Event()
        self._over = False

    async def count(self, name: str) -> None:
        """Raise the counter again and again, one request at a time."""
        account = self.accounts[name] = Account()
        while not self._over:
            try:
                value = await self._redis.execute("INCR", name)
            except RequestInDoubtError:
                account.in_doubt += 1
            except (ConnectError, ConnectionLostError):
                pass  # No connection took it.
            except RequestNotSentError:
                account.not_sent += 1
            except RedisError as error:
                account.refused += error.kind == "LOADING"
            else:
                account.answered += 1
                self._missing -= 1
                if not self._missing:
                    self._enough.set()
                # Nobody else raises it: the answers are our own, in order.
                assert account.last < value <= account.answered + account.in_doubt
                account.last = value

    async def run(self, tasks: int, kills: int) -> None:
        async with trio.open_nursery() as nursery:
            for number in range(tasks):
                nursery.start_soon(self.count, f"counter:{number}")
            for _ in range(kills):
                await self.wait_for(10 * tasks)
                await self._server.kill()
                await self._server.start()
            await self.wait_for(10 * tasks)
            self._over = True

    async def wait_for(self, answers: int) -> None:
        """Wait until so many more have come."""
        self._missing, self._enough = answers, trio.Event()
        await self._enough.wait()


@pytest.mark.parametrize("move_unsent", [False, True])
async def test_the_ledger_is_exact(tmp_path: Path, move_unsent: bool) -> None:
    """Rows S16 and B5: each request is answered or fails with the right error, and no other.

    What was answered has been executed, what was refused or never sent has not, and of what is in
    doubt, some.
    """
    limits = RequestLimits(max_connections=4, connect_attempts=20)
    options: dict[str, Any] = {"limits": limits, "move_unsent": move_unsent}
    kills = 2
    with trio.fail_after(TIMEOUT):
        async with (
            redis_on_a_port(tmp_path, *DURABLE) as (server, port),
            RedisClient("127.0.0.1", port, **options) as redis,
        ):
            counting = Counting(redis, server)
            await counting.run(tasks=100, kills=kills)
            accounts = counting.accounts
            values = await redis.execute("MGET", *accounts)
            counts = redis.requests.statistics()
    for account, value in zip(accounts.values(), map(int, values), strict=True):
        assert account.answered <= value <= account.answered + account.in_doubt
        # A task asks once at a time, but a dying process closes its sockets one after the other:
        # who is in doubt about one connection may find the next one still open.
        assert account.in_doubt <= kills * limits.max_connections
    assert sum(each.in_doubt for each in accounts.values()) == counts.in_doubt > 0
    assert sum(each.not_sent for each in accounts.values()) == counts.not_sent
    answered = sum(each.answered + each.refused for each in accounts.values())
    assert answered + 1 == counts.answered  # And MGET.
    assert counts.in_flight == 0


# Requests that the server does not read

PADDING = "x" * 100_000
RAISE = "return redis.call('INCR', KEYS[1])"


async def raise_once(redis: RedisClient, name: str, outcomes: dict[str, object]) -> None:
    try:
        outcomes[name] = await redis.execute("EVAL", RAISE, 1, name, PADDING)
    except (RequestNotSentError, RequestInDoubtError) as error:
        outcomes[name] = type(error)


@pytest.mark.parametrize("move_unsent", [False, True])
async def test_what_was_not_sent_was_not_executed(tmp_path: Path, move_unsent: bool) -> None:
    """Far more than the kernel takes is on its way to a server that stands still, and is killed.

    What had not begun to leave fails as not sent, or is moved when that is asked for, and is then
    executed once.
    """
    limits = RequestLimits(max_connections=4, connect_attempts=20, max_outbox_bytes=10_000_000)
    names = [f"counter:{number}" for number in range(400)]
    outcomes: dict[str, object] = {}
    options: dict[str, Any] = {"limits": limits, "move_unsent": move_unsent}
    with trio.fail_after(TIMEOUT):
        async with (
            redis_on_a_port(tmp_path, *DURABLE) as (server, port),
            RedisClient("127.0.0.1", port, **options) as redis,
        ):
            # The connections are there before it stands still.
            async with trio.open_nursery() as nursery:
                for _ in range(100):
                    nursery.start_soon(redis.execute, "PING")
            server.process.send_signal(signal.SIGSTOP)
            async with trio.open_nursery() as nursery:
                for name in names:
                    nursery.start_soon(raise_once, redis, name, outcomes)
                await trio.testing.wait_all_tasks_blocked()
                await server.kill()
                await server.start()
            values = await redis.execute("MGET", *names)
            counts = redis.requests.statistics()
    assert outcomes.keys() == set(names)
    kinds = Counter(outcomes.values())
    for name, value in zip(names, values, strict=True):
        if outcomes[name] is RequestNotSentError:
            assert value is None
        elif outcomes[name] is RequestInDoubtError:
            assert value in (None, b"1")
        else:
            assert (outcomes[name], value) == (1, b"1")
    assert kinds[RequestInDoubtError] == counts.in_doubt > 0
    assert kinds[RequestNotSentError] == counts.not_sent
    if move_unsent:
        assert counts.client.messages_moved == kinds[1] > 0
    else:
        assert kinds[RequestNotSentError] > 0


# A load


async def test_a_thousand_tasks_get_a_hundred_keys_each(tmp_path: Path) -> None:
    """S14: the right answers, through four connections."""
    limits = RequestLimits(max_connections=4)
    with trio.fail_after(TIMEOUT):
        async with (
            redis_on_a_port(tmp_path) as (_, port),
            RedisClient("127.0.0.1", port, limits=limits) as redis,
        ):

            async def get_all(task: int) -> None:
                for number in range(100):
                    key = (task * 7 + number) % 1000
                    assert await redis.execute("GET", f"key:{key}") == b"value of %d" % key

            pairs = [word for key in range(1000) for word in (f"key:{key}", f"value of {key}")]
            await redis.execute("MSET", *pairs)
            async with trio.open_nursery() as nursery:
                for task in range(1000):
                    nursery.start_soon(get_all, task)
            counts = redis.requests.statistics()
    assert counts.answered == 100_001
    assert (counts.not_sent, counts.in_doubt, counts.abandoned) == (0, 0, 0)
    assert counts.client.pool.opened <= 4
