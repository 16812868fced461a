"""Sockets that were opened by systemd and passed on (socket activation)."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Sequence

import attrs

from .._transport import Listener, listener_from_socket
from ._environment import SOCKET_VARIABLES, Descriptor, read_descriptors


@attrs.frozen
class InheritedSocket:
    """A socket that this process was started with.

    Parameters:
        name: ``FileDescriptorName=`` of the socket unit; by default the unit's own name, as
            ``lines.socket``.
        socket: of whatever kind the unit has: ``ListenStream=``, ``ListenDatagram=``, and so on.
            It is not passed on to children. Owned by whoever asked for it.
    """

    name: str
    socket: socket.socket

    def listener(self) -> Listener:
        """Return a listener for it, for ``serve_listeners`` and its kin; which owns it.

        Raises:
            ValueError: it is no stream socket, or does not listen: a datagram socket, or one
                connection, of a unit with ``Accept=yes``. It stays as it is.
        """
        try:
            return listener_from_socket(self.socket)
        except ValueError as error:
            raise ValueError(f"the inherited socket {self.name!r}: {error}") from None


def inherited_sockets(*, unset_environment: bool = True) -> list[InheritedSocket]:
    """Return the sockets that systemd passed to this process, in the order of its units.

    An empty list where there are none: the process was started by somebody else, or what the
    environment says is about its parent (``LISTEN_PID``).

    Parameters:
        unset_environment: remove what says so from ``os.environ``. The sockets are returned once
            then, and a child is not told of sockets that it does not have.

    Raises:
        ValueError: the environment is not what systemd writes.
        OSError: a descriptor is not open, or no socket. Whatever is raised, descriptors and
            environment are as they were.
    """
    descriptors = read_descriptors(os.environ, os.getpid())
    sockets = [InheritedSocket(each.name, sock) for each, sock in _open_all(descriptors)]
    if unset_environment:
        for name in SOCKET_VARIABLES:
            os.environ.pop(name, None)
    return sockets


def inherited_listeners(*, unset_environment: bool = True) -> list[Listener]:
    """Return listeners for all sockets that systemd passed to this process.

    ``inherited_listeners() or await open_tcp_listeners(7000)`` is a server's listeners, whoever
    starts it. Where sockets are for several servers, take `inherited_sockets` and look at their
    names.

    Parameters:
        unset_environment: see `inherited_sockets`.

    Raises:
        ValueError: one of the sockets does not listen for connections, or the environment is not
            what systemd writes.
        OSError: a descriptor is not open, or no socket. Whatever is raised, descriptors and
            environment are as they were.
    """
    sockets = inherited_sockets(unset_environment=False)
    try:
        listeners = [each.listener() for each in sockets]
    except ValueError:
        for each in sockets:
            each.socket.detach()
        raise
    if unset_environment:
        for name in SOCKET_VARIABLES:
            os.environ.pop(name, None)
    return listeners


def _open_all(descriptors: Sequence[Descriptor]) -> list[tuple[Descriptor, socket.socket]]:
    """Make sockets of descriptors, or leave them all as they are."""
    opened: list[tuple[Descriptor, socket.socket]] = []
    with contextlib.ExitStack() as undo:
        for each in descriptors:
            try:
                sock = socket.socket(fileno=each.number)
            except OSError as error:
                reason = f"inherited descriptor {each.number} ({each.name}): {error.strerror}"
                raise OSError(error.errno, reason) from error
            undo.callback(sock.detach)
            opened.append((each, sock))
        undo.pop_all()
    # As they come they would be inherited by every child.
    for _, sock in opened:
        sock.set_inheritable(False)
    return opened
