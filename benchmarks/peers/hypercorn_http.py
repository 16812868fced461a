"""hypercorn's Trio worker, with nothing on it but a function."""

from __future__ import annotations

import ssl
from typing import Any, cast

import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from peers.bare_asgi import application
from peers.hello import listening_socket
from peers.ready import ready


def run(variant: str, workload: str, tls: ssl.SSLContext | None) -> None:  # noqa: ARG001
    """Serve until killed."""
    listener = listening_socket()
    config = Config()
    config.bind = [f"fd://{listener.fileno()}"]
    config.accesslog = None
    config.include_server_header = False
    ready(listener.getsockname()[1])
    # Its types name each message of ASGI; the function is uvicorn's as well.
    trio.run(serve, cast("Any", application), config)
