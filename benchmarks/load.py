"""The load: many line connections from one process, checked byte for byte.

Runs as its own process, on a core of its own. It drives plain sockets with ``selectors``: the whole
of a burst is sent at once and what comes back is compared with what was sent, so that it costs less
than any server under test.
"""

from __future__ import annotations

import argparse
import json
import selectors
import socket
import time
from pathlib import Path


class Pinger:
    """One connection: sends a burst, waits for all of it to come back, sends the next."""

    def __init__(self, address: tuple[str, int], burst: bytes) -> None:
        self.sock = socket.create_connection(address)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.burst = burst
        self.expected = memoryview(burst)
        self.sent_at = 0.0

    def send(self) -> None:
        """Send the next burst."""
        self.expected = memoryview(self.burst)
        self.sent_at = time.perf_counter()
        self.sock.sendall(self.burst)

    def receive(self) -> float | None:
        """Check what came; return the round trip in seconds once the burst is complete."""
        data = self.sock.recv(262144)
        if not data or data != self.expected[: len(data)]:
            raise SystemExit(f"wrong echo: {data[:80]!r}")
        self.expected = self.expected[len(data) :]
        return None if self.expected else time.perf_counter() - self.sent_at


def run(
    address: tuple[str, int], connections: int, in_flight: int, size: int, seconds: float
) -> dict[str, float]:
    """Drive the server for a while; return counts and latencies."""
    burst = (b"x" * (size - 1) + b"\n") * in_flight
    pingers = [Pinger(address, burst) for _ in range(connections)]
    selector = selectors.DefaultSelector()
    for pinger in pingers:
        selector.register(pinger.sock, selectors.EVENT_READ, pinger)
        pinger.send()
    trips: list[float] = []
    began = time.perf_counter()
    end = began + seconds
    busy = len(pingers)
    while busy:
        for key, _ in selector.select():
            trip = key.data.receive()
            if trip is None:
                continue
            trips.append(trip)
            if time.perf_counter() < end:
                key.data.send()
            else:
                busy -= 1
    elapsed = time.perf_counter() - began
    trips.sort()
    for pinger in pingers:
        pinger.sock.close()
    return {
        "messages": len(trips) * in_flight,
        "seconds": elapsed,
        "p50": trips[len(trips) // 2],
        "p99": trips[len(trips) * 99 // 100],
    }


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used, in seconds."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def main() -> None:
    """Run once and print a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pid", type=int, required=True, help="the server's")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--in-flight", type=int, default=1)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=1.0)
    options = parser.parse_args()
    address = ("127.0.0.1", options.port)
    run(address, options.connections, options.in_flight, options.size, options.seconds / 10)
    before = cpu_seconds(options.pid)
    result = run(address, options.connections, options.in_flight, options.size, options.seconds)
    result["cpu"] = cpu_seconds(options.pid) - before
    print(json.dumps(result))


if __name__ == "__main__":
    main()
