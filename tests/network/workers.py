"""A running parent of workers, and what tests do to it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import trio

from .examples import RunningExample, running_program
from .peers import Peer

PROGRAM = Path(__file__).with_name("worker_program.py")

# A spawned process on a machine that does other things too.
PATIENCE = 30.0


@attrs.frozen
class RunningWorkers:
    """Workers that serve.

    Parameters:
        example: their parent.
        admin: the port that tells of them.
    """

    example: RunningExample
    admin: int

    async def statistics(self) -> dict[str, Any]:
        """Return what the parent counts."""
        counts: dict[str, Any] = await self.ask_admin("statistics")
        return counts

    async def workers(self) -> list[dict[str, Any]]:
        """Return what the parent knows of each process."""
        found: list[dict[str, Any]] = (await self.statistics())["workers"]
        return found

    async def ask_admin(self, question: str) -> Any:
        """Ask the parent."""
        return json.loads(await ask(self.admin, question))

    async def pids(self) -> dict[int, int]:
        """Return the process of each place that has a ready one, by its number."""
        return {each["number"]: each["pid"] for each in await self.workers() if is_ready(each)}

    async def ask(self, line: str) -> str:
        """Ask any worker, through a new connection."""
        return await ask(self.example.port, line)

    async def connect_to(self, pid: int) -> Peer:
        """Return a connection to one of the processes: all of them accept, so some are tried."""
        others: list[Peer] = []
        try:
            with trio.fail_after(PATIENCE):
                while True:
                    peer = Peer(await self.example.connect())
                    await peer.send(b"pid\n")
                    if int(await peer.line()) == pid:
                        return peer
                    # Kept for now: who has many connections is slower to take more.
                    others.append(peer)
        finally:
            for each in others:
                await trio.aclose_forcefully(each.stream)

    async def until(self, condition: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Wait until the parent's counts are such; return them."""
        with trio.fail_after(PATIENCE):
            while not condition(counts := await self.statistics()):
                await trio.sleep(0.02)
        return counts


def is_ready(worker: Mapping[str, Any]) -> bool:
    return bool(worker["state"] == "READY")


def all_ready(counts: Mapping[str, Any]) -> bool:
    """Whether there are two processes, and both are ready."""
    return len(counts["workers"]) == 2 and all(map(is_ready, counts["workers"]))


async def ask(port: int, line: str) -> str:
    """Ask through a new connection."""
    async with Peer(await trio.open_tcp_stream("127.0.0.1", port)).stream as stream:
        peer = Peer(stream)
        await peer.send(line.encode() + b"\n")
        return await peer.line()


@contextlib.asynccontextmanager
async def running_workers(
    *arguments: str, limits: Mapping[str, Any] | None = None, fail_if: Path | None = None
) -> AsyncIterator[RunningWorkers]:
    """Run the program for the time of a block, and end it with SIGINT unless the block has.

    Parameters:
        arguments: its command line.
        limits: those of `WorkerLimits` that are not the default.
        fail_if: a file; while it exists, workers end before they are ready.
    """
    given = {"report_interval": 0.05, "kill_timeout": 1, **(limits or {})}
    command = [sys.executable, "-W", "error", str(PROGRAM), "--limits", json.dumps(given)]
    environment = {**os.environ, **({"WORKERS_FAIL": str(fail_if)} if fail_if else {})}
    async with running_program("workers", [*command, *arguments], environment) as example:
        (admin,) = (line for line in example.lines if line.startswith("admin on "))
        yield RunningWorkers(example, int(admin.rpartition(" ")[2]))


def is_running(pid: int) -> bool:
    """Whether a process has not ended; nobody may have reaped it yet."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        # Behind the name, which may have anything in it.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return sys.platform != "linux"


async def until_gone(*pids: int) -> None:
    """Wait until processes have ended that are not our children."""
    with trio.fail_after(PATIENCE):
        while any(map(is_running, pids)):
            await trio.sleep(0.02)


def children_of(pid: int) -> dict[int, str]:
    """Return the processes that a process has started, with their command lines; Linux alone."""
    pids = Path(f"/proc/{pid}/task/{pid}/children")
    found = map(int, pids.read_text().split() if pids.exists() else ())
    return {child: Path(f"/proc/{child}/cmdline").read_text() for child in found}


def kill(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    os.kill(pid, number)
