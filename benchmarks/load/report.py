"""What every load and every measured client prints at its end: one line of JSON."""

from __future__ import annotations

import json


def percentile(ordered: list[float], part: float) -> float:
    """Return the value below which a part of the values lies; they are in order."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def report(
    *, units: int, seconds: float, cpu: float, trips: list[float], load: float, wakes: int
) -> None:
    """Print what a slice gave.

    Parameters:
        units: messages, connections or deliveries that went through.
        seconds: how long it took.
        cpu: processor time of the measured process, in seconds.
        trips: the time that each exchange took, in seconds.
        load: processor time of the other process, in seconds; 0 if nobody knows.
        wakes: how often the load found something to read; 0 if nobody counts.
    """
    trips.sort()
    figures = {
        "cost": cpu / units * 1e6,
        "rate": units / seconds,
        "p50_ms": percentile(trips, 0.5) * 1e3,
        "p99_ms": percentile(trips, 0.99) * 1e3,
        "busy": cpu / seconds,
        "load": load / seconds,
        "units": units,
    }
    if wakes:
        figures["per_wake"] = units / wakes
    print(json.dumps(figures), flush=True)
