r"""A small JSON service over HTTP, with TLS where a certificate is given.

    python examples/http_json_server.py --port 8000
    curl http://127.0.0.1:8000/stats
    curl -d '{"hello": [1, 2]}' http://127.0.0.1:8000/echo
    curl -N http://127.0.0.1:8000/time
    python -m websockets ws://127.0.0.1:8000/ws

    python examples/http_json_server.py --port 8443 --tls-cert cert.pem --tls-key key.pem
    curl --cacert ca.pem https://localhost:8443/stats

    python examples/http_json_server.py --unix /tmp/json.sock
    curl --unix-socket /tmp/json.sock http://localhost/stats

========== ======= =============================================================================
``GET``    /stats  service, message, and the request's method, path and sequence in this server
``POST``   /echo   the JSON that came
``GET``    /time   the time, a line a second until the client leaves or the server stops
``GET``    /ws     a WebSocket that sends back each message, text or binary
========== ======= =============================================================================

Anything else is answered with 404, in JSON too. SIGINT and SIGTERM end it: what is under way is
answered first, and WebSockets are closed with 1001.
"""

from __future__ import annotations

import argparse
import logging
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from functools import partial

import trio

from snowtrio import run_service
from snowtrio.http import (
    HTTPError,
    HTTPLimits,
    HTTPServer,
    Request,
    Response,
    serve_http,
    serve_http_unix,
)
from snowtrio.websocket import accept_websocket


async def answer(request: Request) -> Response | None:
    """Answer one request."""
    # A HEAD is answered as a GET; the server leaves the body out.
    method = "GET" if request.method == "HEAD" else request.method
    route = ROUTES.get((method, request.path))
    if route is None:
        raise HTTPError(404, f"there is no {request.method} {request.path} here")
    return await route(request)


async def stats(request: Request) -> Response:
    """Answer what the request was."""
    return Response.json(
        {
            "service": "http_json_server",
            "message": "hello",
            "method": request.method,
            "path": request.path,
            "sequence": request.sequence,
        }
    )


async def echo(request: Request) -> Response:
    """Answer the JSON that came."""
    return Response.json(await request.json(any_content_type=True))


async def echo_websocket(request: Request) -> None:
    """Go on as a WebSocket."""
    async with accept_websocket(request) as websocket:
        async for message in websocket:
            await websocket.send(message)


async def time(request: Request) -> Response:
    """Answer with lines that never end."""
    headers = {"Cache-Control": "no-store"}
    return Response(lines(request), 200, headers, content_type="text/plain; charset=utf-8")


async def lines(request: Request) -> AsyncIterator[str]:
    """Give the time once a second, until the server drains."""
    while not request.draining:
        yield f"{datetime.now(UTC).isoformat(timespec='seconds')}\n"
        with trio.move_on_after(1):
            await request.wait_draining()


ROUTES: dict[tuple[str, str], Callable[[Request], Awaitable[Response | None]]] = {
    ("GET", "/stats"): stats,
    ("POST", "/echo"): echo,
    ("GET", "/time"): time,
    ("GET", "/ws"): echo_websocket,
}


def make_ssl_context(certificate: str | None, key: str | None) -> ssl.SSLContext | None:
    """Return the TLS rules for a certificate, None without one."""
    if certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["http/1.1"])
    return context


def make_serve(arguments: argparse.Namespace) -> Callable[..., Awaitable[None]]:
    """Return what serves as the arguments say, ready for ``nursery.start``."""
    ssl_context = make_ssl_context(arguments.tls_cert, arguments.tls_key)
    limits = HTTPLimits(
        max_connections=arguments.max_connections, max_body_size=arguments.max_body_size
    )
    if arguments.unix:
        return partial(
            serve_http_unix, answer, arguments.unix, ssl_context=ssl_context, limits=limits
        )
    return partial(
        serve_http,
        answer,
        arguments.port,
        host=arguments.host,
        ssl_context=ssl_context,
        limits=limits,
    )


async def main(arguments: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM, then drain; return the exit status."""

    def ready(server: HTTPServer) -> None:
        where = arguments.unix or f"{arguments.host}:{server.port}"
        print(f"listening on {where}", flush=True)

    return (await run_service(make_serve(arguments), ready=ready)).status


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Serve JSON over HTTP.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on; 0 chooses one")
    parser.add_argument("--unix", metavar="PATH", help="listen on a Unix socket instead")
    parser.add_argument(
        "--tls-cert", metavar="FILE", help="speak HTTPS with this certificate chain"
    )
    parser.add_argument("--tls-key", metavar="FILE", help="its key, if not in the same file")
    parser.add_argument("--max-connections", type=int, default=128, help="connections at a time")
    parser.add_argument(
        "--max-body-size", type=int, default=2**20, help="bytes of a request's body"
    )
    parser.add_argument("--access-log", action="store_true", help="tell of each request")
    return parser.parse_args()


def set_up_logging(access_log: bool) -> None:
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    if not access_log:
        logging.getLogger("snowtrio.http.access").setLevel(logging.WARNING)


if __name__ == "__main__":
    given = parse_arguments()
    set_up_logging(given.access_log)
    try:
        sys.exit(trio.run(main, given))
    except OSError as error:  # The port is in use, say.
        sys.exit(f"http_json_server: {error}")
