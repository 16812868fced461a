"""aiohttp's client, on asyncio's own loop or on uvloop."""

from __future__ import annotations

import asyncio

import aiohttp
from clients.asking import Asking, parse_arguments
from clients.fetching import CONNECTIONS, fetch_often, url_of
from peers.loops import run_on


async def main(port: int, tasks: int, gets: int, asking: Asking) -> None:
    url = url_of(port)
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def fetch() -> bytes:
            async with session.get(url) as response:
                response.raise_for_status()
                return await response.read()

        async def fetch_all(number: int) -> None:
            async with asyncio.TaskGroup() as group:
                for _ in range(number):
                    group.create_task(fetch_often(fetch, gets, asking))

        await fetch_all(CONNECTIONS)
        asking.begin()
        await fetch_all(tasks)
        asking.end()


if __name__ == "__main__":
    options = parse_arguments(__doc__)
    asked = Asking(options.pid)
    run_on(options.variant, main(options.port, options.tasks, options.gets, asked))
