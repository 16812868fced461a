"""The load of a broadcasting server: one connection publishes, and all of them receive.

The publisher sends a burst of lines; when every connection has all of them, it sends the next.
"""

from __future__ import annotations

import argparse
import selectors
import time

from load.pinger import Pinger, line, open_pinger
from load.slices import run_slice
from load.websocket import message, open_websocket

SIZE = 64
WEBSOCKET_SIZE = 125

# So few connections wait to be accepted at a time: the shortest usual backlog is 100.
STEP = 50

# A server may broadcast for the newest before it has begun with others that it accepted together
# with it, and those would wait for ever.
SETTLE = 0.02


def open_one(options: argparse.Namespace) -> Pinger:
    """Open a connection; all of them send the same, if they do."""
    numbers = range(options.in_flight)
    if options.websocket:
        return open_websocket(options.port, [message(0, n, WEBSOCKET_SIZE) for n in numbers])
    return open_pinger(options.port, b"".join(line(0, n, SIZE) for n in numbers))


def open_all(options: argparse.Namespace) -> list[Pinger]:
    """Open connections that all get what one of them sends.

    After every step the newest sends a burst, and all that are there must get it: so they are known
    to the server.
    """
    pingers: list[Pinger] = []
    while len(pingers) < options.connections:
        missing = min(STEP, options.connections - len(pingers))
        pingers += [open_one(options) for _ in range(missing)]
        time.sleep(SETTLE)
        publish(pingers, pingers[-1])
        for pinger in pingers:
            while not pinger.receive():
                pass
    return pingers


def publish(pingers: list[Pinger], publisher: Pinger) -> None:
    """Send a burst, which all of them are to get."""
    for pinger in pingers:
        pinger.got = 0
    publisher.send()


def drive(
    selector: selectors.BaseSelector, pingers: list[Pinger], seconds: float
) -> tuple[list[float], int]:
    """Publish for a while; return how long each connection waited for each burst."""
    trips: list[float] = []
    wakes = 0
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        publish(pingers, pingers[0])
        missing = len(pingers)
        while missing:
            wakes += 1
            for key, _ in selector.select():
                if key.data.receive():
                    trips.append(time.perf_counter() - pingers[0].sent_at)
                    missing -= 1
    return trips, wakes


def main() -> None:
    """Run one slice and print what it gave."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pid", type=int, required=True, help="the server's")
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--in-flight", type=int, default=1, help="lines in a burst")
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--websocket", action="store_true", help="messages instead of lines")
    options = parser.parse_args()
    run_slice(drive, open_all(options), options)


if __name__ == "__main__":
    main()
