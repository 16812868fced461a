"""The load of connections that come and go: connect, exchange one line, close.

Or open a WebSocket and close it in order. As many at a time as `--at-once` says, each one replaced
as soon as it is done.
"""

from __future__ import annotations

import argparse
import selectors
import socket
import time

from load.errors import WrongReplyError
from load.slices import Slice
from load.websocket import CLOSE, CLOSING, check_answer, masked_frame, plain_frame, request

LINE = b"x" * 63 + b"\n"
CLOSED = plain_frame(CLOSE, CLOSING)

# Seconds that a server gets to see the last connections close.
SETTLE = 0.05


class Visit:
    """One connection, from its connect to its close."""

    first = LINE

    def __init__(self, address: tuple[str, int]) -> None:
        self.began = time.perf_counter()
        self.sock = socket.create_connection(address)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.sendall(self.first)
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


class Opening(Visit):
    """One WebSocket: asked for, agreed to, closed by us, then by the server, which hangs up."""

    first = request()
    opened = False

    def receive(self) -> bool:
        """Take what came; return whether all is done."""
        data = self.sock.recv(4096)
        if not data:
            if not self.opened or self.back != CLOSED:
                raise WrongReplyError(f"a WebSocket ended with {self.back!r}")
            self.sock.close()
            return True
        self.back += data
        if not self.opened and self.back.endswith(b"\r\n\r\n"):
            check_answer(self.back)
            self.opened, self.back = True, b""
            self.sock.sendall(masked_frame(CLOSE, CLOSING))
        return False


def drive(
    kind: type[Visit], address: tuple[str, int], at_once: int, seconds: float
) -> tuple[list[float], int]:
    """Keep so many visits going for a while; return what each took, and the wake-ups."""
    selector = selectors.DefaultSelector()
    end = time.perf_counter() + seconds
    trips: list[float] = []
    wakes = 0

    def visit() -> None:
        started = kind(address)
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
    parser.add_argument("--websocket", action="store_true", help="open and close those")
    options = parser.parse_args()
    kind = Opening if options.websocket else Visit
    address = ("127.0.0.1", options.port)
    drive(kind, address, options.at_once, options.seconds / 5)
    time.sleep(SETTLE)
    measured = Slice(options.pid)
    measured.begin()
    trips, wakes = drive(kind, address, options.at_once, options.seconds)
    measured.end(SETTLE)
    measured.report(units=len(trips), trips=trips, wakes=wakes)


if __name__ == "__main__":
    main()
