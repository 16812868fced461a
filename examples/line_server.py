r"""Echo lines, over TCP, TLS or a Unix socket.

    python examples/line_server.py --port 7000
    printf 'hello\n' | nc -N 127.0.0.1 7000

    python examples/line_server.py --port 7000 --workers 2
    kill -HUP %1                                  # replaces the workers, and loses no line

    python examples/line_server.py --port 7000 --tls-cert cert.pem --tls-key key.pem
    openssl s_client -quiet -connect 127.0.0.1:7000

    python examples/line_server.py --port 7000 --behind-proxy 10.0.0.0/8
    # behind HAProxy with "send-proxy-v2": docs/how-to/past-one-machine.md

    python examples/line_server.py --unix /tmp/lines.sock
    socat - UNIX-CONNECT:/tmp/lines.sock

A line may have 64 KiB and ends with LF; a CR before that is part of it, and comes back too. A peer
that sends a longer one, or half a line at its end, is told so in a last line before its connection
closes; the others do not notice.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import ssl
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import trio

from snowtrio import (
    Connection,
    LineCodec,
    Listener,
    RemoteProtocolError,
    Server,
    ServerLimits,
    SnowtrioError,
    behind_proxy,
    open_tcp_listeners,
    open_unix_listener,
    run_service,
    serve_listeners,
)
from snowtrio.workers import Worker, Workers, run_workers


async def echo(connection: Connection[bytes]) -> None:
    """Send each line back."""
    try:
        async for line in connection:
            await connection.send(line)
    except RemoteProtocolError as error:
        # Receiving is over; sending is not, for a last word.
        with contextlib.suppress(SnowtrioError):
            await connection.send(b"error: " + str(error).encode())
        raise


def make_ssl_context(certificate: str | None, key: str | None) -> ssl.SSLContext | None:
    """Return the TLS rules for a certificate, None without one."""
    if certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


async def open_listeners(arguments: argparse.Namespace) -> Sequence[Listener]:
    """Listen where the arguments say."""
    if arguments.unix:
        return [await open_unix_listener(arguments.unix)]
    return await open_tcp_listeners(arguments.port, host=arguments.host)


def make_serve(
    arguments: argparse.Namespace, listeners: Sequence[Listener]
) -> Callable[..., Awaitable[None]]:
    """Return what serves as the arguments say, ready for ``nursery.start``."""
    if arguments.behind_proxy:
        listeners = behind_proxy(listeners, trusted=arguments.behind_proxy)
    return partial(
        serve_listeners,
        echo,
        LineCodec("lf", max_message_size=64 * 1024),
        listeners,
        ssl_context=make_ssl_context(arguments.tls_cert, arguments.tls_key),
        limits=ServerLimits(
            max_connections=arguments.max_connections,
            handshake_timeout=arguments.handshake_timeout,
        ),
        # A worker that is full leaves peers to the others.
        when_full="wait" if arguments.workers else "close",
    )


async def work(worker: Worker, arguments: argparse.Namespace) -> None:
    """Serve in one of several processes."""
    set_up_logging()
    await worker.serve(make_serve(arguments, worker.listeners))


async def main(arguments: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM, then drain; return the exit status."""

    def ready(server: Server[bytes] | Workers) -> None:
        where = arguments.unix or f"{arguments.host}:{server.port}"
        print(f"listening on {where}", flush=True)

    listeners = await open_listeners(arguments)
    if arguments.workers:
        serve = partial(
            run_workers, work, arguments, listeners=listeners, workers=arguments.workers
        )
        report = await run_service(serve, ready=ready, reload=Workers.reload)
    else:
        report = await run_service(make_serve(arguments, listeners), ready=ready)
    return report.status


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Echo lines.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=7000, help="port to listen on; 0 chooses one")
    parser.add_argument("--unix", metavar="PATH", help="listen on a Unix socket instead")
    parser.add_argument(
        "--max-connections", type=int, default=128, help="connections at a time, in each process"
    )
    parser.add_argument(
        "--handshake-timeout", type=float, default=10.0, help="seconds that TLS may take to agree"
    )
    parser.add_argument("--tls-cert", metavar="FILE", help="speak TLS with this certificate chain")
    parser.add_argument("--tls-key", metavar="FILE", help="its key, if not in the same file")
    parser.add_argument(
        "--behind-proxy",
        metavar="NETWORK",
        action="append",
        help="connections begin with a PROXY header, which this network's are believed; repeatable",
    )
    parser.add_argument("--workers", type=int, default=0, help="processes; 0 serves in this one")
    return parser.parse_args()


def set_up_logging() -> None:
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")


if __name__ == "__main__":
    set_up_logging()
    try:
        sys.exit(trio.run(main, parse_arguments()))
    except OSError as error:  # The port is in use, say.
        sys.exit(f"line_server: {error}")
