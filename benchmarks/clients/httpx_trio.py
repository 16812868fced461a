"""httpx on Trio."""

from __future__ import annotations

import httpx
import trio
from clients.asking import Asking, parse_arguments
from clients.fetching import CONNECTIONS, fetch_often, url_of

LIMITS = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)


async def main(port: int, tasks: int, gets: int, asking: Asking) -> None:
    url = url_of(port)
    # Its patience with its pool is five seconds; none of the others has any.
    async with httpx.AsyncClient(limits=LIMITS, timeout=None, trust_env=False) as client:

        async def fetch() -> bytes:
            response = await client.get(url)
            response.raise_for_status()
            return response.content

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
