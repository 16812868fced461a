"""What measured clients have in common: their lines, when to stop, and what counts."""

from __future__ import annotations

import argparse
import os

import profiles
from load.slices import Slice

PADDING = b"x" * 48


def numbered_line(task: int, count: int) -> bytes:
    """Return a line without its end: the number of the task, and what makes it unique."""
    return b"%d %d %b" % (task, count, PADDING)


class Asking:
    """The tasks' common knowledge.

    Parameters:
        server: the process id of the server, which is the load here.
    """

    def __init__(self, server: int) -> None:
        self.over = False
        self.trips: list[float] = []
        self._slice = Slice(server, measured=os.getpid())

    def begin(self) -> None:
        """Count from here on."""
        self.trips.clear()
        self._slice.begin()

    def end(self) -> None:
        """Have the tasks stop, and print what the slice gave."""
        self._slice.end()
        self.over = True
        self._slice.report(units=len(self.trips), trips=self.trips)


def parse_arguments(description: str | None) -> argparse.Namespace:
    """Return what a measured client is told."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("variant", nargs="?", default="")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pid", type=int, required=True, help="the server's")
    parser.add_argument("--tasks", type=int, default=100)
    parser.add_argument("--gets", type=int, default=100, help="of each task, where time is free")
    parser.add_argument("--seconds", type=float, default=1.0)
    profiles.listen()
    return parser.parse_args()
