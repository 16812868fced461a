"""On what terms an application's WebSockets are opened."""

from __future__ import annotations

import attrs

from ..websocket import Deflate, WebSocketLimits
from ..websocket._server import Terms


@attrs.frozen
class WebSocketTerms:
    """What the operator says; the rest is the application's.

    Parameters:
        limits: the bounds of each.
        compression: how messages are compressed if the client can.
    """

    limits: WebSocketLimits = attrs.field(factory=WebSocketLimits)
    compression: Deflate | None = None

    def accepting(self, subprotocol: str | None, fields: list[tuple[str, str]]) -> Terms:
        """Return the terms of one WebSocket.

        Parameters:
            subprotocol: that the application has chosen.
            fields: that it adds to the response.
        """
        return Terms(
            subprotocols=lambda _: subprotocol,
            compression=self.compression,
            limits=self.limits,
            headers=fields,
        )
