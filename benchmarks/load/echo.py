"""The load of an echo server: many connections, each with a number of messages in flight.

A process of its own, on a core of its own, with plain sockets and ``selectors``. It works in
rounds: it sends on all connections, then takes what comes back until nothing is missing. Were it to
answer each connection at once, then with one message in flight it would be slower than the servers,
which pay as much for the network and no more: they would wait for it, and what was measured would
be how one wakes up for a single message, whatever the number of connections. It never sleeps, so
that waking it up costs no server anything.
"""

from __future__ import annotations

import argparse
import selectors
import time
from pathlib import Path

from load.pinger import FRAMES, Pinger, open_pinger
from load.slices import run_slice
from load.websocket import message, open_websocket, words

WEBSOCKET_MESSAGES = {"websocket": message, "deflate": words}


def open_all(options: argparse.Namespace) -> list[Pinger]:
    """Open the connections and exchange a burst on each.

    One after the other: a server that is slow to accept never has a full backlog, which would cost
    its peers a second each.
    """
    pingers: list[Pinger] = []
    for number in range(options.connections):
        pingers.append(open_one(options, number))
        pingers[-1].exchange()
    return pingers


def open_one(options: argparse.Namespace, number: int) -> Pinger:
    """Open a connection with messages of its own."""
    numbers = range(options.in_flight)
    if options.frames in WEBSOCKET_MESSAGES:
        message = WEBSOCKET_MESSAGES[options.frames]
        messages = [message(number, each, options.size) for each in numbers]
        return open_websocket(options.port, messages, deflate=options.frames == "deflate")
    frame = FRAMES[options.frames]
    burst = b"".join(frame(number, each, options.size) for each in numbers)
    return open_pinger(options.port, burst, options.authority)


def drive(
    selector: selectors.BaseSelector, pingers: list[Pinger], seconds: float
) -> tuple[list[float], int]:
    """Keep all connections busy for a while; return the round trips and the wake-ups."""
    trips: list[float] = []
    wakes = 0
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for pinger in pingers:
            pinger.send()
        missing = len(pingers)
        while missing:
            ready = selector.select(0)
            wakes += bool(ready)
            for key, _ in ready:
                if key.data.receive():
                    trips.append(time.perf_counter() - key.data.sent_at)
                    missing -= 1
    return trips, wakes


def main() -> None:
    """Run one slice and print what it gave."""
    options = parse_arguments()
    pingers = open_all(options)
    run_slice(drive, pingers, options)
    for pinger in pingers:
        pinger.close()


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pid", type=int, required=True, help="the server's")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--in-flight", type=int, default=1, help="messages in a burst")
    parser.add_argument("--frames", choices=[*FRAMES, *WEBSOCKET_MESSAGES], default="lines")
    parser.add_argument("--size", type=int, default=64, help="of a message, in bytes")
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--authority", type=Path, help="speak TLS, and trust this certificate")
    return parser.parse_args()


if __name__ == "__main__":
    main()
