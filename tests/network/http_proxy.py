"""A small HTTP proxy, whose answers can be dictated."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

import trio


class SmallProxy:
    """Leads everybody to 127.0.0.1, at the port that they name.

    It forgets a connection behind its first request: what follows is passed on as it is.

    Parameters:
        answer: to every ``CONNECT``, in place of leading anywhere.
    """

    def __init__(self, answer: bytes | None = None) -> None:
        self.answer = answer
        self.heads: list[bytes] = []
        """What was asked of it, a head for each connection."""
        self.port = 0

    @property
    def url(self) -> str:
        """How to reach it."""
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, client: trio.SocketStream) -> None:
        """Serve one connection, until somebody goes."""
        with contextlib.suppress(trio.BrokenResourceError):
            await self._serve(client)

    async def _serve(self, client: trio.SocketStream) -> None:
        async with client:
            data = b""
            while b"\r\n\r\n" not in data:
                piece = await client.receive_some()
                if not piece:
                    return
                data += piece
            head, _, rest = data.partition(b"\r\n\r\n")
            self.heads.append(head)
            method, target, _ = head.split(b"\r\n")[0].split(b" ")
            if method == b"CONNECT":
                if self.answer is not None:
                    await _say_goodbye(client, self.answer)
                    return
                for byte in b"HTTP/1.1 200 Here you are\r\nVia: 1.1 small\r\n\r\n":
                    await client.send_all(bytes([byte]))
                authority = target
            else:
                authority = target.split(b"/")[2]
                rest = head.replace(b"http://" + authority, b"") + b"\r\n\r\n" + rest
            await self._lead(client, int(authority.rpartition(b":")[2]), rest)

    async def _lead(self, client: trio.SocketStream, port: int, data: bytes) -> None:
        server = await trio.open_tcp_stream("127.0.0.1", port)
        async with server:
            await server.send_all(data)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_pump, server, client, nursery.cancel_scope)
                await _pump(client, server, nursery.cancel_scope)


async def _say_goodbye(client: trio.SocketStream, answer: bytes) -> None:
    """Send a last word, and let it be read before the connection is gone."""
    await client.send_all(answer)
    await client.send_eof()
    while await client.receive_some():
        pass


async def _pump(
    source: trio.SocketStream, drain: trio.SocketStream, scope: trio.CancelScope
) -> None:
    try:
        while data := await source.receive_some():
            await drain.send_all(data)
    except trio.BrokenResourceError:
        pass
    scope.cancel(reason="one end has gone")


@asynccontextmanager
async def small_proxy(proxy: SmallProxy | None = None) -> AsyncGenerator[SmallProxy, None]:
    """Run a proxy."""
    proxy = proxy if proxy is not None else SmallProxy()
    async with trio.open_nursery() as nursery:
        serve = partial(trio.serve_tcp, proxy.serve, 0, host="127.0.0.1")
        listeners = await nursery.start(serve)
        proxy.port = listeners[0].socket.getsockname()[1]
        yield proxy
        nursery.cancel_scope.cancel(reason="the test is over")
