"""The slice of time that counts, and the line of JSON that every load ends with."""

from __future__ import annotations

import argparse
import json
import selectors
import time
from collections.abc import Callable
from typing import TypeAlias

import attrs
import profiles
from load.pinger import Pinger
from machine import cpu_seconds

Drive: TypeAlias = Callable[[selectors.BaseSelector, list[Pinger], float], tuple[list[float], int]]
"""Keeps connections busy for so many seconds; returns the round trips and the wake-ups."""


@attrs.frozen
class Moment:
    """What the clocks show.

    Parameters:
        clock: seconds of the wall clock.
        ours: processor time of this process.
        theirs: processor time of the other process.
    """

    clock: float
    ours: float
    theirs: float

    @classmethod
    def now(cls, pid: int) -> Moment:
        """Look at all clocks."""
        return cls(time.perf_counter(), time.process_time(), cpu_seconds(pid))


class Slice:
    """What passes between its begin and its end.

    Parameters:
        pid: the other process: of the server, for a load.
        measured: the one whose time is the figure that counts; the other one if not given.
    """

    def __init__(self, pid: int, *, measured: int | None = None) -> None:
        self._pid = pid
        self._measured = pid if measured is None else measured

    def begin(self) -> None:
        """Count from here on."""
        profiles.begin(self._measured)
        self._began = self._ended = self._settled = Moment.now(self._pid)

    def end(self, settle: float = 0.0) -> None:
        """Count no further, but give the other process a while to finish what it has begun."""
        self._ended = Moment.now(self._pid)
        time.sleep(settle)
        self._settled = Moment.now(self._pid)
        profiles.end(self._measured)

    def report(self, *, units: int, trips: list[float], wakes: int = 0) -> None:
        """Print what it gave.

        Parameters:
            units: messages, connections or deliveries that went through.
            trips: the time that each exchange took, in seconds.
            wakes: how often the load found something to read; 0 if nobody counts.
        """
        if not units:
            raise SystemExit("nothing went through: give it a longer slice (--seconds)")
        seconds = self._ended.clock - self._began.clock
        ours = self._ended.ours - self._began.ours
        theirs = self._settled.theirs - self._began.theirs
        cpu, load = (theirs, ours) if self._measured == self._pid else (ours, theirs)
        trips.sort()
        figures = {
            "cost": cpu / units * 1e6,
            "rate": units / seconds,
            "p50_ms": percentile(trips, 0.5) * 1e3,
            "p99_ms": percentile(trips, 0.99) * 1e3,
            "busy": cpu / (self._settled.clock - self._began.clock),
            "load": load / seconds,
            "units": units,
        }
        if wakes:
            figures["per_wake"] = units / wakes
        print(json.dumps(figures), flush=True)


def run_slice(drive: Drive, pingers: list[Pinger], options: argparse.Namespace) -> None:
    """Warm up, run the slice that counts, and print what it gave."""
    selector = selectors.DefaultSelector()
    for pinger in pingers:
        selector.register(pinger.sock, selectors.EVENT_READ, pinger)
    drive(selector, pingers, options.seconds / 5)
    measured = Slice(options.pid)
    measured.begin()
    trips, wakes = drive(selector, pingers, options.seconds)
    measured.end()
    measured.report(units=len(trips) * options.in_flight, trips=trips, wakes=wakes)


def percentile(ordered: list[float], part: float) -> float:
    """Return the value below which a part of the values lies; they are in order."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]
