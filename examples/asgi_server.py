r"""Serve an ASGI application: one of yours, or one that says hello.

    python examples/asgi_server.py --port 8000
    curl http://127.0.0.1:8000/
    python -m websockets ws://127.0.0.1:8000/

    cd my_project
    python .../examples/asgi_server.py my_module:app --host 0.0.0.0 --port 8000

    python examples/asgi_server.py --port 8443 --tls-cert cert.pem --tls-key key.pem
    curl --cacert ca.pem https://localhost:8443/

SIGINT and SIGTERM drain it: requests under way are completed, WebSockets closed with 1001; then the
application shuts down.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import logging
import ssl
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

import trio

from snowtrio import DrainTimeouts, run_service
from snowtrio.asgi import ASGIApplication, ASGIServer, LifespanError, serve_asgi

Message: TypeAlias = MutableMapping[str, Any]


async def hello(
    scope: Message,
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    """Say hello, and how much was sent here; a WebSocket gets its messages back."""
    if scope["type"] == "websocket":
        await echo(receive, send)
    if scope["type"] != "http":
        return  # It has nothing to start up.
    size = 0
    while (message := await receive())["type"] == "http.request":
        size += len(message["body"])
        if not message["more_body"]:
            break
    text = f"hello from {scope['path']}, {size} bytes came\n".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": text})


async def echo(
    receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """Send back the messages of a WebSocket."""
    while (message := await receive())["type"] != "websocket.disconnect":
        if message["type"] == "websocket.connect":
            await send({"type": "websocket.accept"})
        else:
            await send({**message, "type": "websocket.send"})


def find_application(name: str) -> ASGIApplication:
    """Return the application that is called ``module:attribute``."""
    module, _, attribute = name.partition(":")
    sys.path.insert(0, "")  # The module is looked for where one is, as by ``python -m``.
    found: Any = importlib.import_module(module)
    for part in (attribute or "app").split("."):
        found = getattr(found, part)
    application: ASGIApplication = found
    return application


def make_ssl_context(certificate: str | None, key: str | None) -> ssl.SSLContext | None:
    """Return the TLS rules for a certificate, None without one."""
    if certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


async def main(app: ASGIApplication, arguments: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM, then drain; return the exit status."""

    def ready(server: ASGIServer) -> None:
        print(f"listening on {arguments.host}:{server.port}", flush=True)

    serve = functools.partial(
        serve_asgi,
        app,
        arguments.port,
        host=arguments.host,
        ssl_context=make_ssl_context(arguments.tls_cert, arguments.tls_key),
        root_path=arguments.root_path,
    )
    timeouts = DrainTimeouts(wait=arguments.drain)
    return (await run_service(serve, ready=ready, timeouts=timeouts)).status


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Serve an ASGI application.")
    parser.add_argument("app", nargs="?", metavar="MODULE:APP", help="what to serve; says hello")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on; 0 chooses one")
    parser.add_argument(
        "--root-path", default="", metavar="PATH", help="what a proxy in front takes off the path"
    )
    parser.add_argument(
        "--drain", type=float, default=30.0, metavar="SECONDS", help="for requests to complete"
    )
    parser.add_argument("--tls-cert", metavar="FILE", help="speak TLS with this certificate chain")
    parser.add_argument("--tls-key", metavar="FILE", help="its key, if not in the same file")
    return parser.parse_args()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    parsed = parse_arguments()
    try:
        application = find_application(parsed.app) if parsed.app else hello
    except (ImportError, AttributeError) as error:
        sys.exit(f"asgi_server: {parsed.app}: {error}")
    try:
        sys.exit(trio.run(main, application, parsed))
    except (OSError, LifespanError) as error:  # The port is in use, say.
        sys.exit(f"asgi_server: {error}")
