"""Headless Chromium, told what to do over our own WebSocket client (the DevTools protocol)."""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import attrs
import trio

from snowtrio.websocket import WebSocket, WebSocketLimits, open_websocket

TIMEOUT = 45.0
"""Seconds: a browser takes a while to start."""
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic"),
    *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--disable-default-apps", "--disable-extensions", "--no-proxy-server"),
    "--remote-debugging-port=0",
)


@attrs.define(eq=False)
class Browser:
    """A browser that was started.

    Parameters:
        websocket: to it. One call at a time.
    """

    websocket: WebSocket
    _numbers: count[int] = attrs.field(factory=count)

    async def call(self, method: str, session: str | None = None, **parameters: Any) -> Any:
        """Have it do something and return what came of it; what it tells unasked is left out."""
        number = next(self._numbers)
        call = {"id": number, "method": method, "params": parameters}
        await self.websocket.send(json.dumps(call | ({"sessionId": session} if session else {})))
        while True:
            said = json.loads(await self.websocket.receive())
            if said.get("id") == number:
                assert "error" not in said, said
                return said["result"]

    async def open(self, url: str) -> Page:
        """Show a page in a tab of its own."""
        target = (await self.call("Target.createTarget", url=url))["targetId"]
        attached = await self.call("Target.attachToTarget", targetId=target, flatten=True)
        return Page(self, target, attached["sessionId"])


@attrs.frozen(eq=False)
class Page:
    """A tab."""

    browser: Browser
    target: str
    session: str

    async def close(self) -> None:
        """Close the tab."""
        await self.browser.call("Target.closeTarget", targetId=self.target)

    async def evaluate(self, script: str) -> Any:
        """Return what a script comes to."""
        done = await self.browser.call(
            "Runtime.evaluate", self.session, expression=script, returnByValue=True
        )
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    async def wait_for(self, script: str, expected: object = True) -> None:
        """Look until a script comes to what is expected, or fail with what it came to."""
        found: object = None
        with trio.move_on_after(TIMEOUT):
            while True:
                found = await self.evaluate(script)
                if found == expected:
                    return
                await trio.sleep(0.05)
        raise AssertionError(f"{script} is {found!r}, not {expected!r}")


@asynccontextmanager
async def running_browser(profile: Path) -> AsyncIterator[Browser]:
    """Start a browser that has seen nothing before, for the time of a block."""
    process = await trio.lowlevel.open_process(
        ["chromium", *OPTIONS, f"--user-data-dir={profile}", "about:blank"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        limits = WebSocketLimits(max_message_size=16 * 1024 * 1024)
        async with open_websocket(await find_url(profile), limits=limits) as websocket:
            yield Browser(websocket)
    finally:
        process.terminate()
        with trio.CancelScope(shield=True):
            with trio.move_on_after(5):
                await process.wait()
            process.kill()
            await process.wait()


async def find_url(profile: Path) -> str:
    """Wait until the browser has written where it listens."""
    written = profile / "DevToolsActivePort"
    with trio.fail_after(TIMEOUT):
        while True:
            lines = written.read_text().splitlines() if written.exists() else []
            if len(lines) == 2:
                return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
            await trio.sleep(0.05)
