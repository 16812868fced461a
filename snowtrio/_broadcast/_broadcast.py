"""The verb: one message to many connections."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from typing_extensions import TypeVar

from .._connection import Connection
from ._policy import BroadcastReport, WhenSlow
from ._sending import Sending

SendT = TypeVar("SendT")
ContextT = TypeVar("ContextT", default=None)


async def broadcast(
    connections: Iterable[Connection[SendT, Any, ContextT]],
    message: SendT,
    *,
    when_slow: WhenSlow | Callable[[Connection[SendT, Any, ContextT]], WhenSlow],
) -> BroadcastReport:
    """Send a message to many connections, each of which accepts it as by ``send`` (row B8).

    It is encoded once for all connections that share a coder, and once for each whose coder has
    memory. A connection is slow when its outbox has no room, by its own bounds
    (`ConnectionLimits`), though the kernel has been offered what is in it.

    A connection gets broadcasts, and what is sent with ``send``, in the order in which it was given
    them. Of two broadcasts at the same time, some connections may get one first and some the
    other. What one task broadcasts without a pause in between leaves together. A connection in the
    middle of sending a file has no room until that is done; with ``DISCONNECT`` it is waited for.

    Only messages of broadcasts are ever dropped, never those of ``send``. With ``DROP_OLDEST`` a
    message gives way if the kernel has nothing of it, and it is not within the 16 KiB that are
    being given to the kernel; the coder must have no memory, since its peer would miss what was
    dropped. Where no message can give way, the new one is dropped. A dropped message, the oldest or
    the newest, counts as accepted and as dropped (``messages_dropped`` of the statistics). It is
    not purged, and ``flush`` does not wait for it.

    Other tasks run at least once, and once for every 64 connections. Cancelled, those that have
    been served stay served, the others do not get the message, and there is no report.

    Parameters:
        connections: ``server.connections``, or any others; those that are there when it is called.
        message: what to send.
        when_slow: what to do with a slow connection, or a plain function that says so for the one
            it is given. It has no default: what may be lost only the application knows.

    Returns what became of it. Connections that have ended or are closing are counted there, and are
    no error.

    Raises:
        LocalProtocolError: it cannot be encoded, and nobody got it. Where coders have memory, each
            encodes it in its turn, and those before the one that failed got it.
        Exception: what ``when_slow`` raised; those before that connection got it.
    """
    sending = Sending(list(connections), message, when_slow)
    await sending.serve_all()
    if sending.slow:
        await sending.wait()
    return sending.report()
