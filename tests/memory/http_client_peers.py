"""An HTTP client in memory, and servers that say what they are told, byte for byte."""

from __future__ import annotations

from typing import Any

import trio

from snowtrio import Endpoint
from snowtrio.http import ClientResponse, HTTPClient, HTTPClientLimits, Origin

from .client_peers import LIMIT, Peers, Watched

URL = "http://books.example"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Servers(Peers):
    """Peers whose connections can be waited for without being asked again and again."""

    arrived: trio.lowlevel.ParkingLot | None = None

    async def connect(self) -> Watched:
        stream = await super().connect()
        if self.arrived is not None:
            self.arrived.unpark_all()
        return stream


def client_of(*peers: Servers, **options: Any) -> HTTPClient:
    """Return a client whose origins are these peers: by their names, or all the only one.

    Keywords that `HTTPClient` does not know are bounds.
    """
    own = {"headers", "timeout", "retries", "ssl_context"}
    limits = HTTPClientLimits(**{name: options.pop(name) for name in [*options] if name not in own})
    by_name = {each.name: each for each in peers}

    def find(origin: Origin) -> Endpoint:
        return by_name.get(origin.host, peers[0]).endpoint

    return HTTPClient(limits=limits, endpoint=find, **options)


async def read_request(peers: Servers, index: int, body: int = 0) -> bytes:
    """Return a request with a body of so many bytes: its head, and what came of the body."""
    read = b""
    while b"\r\n\r\n" not in read or len(read.partition(b"\r\n\r\n")[2]) < body:
        more = await peers.read(index)
        if not more:
            raise trio.EndOfChannel("the client has closed the connection")
        read += more
    return read


async def connected(peers: Servers, number: int) -> None:
    """Wait until so many connections have been made."""
    with trio.fail_after(LIMIT):
        while len(peers.streams) < number:
            peers.arrived = peers.arrived or trio.lowlevel.ParkingLot()
            await peers.arrived.park()


async def answer(peers: Servers, index: int, response: bytes = OK, *, body: int = 0) -> bytes:
    """Read a request on a connection, and send this; return the request."""
    await connected(peers, index + 1)
    request = await read_request(peers, index, body)
    await peers.say(index, response)
    return request


async def exchange(
    client: HTTPClient, peers: Servers, response: bytes = OK, index: int = 0, **options: Any
) -> tuple[ClientResponse, bytes]:
    """Fetch, with this for an answer; return the response and the request as it came."""
    requests: list[bytes] = []
    found: list[ClientResponse] = []

    async def serve() -> None:
        requests.append(await answer(peers, index, response))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        found.append(await client.fetch(options.pop("url", f"{URL}/x"), **options))
    return found[0], requests[0]
