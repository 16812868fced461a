"""One connection of a load: bursts of messages out, the same back, compared byte for byte.

A burst goes out in one write and is compared in one step when all of it is back, so that the load
costs less than any server under test.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from pathlib import Path

from load.errors import WrongReplyError


class Pinger:
    """One connection: sends a burst, waits until all of it is back, sends it again.

    Parameters:
        sock: connected.
        burst: what is sent.
        expected: what has to come back, where it is not the same.
    """

    def __init__(self, sock: socket.socket, burst: bytes, expected: bytes | None = None) -> None:
        self.sock = sock
        self.burst = burst
        self.expected = burst if expected is None else expected
        self.back = bytearray(len(self.expected))
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
            raise WrongReplyError("the server closed a connection")
        self.got += count
        if self.got < len(self.expected):
            return False
        if self.back != self.expected:
            raise WrongReplyError(f"{bytes(self.back[:200])!r}, not {self.expected[:200]!r}")
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
            raise WrongReplyError("the server closed a connection")
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
    return (b"%d %d " % (connection, number)).ljust(size - 1, b"x") + b"\n"


def prefixed(connection: int, number: int, size: int) -> bytes:
    """Return a message of its own, with its length before it."""
    return size.to_bytes(4, "big") + (b"%d %d " % (connection, number)).ljust(size, b"x")


FRAMES = {"lines": line, "prefixed": prefixed}


def connect(port: int) -> socket.socket:
    """Return a new connection to a server here."""
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def open_pinger(port: int, burst: bytes, authority: Path | None = None) -> Pinger:
    """Open a connection, over TLS where there is an authority to trust."""
    sock = connect(port)
    if authority is None:
        return Pinger(sock, burst)
    return TLSPinger(sock, burst, ssl.create_default_context(cafile=authority))
