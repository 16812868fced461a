"""Closing sockets that linger (``SO_LINGER``): the kernel holds up whoever closes one.

It does so although the socket is non-blocking, and would hold up every task of the run.
"""

from __future__ import annotations

import socket
import threading

import trio

from ._option_table import LINGER_SIZE, NO_LINGER, read_linger

# Of peers that take nothing any more there may be many at the same time.
_MOST = 64
_places = threading.Semaphore(_MOST)


def close_socket(sock: socket.socket) -> None:
    """Close a socket without waiting; one that lingers has a thread to wait for it.

    When there are 64 such threads already, or the system gives none, the next lingers as one does
    that was not told to: the kernel sends what is left behind our back, for as long as it sees fit.
    """
    if sock.family != getattr(socket, "AF_UNIX", None) and _lingers(sock):
        # For everybody else it is closed from now on.
        sock = socket.socket(sock.family, sock.type, sock.proto, sock.detach())
        if _close_in_thread(sock):
            return
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
    sock.close()


def _lingers(sock: socket.socket) -> bool:
    return bool(read_linger(sock.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_SIZE)))


def _close_in_thread(sock: socket.socket) -> bool:
    """Return whether there is a thread that closes it."""
    if not _places.acquire(blocking=False):
        return False
    try:
        trio.lowlevel.start_thread_soon(sock.close, lambda _: _places.release(), "snowtrio linger")
    except RuntimeError:  # The system gives none.
        _places.release()
        return False
    return True
