"""Echo bytes as they come.

    python examples/echo_server.py --port 7007
    nc 127.0.0.1 7007

The smallest server: a codec that leaves bytes as they are, and a plain function as the handler.
What it returns is sent back.
"""

from __future__ import annotations

import argparse
import functools
import sys

import trio

from snowtrio import Connection, RawCodec, Server, run_service, serve_tcp


def echo(connection: Connection[bytes], data: bytes) -> bytes:  # noqa: ARG001
    """Answer with the same bytes."""
    return data


async def main(host: str, port: int) -> int:
    """Serve until SIGINT or SIGTERM, then drain; return the exit status."""

    def ready(server: Server[bytes]) -> None:
        print(f"listening on {host}:{server.port}", flush=True)

    serve = functools.partial(serve_tcp, echo, RawCodec(), port, host=host)
    return (await run_service(serve, ready=ready)).status


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Echo bytes as they come.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=7007, help="port to listen on; 0 chooses one")
    return parser.parse_args()


if __name__ == "__main__":
    arguments = parse_arguments()
    try:
        sys.exit(trio.run(main, arguments.host, arguments.port))
    except OSError as error:  # The port is in use, say.
        sys.exit(f"echo_server: {error}")
