"""What a second worker brings: requests a second with one and with two, and what each costs.

python benchmarks/workers.py --rounds 3 --seconds 2

The load shares the processors with the workers. It sends bursts, so that it takes little of them,
and sleeps when there is nothing to do; what it took is printed beside the rest. "Capacity" is what
the workers would answer with a processor each to themselves: requests for each second of their
processor time, times their number.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import selectors
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import machine
from load.pinger import FRAMES, Pinger, open_pinger

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "examples"
CONNECTIONS = 64


@attrs.frozen
class Parent:
    """An example that has said where it listens, and its workers."""

    port: int
    pids: tuple[int, ...]

    def cpu_seconds(self) -> list[float]:
        return [machine.cpu_seconds(pid) for pid in self.pids]


@attrs.frozen
class Figures:
    """What one slice gave.

    Parameters:
        rate: requests a second.
        cost: microseconds of the workers' processor time a request.
        spread: the share of that time that the busiest worker had.
        load: processors that the load took.
    """

    rate: float
    cost: float
    spread: float
    load: float


@contextlib.contextmanager
def running(example: str, workers: int) -> Iterator[Parent]:
    """Run an example with so many workers for the time of a block."""
    command = [sys.executable, str(EXAMPLES / f"{example}.py"), "--port", "0"]
    command += ["--workers", str(workers), "--max-connections", "1000"]
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            errors.seek(0)
            logged = errors.read()
            if not said:
                raise RuntimeError(f"{example} did not start: {logged}")
            pids = re.findall(r"worker \d+ \((\d+)\) is ready", logged)
            yield Parent(int(said.rpartition(":")[2]), tuple(map(int, pids)))
        finally:
            process.terminate()


def drive(pingers: list[Pinger], seconds: float) -> int:
    """Keep all connections busy, each by itself; return how many bursts came back."""
    done = 0
    with selectors.DefaultSelector() as selector:
        for pinger in pingers:
            selector.register(pinger.sock, selectors.EVENT_READ, pinger)
            pinger.send()
        missing, end = len(pingers), time.perf_counter() + seconds
        while missing:
            for key, _ in selector.select():
                if key.data.receive():
                    done += 1
                    if time.perf_counter() < end:
                        key.data.send()
                    else:
                        missing -= 1
    return done


def ask_lines(parent: Parent, seconds: float, in_flight: int) -> tuple[int, float, float]:
    """Return the requests, and the wall and processor time that the load took."""
    frame = FRAMES["lines"]
    pingers = []
    for number in range(CONNECTIONS):
        burst = b"".join(frame(number, each, 64) for each in range(in_flight))
        pingers.append(open_pinger(parent.port, burst, None))
        pingers[-1].exchange()
    began, cpu = time.perf_counter(), time.process_time()
    done = drive(pingers, seconds)
    took = time.perf_counter() - began, time.process_time() - cpu
    for pinger in pingers:
        pinger.close()
    return done * in_flight, *took


def ask_wrk(parent: Parent, seconds: float) -> tuple[int, float, float]:
    """Return the same for ``wrk``; it knows whole seconds only, and its processor time nobody."""
    command = ["wrk", "-t", "1", "-c", str(CONNECTIONS), "-d", f"{max(1, round(seconds))}s"]
    command += ["-s", "load/wrk.lua", f"http://127.0.0.1:{parent.port}/stats"]
    done = subprocess.run(command, cwd=HERE, check=True, capture_output=True, text=True)
    counted = json.loads(done.stdout.splitlines()[-1])
    if counted["failed"]:
        raise RuntimeError(f"wrk saw {counted['failed']} requests fail")
    return counted["requests"], counted["microseconds"] / 1e6, float("nan")


Ask = Callable[[Parent, float], tuple[int, float, float]]
CASES: dict[str, tuple[str, Ask]] = {
    "lines, 64 in flight": ("line_server", lambda parent, s: ask_lines(parent, s, 64)),
    "lines, 1 in flight": ("line_server", lambda parent, s: ask_lines(parent, s, 1)),
    "JSON over HTTP, wrk": ("http_json_server", ask_wrk),
}


def measure(case: str, workers: int, seconds: float) -> Figures:
    """Return what one slice gave."""
    example, ask = CASES[case]
    with running(example, workers) as parent:
        before = parent.cpu_seconds()
        requests, wall, load = ask(parent, seconds)
        used = [after - b for after, b in zip(parent.cpu_seconds(), before, strict=True)]
    return Figures(requests / wall, sum(used) / requests * 1e6, max(used) / sum(used), load / wall)


def main(rounds: int, seconds: float) -> None:
    """Measure all cases in turn, so often; print medians."""
    found: dict[tuple[str, int], list[Figures]] = {}
    for _ in range(rounds):
        for case in CASES:
            for workers in (1, 2):
                found.setdefault((case, workers), []).append(measure(case, workers, seconds))
    columns = ("requests/s", "us CPU each", "busiest", "load CPU", "capacity/s")
    print(f"{'':32}" + "".join(f"{column:>14}" for column in columns))
    rates: dict[str, dict[int, float]] = {}
    for (case, workers), figures in found.items():
        middle = Figures(
            *(statistics.median(each) for each in zip(*map(attrs.astuple, figures), strict=True))
        )
        rates.setdefault(case, {})[workers] = middle.rate
        print(
            f"{case:22}{workers} worker{'s' * (workers > 1):2}"
            f"{middle.rate:13,.0f}{middle.cost:14.1f}{middle.spread:14.0%}{middle.load:14.2f}"
            f"{workers * 1e6 / middle.cost:14,.0f}"
        )
    for case, of_case in rates.items():
        print(f"{case}: two answer {of_case[2] / of_case[1]:.2f} times as many as one")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    main(options.rounds, options.seconds)
