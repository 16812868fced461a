"""A server as a process of its own, and what the system says of it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO

import attrs
import trio

EXAMPLES = Path(__file__).parents[2] / "examples"
LINE_SERVER = EXAMPLES / "line_server.py"
HTTP_SERVER = EXAMPLES / "http_json_server.py"
WEBSOCKET_SERVER = EXAMPLES / "websocket_echo_server.py"

START_TIMEOUT = 20.0
POLL = 0.1


@attrs.define(eq=False)
class WatchedServer:
    """A server that listens.

    Parameters:
        process: runs it.
        log: what it writes to its standard error.
        port: where it listens, on 127.0.0.1.
    """

    process: trio.Process
    log: IO[bytes]
    port: int
    descriptors_before: int = 0
    descriptors_peak: int = 0
    descriptors_after: int = 0
    memory_before: int = 0
    peak: int = 0
    """The most memory in bytes, known also when it has ended."""
    computed: float = 0.0
    """Seconds of processor time, likewise."""
    seconds_to_end: float = 0.0

    def descriptors(self) -> int:
        """Return how many descriptors it has open now."""
        count = sum(1 for _ in Path(f"/proc/{self.process.pid}/fd").iterdir())
        self.descriptors_peak = max(self.descriptors_peak, count)
        return count

    def memory(self) -> int:
        """Return the bytes that are resident now."""
        return self._status("VmRSS")

    def memory_peak(self) -> int:
        """Return the most bytes that were ever resident."""
        self.peak = self._status("VmHWM")
        return self.peak

    def _status(self, name: str) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(rf"^{name}:\s+(\d+) kB$", status, re.MULTILINE)
        assert found is not None
        return int(found[1]) * 1024

    async def wait_descriptors(self, timeout: float) -> int:
        """Wait until no more are open than before, or the time is over; return how many are."""
        with trio.move_on_after(timeout):
            while self.descriptors() > self.descriptors_before:
                await trio.sleep(POLL)
        return self.descriptors()

    def processor_time(self) -> float:
        """Return the seconds that it has computed."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def look_before(self) -> None:
        """Remember what it needs while nobody is there."""
        self.descriptors_before = self.descriptors()
        self.memory_before = self.memory()

    async def stop(self, timeout: float) -> None:
        """Send SIGTERM and wait until it ends; its status is None if it does not in time."""
        began = trio.current_time()
        self.process.send_signal(signal.SIGTERM)
        with trio.move_on_after(timeout):
            await self.process.wait()
        self.seconds_to_end = trio.current_time() - began

    def read_log(self) -> str:
        """Return what it has written to its standard error."""
        self.log.seek(0)
        return self.log.read().decode()


@contextlib.asynccontextmanager
async def watched_server(
    *arguments: str, program: Path = LINE_SERVER
) -> AsyncIterator[WatchedServer]:
    """Run a server for the time of a block; whatever happens, it does not outlive it."""
    command = [sys.executable, str(program), "--port", "0", *arguments]
    with tempfile.TemporaryFile() as log:
        process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE, stderr=log)
        assert process.stdout is not None
        try:
            async with process.stdout:
                yield WatchedServer(process, log, await _read_port(process.stdout))
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()


async def _read_port(output: trio.abc.ReceiveStream) -> int:
    said = b""
    with trio.fail_after(START_TIMEOUT):
        while not said.endswith(b"\n"):
            data = await output.receive_some()
            if not data:
                raise RuntimeError("the server ended before it listened")
            said += data
    return int(said.rpartition(b":")[2])
