"""What the tests of WebSocket programs need: WebSockets in memory, expectations, bad peers.

::

    from snowtrio.testing.websocket import expect_message, open_websocket_pair

    async def test_echo():
        async with open_websocket_pair() as (client, server):
            await client.send("hello")
            await expect_message(server, "hello")

Everything goes through the real handshake, codec and connection; only the streams are in memory.
With ``trio.testing.MockClock(autojump_threshold=0)`` no test waits for a timeout.

Not imported by ``snowtrio.testing``: it needs ``pip install snowtrio[websocket]``.
"""

from ._expecting import expect_close, expect_message, expect_pong
from ._frames import Frame, Opcode
from ._pair import MemoryWebSockets, open_websocket_pair, serve_websocket_in_memory
from ._peer import WirePeer, open_websocket_with_peer

__all__ = [
    "Frame",
    "MemoryWebSockets",
    "Opcode",
    "WirePeer",
    "expect_close",
    "expect_message",
    "expect_pong",
    "open_websocket_pair",
    "open_websocket_with_peer",
    "serve_websocket_in_memory",
]

# The private files are where they are written; this is where they are found.
for _name in __all__:
    globals()[_name].__module__ = __name__
