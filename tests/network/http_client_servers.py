"""Servers that are not ours, for the HTTP client: the standard library's, uvicorn, nginx, bytes."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import pytest
import trio

LIMIT = 20.0

APPLICATION = """
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        event = await receive()
        body += event.get("body", b"")
        more = event.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    text = f"{scope['method']} {scope['path']} {len(body)}".encode()
    for piece in (text[:3], text[3:]):
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body"})
"""

NGINX = """
daemon off; pid {folder}/pid; error_log stderr crit; master_process off;
events {{ }}
http {{
    access_log off; client_body_temp_path {folder}; proxy_temp_path {folder};
    fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
    gzip on; gzip_types *; gzip_min_length 1; keepalive_requests 3; keepalive_timeout 60;
    server {{ listen 127.0.0.1:{port}; listen unix:{folder}/socket; root {folder};
        location /moved {{ return 302 /page; }}
        location /refused {{ client_max_body_size 1; }} }}
}}
"""


class Handler(BaseHTTPRequestHandler):
    """Says what it was asked; ends after a while what is not asked again."""

    protocol_version = "HTTP/1.1"
    timeout = 10

    def answer(self) -> None:
        size = int(self.headers.get("Content-Length", 0))
        text = f"{self.command} {self.path} {len(self.rfile.read(size))}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_HEAD = answer  # noqa: N815 - its names

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - its name
        pass


@contextlib.contextmanager
def standard_server(context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Run ``http.server`` in threads; gives its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.asynccontextmanager
async def program(command: list[str], port: int) -> AsyncIterator[None]:
    """Run a program until the block ends; begins when it listens."""
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, stdout=quiet, stderr=quiet)  # noqa: ASYNC220 - it is short
    try:
        with trio.fail_after(LIMIT):
            while True:
                assert process.poll() is None, f"{command[0]} has ended"
                with contextlib.suppress(OSError):
                    await (await trio.open_tcp_stream("127.0.0.1", port)).aclose()
                    break
                await trio.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@contextlib.asynccontextmanager
async def uvicorn_server(folder: Path) -> AsyncIterator[int]:
    if find_spec("uvicorn") is None:
        pytest.skip("uvicorn is not installed")
    (folder / "application.py").write_text(APPLICATION)
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(folder), "--port", str(port)]
    async with program([*command, "application:app"], port):
        yield port


@contextlib.asynccontextmanager
async def nginx_server(folder: Path) -> AsyncIterator[int]:
    path = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if path is None:
        pytest.skip("nginx is not installed")
    port = free_port()
    (folder / "page").write_bytes(b"page " * 10_000)
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port))
    command = [path, "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")]
    async with program(command, port):
        yield port


class BytesServer:
    """A blocking server in the test's own thread, which does nothing that the test does not do."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/"
        self.connections: list[socket.socket] = []

    def __enter__(self) -> BytesServer:
        return self

    def __exit__(self, *_: object) -> None:
        for each in [self.listener, *self.connections]:
            each.close()

    async def answer(self, index: int, response: bytes) -> bytes:
        """Read a request on a connection, and send this; return the request."""
        if index == len(self.connections):
            sock, _ = await trio.to_thread.run_sync(self.listener.accept)
            self.connections.append(sock)
        sock = self.connections[index]
        request = await trio.to_thread.run_sync(sock.recv, 65536)
        sock.sendall(response)
        return request

    def close(self, index: int) -> None:
        """Close a connection in this moment."""
        self.connections[index].close()

    def reset(self, index: int) -> None:
        """Reset a connection in this moment."""
        linger = struct.pack("ii", 1, 0)
        self.connections[index].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connections[index].close()
