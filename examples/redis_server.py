"""A key-value server that speaks RESP2: what redis-cli and redis-benchmark ask of a Redis.

    python examples/redis_server.py --port 6380
    redis-cli -p 6380 set greeting hello ex 60

Keys live in memory and die with the process. The parts: ``_redis_resp`` is the codec,
``_redis_store`` the keys, ``_redis_table`` finds and runs the commands, which ``_redis_data``,
``_redis_keys`` and ``_redis_admin`` define.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import sys
from collections.abc import Iterable, Iterator

import _redis_admin
import _redis_data
import _redis_keys
import trio
from _redis_resp import Command, Reply, RespCodec, failure
from _redis_store import Store
from _redis_table import Session, execute

from snowtrio import (
    Connection,
    RemoteProtocolError,
    Server,
    ServerLimits,
    SnowtrioError,
    run_service,
    serve_tcp,
)

# Each puts its commands into the table.
COMMANDS = (_redis_admin, _redis_data, _redis_keys)

SWEEP_INTERVAL = 0.1
"""Seconds between two looks for keys whose time is over."""

SWEEP_SIZE = 200
"""Keys taken out in one look before anybody else may run."""

TOO_MANY_CLIENTS = failure("ERR max number of clients reached")


def answer(session: Session, commands: Iterable[Command]) -> Iterator[Reply]:
    """Run commands one by one, up to a QUIT.

    `Connection.send_batch` asks for the next reply when it has room for it, so a peer that
    pipelines and reads nothing has its commands wait, not their replies.
    """
    for words in commands:
        yield execute(session, words)
        if session.quitting:
            return


async def serve_client(store: Store, connection: Connection[Reply, Command]) -> None:
    """Answer one client until it leaves, says QUIT or breaks the protocol."""
    session = Session(store)
    try:
        async for commands in connection.batches():
            await connection.send_batch(answer(session, commands))
            if session.quitting:
                return
    except RemoteProtocolError as error:
        # Receiving is over; sending is not, for a last word.
        with contextlib.suppress(SnowtrioError):
            await connection.send(failure(f"ERR Protocol error: {error}"))
        raise


async def sweep(store: Store) -> None:
    """Take out keys whose time is over, though nobody asks for them."""
    while True:
        await trio.sleep(SWEEP_INTERVAL)
        while store.sweep(SWEEP_SIZE) == SWEEP_SIZE:
            await trio.lowlevel.checkpoint()


async def main(host: str, port: int, max_connections: int) -> int:
    """Serve until SIGINT or SIGTERM, then drain; return the exit status."""

    def ready(server: Server[Reply, Command]) -> None:
        print(f"listening on {host}:{server.port}", flush=True)

    store = Store()
    handler = functools.partial(serve_client, store)
    limits = ServerLimits(max_connections=max_connections)
    serve = functools.partial(
        serve_tcp,
        handler,
        RespCodec(),
        port,
        host=host,
        limits=limits,
        when_full=TOO_MANY_CLIENTS.wire,
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sweep, store)
        report = await run_service(serve, ready=ready)
        nursery.cancel_scope.cancel(reason="the server has drained")
    return report.status


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A key-value server that speaks RESP2.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=6380, help="port to listen on; 0 chooses one")
    parser.add_argument("--max-connections", type=int, default=1000, help="clients at a time")
    return parser.parse_args()


if __name__ == "__main__":
    arguments = parse_arguments()
    status: int | str
    try:
        status = trio.run(main, arguments.host, arguments.port, arguments.max_connections)
    except* OSError as errors:  # The port is in use, say.
        status = f"redis_server: {errors.exceptions[0]}"
    sys.exit(status)
