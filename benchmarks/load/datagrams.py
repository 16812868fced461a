"""The load of a UDP echo server: sockets with a number of datagrams in flight each.

In rounds, as `load.echo` does and for the same reason. A round whose datagrams do not all come back
is counted as far as they do: one datagram that is lost would otherwise stop the load for good.

What is lost may be the server's fault or the machine's: bursts are small enough for any buffer, but
all programs on a machine share the queue of its loopback. So the machine's counts are said too.
"""

from __future__ import annotations

import argparse
import selectors
import socket
import time
from pathlib import Path

from load.errors import WrongReplyError
from load.slices import Slice

# Linux: what found the queue of a processor full (the second of each line, in hexadecimal), and all
# that UDP sockets have counted, in a line of names and one of numbers.
QUEUES, SOCKETS = Path("/proc/net/softnet_stat"), Path("/proc/net/snmp")

# Far above any round trip here, in seconds: what takes longer is lost.
PATIENCE = 5.0


class Sender:
    """One socket: sends a burst of datagrams, and takes back what comes."""

    def __init__(self, port: int, burst: list[bytes]) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.connect(("127.0.0.1", port))
        self.sock.setblocking(False)
        self.burst = burst
        self.missing: set[bytes] = set()
        self.sent_at = 0.0

    def send(self) -> None:
        self.missing = set(self.burst)
        self.sent_at = time.perf_counter()
        for datagram in self.burst:
            self.sock.send(datagram)

    def receive(self) -> bool:
        """Take what came; return whether all is back."""
        while self.missing:
            try:
                data = self.sock.recv(65536)
            except BlockingIOError:
                return False
            if data not in self.missing:
                raise WrongReplyError(f"{data!r}")
            self.missing.remove(data)
        return True


def drive(
    selector: selectors.BaseSelector, senders: list[Sender], seconds: float
) -> tuple[list[float], int, int]:
    """Keep all busy for a while; return the round trips, the wake-ups and the losses."""
    trips: list[float] = []
    wakes = lost = 0
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for sender in senders:
            sender.send()
        missing, patience = len(senders), time.perf_counter() + PATIENCE
        while missing:
            ready = selector.select(0)
            if not ready and time.perf_counter() > patience:
                break
            wakes += bool(ready)
            for key, _ in ready:
                if key.data.receive():
                    trips.append(time.perf_counter() - key.data.sent_at)
                    missing -= 1
        if missing:
            lost += sum(len(sender.missing) for sender in senders)
    return trips, wakes, lost


def count_drops() -> tuple[int, int]:
    """Return how many packets this machine's queues, and its UDP sockets' buffers, have dropped."""
    if not QUEUES.exists():
        return 0, 0
    queues = sum(int(line.split()[1], 16) for line in QUEUES.read_text().splitlines())
    names, numbers = (
        line.split() for line in SOCKETS.read_text().splitlines() if line.startswith("Udp:")
    )
    return queues, int(dict(zip(names, numbers, strict=True))["RcvbufErrors"])


def main() -> None:
    """Run one slice and print what it gave."""
    options = parse_arguments()
    selector = selectors.DefaultSelector()
    senders: list[Sender] = []
    for number in range(options.sockets):
        burst = [b"%d %d " % (number, each) for each in range(options.in_flight)]
        sender = Sender(options.port, [each.ljust(options.size, b"x") for each in burst])
        selector.register(sender.sock, selectors.EVENT_READ, sender)
        senders.append(sender)
    before = count_drops()
    drive(selector, senders, options.seconds / 5)
    measured = Slice(options.pid)
    measured.begin()
    trips, wakes, lost = drive(selector, senders, options.seconds)
    measured.end()
    if lost:
        queues, buffers = (now - then for now, then in zip(count_drops(), before, strict=True))
        raise WrongReplyError(
            f"{lost} datagrams were lost; this machine has dropped {queues} at a processor's queue"
            f" and {buffers} at sockets meanwhile, of all programs"
        )
    measured.report(units=len(trips) * options.in_flight, trips=trips, wakes=wakes)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pid", type=int, required=True, help="the server's")
    parser.add_argument("--sockets", type=int, default=1)
    parser.add_argument("--in-flight", type=int, default=64, help="datagrams in a burst")
    parser.add_argument("--size", type=int, default=64, help="of a datagram, in bytes")
    parser.add_argument("--seconds", type=float, default=1.0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
