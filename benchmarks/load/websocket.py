"""WebSockets of a load: the opening handshake, masked frames out, and what has to come back.

Frames are masked before the slice begins, each with a mask of its own, so that the load costs next
to nothing; what comes back is compared byte for byte. Compressed, it may look as the server likes,
so there each message is inflated and compared.
"""

from __future__ import annotations

import os
import socket
import zlib

from load.errors import WrongReplyError
from load.pinger import Pinger, connect

# Those of RFC 6455, section 1.3.
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = b"sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="

# As Chromium offers it.
OFFER = "permessage-deflate; client_max_window_bits"

TEXT, BINARY, CLOSE = 0x81, 0x82, 0x88
COMPRESSED = 0x40

CLOSING = b"\x03\xe8"


def request(*, deflate: bool = False) -> bytes:
    """Return what asks for a WebSocket."""
    lines = ["GET / HTTP/1.1", "Host: 127.0.0.1", "Connection: Upgrade", "Upgrade: websocket"]
    lines += ["Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {KEY}"]
    lines += [f"Sec-WebSocket-Extensions: {OFFER}"] if deflate else []
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def check_answer(head: bytes, *, deflate: bool = False) -> None:
    """Check what the server has answered, up to the empty line."""
    lines = head.lower().split(b"\r\n")
    extended = any(line.startswith(b"sec-websocket-extensions:") for line in lines)
    if not lines[0].startswith(b"http/1.1 101") or ACCEPT not in lines or extended is not deflate:
        raise WrongReplyError(f"the handshake was answered {head!r}")


def shake_hands(sock: socket.socket, *, deflate: bool = False) -> None:
    """Open a WebSocket. Nothing else comes unasked."""
    sock.sendall(request(deflate=deflate))
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        new = sock.recv(4096)
        if not new:
            raise WrongReplyError(f"the handshake ended with {head!r}")
        head += new
    check_answer(head, deflate=deflate)


def header(first: int, size: int, masked: int) -> bytes:
    """Return the beginning of a frame."""
    if size < 126:
        return bytes((first, masked | size))
    if size < 1 << 16:
        return bytes((first, masked | 126)) + size.to_bytes(2, "big")
    return bytes((first, masked | 127)) + size.to_bytes(8, "big")


def plain_frame(first: int, payload: bytes) -> bytes:
    """Return a frame as a server sends it."""
    return header(first, len(payload), 0) + payload


def masked_frame(first: int, payload: bytes) -> bytes:
    """Return a frame as a client sends it."""
    size, mask = len(payload), os.urandom(4)
    repeated = (mask * (size // 4 + 1))[:size]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")
    return header(first, size, 0x80) + mask + masked.to_bytes(size, "big")


def message(connection: int, number: int, size: int) -> bytes:
    """Return a message that is like no other one in flight."""
    return (b"%d %d " % (connection, number)).ljust(size, b"x")


def words(connection: int, number: int, size: int) -> bytes:
    """Return a message of JSON, which is worth being compressed."""
    rows = b",".join(
        b'{"id": %d, "name": "item %d", "price": %d.%02d, "available": true}'
        % (each, each * 7919, each * 31 % 1000, each * 17 % 100)
        for each in range(connection, connection + size // 50)
    )
    return (b'{"page": %d, "rows": [' % number + rows)[: size - 2] + b"]}"


class DeflatePinger(Pinger):
    """Sends compressed messages, and inflates what comes back.

    Each message that is sent is compressed by itself, which every agreement allows.
    """

    def __init__(self, sock: socket.socket, messages: list[bytes]) -> None:
        compressed = (masked_frame(TEXT | COMPRESSED, deflated(each)) for each in messages)
        super().__init__(sock, b"".join(compressed))
        self.messages = messages
        self.came = b""
        self.inflater = zlib.decompressobj(-15)

    def receive(self) -> bool:
        """Take what came; return whether all messages are back."""
        new = self.sock.recv(262144)
        if not new:
            raise WrongReplyError("the server closed a connection")
        self.came += new
        while self.take_frame():
            if self.got == len(self.messages):
                return True
        return False

    def take_frame(self) -> bool:
        """Inflate a message and compare it, if it is there."""
        came = self.came
        size, at = (came[1] if len(came) > 1 else 0), 2
        if size == 126:
            size, at = int.from_bytes(came[2:4], "big"), 4
        if len(came) < at + size:
            return False
        back = came[at : at + size]
        if came[0] & COMPRESSED:
            back = self.inflater.decompress(back + b"\0\0\xff\xff")
        if back != self.messages[self.got] or came[0] & ~COMPRESSED != TEXT:
            raise WrongReplyError(f"{back[:200]!r} to {self.messages[self.got][:200]!r}")
        self.came = came[at + size :]
        self.got += 1
        return True


def deflated(data: bytes) -> bytes:
    """Return a message compressed by itself, as far as its frame has it."""
    compressor = zlib.compressobj(wbits=-15)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def open_websocket(port: int, messages: list[bytes], *, deflate: bool = False) -> Pinger:
    """Open a WebSocket that sends these messages, and is to get the same back."""
    sock = connect(port)
    shake_hands(sock, deflate=deflate)
    if deflate:
        return DeflatePinger(sock, messages)
    burst = b"".join(masked_frame(BINARY, each) for each in messages)
    return Pinger(sock, burst, b"".join(plain_frame(BINARY, each) for each in messages))
