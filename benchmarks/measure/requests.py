"""Clients of a real Redis, many tasks on few connections: what a request costs the client."""

from __future__ import annotations

import machine
import roster
from measure.processes import python, run_reporting
from measure.redis import real_redis
from measure.settings import Figures, Settings

# Some clients need a fifth of a millisecond for each of a hundred thousand requests.
PATIENCE = 300.0


def measure(client: str, settings: Settings, *, tasks: int) -> Figures:
    """Return what so many tasks cost that get a key a hundred times each; fewer for short slices.

    The work is the same for all clients, however long it takes them.
    """
    clients_core, servers_core = machine.cores()
    entry = roster.REDIS_CLIENTS[client]
    with real_redis(servers_core) as running:
        command = python(
            f"clients.{entry.module}",
            *((entry.variant,) if entry.variant else ()),
            *("--port", running.port, "--pid", running.pid, "--tasks", tasks),
            *("--gets", min(100, round(125 * settings.seconds))),
        )
        return run_reporting(command, clients_core, PATIENCE)
