"""A chat room for lines of text.

    python examples/chat_server.py --port 7001
    nc 127.0.0.1 7001

The handshake asks for a name; a member exists only once it has given one. A member that does not
read misses messages, and is told how many before the next that it gets, but holds up nobody. On
SIGINT or SIGTERM everybody gets a farewell.
"""

from __future__ import annotations

import argparse
import functools
import sys

import attrs
import trio

from snowtrio import (
    BufferedStream,
    Connection,
    ConnectionClosedError,
    ConnectionLostError,
    DrainTimeouts,
    HandshakeError,
    LineCodec,
    Protocol,
    ReceiveTooLargeError,
    Server,
    ServerLimits,
    Side,
    run_service,
    serve_tcp,
)

MAX_LINE = 4096
MAX_NAME = 32
# In characters, of at most four bytes: with a name before it, it still is a line.
MAX_TEXT = 1000


class NameRefusedError(HandshakeError):
    """The name cannot be used."""


def clean(line: bytes) -> str:
    """Return what a terminal can show of a line, cut to a bound."""
    text = line.decode(errors="replace")
    return "".join(each for each in text if each.isprintable())[:MAX_TEXT]


@attrs.define
class Member:
    """What the room knows of somebody: the context of the connection."""

    name: str
    missed: int = 0


Seat = Connection[bytes, bytes, Member]


class Room:
    """Everybody who is in, and the names that are taken."""

    def __init__(self) -> None:
        self.seats: set[Seat] = set()
        self.names: set[str] = set()

    def say(self, text: str) -> None:
        """Send a line to everybody, without waiting for anybody."""
        line = text.encode()
        for seat in self.seats:
            try:
                if seat.context.missed:
                    seat.send_nowait(f"* you missed {seat.context.missed} messages".encode())
                    seat.context.missed = 0
                seat.send_nowait(line)
            except trio.WouldBlock:
                seat.context.missed += 1
            except (ConnectionClosedError, ConnectionLostError):
                pass  # It is leaving; its close hook will say so.


class Chat(Protocol[bytes, bytes, Member]):
    """The protocol of the room.

    Parameters:
        room: shared by all connections.
    """

    codec = LineCodec(max_message_size=MAX_LINE)

    def __init__(self, room: Room) -> None:
        super().__init__()
        self.room = room

    async def handshake(self, side: Side, stream: BufferedStream) -> Member:
        """Ask for a name, and refuse the connection if it cannot be used."""
        await stream.send_all(b"name?\n")
        try:
            return Member(self.take_name(await stream.receive_line(max_size=MAX_NAME)))
        except (NameRefusedError, ReceiveTooLargeError) as error:
            await stream.send_all(f"no: {error}\n".encode())
            raise

    def take_name(self, given: bytes) -> str:
        """Take a name that is fit and free; `close` gives it back, also when nothing was said."""
        name = clean(given).strip()
        if not name or name.encode() != given.strip():
            raise NameRefusedError("that is not a name")
        if name in self.room.names:
            raise NameRefusedError("that name is taken")
        self.room.names.add(name)
        return name

    async def handle(self, connection: Seat) -> None:
        """Pass on what a member says."""
        name = connection.context.name
        self.room.seats.add(connection)
        self.room.say(f"* {name} has joined")
        async for line in connection:
            self.room.say(f"{name}: {clean(line)}")
            # Who talks without a pause must leave time to send what was said.
            await trio.lowlevel.checkpoint()

    async def close(self, connection: Seat) -> None:
        """Give the name back and tell the others."""
        self.room.names.remove(connection.context.name)
        if connection in self.room.seats:
            self.room.seats.remove(connection)
            self.room.say(f"* {connection.context.name} has left")

    async def goodbye(self, connection: Seat) -> None:
        """Say farewell when the server drains."""
        self.room.seats.discard(connection)
        try:
            await connection.send(b"* the server is closing, farewell")
        finally:
            connection.stop_receiving()


async def main(host: str, port: int, max_connections: int) -> int:
    """Serve until SIGINT or SIGTERM, then say farewell to all; return the exit status."""

    def ready(server: Server[bytes, bytes, Member]) -> None:
        print(f"listening on {host}:{server.port}", flush=True)

    limits = ServerLimits(
        max_connections=max_connections,
        max_outbox_messages=256,
        max_outbox_bytes=64 * 1024,
        drain_timeout=2,
    )
    serve = functools.partial(
        serve_tcp,
        None,
        Chat(Room()),
        port,
        host=host,
        limits=limits,
        when_full=b"* the room is full\n",
    )
    timeouts = DrainTimeouts(goodbye=2, wait=5)
    return (await run_service(serve, ready=ready, timeouts=timeouts)).status


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A chat room for lines of text.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=7001, help="port to listen on; 0 chooses one")
    parser.add_argument("--max-connections", type=int, default=200, help="members at a time")
    return parser.parse_args()


if __name__ == "__main__":
    arguments = parse_arguments()
    try:
        sys.exit(trio.run(main, arguments.host, arguments.port, arguments.max_connections))
    except OSError as error:  # The port is in use, say.
        sys.exit(f"chat_server: {error}")
