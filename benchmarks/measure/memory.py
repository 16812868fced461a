"""What an idle connection costs a server in memory."""

from __future__ import annotations

import contextlib
import time

import machine
from load.pinger import Pinger, line, open_pinger
from load.websocket import message, open_websocket, words
from measure.processes import Running, serving
from measure.settings import Figures, Settings

LINE = line(0, 0, 64)
MESSAGE = message(0, 0, 125)
COMPRESSED = words(0, 0, 1024)

# So few connections wait to be accepted at a time: the shortest usual backlog is 100.
STEP = 50

# Seconds between two looks at a process's memory.
PAUSE = 0.3


def settled(pid: int) -> int:
    """Return the resident memory in bytes once it has stopped changing."""
    last = -1
    while (now := machine.resident_bytes(pid)) != last:
        last = now
        time.sleep(PAUSE)
    return now


def open_one(running: Running, workload: str) -> Pinger:
    """Open a connection."""
    if workload == "lines":
        return open_pinger(running.port, LINE)
    if workload == "websocket":
        return open_websocket(running.port, [MESSAGE])
    return open_websocket(running.port, [COMPRESSED], deflate=True)


def visit(running: Running, workload: str) -> None:
    """Exchange a line on a connection of its own: all before it have been accepted then."""
    visitor = open_one(running, workload)
    visitor.exchange()
    visitor.close()


def measure(server: str, settings: Settings, *, workload: str = "lines") -> Figures:
    """Return KiB a connection: of those that never spoke, and after one line, or message, each."""
    # Servers of WebSockets ask after twenty seconds whether their clients are there.
    many = settings.many if workload == "lines" else settings.many // 5
    core, _ = machine.cores()
    with serving(server, workload, core=core) as running, contextlib.ExitStack() as stack:
        # What is allocated once is not a connection's.
        visit(running, workload)
        before = settled(running.pid)
        pingers = []
        for number in range(many):
            pingers.append(open_one(running, workload))
            stack.callback(pingers[-1].close)
            if number % STEP == 0:
                visit(running, workload)
        visit(running, workload)
        silent = settled(running.pid)
        for pinger in pingers:
            pinger.exchange()
        spoken = settled(running.pid)
    return {
        "cost": (silent - before) / many / 1024,
        "spoken": (spoken - before) / many / 1024,
        "connections": many,
    }
