"""picows, on asyncio's own loop or on uvloop: callbacks, in C.

With aiofastnet, as it recommends. It gives frames rather than messages, and checks no text.
"""

from __future__ import annotations

import asyncio
import ssl

from peers.loops import run_on
from peers.ready import ready
from picows import (
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    ws_create_server,
)


class Echo(WSListener):
    """Sends back what comes."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        else:
            transport.send(frame.msg_type, frame.get_payload_as_memoryview())


class Broadcaster(Echo):
    """Gives each message to everybody, its sender included."""

    everybody: set[WSTransport] = set()  # noqa: RUF012

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.everybody.add(transport)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.everybody.discard(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            super().on_ws_frame(transport, frame)
            return
        payload = frame.get_payload_as_bytes()
        for each in self.everybody:
            each.send(frame.msg_type, payload)


async def main(workload: str) -> None:
    kind = Broadcaster if workload == "websocket-broadcast" else Echo

    def listen(request: WSUpgradeRequest) -> WSListener:  # noqa: ARG001
        return kind()

    server = await ws_create_server(listen, "127.0.0.1", 0)
    ready(server.sockets[0].getsockname()[1])
    await asyncio.Event().wait()


def run(variant: str, workload: str, tls: ssl.SSLContext | None) -> None:  # noqa: ARG001
    """Serve until killed; the variant is the event loop."""
    run_on(variant, main(workload))
