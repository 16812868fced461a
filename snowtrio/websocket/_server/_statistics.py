"""What a WebSocket server counts."""

from __future__ import annotations

from collections import Counter

import attrs

from ...http import HTTPStatistics
from .._close import CloseCode
from .._socket import WebSocket


@attrs.frozen(kw_only=True)
class WebSocketStatistics:
    """A WebSocket server's counts at one moment (row B7).

    Parameters:
        http: of its connections and of the requests that they began with. A request that broke
            HTTP's rules or bounds is among its ``refused``. The messages among them are frames,
            pings and the like included.
        open: WebSockets that are open now, or being closed.
        opened: since the start.
        rejected: handshakes answered with something else than a WebSocket, by status.
        closed: WebSockets that have ended, by the code of their close: the peer's, else ours, 1006
            where neither side closed.
    """

    http: HTTPStatistics
    open: int
    opened: int
    rejected: dict[int, int]
    closed: dict[int, int]


class Tally:
    """The counts that only grow."""

    def __init__(self) -> None:
        self.opened = 0
        self.rejected = Counter[int]()
        self.closed = Counter[int]()

    def note_closed(self, websocket: WebSocket) -> int:
        """Count a WebSocket that has ended; return its code."""
        said = websocket.close_received or websocket.close_sent
        code = int(said.code if said is not None else CloseCode.ABNORMAL)
        self.closed[code] += 1
        return code
