"""What the HTTP servers under test answer, the same from all of them."""

from __future__ import annotations

import socket

import msgspec

MESSAGE = {"message": "Hello, World!"}
CONTENT_TYPE = "application/json"

# All of them make their JSON for each request, with one library.
write_json = msgspec.json.encode


def listening_socket() -> socket.socket:
    """Return a socket that listens on a free port, for servers that do not tell theirs."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    listener.setblocking(False)
    return listener
