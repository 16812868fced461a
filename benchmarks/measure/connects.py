"""Connections that come, exchange one line and go; and WebSockets that open and close."""

from __future__ import annotations

import machine
from measure.processes import python, run_reporting, serving
from measure.settings import Figures, Settings


def measure(server: str, settings: Settings, *, at_once: int, workload: str = "lines") -> Figures:
    """Return what one slice cost the server."""
    servers_core, loads_core = machine.cores()
    with serving(server, workload, core=servers_core) as running:
        load = python(
            "load.connects",
            *("--port", running.port, "--pid", running.pid, "--seconds", settings.seconds),
            *("--at-once", at_once),
            *(("--websocket",) if workload == "websocket" else ()),
        )
        return run_reporting(load, loads_core)
