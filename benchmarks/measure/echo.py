"""An echo server under a load: lines, prefixed messages, those of WebSockets; or with TLS."""

from __future__ import annotations

import machine
from measure.processes import python, run_reporting, serving
from measure.settings import Figures, Settings

# The servers' name of the work, where the load's is another one.
WORKLOADS = {"deflate": "websocket-deflate"}


def measure(
    server: str,
    settings: Settings,
    *,
    connections: int,
    in_flight: int,
    frames: str = "lines",
    size: int = 64,
    tls: bool = False,
) -> Figures:
    """Return what one slice cost the server."""
    servers_core, loads_core = machine.cores()
    certificate = ["--certificate", settings.certificates / "server.pem"] if tls else []
    authority = ["--authority", settings.certificates / "authority.pem"] if tls else []
    with serving(server, WORKLOADS.get(frames, frames), *certificate, core=servers_core) as running:
        load = python(
            "load.echo",
            *("--port", running.port, "--pid", running.pid, "--seconds", settings.seconds),
            *("--connections", connections, "--in-flight", in_flight),
            *("--frames", frames, "--size", size, *authority),
        )
        return run_reporting(load, loads_core)
