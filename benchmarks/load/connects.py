"""The load of connections that come and go: connect, exchange one line, close.

As many at a time as `--at-once` says, each one replaced as soon as it is done.
"""

from __future__ import annotations

import argparse
import selectors
import socket
import time

from load.errors import WrongReplyError
from load.slices import Slice

LINE = b"x" * 63 + b"\n"

# Seconds that a server gets to see the last connections close.
SETTLE = 0.05


class Visit:
    """One connection, from its connect to its close."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.began = time.perf_counter()
        self.sock = socket.create_connection(address)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.sendall(LINE)
        self.back = b""

    def receive(self) -> bool:
        """Take what came; return whether the line is back, with the connection closed."""
        data = self.sock.recv(len(LINE))
        self.back += data
        if not data or not LINE.startswith(self.back):
            raise WrongReplyError(f"{self.back!r} to {LINE!r}")
        if self.back != LINE:
            return False
        self.sock.close()
        return True


def drive(address: tuple[str, int], at_once: int, seconds: float) -> tuple[list[float], int]:
    """Keep so many visits going for a while; return what each took, and the wake-ups."""
    selector = selectors.DefaultSelector()
    end = time.perf_counter() + seconds
    trips: list[float] = []
    wakes = 0

    def visit() -> None:
        started = Visit(address)
        selector.register(started.sock, selectors.EVENT_READ, started)

    for _ in range(at_once):
        visit()
    while selector.get_map():
        wakes += 1
        for key, _ in selector.select():
            # Closing takes the socket out of the kernel's set; this is for the selector's own.
            selector.unregister(key.fileobj)
            if not key.data.receive():
                selector.register(key.fileobj, selectors.EVENT_READ, key.data)
                continue
            now = time.perf_counter()
            trips.append(now - key.data.began)
            if now < end:
                visit()
    return trips, wakes


def main() -> None:
    """Run one slice and print what it gave."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pid", type=int, required=True, help="the server's")
    parser.add_argument("--at-once", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=1.0)
    options = parser.parse_args()
    address = ("127.0.0.1", options.port)
    drive(address, options.at_once, options.seconds / 5)
    time.sleep(SETTLE)
    measured = Slice(options.pid)
    measured.begin()
    trips, wakes = drive(address, options.at_once, options.seconds)
    measured.end(SETTLE)
    measured.report(units=len(trips), trips=trips, wakes=wakes)


if __name__ == "__main__":
    main()
