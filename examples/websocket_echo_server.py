r"""Sends back every WebSocket message as it came, text as text and binary as binary.

    python examples/websocket_echo_server.py --port 8765
    python examples/websocket_client.py ws://127.0.0.1:8765/

    python examples/websocket_echo_server.py --port 8765 --tls-cert cert.pem --tls-key key.pem
    python examples/websocket_client.py --ca ca.pem wss://localhost:8765/

Any path will do. ``--compression`` agrees to permessage-deflate with clients that offer it. A
message above ``--max-message-size`` closes with 1009; 0 is no bound. SIGINT and SIGTERM end it:
every client is told so (1001).
"""

from __future__ import annotations

import argparse
import functools
import logging
import ssl
import sys

import trio

from snowtrio import run_service
from snowtrio.websocket import (
    Deflate,
    WebSocket,
    WebSocketLimits,
    WebSocketServer,
    serve_websocket,
)


async def echo(websocket: WebSocket) -> None:
    """Answer each message with itself."""
    async for message in websocket:
        await websocket.send(message)


def make_ssl_context(certificate: str | None, key: str | None) -> ssl.SSLContext | None:
    """Return the TLS rules for a certificate, None without one."""
    if certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["http/1.1"])
    return context


async def main(arguments: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM, then drain; return the exit status."""

    def ready(server: WebSocketServer) -> None:
        print(f"listening on {arguments.host}:{server.port}", flush=True)

    serve = functools.partial(
        serve_websocket,
        echo,
        arguments.port,
        host=arguments.host,
        ssl_context=make_ssl_context(arguments.tls_cert, arguments.tls_key),
        compression=Deflate() if arguments.compression == "deflate" else None,
        limits=WebSocketLimits(max_message_size=arguments.max_message_size or None),
    )
    return (await run_service(serve, ready=ready)).status


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Echo WebSocket messages.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8765, help="port to listen on; 0 chooses one")
    parser.add_argument(
        "--compression",
        nargs="?",
        choices=("deflate", "none"),
        const="deflate",
        default="none",
        help="compress for clients that offer to",
    )
    parser.add_argument(
        "--max-message-size", type=int, default=2**24, help="bytes of a message; 0 is no bound"
    )
    parser.add_argument("--tls-cert", metavar="FILE", help="speak TLS with this certificate chain")
    parser.add_argument("--tls-key", metavar="FILE", help="its key, if not in the same file")
    return parser.parse_args()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    logging.getLogger("snowtrio.http.access").setLevel(logging.WARNING)
    try:
        sys.exit(trio.run(main, parse_arguments()))
    except OSError as error:  # The port is in use, say.
        sys.exit(f"websocket_echo_server: {error}")
