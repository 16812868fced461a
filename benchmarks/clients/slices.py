"""What measured clients have in common: the lines, the slice of time, and the report."""

from __future__ import annotations

import argparse
import time

import attrs
from load.report import report
from machine import cpu_seconds

PADDING = b"x" * 48


def numbered_line(task: int, count: int) -> bytes:
    """Return a line without its end: the number of the task, and what makes it unique."""
    return b"%d %d %b" % (task, count, PADDING)


@attrs.define
class Slice:
    """The time in which exchanges count.

    Parameters:
        server: the process id of the server, which is the load here.
    """

    server: int
    trips: list[float] = attrs.field(factory=list)
    """The time that each exchange took, in seconds."""
    over: bool = False
    """Whether the tasks are to stop."""
    _began: float = 0.0
    _ours: float = 0.0
    _servers: float = 0.0

    def begin(self) -> None:
        """Count from here on."""
        self.trips.clear()
        self._servers = cpu_seconds(self.server)
        self._began = time.perf_counter()
        self._ours = time.process_time()

    def end(self) -> None:
        """Stop the tasks, and print what the slice gave."""
        cpu, elapsed = time.process_time() - self._ours, time.perf_counter() - self._began
        self.over = True
        load = cpu_seconds(self.server) - self._servers
        report(
            units=len(self.trips), seconds=elapsed, cpu=cpu, trips=self.trips, load=load, wakes=0
        )


def parse_arguments(description: str | None) -> argparse.Namespace:
    """Return what a measured client is told."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("variant", nargs="?", default="")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pid", type=int, required=True, help="the server's")
    parser.add_argument("--tasks", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=1.0)
    return parser.parse_args()
