"""A profile of the measured process for the length of a slice, where one is asked for.

The process listens to a signal and the load sends it, at both ends of its slice: connecting and
warming up are not in the profile. Which file it goes to is in the environment, which all of a
benchmark's processes inherit.
"""

from __future__ import annotations

import cProfile
import os
import signal
import time
from pathlib import Path

VARIABLE = "BENCHMARK_PROFILE"

# Seconds for a process to write its profile.
PATIENCE = 10.0


def wanted() -> Path | None:
    """Return the file that a profile is to go to, None if there is to be none."""
    path = os.environ.get(VARIABLE)
    return None if path is None else Path(path)


def listen() -> None:
    """In the measured process: begin and end the profile when the signal comes."""
    path = wanted()
    if path is None:
        return
    profiler = cProfile.Profile()
    running = False

    def toggle(*_: object) -> None:
        nonlocal running
        running = not running
        if running:
            profiler.enable()
        else:
            profiler.disable()
            whole = path.with_suffix(".part")
            profiler.dump_stats(whole)
            whole.replace(path)

    signal.signal(signal.SIGUSR1, toggle)


def begin(pid: int) -> None:
    """In the load: have the measured process begin its profile."""
    if wanted() is not None:
        os.kill(pid, signal.SIGUSR1)


def end(pid: int) -> None:
    """In the load: have it end its profile, and wait until that is written."""
    path = wanted()
    if path is None:
        return
    os.kill(pid, signal.SIGUSR1)
    patience = time.monotonic() + PATIENCE
    while not path.exists():
        if time.monotonic() > patience:
            raise SystemExit("the measured process wrote no profile")
        time.sleep(0.01)
