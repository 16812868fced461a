"""A real nginx, listening on a Unix socket, for the time of a block."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from .tcp import until

# FOLDER stands for the folder that it works in.
CONFIGURATION = """
daemon off;
master_process off;
pid FOLDER/pid;
error_log FOLDER/errors warn;
events {}
http {
  access_log off;
  client_body_temp_path FOLDER/client;
  proxy_temp_path FOLDER/proxy;
  fastcgi_temp_path FOLDER/fastcgi;
  uwsgi_temp_path FOLDER/uwsgi;
  scgi_temp_path FOLDER/scgi;
  OUTSIDE
  server {
    listen unix:FOLDER/socket;
    INSIDE
  }
}
"""
KEPT = "proxy_http_version 1.1; proxy_set_header Connection '';"
"""What a location needs, so that connections to the server behind it are kept."""


@asynccontextmanager
async def nginx(
    folder: Path, inside: str, outside: str = "", *, accepted: str = "[warn]"
) -> AsyncGenerator[str, None]:
    """Run nginx, and give the path of its socket; at the end check that it saw no error.

    Parameters:
        folder: where it works.
        inside: what its server does.
        outside: what stands around that.
        accepted: what each line of its log has to contain.
    """
    path, errors = folder / "nginx.conf", folder / "errors"
    text = CONFIGURATION.replace("INSIDE", inside).replace("OUTSIDE", outside)
    path.write_text(text.replace("FOLDER", str(folder)))
    process = await trio.lowlevel.open_process(
        ["nginx", "-p", str(folder), "-e", str(errors), "-c", str(path)], stderr=subprocess.DEVNULL
    )
    try:
        await until(lambda: listens(folder / "socket") or process.poll() is not None)
        assert process.returncode is None, errors.read_text()
        yield str(folder / "socket")
    finally:
        process.terminate()
        with trio.CancelScope(shield=True):
            await process.wait()
    lines = errors.read_text().splitlines()
    assert all(accepted in line for line in lines), lines


@asynccontextmanager
async def nginx_before(
    port: int, folder: Path, *, upstream: str = "keepalive 8;", location: str = KEPT
) -> AsyncGenerator[str, None]:
    """Run nginx before a server of this machine, and give the path of its socket."""
    outside = f"upstream service {{ server 127.0.0.1:{port}; {upstream} }}"
    inside = f"client_max_body_size 0; location / {{ proxy_pass http://service; {location} }}"
    async with nginx(folder, inside, outside) as path:
        yield path


def listens(path: Path) -> bool:
    """Whether a program listens: it does so a moment after the file is there."""
    with socket.socket(socket.AF_UNIX) as sock:
        return sock.connect_ex(str(path)) == 0
