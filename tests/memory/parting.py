"""A protocol that says goodbye, and a peer that waits for the end."""

from __future__ import annotations

import trio

from snowtrio import (
    Connection,
    LineCodec,
    Protocol,
)


class Parting(Protocol[bytes]):
    """Says goodbye; lines tell the handler how to take it."""

    codec = LineCodec()

    def __init__(self) -> None:
        super().__init__()
        self.told = 0

    async def handle(self, connection: Connection[bytes]) -> None:
        async for line in connection:
            if line == b"slow":
                await trio.sleep(20)
                return
            if line == b"stuck":
                await trio.sleep_forever()
            await connection.send(line)

    async def goodbye(self, connection: Connection[bytes]) -> None:
        self.told += 1
        await connection.send(b"goodbye")
        await super().goodbye(connection)


async def read_then_close(stream: trio.abc.Stream) -> None:
    await read_all_patiently(stream)
    await stream.aclose()


async def read_all_patiently(stream: trio.abc.Stream) -> bytes:
    return b"".join([data async for data in stream])
