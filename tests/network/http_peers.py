"""HTTP servers in this process for other people's clients, and what those need."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import trio
import trustme

from snowtrio import DrainTimeouts
from snowtrio.http import HTTPLimits, HTTPServer, Request, Response, serve_http

from ..serving import LIMIT
from .examples import run_program
from .tcp import until


@attrs.frozen
class CertificateFiles:
    """Paths of PEM files, as programs want them.

    Parameters:
        chain: the server's certificate.
        key: its key.
        authority: what a client has to trust.
    """

    chain: str
    key: str
    authority: str


def write_certificates(ca: trustme.CA, cert: trustme.LeafCert, folder: Path) -> CertificateFiles:
    """Write a server's certificate, its key and its authority into a folder."""
    files = CertificateFiles(*(str(folder / f"{name}.pem") for name in ("chain", "key", "ca")))
    for each in cert.cert_chain_pems:
        each.write_to_path(files.chain, append=True)
    cert.private_key_pem.write_to_path(files.key)
    ca.cert_pem.write_to_path(files.authority)
    return files


async def report(request: Request) -> Response:
    """Answer what came: the handler of tests that look at requests as the server sees them."""
    body = await request.body()
    return Response.json(
        {
            "method": request.method,
            "target": request.target,
            "version": request.http_version,
            "headers": [(name.decode(), value.decode()) for name, value in request.fields],
            "size": len(body),
            "sum": sum(body),
        }
    )


@asynccontextmanager
async def serving_http(
    handler: Callable[[Request], Awaitable[Response | None]] = report,
    *,
    limits: HTTPLimits | None = None,
    ssl_context: ssl.SSLContext | None = None,
    **options: Any,
) -> AsyncGenerator[HTTPServer, None]:
    """Serve on a free port of this machine; at the end drain, and check that nothing is left."""
    serve = partial(serve_http, handler, 0, limits=limits, ssl_context=ssl_context, **options)
    async with trio.open_nursery() as nursery:
        server: HTTPServer = await nursery.start(serve)
        yield server
        with trio.fail_after(LIMIT):
            await server.drain(DrainTimeouts(goodbye=0.5, wait=2))
            await until(lambda: not nursery.child_tasks)
    pool = server.statistics().server.pool
    assert (pool.connections, pool.handshaking) == (0, 0)


def opened(server: HTTPServer) -> int:
    """Return how many connections a server has had."""
    return server.statistics().server.pool.opened


async def run(*command: str, stdin: bytes = b"") -> bytes:
    """Run a program that has to end well, and return its output."""
    done = await run_program(*command, stdin=stdin)
    assert done.returncode == 0, done.stderr.decode() + done.stdout.decode()
    return done.stdout


async def curl(*arguments: str, stdin: bytes = b"") -> bytes:
    """Run curl, which has to end well, and return what it prints.

    No file of the user's says how, and no variable names a proxy.
    """
    return await run("curl", "-q", "-sS", "--noproxy", "*", *arguments, stdin=stdin)


async def curl_json(*arguments: str, stdin: bytes = b"") -> Any:
    """Return the JSON that curl prints."""
    return json.loads(await curl(*arguments, stdin=stdin))
