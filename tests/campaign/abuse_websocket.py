"""A WebSocket server among abusers: does everybody who behaves get every message back?

    python tests/campaign/abuse_websocket.py --well-behaved 300 --each 50

Runs ``examples/websocket_echo_server.py`` on loopback, as ``abuse_http.py`` runs the HTTP server,
and holds the same against it. Exits with 1 and a list if anything was violated.
"""

from __future__ import annotations

import argparse
import random
import sys

import attrs
import trio
from abuse_http import campaign, parse_arguments
from abusers import Abusers
from clients import PAUSE, Figures
from sockets import GONE, connected, read_to_end
from watched import WEBSOCKET_SERVER, watched_server
from websocket_abusers import MOST, WEBSOCKET_ABUSES
from websocket_frames import BINARY, CLOSE, PING, PONG, TEXT, frame, read_frame, shake_hands


@attrs.define
class Client:
    """Who behaves: sends what is its own and nobody else's, and gets it back.

    Parameters:
        name: in each of its messages.
        figures: where it notes what it sees.
    """

    name: str
    figures: Figures

    async def run(self, port: int, rounds: int) -> None:
        """Talk over one connection; close it, and see the server's close and end."""
        chance = random.Random(self.name)
        try:
            async with connected(port) as stream:
                if not (head := await shake_hands(stream)).startswith(b"HTTP/1.1 101 "):
                    self.violate(f"got {head!r}")
                for number in range(rounds):
                    await trio.sleep(chance.uniform(0, 2 * PAUSE))
                    await self.talk(stream, number, chance)
                await stream.send_all(frame(CLOSE, b"\x03\xe8"))
                last = await read_frame(stream)
                while last[0] == PING:
                    last = await read_frame(stream)
                if last != (CLOSE, b"\x03\xe8"):
                    self.violate(f"got {last!r:.80} for its close")
                if left := await read_to_end(stream):
                    self.violate(f"got {left[:60]!r} behind the close")
        except GONE as error:
            self.violate(f"got {error!r}")
        self.figures.finished += 1

    async def talk(self, stream: trio.abc.Stream, number: int, chance: random.Random) -> None:
        """Send some messages at a time, then a ping, and check what comes back."""
        said = [
            b"%b %d %d %b" % (self.name.encode(), number, each, b"." * chance.randrange(3000))
            for each in range(chance.choice([1, 1, 1, 10]))
        ]
        opcode = chance.choice([TEXT, BINARY])
        began = trio.current_time()
        await stream.send_all(b"".join(frame(opcode, each) for each in said) + frame(PING, b"?"))
        wanted, pongs = [(opcode, each) for each in said], [(PONG, b"?")]
        # A pong may overtake the answers.
        while wanted or pongs:
            seen = await read_frame(stream)
            if seen[0] == PING:  # The heartbeat's.
                await stream.send_all(frame(PONG, seen[1]))
                continue
            rest = pongs if seen[0] == PONG else wanted
            if not rest or rest.pop(0) != seen:
                self.violate(f"got {seen!r:.80}")
                return
        self.figures.latencies.append(trio.current_time() - began)
        self.figures.lines += len(said)

    def violate(self, text: str) -> None:
        """Note what must not be."""
        self.figures.violations.append(f"{self.name} {text}")


async def main(arguments: argparse.Namespace) -> int:
    """Run the campaign, print what came of it, return the exit status."""
    abusers = Abusers(arguments.each, arguments.seconds / 5, WEBSOCKET_ABUSES)
    options = ("--compression", "--max-message-size", str(MOST))
    async with watched_server(*options, program=WEBSOCKET_SERVER) as server:
        return await campaign(server, abusers, arguments, Client)


if __name__ == "__main__":
    sys.exit(trio.run(main, parse_arguments("A WebSocket server among abusers.")))
