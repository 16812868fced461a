"""Line echo, side by side: the server's processor time for each message.

Servers run one at a time on one core, the load on another, in rounds that are interleaved so that a
change of the machine's speed meets all of them. The figure that counts is the ratio of processor
time a message to a peer's in the same run: it is steady where throughput is not.

    python benchmarks/run.py            # about two minutes
    python benchmarks/run.py --quick    # about half a minute
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
SCENARIOS = [(1, 1), (64, 1), (64, 64)]
PEERS = ["asyncio-streams", "trio", "uvloop-protocol", "uvloop-joined"]
OURS = ["snowtrio", "snowtrio-batches", "snowtrio-function"]


def pinned(core: int, command: list[str]) -> list[str]:
    """Return a command that runs on one core, where the system can do that."""
    cores = os.cpu_count() or 1
    return ["taskset", "-c", str(core % cores), *command] if sys.platform == "linux" else command


def measure(server: str, connections: int, in_flight: int, seconds: float) -> dict[str, float]:
    """Run one server under load once; return the load's counts."""
    command = pinned(0, [sys.executable, str(HERE / "servers.py"), server])
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port = process.stdout.readline().strip()
            load = [
                sys.executable,
                str(HERE / "load.py"),
                "--port",
                port,
                "--pid",
                str(process.pid),
            ]
            load += ["--connections", str(connections), "--in-flight", str(in_flight)]
            load += ["--seconds", str(seconds)]
            done = subprocess.run(pinned(1, load), capture_output=True, text=True, check=True)
        finally:
            process.kill()
    result: dict[str, float] = json.loads(done.stdout)
    return result


def available(server: str) -> bool:
    """Whether a server's library is installed."""
    if not server.startswith("uvloop"):
        return True
    try:
        import uvloop  # noqa: F401
    except ImportError:
        return False
    return True


def main() -> None:
    """Run all scenarios and print a table for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    rounds = options.rounds or (1 if options.quick else 5)
    seconds = options.seconds or (0.5 if options.quick else 1.0)
    servers = [server for server in OURS + PEERS if available(server)]
    figures = {}
    for connections, in_flight in SCENARIOS:
        name = f"{connections}x{in_flight}"
        results: dict[str, list[dict[str, float]]] = {server: [] for server in servers}
        for number in range(rounds):
            for server in servers:
                print(
                    f"\r{name}: round {number + 1} of {rounds}, {server:20}",
                    end="",
                    file=sys.stderr,
                )
                results[server].append(measure(server, connections, in_flight, seconds))
        print("\r" + " " * 60 + "\r", end="", file=sys.stderr, flush=True)
        figures[name] = summary(name, results)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


def summary(name: str, results: dict[str, list[dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Print and return the medians of one scenario."""
    rows = {}
    for server, runs in results.items():
        rows[server] = {
            "cpu_us": statistics.median(run["cpu"] / run["messages"] * 1e6 for run in runs),
            "rate": statistics.median(run["messages"] / run["seconds"] for run in runs),
            "p50_ms": statistics.median(run["p50"] for run in runs) * 1e3,
            "p99_ms": statistics.median(run["p99"] for run in runs) * 1e3,
        }
    base = rows["asyncio-streams"]["cpu_us"]
    print(f"\n{name} (connections x messages in flight)")
    print(
        f"{'server':20} {'CPU us/msg':>11} {'ratio':>7} {'msg/s':>10} {'p50 ms':>8} {'p99 ms':>8}"
    )
    for server, row in rows.items():
        print(
            f"{server:20} {row['cpu_us']:11.2f} {row['cpu_us'] / base:7.2f} {row['rate']:10.0f} "
            f"{row['p50_ms']:8.2f} {row['p99_ms']:8.2f}"
        )
    return rows


if __name__ == "__main__":
    main()
