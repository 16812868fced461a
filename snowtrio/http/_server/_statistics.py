"""What an HTTP server counts."""

from __future__ import annotations

import attrs

from ..._server import ServerStatistics


class Tally:
    """The counts that only grow, kept for each request."""

    __slots__ = ("classes", "refused", "requests")

    def __init__(self) -> None:
        self.requests = 0
        """Requests that have begun to be answered."""
        self.classes = [0] * 10
        """Responses by the first digit of their status."""
        self.refused: dict[int, int] = {}
        """Requests that broke a bound or the protocol, by the status that they got."""

    def refuse(self, status: int) -> None:
        """Count a request that was refused."""
        self.refused[status] = self.refused.get(status, 0) + 1


@attrs.frozen(kw_only=True)
class HTTPStatistics:
    """An HTTP server's counts at one moment (row B7).

    Parameters:
        server: of its connections, with the bytes that they have carried.
        requests: requests that a handler was called for, or is about to be.
        under_way: of those, how many are being answered now.
        upgraded: connections that speak another protocol by now, and have not ended.
        responses: final responses that have begun, by the first digit of their status.
        refused: what broke a bound or the protocol and was refused for it, by the status that it
            got; it may not have come to a handler.
    """

    server: ServerStatistics
    requests: int
    under_way: int
    upgraded: int
    responses: dict[int, int]
    refused: dict[int, int]
