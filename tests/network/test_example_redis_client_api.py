"""What ``examples/redis_client.py`` offers to programs, with a real Redis."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from snowtrio import HandshakeError, RequestInDoubtError, RequestLimits

from .examples import EXAMPLES, needs_program
from .redis_peers import RedisServer, redis_on_a_port

sys.path.insert(0, str(EXAMPLES))

from _redis_commands import Message
from _redis_values import RedisError, WatchError
from redis_client import RedisClient, RedisProtocol

pytestmark = needs_program("redis-server")

TIMEOUT = 20.0


@pytest.fixture(params=[False, True], ids=["RESP2", "RESP3"])
def protocol(request: pytest.FixtureRequest) -> RedisProtocol:
    return RedisProtocol(resp3=request.param)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[tuple[RedisServer, int]]:
    async with redis_on_a_port(tmp_path) as running:
        yield running


@pytest.fixture
async def redis(
    server: tuple[RedisServer, int], protocol: RedisProtocol
) -> AsyncIterator[RedisClient]:
    limits = RequestLimits(max_connections=2)
    async with RedisClient("127.0.0.1", server[1], protocol, limits=limits) as client:
        yield client


# Commands


async def test_replies_and_errors(redis: RedisClient) -> None:
    assert await redis.execute("SET", "key", "value") == "OK"
    assert await redis.execute("GET", b"key") == b"value"
    assert await redis.execute("GET", "nothing") is None
    with pytest.raises(RedisError, match="not an integer") as caught:
        await redis.execute("INCR", "key")
    assert caught.value.kind == "ERR"
    # The connection is as it was.
    assert await redis.execute("INCRBY", "number", 2) == 2
    assert redis.requests.statistics().client.pool.opened == 1


async def test_a_hash_is_a_dict_in_resp3(server: tuple[RedisServer, int]) -> None:
    async with RedisClient("127.0.0.1", server[1]) as redis:
        await redis.execute("HSET", "hash", "a", 1, "b", 2)
        assert await redis.execute("HGETALL", "hash") == {b"a": b"1", b"b": b"2"}
        async with redis.requests.session() as session:
            assert session.context[b"server"] == b"redis"


async def test_a_pipeline_goes_on_behind_an_error(redis: RedisClient) -> None:
    commands = [("SET", "key", "text"), ("INCR", "key"), ("GET", "key")]
    done, failed, value = await redis.pipeline(commands)
    assert (done, value) == ("OK", b"text")
    assert isinstance(failed, RedisError)


async def test_many_tasks_get_their_own_replies(redis: RedisClient) -> None:
    """Row B6: half of the requests are cancelled, and shift no reply."""

    async def ask(number: int) -> None:
        for turn in range(20):
            text = b"%d %d" % (number, turn)
            with trio.CancelScope() as scope:
                if (number + turn) % 2:
                    scope.cancel()
                assert await redis.execute("ECHO", text) == text

    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(ask, number)


async def test_a_timed_out_request_shifts_no_reply(redis: RedisClient) -> None:
    async with redis.alone() as alone:
        with pytest.raises(RequestInDoubtError):
            await alone.execute("BLPOP", "empty", 0.2, timeout=0.05)
        assert await alone.execute("ECHO", "mine") == b"mine"


@pytest.mark.parametrize(
    "words", [("MULTI",), ("subscribe", "a"), (b"BLPOP", "a", 0), ("SELECT", 1)]
)
async def test_what_needs_a_connection_alone_is_refused(
    redis: RedisClient, words: tuple[str, ...]
) -> None:
    with pytest.raises(ValueError, match="alone"):
        await redis.execute(*words)


# Logging in


@pytest.mark.parametrize("resp3", [False, True])
async def test_a_refused_login_is_told_at_once(tmp_path: Path, resp3: bool) -> None:
    """Row P7: it is not tried again."""
    async with redis_on_a_port(tmp_path, "--requirepass", "secret") as (_, port):
        wrong = RedisProtocol(password="wrong", resp3=resp3)
        async with RedisClient("127.0.0.1", port, wrong) as redis:
            with pytest.raises(HandshakeError, match="WRONGPASS") as caught:
                await redis.execute("PING")
            assert isinstance(caught.value.__cause__, RedisError)
        right = RedisProtocol(password="secret", resp3=resp3)
        async with RedisClient("127.0.0.1", port, right) as redis:
            assert await redis.execute("PING") == "PONG"
            assert (await redis.execute("INFO", "commandstats")).count(b"cmdstat_") >= 1


# Transactions


async def test_a_transaction(redis: RedisClient) -> None:
    async with redis.transaction("key") as transaction:
        assert await transaction.execute("GET", "key") is None
        transaction.queue("SET", "key", "text")
        transaction.queue("INCR", "key")
        transaction.queue("INCR", "number")
    done, failed, number = transaction.results
    assert (done, number) == ("OK", 1)
    assert isinstance(failed, RedisError)
    # Its connection is used again.
    async with redis.transaction() as transaction:
        transaction.queue("INCR", "number")
    assert transaction.results == [2]
    assert redis.requests.statistics().client.pool.opened == 1


async def test_a_watched_key_that_changes(redis: RedisClient) -> None:
    async def both() -> None:
        async with redis.transaction("key") as transaction:
            await redis.execute("SET", "key", "theirs")
            transaction.queue("SET", "key", "ours")

    with pytest.raises(WatchError):
        await both()
    assert await redis.execute("GET", "key") == b"theirs"
    assert redis.requests.statistics().client.pool.opened == 2


async def test_a_block_that_raises_executes_nothing(redis: RedisClient) -> None:
    """And watches nothing any more: the connection is as it was."""

    async def fail() -> None:
        async with redis.transaction("key") as transaction:
            transaction.queue("SET", "key", "ours")
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert await redis.execute("GET", "key") is None
    assert await redis.execute("SET", "key", "changed") == "OK"
    async with redis.transaction() as transaction:
        transaction.queue("GET", "key")
    assert transaction.results == [b"changed"]
    assert redis.requests.statistics().client.pool.opened == 1


async def test_a_transaction_with_a_bad_command_executes_nothing(redis: RedisClient) -> None:
    async def fail() -> None:
        async with redis.transaction() as transaction:
            transaction.queue("SET", "key", "value")
            transaction.queue("SET", "key")

    with pytest.raises(RedisError, match="wrong number of arguments"):
        await fail()
    assert await redis.execute("EXISTS", "key") == 0


# Blocking


async def wait_until_clients(redis: RedisClient, state: bytes) -> None:
    with trio.fail_after(TIMEOUT):
        while state not in await redis.execute("INFO", "clients"):
            pass


async def test_a_blocking_command_holds_nobody_up(redis: RedisClient) -> None:
    popped: list[object] = []

    async def pop() -> None:
        async with redis.alone() as alone:
            popped.append(await alone.execute("BLPOP", "queue", 0))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(pop)
        await wait_until_clients(redis, b"blocked_clients:1")
        assert await redis.execute("RPUSH", "queue", "job") == 1
    assert popped == [[b"queue", b"job"]]


async def test_a_cancelled_blocking_command_takes_nothing_later(redis: RedisClient) -> None:
    """Its connection is cut, so the server pops for nobody."""
    async with trio.open_nursery() as nursery:

        async def pop() -> None:
            async with redis.alone() as alone:
                await alone.execute("BLPOP", "queue", 0)

        nursery.start_soon(pop)
        await wait_until_clients(redis, b"blocked_clients:1")
        nursery.cancel_scope.cancel()
    await wait_until_clients(redis, b"blocked_clients:0")
    await redis.execute("RPUSH", "queue", "job")
    assert await redis.execute("LLEN", "queue") == 1


# Messages


async def test_a_subscription(redis: RedisClient) -> None:
    """Channels and patterns; what is published comes in order from the block's beginning on."""
    async with redis.subscribe("news", "other", patterns=["n*"]) as messages:
        assert await redis.execute("PUBLISH", "news", "one") == 2
        assert await redis.execute("PUBLISH", "other", "two") == 1
        assert await redis.execute("PUBLISH", "nothing", "three") == 1
        with trio.fail_after(TIMEOUT):
            came = [await anext(messages) for _ in range(4)]
    assert came == [
        Message(b"news", b"one"),
        Message(b"news", b"one", b"n*"),
        Message(b"other", b"two"),
        Message(b"nothing", b"three", b"n*"),
    ]
    # It is over: the connection is closed.
    with trio.fail_after(TIMEOUT):
        while await redis.execute("PUBLISH", "news", "late"):
            pass


