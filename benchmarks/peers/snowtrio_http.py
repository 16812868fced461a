"""snowtrio.http: a coroutine as the handler, a plain function, and an ASGI application."""

from __future__ import annotations

import ssl
from functools import partial

import trio
from peers.bare_asgi import application
from peers.hello import MESSAGE
from peers.ready import ready

from snowtrio.http import HTTPLimits, Request, Response, serve_http

# Those of the load before may not have ended yet.
LIMITS = HTTPLimits(max_connections=10_000)


async def hello(request: Request) -> Response:  # noqa: ARG001
    return Response.json(MESSAGE)


def hello_function(request: Request) -> Response:  # noqa: ARG001
    return Response.json(MESSAGE)


async def serve(variant: str) -> None:
    handler = hello if variant == "coroutine" else hello_function
    serve_it = partial(serve_http, handler, 0, limits=LIMITS)
    if variant == "asgi":
        from snowtrio.asgi import serve_asgi

        serve_it = partial(serve_asgi, application, 0, limits=LIMITS)
    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve_it)
        ready(server.port)


def run(variant: str, workload: str, tls: ssl.SSLContext | None) -> None:  # noqa: ARG001
    """Serve until killed.

    Parameters:
        variant: the kind of handler.
        workload: there is only one.
        tls: not for this.
    """
    trio.run(serve, variant)
