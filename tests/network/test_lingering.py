"""Sockets that linger hold up no task, however they come to be closed (row P3)."""

from __future__ import annotations

import contextlib
import ctypes
import socket
import struct
import sys
import threading
from collections.abc import Iterator
from typing import Any

import trio

from snowtrio import SocketOptions, TCPEndpoint

from ..serving import LIMIT
from .optioned import linux
from .tcp import until

pytestmark = linux

RESET = struct.pack("ii", 1, 0)
ATTACH_FILTER = 26

# Lets in what connects and what resets, and no other answer: such as one to a close.
FILTER = (
    (0x30, 0, 0, 13),  # the byte of flags
    (0x15, 1, 0, 0x12),  # SYN and ACK
    (0x45, 0, 1, 0x04),  # RST
    (0x06, 0, 0, 0xFFFFFFFF),
    (0x06, 0, 0, 0),
)


@contextlib.contextmanager
def without_answers(linger: int) -> Iterator[SocketOptions]:
    """Yield options of sockets that hear of no close, and linger."""
    program = b"".join(struct.pack("HBBI", *each) for each in FILTER)
    held = ctypes.create_string_buffer(program, len(program))
    told = struct.pack("HP", len(FILTER), ctypes.addressof(held))
    yield SocketOptions(linger=linger, extra=((socket.SOL_SOCKET, ATTACH_FILTER, told),))


def count_lingering() -> int:
    return sum(each.name == "snowtrio linger" for each in threading.enumerate())


def accept_all(listener: socket.socket) -> list[socket.socket]:
    """Return the connections that wait; when closed they reset."""
    peers: list[socket.socket] = []
    listener.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            peers.append(listener.accept()[0])
            peers[-1].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    return peers


class StrikeAfter(trio.abc.Instrument):
    """Cancels a scope behind the n-th step that any task takes, before anything else happens."""

    def __init__(self, number: int, scope: trio.CancelScope) -> None:
        self._left = number
        self._scope = scope

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self._left -= 1
        if not self._left:
            self._scope.cancel()


async def test_cancelled_when_it_has_connected() -> None:
    """P3: before its task has heard of that."""
    with socket.create_server(("127.0.0.1", 0)) as listener, without_answers(5) as options:
        endpoint: Any = TCPEndpoint(*listener.getsockname(), options=options)
        number, struck, transport = 0, 0, None
        while transport is None:
            number += 1
            with trio.CancelScope() as scope:
                strike = StrikeAfter(number, scope)
                trio.lowlevel.add_instrument(strike)
                try:
                    transport = await endpoint.connect()
                finally:
                    trio.lowlevel.remove_instrument(strike)
            peers = accept_all(listener)
            if transport is None and peers:
                struck += 1
                await until(lambda: count_lingering() == 1)
            for peer in peers:
                peer.close()
            await until(lambda: not count_lingering())
        transport.reset_on_close()  # not in a thread
        transport.close_nowait()
        assert struck


WITHOUT_THREADS = """
import socket, threading, trio
from snowtrio import SocketOptions, TCPEndpoint

async def main():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        options = SocketOptions(linger=60, unsent_low_water=1 << 20)
        transport = await TCPEndpoint(*listener.getsockname(), options=options).connect()
        peer, _ = listener.accept()
        while transport.send_nowait(bytes(1 << 16)):
            pass
        threading.stack_size(1 << 60)  # more than there is
        transport.close_nowait()
        print(transport.socket.fileno())
        peer.close()

trio.run(main)
"""


async def test_without_a_thread() -> None:
    """P3: where the system gives none, it is closed without one."""
    command = [sys.executable, "-W", "error", "-c", WITHOUT_THREADS]
    with trio.fail_after(LIMIT):
        done = await trio.run_process(command, capture_stdout=True, capture_stderr=True)
    assert (done.stdout, done.stderr) == (b"-1\n", b"")
