"""A protocol that remembers what its hooks were told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import trio

from snowtrio import Connection, LineCodec, Protocol


class Watched(Protocol[bytes]):
    """Remembers what its hooks were told; lines tell its handler what to do."""

    codec = LineCodec(max_message_size=64)

    def __init__(self) -> None:
        super().__init__()
        self.events: list[Any] = []
        self.failing: dict[str, BaseException] = {}

    async def handle(self, connection: Connection[bytes]) -> None:
        self.events.append("handle")
        async for line in connection:
            if line == b"return":
                return
            if line == b"aclose":
                await connection.aclose()
            if line == b"drop":
                connection.drop()
            if line == b"flood":
                while True:
                    await connection.send(b"x" * 60)
            if line == b"sleep":
                await trio.sleep_forever()
            if line == b"raise":
                raise self.failing["handle"]

    async def close(self, connection: Connection[bytes]) -> None:
        assert connection.ending is not None
        self.events.append(connection.ending.cause)
        if "close" in self.failing:
            raise self.failing["close"]

    def purge(self, connection: Connection[bytes], messages: Sequence[bytes]) -> None:
        self.events.append(list(messages))
        if "purge" in self.failing:
            raise self.failing["purge"]
