"""The slice of time that counts, and the line of JSON that every load ends with."""

from __future__ import annotations

import json
import time

import profiles
from machine import cpu_seconds


class Slice:
    """What passes between its begin and its end.

    Parameters:
        pid: the other process: of the server, for a load.
        measured: the one whose time is the figure that counts.
    """

    def __init__(self, pid: int, *, measured: int | None = None) -> None:
        self.pid = pid
        self.measured = pid if measured is None else measured
        self.seconds = 0.0
        self.settle = 0.0
        self.ours = 0.0
        self.theirs = 0.0

    def begin(self) -> None:
        """Count from here on."""
        profiles.begin(self.measured)
        self.theirs = cpu_seconds(self.pid)
        self.seconds = time.perf_counter()
        self.ours = time.process_time()

    def end(self, settle: float = 0.0) -> None:
        """Count no further, but give the other process a while to finish what it has begun."""
        self.ours = time.process_time() - self.ours
        self.seconds = time.perf_counter() - self.seconds
        time.sleep(settle)
        self.settle = settle
        self.theirs = cpu_seconds(self.pid) - self.theirs
        profiles.end(self.measured)

    def report(self, *, units: int, trips: list[float], wakes: int = 0) -> None:
        """Print what it gave.

        Parameters:
            units: messages, connections or deliveries that went through.
            trips: the time that each exchange took, in seconds.
            wakes: how often the load found something to read; 0 if nobody counts.
        """
        cpu, load = (
            (self.theirs, self.ours) if self.measured == self.pid else (self.ours, self.theirs)
        )
        trips.sort()
        figures = {
            "cost": cpu / units * 1e6,
            "rate": units / self.seconds,
            "p50_ms": percentile(trips, 0.5) * 1e3,
            "p99_ms": percentile(trips, 0.99) * 1e3,
            "busy": cpu / (self.seconds + self.settle),
            "load": load / self.seconds,
            "units": units,
        }
        if wakes:
            figures["per_wake"] = units / wakes
        print(json.dumps(figures), flush=True)


def percentile(ordered: list[float], part: float) -> float:
    """Return the value below which a part of the values lies; they are in order."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]
