"""snowtrio's HTTP client: one pool of connections for all tasks."""

from __future__ import annotations

import trio
from clients.asking import Asking, parse_arguments
from clients.fetching import CONNECTIONS, fetch_often, url_of

from snowtrio.http import HTTPClient, HTTPClientLimits

LIMITS = HTTPClientLimits(max_connections=CONNECTIONS)


async def main(port: int, tasks: int, gets: int, asking: Asking) -> None:
    url = url_of(port)
    async with HTTPClient(limits=LIMITS) as client:

        async def fetch() -> bytes:
            response = await client.fetch(url)
            response.raise_for_status()
            return response.body

        async def fetch_all(number: int) -> None:
            async with trio.open_nursery() as nursery:
                for _ in range(number):
                    nursery.start_soon(fetch_often, fetch, gets, asking)

        await fetch_all(CONNECTIONS)
        asking.begin()
        await fetch_all(tasks)
        asking.end()


if __name__ == "__main__":
    options = parse_arguments(__doc__)
    trio.run(main, options.port, options.tasks, options.gets, Asking(options.pid))
