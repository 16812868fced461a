"""HTTP servers under ``wrk``, and HTTP clients against a server that costs next to nothing."""

from __future__ import annotations

import http.client
import json
import math
import time

import machine
import profiles
import roster
from measure.processes import (
    PATIENCE,
    MeasurementError,
    python,
    run_load,
    run_reporting,
    serving,
)
from measure.settings import Figures, Settings
from peers.hello import MESSAGE

SCRIPT = "load/wrk.lua"

# So that nothing happens for the first time within the slice.
WARMING = 500

# httpx needs a millisecond for each of some thousand fetches.
CLIENTS_PATIENCE = 300.0


def warm_up(port: int) -> None:
    """Ask one request after the other, and look at the replies: ``wrk`` looks at their status."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    for _ in range(WARMING):
        connection.request("GET", "/")
        response = connection.getresponse()
        body = response.read()
        if response.status != 200 or json.loads(body) != MESSAGE:
            raise MeasurementError(f"a reply with status {response.status}: {body!r}")
    connection.close()


def wrk(port: int, core: int, connections: int, depth: int, seconds: int) -> dict[str, float]:
    """Run ``wrk`` once; return what it counted."""
    options = ["-t", "1", "-c", str(connections), "-d", f"{seconds}s", "-s", SCRIPT]
    command = ["wrk", *options, f"http://127.0.0.1:{port}/", "--", str(depth)]
    counted: dict[str, float] = json.loads(run_load(command, core).splitlines()[-1])
    if counted["failed"]:
        raise MeasurementError(f"wrk saw {counted['failed']:.0f} requests fail")
    return counted


def depth_of(server: str, depth: int) -> int:
    """Return how many requests a server gets at a time."""
    return 1 if server.endswith("-unpipelined") else depth


def measure_server(server: str, settings: Settings, *, connections: int, depth: int = 1) -> Figures:
    """Return what one slice cost the server; ``wrk`` knows whole seconds only."""
    servers_core, loads_core = machine.cores()
    seconds = math.ceil(settings.seconds)
    with serving(server, "http", core=servers_core) as running:
        warm_up(running.port)
        profiles.begin(running.pid)
        before, began = machine.cpu_seconds(running.pid), time.perf_counter()
        depth = depth_of(server, depth)
        counted = wrk(running.port, loads_core, connections, depth, seconds)
        cpu, elapsed = machine.cpu_seconds(running.pid) - before, time.perf_counter() - began
        profiles.end(running.pid)
    requests = counted["requests"]
    return {
        "cost": cpu / requests * 1e6,
        "rate": requests / counted["microseconds"] * 1e6,
        "p50_ms": counted["p50"] / 1e3,
        "p99_ms": counted["p99"] / 1e3,
        "busy": cpu / elapsed,
        "units": requests,
    }


def measure_client(client: str, settings: Settings, *, tasks: int) -> Figures:
    """Return what so many tasks cost that fetch a resource ten times or more each."""
    clients_core, servers_core = machine.cores()
    entry = roster.HTTP_CLIENTS[client]
    with serving(roster.cheapest_http(), "http", core=servers_core) as running:
        command = python(
            f"clients.{entry.module}",
            *((entry.variant,) if entry.variant else ()),
            *("--port", running.port, "--pid", running.pid, "--tasks", tasks),
            *("--gets", max(10, round(50 * settings.seconds))),
        )
        return run_reporting(command, clients_core, CLIENTS_PATIENCE)
