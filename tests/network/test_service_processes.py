"""Services as processes: their exit statuses, and what a second and a third signal do."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest
import trio

if os.name == "nt":
    pytest.skip("there is nothing to send here", allow_module_level=True)

TIMEOUT = 20

# A handler that stays: its drain lasts until it is cut. What it says is said at once.
SERVICE = """
import logging, sys, time, trio
from functools import partial
from snowtrio import DrainTimeouts, LineCodec, Protocol, run_service, serve_tcp

class Staying(Protocol):
    codec = LineCodec()

    async def handle(self, connection):
        await connection.send(b"hello")
        await trio.sleep_forever()

    async def goodbye(self, connection):
        await connection.send(b"draining")

    async def close(self, connection):
        print("closed", flush=True)
        if "deaf" in sys.argv:
            await trio.to_thread.run_sync(time.sleep, 60)

async def reload(server):
    print("reloaded", flush=True)

async def main():
    report = await run_service(
        partial(serve_tcp, None, Staying(), 0),
        ready=lambda server: print(server.port, flush=True),
        reload=reload if "reload" in sys.argv else None,
        timeouts=DrainTimeouts(goodbye=0.2, wait=0.2 if "quick" in sys.argv else 60),
    )
    print("report", report.cut, flush=True)
    return report.status

logging.basicConfig()
sys.exit(trio.run(main))
"""


class Running:
    """A service that runs.

    Parameters:
        process: runs it.
    """

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self._read = b""

    async def line(self) -> str:
        """Return the next line that it prints, empty at the end."""
        assert self.process.stdout is not None
        with trio.fail_after(TIMEOUT):
            while b"\n" not in self._read:
                data = await self.process.stdout.receive_some()
                if not data:
                    return ""
                self._read += data
        line, _, self._read = self._read.partition(b"\n")
        return line.decode()

    async def status(self) -> int:
        """Return its exit status when it has ended, with the negated signal that killed it."""
        with trio.fail_after(TIMEOUT):
            return await self.process.wait()


@contextlib.asynccontextmanager
async def running_program(text: str, *words: str) -> AsyncIterator[Running]:
    """Run a program for the time of a block."""
    command = [sys.executable, "-W", "error", "-c", text, *words]
    process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    async with process.stdout:
        try:
            yield Running(process)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()


@contextlib.asynccontextmanager
async def running(*words: str) -> AsyncIterator[tuple[Running, trio.SocketStream]]:
    """Run the service, with a client that its handler stays with."""
    async with running_program(SERVICE, *words) as service:
        port = int(await service.line())
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            assert await stream.receive_some() == b"hello\n"
            yield service, stream


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_drain_that_cuts_connections_is_complete(number: signal.Signals) -> None:
    """Row P8: status 0; the phases of the drain ended in time."""
    async with running("quick") as (service, _):
        service.process.send_signal(number)
        assert [await service.line() for _ in range(2)] == ["closed", "report False"]
        assert await service.status() == 0


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_a_second_signal_cuts_the_drain_and_its_status_says_so(
    number: signal.Signals, status: int
) -> None:
    """Row P8: close hooks still run."""
    async with running() as (service, stream):
        service.process.send_signal(signal.SIGTERM)
        assert await stream.receive_some() == b"draining\n"
        service.process.send_signal(number)
        assert [await service.line() for _ in range(2)] == ["closed", "report True"]
        assert await service.status() == status


async def test_a_third_signal_ends_one_that_does_not_end() -> None:
    """Row P8: a hook that sits in a thread cannot be cancelled; the handlers are restored."""
    async with running("deaf") as (service, stream):
        service.process.send_signal(signal.SIGTERM)
        assert await stream.receive_some() == b"draining\n"
        service.process.send_signal(signal.SIGTERM)
        assert await service.line() == "closed"
        service.process.send_signal(signal.SIGTERM)
        assert await service.status() == -signal.SIGTERM


async def test_sighup_reloads_where_it_was_asked_for_and_ends_the_process_elsewhere() -> None:
    """Row P8: before the drain; during the drain nothing happens."""
    async with running("reload") as (service, stream):
        service.process.send_signal(signal.SIGHUP)
        assert await service.line() == "reloaded"
        service.process.send_signal(signal.SIGTERM)
        assert await stream.receive_some() == b"draining\n"
        service.process.send_signal(signal.SIGHUP)
        service.process.send_signal(signal.SIGTERM)
        assert [await service.line() for _ in range(2)] == ["closed", "report True"]
        assert await service.status() == 143
    async with running() as (service, _):
        service.process.send_signal(signal.SIGHUP)
        assert await service.status() == -signal.SIGHUP


NOT_YET = """
import sys, trio
from functools import partial
from snowtrio import run_service

async def serve(*, task_status):
    print("starting", flush=True)
    await trio.sleep_forever()

async def main():
    return (await run_service(serve)).status

sys.exit(trio.run(main))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_before_the_start_ends_it_with_status_0(number: signal.Signals) -> None:
    """Row P8."""
    async with running_program(NOT_YET) as service:
        assert await service.line() == "starting"
        service.process.send_signal(number)
        assert await service.status() == 0
