"""An echo server over UDP under a load."""

from __future__ import annotations

import machine
from measure.processes import python, run_reporting, serving
from measure.settings import Figures, Settings


def measure(server: str, settings: Settings, *, sockets: int, in_flight: int) -> Figures:
    """Return what one slice cost the server."""
    servers_core, loads_core = machine.cores()
    with serving(server, "datagrams", core=servers_core) as running:
        load = python(
            "load.datagrams",
            *("--port", running.port, "--pid", running.pid, "--seconds", settings.seconds),
            *("--sockets", sockets, "--in-flight", in_flight),
        )
        return run_reporting(load, loads_core)
