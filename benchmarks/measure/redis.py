"""``redis-benchmark`` against the key-value server among the examples, and against a real Redis."""

from __future__ import annotations

import contextlib
import csv
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import machine
from measure.processes import PATIENCE, MeasurementError, Running, process, run_load
from measure.settings import Figures, Settings

EXAMPLE = Path(__file__).parents[2] / "examples" / "redis_server.py"

# Requests that show how fast a server is, so that a slice lasts as long as it should.
TRIAL = 5000


@contextlib.contextmanager
def example(core: int) -> Iterator[Running]:
    """Run the example."""
    with process([sys.executable, str(EXAMPLE), "--port", "0"], core) as child:
        assert child.stdout is not None
        said = child.stdout.readline()
        if not said:
            child.wait()
            raise MeasurementError("the example did not start")
        yield Running(child.pid, int(said.rpartition(":")[2]))


@contextlib.contextmanager
def real_redis(core: int) -> Iterator[Running]:
    """Run a real Redis that keeps everything in memory."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1"]
    command += ["--save", "", "--appendonly", "no", "--daemonize", "no"]
    with process(command, core) as child:
        wait_until_it_listens(port)
        yield Running(child.pid, port)


def wait_until_it_listens(port: int) -> None:
    """Try to connect until that works."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port)).close()
            return
        time.sleep(0.02)
    raise MeasurementError("redis-server did not start")


SERVERS = {"snowtrio": example, "redis-server": real_redis}


def benchmark(port: int, core: int, command: str, pipeline: int, requests: int) -> dict[str, str]:
    """Run ``redis-benchmark`` once; return the row that it prints."""
    options = ["-p", str(port), "-t", command, "-P", str(pipeline), "-n", str(requests), "--csv"]
    printed = run_load(["redis-benchmark", *options], core)
    rows = list(csv.DictReader(printed.splitlines()))
    if len(rows) != 1:
        raise MeasurementError(f"redis-benchmark printed {printed!r}")
    return rows[0]


def measure(server: str, settings: Settings, *, command: str, pipeline: int) -> Figures:
    """Return what one slice cost the server."""
    servers_core, loads_core = machine.cores()
    with SERVERS[server](servers_core) as running:
        benchmark(running.port, loads_core, "set", pipeline, TRIAL)
        trial = benchmark(running.port, loads_core, command, pipeline, TRIAL)
        requests = max(TRIAL, int(float(trial["rps"]) * settings.seconds))
        before, began = machine.cpu_seconds(running.pid), time.perf_counter()
        row = benchmark(running.port, loads_core, command, pipeline, requests)
        cpu, elapsed = machine.cpu_seconds(running.pid) - before, time.perf_counter() - began
    return {
        "cost": cpu / requests * 1e6,
        "rate": float(row["rps"]),
        "p50_ms": float(row["p50_latency_ms"]),
        "p99_ms": float(row["p99_latency_ms"]),
        "busy": cpu / elapsed,
        "units": requests,
    }
