"""curl shakes hands with a WebSocket server; it knows nothing of frames."""

from __future__ import annotations

import base64
import os

import pytest

from snowtrio.http import HTTPLimits

from ...websocket_serving import ACCEPT, KEY
from ..examples import needs_program, run_program
from .serving import serving_websocket_on

pytestmark = needs_program("curl")

FIELDS = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": KEY,
}
# A close with no code, as the whole input: curl sends it behind the request.
QUIET = ("-q", "-sS", "--noproxy", "*", "--include", "--max-time", "10")


async def shake_hands(port: int, fields: dict[str, str], *options: str) -> bytes:
    """Return what curl prints: the head of the answer, and what stands behind it."""
    headers = [word for each in fields.items() for word in ("-H", ": ".join(each))]
    url = f"http://127.0.0.1:{port}/"
    done = await run_program("curl", *QUIET, *headers, *options, url)
    return done.stdout


async def greet_and_leave(websocket: object) -> None:
    """Close at once."""


async def test_it_is_let_in() -> None:
    """W1: the head that the RFC's example has, then the frames."""
    async with serving_websocket_on(greet_and_leave, headers={"X-One": "1"}) as server:
        server.limits = type(server.limits)(close_timeout=0.3)
        head, _, frames = (await shake_hands(server.port, FIELDS)).partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        assert lines[0] == "HTTP/1.1 101 Switching Protocols"
        fields = dict(line.lower().split(": ", 1) for line in lines[1:])
        assert fields == {
            "sec-websocket-accept": ACCEPT.lower(),
            "connection": "upgrade",
            "upgrade": "websocket",
            "x-one": "1",
        }
        assert frames == b"\x88\x02\x03\xe8"


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"Connection": ""}, b"400"),
        ({"Upgrade": "h2c"}, b"400"),
        ({"Sec-WebSocket-Version": "12"}, b"426"),
        ({"Sec-WebSocket-Key": base64.b64encode(os.urandom(15)).decode()}, b"400"),
        ({"X-Large": "x" * 40_000}, b"431"),
    ],
)
async def test_it_is_refused(changes: dict[str, str], status: bytes) -> None:
    """W2, W3: it sees the status, and the end of the connection."""
    fields = FIELDS | changes
    async with serving_websocket_on(http_limits=HTTPLimits(linger_timeout=0.2)) as server:
        answer = await shake_hands(server.port, fields)
        assert answer.split(b" ", 2)[1] == status
        assert server.statistics().opened == 0


async def test_plain_requests() -> None:
    """W2: and other methods."""
    async with serving_websocket_on() as server:
        answer = await shake_hands(server.port, {})
        assert answer.startswith(b"HTTP/1.1 426 ")
        assert b"\r\nupgrade: websocket\r\n" in answer
        assert b"this is a WebSocket" in answer
        answer = await shake_hands(server.port, {}, "-d", "x=1")
        assert answer.startswith(b"HTTP/1.1 405 ")
        assert b"\r\nallow: GET\r\n" in answer
