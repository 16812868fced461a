"""The load of an echo server: bursts of messages on many connections, checked byte for byte.

A process of its own, on a core of its own, with plain sockets and ``selectors``. A burst goes out
in one write and is compared in one step when all of it is back, so that the load costs less than
any server under test.
"""

from __future__ import annotations

import argparse
import contextlib
import selectors
import socket
import ssl
import time
from pathlib import Path

from load.report import report
from machine import cpu_seconds


class Pinger:
    """One connection: sends a burst, waits until all of it is back, sends it again."""

    def __init__(self, sock: socket.socket, burst: bytes) -> None:
        self.sock = sock
        self.burst = burst
        self.back = bytearray(len(burst))
        self.room = memoryview(self.back)
        self.got = 0
        self.sent_at = 0.0

    def send(self) -> None:
        """Send the burst."""
        self.got = 0
        self.sent_at = time.perf_counter()
        self.sock.sendall(self.burst)

    def receive(self) -> bool:
        """Take what came; return whether the burst is complete."""
        return self.take(self.sock.recv_into(self.room[self.got :]))

    def take(self, count: int) -> bool:
        """Count what came, and check it when all of it is there."""
        if not count:
            raise SystemExit("the server closed a connection")
        self.got += count
        if self.got < len(self.burst):
            return False
        if self.back != self.burst:
            raise SystemExit(f"wrong echo: {bytes(self.back[:200])!r} of {self.burst[:200]!r}")
        return True

    def exchange(self) -> None:
        """Send the burst and wait for it."""
        self.send()
        while not self.receive():
            pass

    def close(self) -> None:
        """End the connection."""
        self.sock.close()


class TLSPinger(Pinger):
    """The same over TLS, with one read of the socket for many records."""

    def __init__(self, sock: socket.socket, burst: bytes, context: ssl.SSLContext) -> None:
        super().__init__(sock, burst)
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")
        self.shake_hands()

    def shake_hands(self) -> None:
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                self.sock.sendall(self.outgoing.read())
                self.incoming.write(self.sock.recv(65536))
            else:
                self.sock.sendall(self.outgoing.read())
                return

    def send(self) -> None:
        self.got = 0
        self.sent_at = time.perf_counter()
        self.tls.write(self.burst)
        self.sock.sendall(self.outgoing.read())

    def receive(self) -> bool:
        data = self.sock.recv(262144)
        if not data:
            raise SystemExit("the server closed a connection")
        self.incoming.write(data)
        try:
            while True:
                if self.take(self.decrypt()):
                    return True
        except ssl.SSLWantReadError:
            return False

    def decrypt(self) -> int:
        """Take one record; return how many bytes of the burst it had."""
        count: object = self.tls.read(len(self.burst) - self.got, self.room[self.got :])
        assert isinstance(count, int)  # As it is with a buffer; its type does not say so.
        return count

    def close(self) -> None:
        """Say so first: a server may take a sudden end for an attack."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        self.sock.sendall(self.outgoing.read())
        super().close()


def line(connection: int, number: int, size: int) -> bytes:
    """Return a line that is like no other one in flight."""
    return (
        b"%d %d " % (connection, number)
        + b"x" * (size - 1 - len(f"{connection} {number} "))
        + b"\n"
    )


def prefixed(connection: int, number: int, size: int) -> bytes:
    """Return a message of its own, with its length before it."""
    body = b"%d %d " % (connection, number) + b"x" * size
    return size.to_bytes(4, "big") + body[:size]


FRAMES = {"lines": line, "prefixed": prefixed}


def open_pinger(options: argparse.Namespace, number: int) -> Pinger:
    """Open a connection and exchange a burst on it.

    One after the other: a server that is slow to accept never has a full backlog, which would cost
    its peers a second each.
    """
    sock = socket.create_connection(("127.0.0.1", options.port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    frame = FRAMES[options.frames]
    burst = b"".join(frame(number, each, options.size) for each in range(options.in_flight))
    pinger = Pinger(sock, burst)
    if options.authority is not None:
        pinger = TLSPinger(sock, burst, ssl.create_default_context(cafile=options.authority))
    pinger.exchange()
    return pinger


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
    pingers = [open_pinger(options, number) for number in range(options.connections)]
    selector = selectors.DefaultSelector()
    for pinger in pingers:
        selector.register(pinger.sock, selectors.EVENT_READ, pinger)
    drive(selector, pingers, options.seconds / 5)
    before, began, ours = cpu_seconds(options.pid), time.perf_counter(), time.process_time()
    trips, wakes = drive(selector, pingers, options.seconds)
    ours, elapsed = time.process_time() - ours, time.perf_counter() - began
    report(
        units=len(trips) * options.in_flight,
        seconds=elapsed,
        cpu=cpu_seconds(options.pid) - before,
        trips=trips,
        load=ours,
        wakes=wakes,
    )
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
