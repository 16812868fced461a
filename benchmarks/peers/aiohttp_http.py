"""aiohttp's server without its router, on asyncio's own loop or on uvloop."""

from __future__ import annotations

import asyncio
import ssl

from aiohttp import web
from peers.hello import CONTENT_TYPE, MESSAGE, listening_socket, write_json
from peers.loops import run_on
from peers.ready import ready


async def hello(request: web.BaseRequest) -> web.Response:  # noqa: ARG001
    return web.Response(body=write_json(MESSAGE), content_type=CONTENT_TYPE)


async def serve() -> None:
    runner = web.ServerRunner(web.Server(hello, access_log=None))
    await runner.setup()
    listener = listening_socket()
    await web.SockSite(runner, listener).start()
    ready(listener.getsockname()[1])
    await asyncio.Event().wait()


def run(variant: str, workload: str, tls: ssl.SSLContext | None) -> None:  # noqa: ARG001
    """Serve until killed."""
    run_on(variant, serve())
