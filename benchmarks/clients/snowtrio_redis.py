"""The Redis client among the examples: ``RequestClient`` with a codec of RESP."""

from __future__ import annotations

import sys
from pathlib import Path

import trio
from clients.asking import Asking, parse_arguments
from clients.getting import CONNECTIONS, get_often, key_of, value_of

from snowtrio import RequestLimits

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

from redis_client import RedisClient

LIMITS = RequestLimits(max_connections=CONNECTIONS)


async def get_all(redis: RedisClient, tasks: int, gets: int, asking: Asking) -> None:
    async def get(key: str) -> object:
        return await redis.execute("GET", key)

    async with trio.open_nursery() as nursery:
        for task in range(tasks):
            nursery.start_soon(get_often, task, get, gets, asking)


async def main(port: int, tasks: int, gets: int, asking: Asking) -> None:
    async with RedisClient("127.0.0.1", port, limits=LIMITS) as redis:
        await redis.pipeline([("SET", key_of(task), value_of(task)) for task in range(tasks)])
        await get_all(redis, tasks // 10, gets, asking)
        asking.begin()
        await get_all(redis, tasks, gets, asking)
        asking.end()


if __name__ == "__main__":
    options = parse_arguments(__doc__)
    trio.run(main, options.port, options.tasks, options.gets, Asking(options.pid))
