"""The how-to's chat, deployed as it says: behind nginx, ended by SIGTERM."""

from __future__ import annotations

import re
import signal
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
import trio

from snowtrio import UnixEndpoint
from snowtrio.http import HTTPClient, UpgradeRefusedError
from snowtrio.testing.websocket import expect_close, expect_message
from snowtrio.websocket import WebSocket, WebSocketLimits, open_websocket

from .documented import HOW_TO, deployed, read_blocks
from .examples import needs_program
from .peers import TIMEOUT

PAGE = HOW_TO / "websocket.md"
ANN = {"Authorization": "Bearer s3cret"}
BOB = {"Cookie": "theme=dark; session=hush"}

pytestmark = [
    needs_program("nginx"),
    pytest.mark.skipif(not PAGE.exists(), reason="the documentation is not here"),
]


def chat(front: str, **options: Any) -> AbstractAsyncContextManager[WebSocket]:
    return open_websocket("ws://chat/?room=1", endpoint=UnixEndpoint(front), **options)


async def refused(front: str, **options: Any) -> int:
    with pytest.raises(UpgradeRefusedError) as caught:
        async with chat(front, **options):
            pass
    return caught.value.status


async def test_the_chat_behind_nginx(tmp_path: Path) -> None:
    """Rows W4, W5, W16, W20, W35: who is let in hears the others, and nobody else is."""
    async with deployed(PAGE, tmp_path) as (_, front):
        with trio.fail_after(TIMEOUT):
            assert await refused(front) == 401
            assert await refused(front, headers=BOB, origin="https://evil.example") == 403
            page = "https://chat.example.org"
            async with (
                chat(front, headers=ANN) as ann,
                chat(front, headers=BOB, origin=page) as bob,
            ):
                await bob.send("hello")
                await expect_message(ann, "bob: hello", timeout=TIMEOUT)
                await expect_message(bob, "bob: hello", timeout=TIMEOUT)
                await ann.send("x" * 16_385)
                await expect_close(ann, 1009, timeout=TIMEOUT)
            async with HTTPClient(endpoint=UnixEndpoint(front)) as client:
                assert (await client.fetch("http://chat/health")).status == 204


async def test_sigterm_tells_everybody(tmp_path: Path) -> None:
    """W26: 1001 through nginx, and the service ends."""
    async with deployed(PAGE, tmp_path) as (process, front):
        with trio.fail_after(TIMEOUT):
            async with chat(front, headers=ANN) as ann, chat(front, headers=BOB) as bob:
                process.send_signal(signal.SIGTERM)
                await expect_close(ann, 1001, timeout=TIMEOUT)
                await expect_close(bob, 1001, timeout=TIMEOUT)
            assert await process.wait() == 0


def test_nginx_waits_longer_than_the_heartbeat() -> None:
    """W31: or nginx would cut whoever says nothing."""
    (block,) = read_blocks(PAGE, "nginx")
    (patience,) = re.findall(r"proxy_read_timeout (\d+)s;", block)
    interval = WebSocketLimits().ping_interval
    assert interval is not None
    assert int(patience) >= 2 * interval
