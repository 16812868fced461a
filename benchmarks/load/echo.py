"""The load of an echo server: many connections, each with a number of messages in flight.

A process of its own, on a core of its own, with plain sockets and ``selectors``.
"""

from __future__ import annotations

import argparse
import selectors
import time
from pathlib import Path

from load.pinger import FRAMES, Pinger, open_pinger
from load.slices import Slice


def open_all(options: argparse.Namespace) -> list[Pinger]:
    """Open the connections and exchange a burst on each.

    One after the other: a server that is slow to accept never has a full backlog, which would cost
    its peers a second each.
    """
    frame = FRAMES[options.frames]
    pingers: list[Pinger] = []
    for number in range(options.connections):
        burst = b"".join(frame(number, each, options.size) for each in range(options.in_flight))
        pingers.append(open_pinger(options.port, burst, options.authority))
        pingers[-1].exchange()
    return pingers


def drive(
    selector: selectors.BaseSelector, pingers: list[Pinger], seconds: float
) -> tuple[list[float], int]:
    """Keep all connections busy for a while; return the round trips and the wake-ups."""
    trips: list[float] = []
    wakes = 0
    end = time.perf_counter() + seconds
    for pinger in pingers:
        pinger.send()
    busy = len(pingers)
    while busy:
        wakes += 1
        for key, _ in selector.select():
            pinger = key.data
            if not pinger.receive():
                continue
            now = time.perf_counter()
            trips.append(now - pinger.sent_at)
            if now < end:
                pinger.send()
            else:
                busy -= 1
    return trips, wakes


def main() -> None:
    """Run one slice and print what it gave."""
    options = parse_arguments()
    pingers = open_all(options)
    selector = selectors.DefaultSelector()
    for pinger in pingers:
        selector.register(pinger.sock, selectors.EVENT_READ, pinger)
    drive(selector, pingers, options.seconds / 5)
    measured = Slice(options.pid)
    measured.begin()
    trips, wakes = drive(selector, pingers, options.seconds)
    measured.end()
    measured.report(units=len(trips) * options.in_flight, trips=trips, wakes=wakes)
    for pinger in pingers:
        pinger.close()


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pid", type=int, required=True, help="the server's")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--in-flight", type=int, default=1, help="messages in a burst")
    parser.add_argument("--frames", choices=FRAMES, default="lines")
    parser.add_argument("--size", type=int, default=64, help="of a message, in bytes")
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--authority", type=Path, help="speak TLS, and trust this certificate")
    return parser.parse_args()


if __name__ == "__main__":
    main()
