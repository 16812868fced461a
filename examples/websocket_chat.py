r"""A chat with rooms, in the browser: a page over HTTP and a WebSocket, on one port.

    python examples/websocket_chat.py --port 8080

Then open http://127.0.0.1:8080/ in two windows. Any other WebSocket client can talk as well::

    python examples/websocket_client.py "ws://127.0.0.1:8080/ws?room=lobby&name=ann"

The URL says the room and the name; everything after that is JSON. Who comes gets ``{"type":
"welcome", "name": …, "room": …, "members": […], "history": […]}``, then what happens in the room:
``{"type": "joined" | "left", "name": …}`` and ``{"type": "said", "name": …, "text": …, "at": …}``,
its own words among them. It says ``{"text": …}``.

A member that does not keep up is closed with 1013, one that talks too fast is told
``{"type": "slower"}`` and not heard; neither holds up anybody. A page of another site may not
connect. SIGINT and SIGTERM end it: everybody is told so (1001), and the page comes back by itself.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import deque
from functools import partial
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import trio

from snowtrio import WhenSlow, run_service
from snowtrio.http import HTTPError, HTTPLimits, HTTPServer, Request, Response, serve_http
from snowtrio.websocket import Hub, WebSocket, WebSocketLimits, accept_websocket

PAGE = Path(__file__).with_suffix(".html").read_bytes()
# It loads nothing but itself, and talks to nobody but us.
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
}

MAX_NAME = 32
MAX_TEXT = 2000
MAX_ROOMS = 1000
# A member may say so many things at once, and one more a second.
BURST = 10

LIMITS = WebSocketLimits(max_message_size=16 * 1024, max_queued_messages=16, close_timeout=3)


class Speech:
    """How much somebody may say: a bucket of words that fills with time."""

    def __init__(self) -> None:
        self.left = float(BURST)
        self.since = trio.current_time()

    def allows_more(self) -> bool:
        """Take one, if there is one."""
        now = trio.current_time()
        self.left = min(BURST, self.left + now - self.since)
        self.since = now
        if self.left < 1:
            return False
        self.left -= 1
        return True


class Room:
    """Who is in, and what was said last.

    Parameters:
        history: so many things are remembered.
    """

    def __init__(self, history: int) -> None:
        self.names: set[str] = set()
        self.history: deque[dict[str, object]] = deque(maxlen=history)


class Chat:
    """All rooms; one is there as long as somebody is in it.

    Parameters:
        history: so many things are remembered of each room.
    """

    def __init__(self, history: int) -> None:
        self.hub = Hub(when_slow=WhenSlow.DISCONNECT)
        self.rooms: dict[str, Room] = {}
        self._history = history

    async def answer(self, request: Request) -> Response | None:
        """Answer a request: the page, or a WebSocket."""
        if request.path == "/ws":
            await self.welcome(request)
            return None
        if request.path != "/":
            raise HTTPError(404)
        if request.method not in ("GET", "HEAD"):
            raise HTTPError(405, headers={"Allow": "GET, HEAD"})
        return Response(PAGE, content_type="text/html; charset=utf-8", headers=PAGE_HEADERS)

    async def welcome(self, request: Request) -> None:
        """Let somebody in, or say why not."""
        check_origin(request)
        place = clean(request.query.get("room", "lobby"), MAX_NAME)
        wanted = clean(request.query.get("name", ""), MAX_NAME) or "guest"
        if not place:
            raise HTTPError(400, "that is no name of a room")
        if place not in self.rooms and len(self.rooms) >= MAX_ROOMS:
            raise HTTPError(503, "there are too many rooms")
        async with accept_websocket(request, limits=LIMITS) as websocket:
            await self.seat(websocket, place, wanted)

    async def seat(self, websocket: WebSocket, place: str, wanted: str) -> None:
        """Have somebody in a room, until it leaves."""
        room = self.rooms.setdefault(place, Room(self._history))
        name = free_name(wanted, room.names)
        room.names.add(name)
        try:
            await self.tell(place, type="joined", name=name)
            await websocket.send(self.describe(place, name))
            with self.hub.join(websocket, place):
                await self.listen(websocket, place, name)
        finally:
            room.names.discard(name)
            if not room.names:
                del self.rooms[place]
            # Also when the server ends, and this task with it.
            with trio.CancelScope(shield=True):
                await self.tell(place, type="left", name=name)

    async def listen(self, websocket: WebSocket, place: str, name: str) -> None:
        """Pass on what somebody says."""
        speech = Speech()
        async for message in websocket:
            text = read_text(message)
            if text is None:
                await websocket.close(1008, 'say {"text": "…"}')
            elif not speech.allows_more():
                await websocket.send(dump({"type": "slower"}))
            elif text:
                said: dict[str, object] = {"type": "said", "name": name, "text": text}
                said["at"] = time.time()
                self.rooms[place].history.append(said)
                await self.tell(place, **said)

    async def tell(self, place: str, **event: object) -> None:
        """Tell a room what happens; those who are slow hold up nobody."""
        await self.hub.publish(dump(event), place)

    def describe(self, place: str, name: str) -> str:
        """Return what somebody has to know who comes."""
        room = self.rooms[place]
        return dump(
            {
                "type": "welcome",
                "name": name,
                "room": place,
                "members": sorted(room.names),
                "history": list(room.history),
            }
        )


def check_origin(request: Request) -> None:
    """Refuse pages that are not ours; a client that is no browser says nothing of where it is."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise HTTPError(403, "only our own page may connect")


def dump(event: dict[str, object]) -> str:
    """Return an event as JSON; UTF-8 is shorter than escapes."""
    return json.dumps(event, ensure_ascii=False)


def clean(text: str, size: int) -> str:
    """Return what can be shown of a text, cut to a bound."""
    return "".join(each for each in text if each.isprintable() or each == "\n")[:size].strip()


def free_name(wanted: str, taken: set[str]) -> str:
    """Return a name that nobody has, like the one that is wanted."""
    name, number = wanted, 2
    while name in taken:
        name, number = f"{wanted} {number}", number + 1
    return name


def read_text(message: str | bytes) -> str | None:
    """Return what somebody says, None if it is not said in the right way."""
    try:
        said: Any = json.loads(message)
    except (ValueError, RecursionError):
        return None
    text: object = cast("dict[str, object]", said).get("text") if isinstance(said, dict) else None
    return clean(text, MAX_TEXT) if isinstance(text, str) else None


async def main(arguments: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM, then drain; return the exit status."""

    def ready(server: HTTPServer) -> None:
        print(f"listening on {arguments.host}:{server.port}", flush=True)

    limits = HTTPLimits(
        max_connections=arguments.max_connections,
        # So much may wait for a member that does not keep up.
        max_outbox_messages=256,
        max_outbox_bytes=256 * 1024,
    )
    serve = partial(
        serve_http,
        Chat(arguments.history).answer,
        arguments.port,
        host=arguments.host,
        limits=limits,
    )
    return (await run_service(serve, ready=ready)).status


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A chat in the browser.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8080, help="port to listen on; 0 chooses one")
    parser.add_argument("--max-connections", type=int, default=500, help="connections at a time")
    parser.add_argument("--history", type=int, default=50, help="things remembered of a room")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(trio.run(main, parse_arguments()))
    except OSError as error:  # The port is in use, say.
        sys.exit(f"websocket_chat: {error}")
