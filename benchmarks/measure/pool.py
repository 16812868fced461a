"""Many tasks of one client, each waiting for its own reply: what an exchange costs the client."""

from __future__ import annotations

import machine
import roster
from measure.processes import python, run_reporting, serving
from measure.settings import Figures, Settings


def measure(client: str, settings: Settings, *, tasks: int) -> Figures:
    """Return what one slice cost the client; the server is the cheapest one there is."""
    clients_core, servers_core = machine.cores()
    entry = roster.CLIENTS[client]
    with serving(roster.cheapest_echo(), "lines", core=servers_core) as running:
        command = python(
            f"clients.{entry.module}",
            *((entry.variant,) if entry.variant else ()),
            *("--port", running.port, "--pid", running.pid, "--seconds", settings.seconds),
            *("--tasks", tasks),
        )
        return run_reporting(command, clients_core)
