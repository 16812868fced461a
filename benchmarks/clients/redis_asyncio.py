"""redis-py's asyncio client, with its own parser or with hiredis, which is written in C."""

from __future__ import annotations

import asyncio
import sys

from clients.asking import Asking, parse_arguments
from clients.getting import CONNECTIONS, get_often, key_of, value_of


async def main(port: int, tasks: int, gets: int, asking: Asking) -> None:
    from redis.asyncio import BlockingConnectionPool, Redis

    pool = BlockingConnectionPool(
        host="127.0.0.1", port=port, max_connections=CONNECTIONS, timeout=None
    )
    async with Redis.from_pool(pool) as redis:
        for task in range(tasks):
            await redis.set(key_of(task), value_of(task))

        async def get_all(number: int) -> None:
            async with asyncio.TaskGroup() as group:
                for task in range(number):
                    group.create_task(get_often(task, redis.get, gets, asking))

        await get_all(tasks // 10)
        asking.begin()
        await get_all(tasks)
        asking.end()


if __name__ == "__main__":
    options = parse_arguments(__doc__)
    if options.variant != "hiredis":
        # It is taken wherever it is installed.
        sys.modules["hiredis"] = None  # type: ignore[assignment]
    asyncio.run(main(options.port, options.tasks, options.gets, Asking(options.pid)))
