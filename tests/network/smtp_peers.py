"""Whom the SMTP client talks to in the tests: aiosmtpd in a process, and servers by hand."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import attrs
import trio

from .examples import START_TIMEOUT, RunningExample
from .peers import Peer

SERVER = Path(__file__).parent / "smtp_server.py"


@attrs.define(eq=False)
class MailServer:
    """An aiosmtpd that runs."""

    example: RunningExample
    events: list[dict[str, Any]] = attrs.field(init=False, factory=list)
    _told: trio.Event = attrs.field(init=False, factory=trio.Event)

    @property
    def port(self) -> int:
        return self.example.port

    async def listen(self) -> None:
        """Take what it tells; nobody else reads its output."""
        while (line := await self.example.read_line()) is not None:
            self.events.append(json.loads(line))
        self._told.set()

    async def stop(self) -> list[dict[str, Any]]:
        """End it, and return all that it has told of."""
        self.example.process.terminate()
        with trio.fail_after(START_TIMEOUT):
            await self._told.wait()
            await self.example.process.wait()
        errors = self.example.read_errors()
        assert not errors, errors
        return self.events


@contextlib.asynccontextmanager
async def running_mail_server(*arguments: str) -> AsyncIterator[MailServer]:
    """Run aiosmtpd for the time of a block."""
    with tempfile.TemporaryFile() as errors:
        process = await trio.lowlevel.open_process(
            [sys.executable, str(SERVER), *arguments], stdout=subprocess.PIPE, stderr=errors
        )
        assert process.stdout is not None
        async with process.stdout, trio.open_nursery() as nursery:
            server = MailServer(RunningExample(process, errors))
            try:
                with trio.fail_after(START_TIMEOUT):
                    await server.example.wait_ready()
                nursery.start_soon(server.listen)
                yield server
            finally:
                process.kill()
                with trio.CancelScope(shield=True):
                    await process.wait()
                nursery.cancel_scope.cancel()


@attrs.define(eq=False)
class Script:
    """A server that says what a test has it say.

    Parameters:
        replies: to commands, by their first word; to others it says 250. A None ends the
            connection, an empty reply says nothing.
        greeting: what it begins with.
    """

    replies: dict[str, bytes | None] = attrs.field(factory=dict)
    greeting: bytes = b"220 hello\r\n"
    commands: list[str] = attrs.field(init=False, factory=list)
    """What it was told, the messages too."""
    port: int = attrs.field(init=False, default=0)

    async def serve(self, stream: trio.SocketStream) -> None:
        async with stream:
            peer = Peer(stream)
            await peer.send(self.greeting)
            with contextlib.suppress(trio.BrokenResourceError):
                await self._talk(peer)

    async def _talk(self, peer: Peer) -> None:
        while b"\n" in peer.received or await peer.fill():
            command = (await peer.line()).removesuffix("\r")
            self.commands.append(command)
            reply = self.replies.get(command.partition(" ")[0], b"250 ok\r\n")
            if reply is None:
                return
            if reply:
                await peer.send(reply)
            if command == "QUIT":
                return


@contextlib.asynccontextmanager
async def running_script(script: Script) -> AsyncIterator[Script]:
    """Serve by a script for the time of a block."""
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        script.port = listener.socket.getsockname()[1]
        nursery.start_soon(trio.serve_listeners, script.serve, [listener])
        yield script
        nursery.cancel_scope.cancel()
