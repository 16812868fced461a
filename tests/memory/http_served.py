"""An HTTP server in memory, and answers as its client sees them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import trio

from snowtrio.http import HTTPLimits
from snowtrio.testing import MemoryListener

from .. import http_serving
from ..serving import LIMIT


@attrs.frozen
class Answer:
    """A response as it came.

    Parameters:
        status: the status.
        headers: names in lower case.
        body: without its framing.
    """

    status: int
    headers: dict[str, str]
    body: bytes


@attrs.define
class HTTPServed:
    """A server that runs."""

    served: http_serving.HTTPServed

    async def ask(
        self, target: str = "/", *, method: str = "GET", body: bytes = b"", **headers: str
    ) -> Answer:
        """Send a request on a connection of its own; names are given with ``_`` for ``-``."""
        lines = [f"{method} {target} HTTP/1.1", "host: test", "connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        if body:
            lines.append(f"content-length: {len(body)}")
        stream = (await self.served.connect()).stream
        await stream.send_all("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        return read_answer(await read_to_end(stream))


async def read_to_end(stream: trio.abc.Stream) -> bytes:
    came = b""
    with trio.fail_after(LIMIT):
        while data := await stream.receive_some():
            came += data
    return came


def read_answer(came: bytes) -> Answer:
    """Take the one response apart that came, up to the end of its connection."""
    head, _, body = came.partition(b"\r\n\r\n")
    start, *lines = head.decode("latin-1").split("\r\n")
    pairs = [line.partition(": ") for line in lines]
    return Answer(int(start.split()[1]), {name: value for name, _, value in pairs}, body)


@asynccontextmanager
async def serving_http(
    handler: Callable[..., Any], limits: HTTPLimits | None = None, *, lockstep: bool = False
) -> AsyncIterator[HTTPServed]:
    """Serve HTTP in memory, and check at the end that nothing is left.

    Parameters:
        handler: of requests.
        limits: of the server.
        lockstep: whether what is sent waits until it is received.
    """
    listener = MemoryListener(lockstep=lockstep)
    async with http_serving.serving_http(handler, limits=limits, listener=listener) as served:
        yield HTTPServed(served)