async def test_a_slow_subscriber_gets_everything(redis: RedisClient) -> None:
    """Far more than is kept on our side: its connection is read as fast as it takes."""
    async with redis.subscribe("news") as messages:
        for start in range(0, 5000, 500):
            commands = [("PUBLISH", "news", start + number) for number in range(500)]
            assert await redis.pipeline(commands) == [1] * 500
        with trio.fail_after(TIMEOUT):
            came = [int((await anext(messages)).data) for _ in range(5000)]
    assert came == list(range(5000))


async def test_a_refused_subscription(
    server: tuple[RedisServer, int], protocol: RedisProtocol
) -> None:
    async with RedisClient("127.0.0.1", server[1], protocol) as redis:
        await redis.execute("ACL", "SETUSER", "default", "resetchannels")
        with pytest.raises(RedisError) as caught:
            async with redis.subscribe("news"):
                pass
        assert caught.value.kind == "NOPERM"


async def test_a_subscription_whose_server_dies(
    server: tuple[RedisServer, int], redis: RedisClient
) -> None:
    """It does not wait for ever: it says that there is nothing to wait for."""
    async with redis.subscribe("news") as messages:
        await redis.execute("PUBLISH", "news", "one")
        with trio.fail_after(TIMEOUT):
            assert await anext(messages) == Message(b"news", b"one")
            await server[0].kill()
            with pytest.raises(RequestInDoubtError):
                await anext(messages)


async def test_changed_keys_are_told(server: tuple[RedisServer, int]) -> None:
    """RESP3 pushes beside replies, on a connection that goes on asking."""
    async with RedisClient("127.0.0.1", server[1]) as redis, redis.requests.session() as session:
        assert await session.request(("CLIENT", "TRACKING", "ON")) == "OK"
        await session.request(("GET", "key"))
        await redis.execute("SET", "key", "new")
        with trio.fail_after(TIMEOUT):
            assert await session.pushes.receive() == [b"invalidate", [b"key"]]
        assert await session.request(("GET", "key")) == b"new"
