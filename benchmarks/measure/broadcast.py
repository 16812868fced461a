"""One line, or message, to many connections: what a delivery costs."""

from __future__ import annotations

import machine
from measure.processes import python, run_reporting, serving
from measure.settings import Figures, Settings


def measure(
    server: str,
    settings: Settings,
    *,
    connections: int,
    in_flight: int,
    workload: str = "broadcast",
) -> Figures:
    """Return what one slice cost the server."""
    servers_core, loads_core = machine.cores()
    with serving(server, workload, core=servers_core) as running:
        load = python(
            "load.broadcast",
            *("--port", running.port, "--pid", running.pid, "--seconds", settings.seconds),
            *("--connections", connections, "--in-flight", in_flight),
            *(("--websocket",) if workload == "websocket-broadcast" else ()),
        )
        return run_reporting(load, loads_core)
