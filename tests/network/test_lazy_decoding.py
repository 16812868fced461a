"""Decoders that give messages one by one, on a socket whose receiver reads for itself."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest
import trio

from snowtrio import LineCodec, ServerLimits
from snowtrio._buffer import ReceiveBuffer
from snowtrio._connection import _reading

from ..serving import LIMIT
from .tcp import connect, serving_tcp

ROUNDS = 20


class LazyLines(LineCodec):
    """Looks at the next line when it is asked for it."""

    def decode(self, buffer: ReceiveBuffer) -> Iterator[bytes]:
        yield from super().decode(buffer)


@pytest.mark.parametrize("lines", [1, 3])
@pytest.mark.parametrize("most", [2, 256])
async def test_nobody_waits_for_the_receivers_patience_to_end(
    lines: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row S12: with its patience an hour long, a receiver that waits still gets what comes."""
    monkeypatch.setattr(_reading, "PATIENCE", 3600.0)
    limits = ServerLimits(linger_timeout=0.2, max_inbox_messages=most)
    sent = b"".join(b"line %d\n" % number for number in range(lines))
    async with serving_tcp(protocol=LazyLines(), limits=limits) as server:
        stream = await connect(server)
        async with stream:
            for _ in range(ROUNDS):
                await stream.send_all(sent)
                with trio.fail_after(LIMIT / 4):
                    await receive_exactly(stream, sent)


async def test_bytes_that_come_as_the_receivers_patience_ends() -> None:
    """Row S12: whichever of the two tasks goes first then, nothing is left lying."""
    limits = ServerLimits(linger_timeout=0.2, max_inbox_messages=4)
    sent = b"".join(b"line %d\n" % number for number in range(7))
    async with serving_tcp(protocol=LazyLines(), limits=limits) as server:
        stream = await connect(server)
        async with stream:
            for _ in range(ROUNDS):
                await stream.send_all(b"x\n")
                await receive_exactly(stream, b"x\n")
                os.write(stream.socket.fileno(), sent)
                time.sleep(1.5 * _reading.PATIENCE)  # noqa: ASYNC251 - both are due in one pass
                with trio.fail_after(LIMIT / 4):
                    await receive_exactly(stream, sent)


async def receive_exactly(stream: trio.SocketStream, wanted: bytes) -> None:
    """Receive until all of it has come."""
    came = b""
    while len(came) < len(wanted):
        came += await stream.receive_some()
    assert came == wanted
