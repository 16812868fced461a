"""A client of Redis: many tasks share a few connections, and each gets the replies to its own.

    python examples/redis_client.py --port 6379 SET greeting hello
    python examples/redis_client.py --port 6379 --formatted LRANGE list 0 -1

As a program it sends one command and prints the reply as redis-cli does; SUBSCRIBE, PSUBSCRIBE and
MONITOR print until Ctrl-C. As a module it has `RedisClient`.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, Self, TypeAlias, cast

import _redis_commands as known
import trio
from _redis_commands import Message, check
from _redis_print import printed
from _redis_reply import ReplyCodec
from _redis_values import RedisError, Reply, WatchError, Word, Words

from snowtrio import (
    BufferedStream,
    Endpoint,
    InOrder,
    Protocol,
    RequestClient,
    Session,
    Side,
    SnowtrioError,
)

Greeting: TypeAlias = "dict[object, Reply]"


class RedisProtocol(Protocol[Words, Reply, Greeting]):
    """Redis with its login; the context of a connection is what HELLO answered.

    Parameters:
        user: who logs in, if there is a password; None for the default user.
        password: the user's.
        resp3: speak RESP3, which servers before Redis 6 do not know.
    """

    codec = ReplyCodec()

    def __init__(
        self, user: str | None = None, password: str | None = None, *, resp3: bool = True
    ) -> None:
        super().__init__()
        login = () if password is None else ("AUTH", user or "default", password)
        # Servers before Redis 6 know no users either.
        self._opening = ("HELLO", "3", *login) if resp3 else login if user else login[::2]

    async def handshake(self, side: Side, stream: BufferedStream) -> Greeting:
        """Log in, and choose what is spoken."""
        if not self._opening:
            return {}
        coder = self.codec.start(side, None)
        await stream.send_message(coder, self._opening)
        reply = check(await stream.receive_message(coder))
        return cast("Greeting", reply) if isinstance(reply, dict) else {}


class Commands:
    """Sends commands: to any connection of a client, or to one that it has alone.

    Parameters:
        requests: who is asked.
    """

    def __init__(
        self, requests: RequestClient[Words, Reply, Greeting] | Session[Words, Reply, Greeting]
    ) -> None:
        self.requests = requests

    async def execute(self, *words: Word, timeout: float | None = None) -> Any:
        """Send a command and return its reply; raises `RedisError`, and as ``request``."""
        return check(await self.requests.request(words, timeout=timeout))

    async def pipeline(
        self, commands: Iterable[Words], *, timeout: float | None = None
    ) -> list[Reply]:
        """Send commands together, in order; a `RedisError` stands among the replies."""
        return await self.requests.request_batch(commands, timeout=timeout)


class Transaction(Commands):
    """What is queued is executed together, or not at all, when the block is left."""

    def __init__(self, session: Session[Words, Reply, Greeting]) -> None:
        super().__init__(session)
        self.results: list[Reply] = []
        """The replies to what was queued, once the block is left."""
        self._queued: list[Words] = []

    def queue(self, *words: Word) -> None:
        """Add a command; what `execute` sends is executed at once, before all of these."""
        self._queued.append(words)

    async def commit(self) -> None:
        """Execute what is queued; raises `WatchError`, or `RedisError` if one was refused."""
        replies = await self.pipeline([("MULTI",), *self._queued, ("EXEC",)])
        results = replies[-1]
        if isinstance(results, RedisError):
            # It says only that something was refused before.
            raise next(reply for reply in replies if isinstance(reply, RedisError))
        if results is None:
            raise WatchError("a watched key has changed")
        self.results = cast("list[Reply]", results)


class RedisClient(Commands):
    """Redis for any number of tasks: ``async with RedisClient("127.0.0.1", 6379) as redis:``.

    Parameters:
        where: a host, or an endpoint of any kind.
        port: the host's port.
        protocol: who logs in, and how.
        options: of the `RequestClient`: ``limits``, ``ssl_context``, ``move_unsent`` and so on.
    """

    requests: RequestClient[Words, Reply, Greeting]

    def __init__(
        self,
        where: str | Endpoint,
        port: int | None = None,
        protocol: RedisProtocol | None = None,
        **options: Any,
    ) -> None:
        options["correlation"] = InOrder[Words, Reply](is_push=known.answers_nothing)
        super().__init__(RequestClient(protocol or RedisProtocol(), where, port, **options))

    async def __aenter__(self) -> Self:
        await self.requests.__aenter__()
        return self

    async def __aexit__(self, *failure: Any) -> bool | None:
        return await self.requests.__aexit__(*failure)

    async def execute(self, *words: Word, timeout: float | None = None) -> Any:
        """Send a command and return its reply; one that needs a connection `alone` is refused."""
        if words and words[0] in known.ALONE:
            raise ValueError(f"{words[0]!r} needs a connection alone")
        return check(await self.requests.request(words, timeout=timeout))

    @asynccontextmanager
    async def alone(self) -> AsyncGenerator[Commands, None]:
        """Have a connection alone, for commands that block or change it; it is closed after it."""
        async with self.requests.session() as session:
            session.keep = False
            yield Commands(session)

    @asynccontextmanager
    async def transaction(self, *watched: Word) -> AsyncGenerator[Transaction, None]:
        """Queue commands in a block; they are executed when it is left, and not when it raises.

        Parameters:
            watched: keys; if one changes before the end of the block, `WatchError` is raised.
        """
        failure: Exception | None = None
        async with self.requests.session() as session:
            transaction = Transaction(session)
            if watched:
                await transaction.execute("WATCH", *watched)
            try:
                yield transaction
                await transaction.commit()
            except SnowtrioError:
                raise
            except Exception as error:  # Raised below, where the connection is everybody's again.
                failure = error
                await transaction.execute("UNWATCH")
        if failure is not None:
            raise failure

    @asynccontextmanager
    async def subscribe(
        self, *channels: Word, patterns: Sequence[Word] = ()
    ) -> AsyncGenerator[AsyncIterator[Message], None]:
        """Get what is published from the beginning of a block on: ``async for message in ...``.

        It raises when the connection is lost: what was published meanwhile is lost too.
        """
        commands: list[Words] = [("PSUBSCRIBE", *patterns)] if patterns else []
        if channels or not patterns:
            commands.append(("SUBSCRIBE", *channels))
        async with (
            self.requests.session() as session,
            session.stream(commands.pop(), ends=known.is_error) as replies,
        ):
            session.keep = False
            for more in commands:
                await session.notify(more)
            early, confirmed = list[Message](), 0
            while confirmed < len(channels) + len(patterns):
                message = known.as_message(await anext(replies))
                confirmed += message is None
                early += [message] if message else []
            async with aclosing(known.as_messages(early, replies)) as messages:
                yield messages


async def show(options: argparse.Namespace) -> None:
    """Send one command and print what comes."""
    words = [options.command, *options.arguments]
    on_terminal = options.formatted or sys.stdout.isatty()
    protocol = RedisProtocol(options.user, options.password, resp3=options.resp3)
    async with (
        RedisClient(options.host, options.port, protocol) as redis,
        redis.requests.session() as session,
    ):
        lasts = words[0].upper() in known.LASTING
        ends = known.is_error if lasts else known.always
        async with session.stream(words, ends=ends) as replies:
            async for reply in replies:
                sys.stdout.buffer.write(printed(reply, words, on_terminal=on_terminal))
                sys.stdout.buffer.flush()


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Send a command to Redis and print the reply.")
    parser.add_argument("--host", default="127.0.0.1", help="where the server is")
    parser.add_argument("--port", type=int, default=6379, help="its port")
    parser.add_argument("--user", help="who logs in")
    parser.add_argument("--password", help="the user's password")
    parser.add_argument("--resp3", action="store_true", help="speak RESP3")
    parser.add_argument("--formatted", action="store_true", help="print as on a terminal")
    parser.add_argument("command", help="what to send")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="its arguments")
    return parser.parse_args()


if __name__ == "__main__":
    # What goes wrong is said once, below.
    logging.getLogger("snowtrio").addHandler(logging.NullHandler())
    status: int | str = 0
    try:
        trio.run(show, parse_arguments())
    except (SnowtrioError, RedisError) as error:
        status = f"redis_client: {error}"
    except KeyboardInterrupt:
        status = 130
    sys.exit(status)
