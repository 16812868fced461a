"""uvicorn with httptools and uvloop, and nothing on it but a function."""

from __future__ import annotations

import ssl

import uvicorn
from peers.bare_asgi import application
from peers.hello import listening_socket
from peers.ready import ready


def run(variant: str, workload: str, tls: ssl.SSLContext | None) -> None:  # noqa: ARG001
    """Serve until killed."""
    config = uvicorn.Config(
        application,
        http="httptools",
        loop="uvloop",
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        # The others have none.
        server_header=False,
    )
    listener = listening_socket()
    ready(listener.getsockname()[1])
    uvicorn.Server(config).run(sockets=[listener])
