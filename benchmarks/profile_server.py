"""Where a message's time goes, function by function.

    python benchmarks/profile_server.py --server snowtrio-function --connections 64 --in-flight 1
    python benchmarks/profile_server.py --scenario pool-1000 --sort calls

The measured process runs twice, without a profiler and with one. A profiler makes every call
dearer, small functions most: the calls are exact, the times tell what to look at, and only the
first run tells what it costs.
"""

from __future__ import annotations

import argparse
import os
import pstats
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import TypeAlias

import attrs
import certificates
import machine
import profiles
import scenarios
from measure.processes import MeasurementError
from measure.settings import Figures, Settings
from rich import box
from rich.console import Console
from rich.table import Table

Statistics: TypeAlias = dict[tuple[str, int, str], tuple[int, int, float, float, object]]

# The longest first: an environment may lie within the checkout.
CHECKOUT = str(Path(__file__).parents[1])
ROOTS = sorted(
    [sysconfig.get_path("purelib"), sysconfig.get_path("stdlib"), CHECKOUT], key=len, reverse=True
)

# Waiting is not work.
WAITING = ("'poll' of 'select.", "'control' of 'select.")


@attrs.frozen
class Function:
    """One function: calls, and seconds without and with what it calls."""

    name: str
    calls: int
    own: float
    total: float


def short_name(file: str, line: int, name: str) -> str:
    """Return a function's name with its file, as short as it can be told."""
    if file == "~":
        return name.strip("<>").removeprefix("method ").removeprefix("built-in ")
    root = next((root for root in ROOTS if file.startswith(root + os.sep)), "")
    return f"{file.removeprefix(root + os.sep)}:{line} {name}"


def functions(path: Path) -> list[Function]:
    """Return what a profile has, without the waiting."""
    # Its type does not say what every user of a profile needs.
    statistics: Statistics = pstats.Stats(str(path)).stats  # type: ignore[attr-defined]
    return [
        Function(short_name(*where), calls, own, total)
        for where, (_, calls, own, total, _) in statistics.items()
        if not any(sign in where[2] for sign in WAITING)
    ]


def table(found: list[Function], units: int, sort: str, top: int) -> Table:
    """Return the functions that matter most."""
    shown = Table(box=box.SIMPLE_HEAD)
    shown.add_column("function", overflow="fold")
    for heading in ("calls each", "own µs each", "share", "with callees"):
        shown.add_column(heading, justify="right", no_wrap=True)
    work = sum(function.own for function in found)
    found.sort(key=lambda function: getattr(function, sort), reverse=True)
    for function in found[:top]:
        shown.add_row(
            function.name,
            f"{function.calls / units:.2f}",
            f"{function.own / units * 1e6:.2f}",
            f"{function.own / work:.1%}",
            f"{function.total / units * 1e6:.2f}",
        )
    rest = found[top:]
    shown.add_row(
        f"{len(rest)} others",
        f"{sum(function.calls for function in rest) / units:.2f}",
        f"{sum(function.own for function in rest) / units * 1e6:.2f}",
        f"{sum(function.own for function in rest) / work:.1%}",
        style="dim",
    )
    return shown


def measure(
    scenario: scenarios.Scenario, server: str, seconds: float
) -> tuple[Figures, Figures, list[Function]]:
    """Return the figures without and with a profiler, and what that found."""
    with tempfile.TemporaryDirectory() as folder:
        certificates.issue(Path(folder))
        settings = Settings(seconds, Path(folder))
        plain = scenario.measure(server, settings)
        path = Path(folder, "profile")
        os.environ[profiles.VARIABLE] = str(path)
        profiled = scenario.measure(server, settings)
        if not path.exists():
            raise LookupError(f"{scenario.name} has no slice that could be profiled")
        return plain, profiled, functions(path)


def main() -> None:
    """Measure and print."""
    options = parse_arguments()
    machine.allow_many_descriptors()
    try:
        scenario = asked_for(options)
        plain, profiled, found = measure(scenario, options.server, options.seconds)
    except (LookupError, MeasurementError) as error:
        sys.exit(f"profile: {error}")
    console = Console(width=None if sys.stdout.isatty() else 130)
    console.print(f"[bold]{options.server}[/]: {scenario.title}", highlight=False)
    console.print(
        f"{scenario.unit}: {plain['cost']:.2f}, with the profiler {profiled['cost']:.2f}; "
        f"{profiled['units']:,.0f} of them in the profile",
        highlight=False,
    )
    console.print(table(found, int(profiled["units"]), options.sort, options.top))


def asked_for(options: argparse.Namespace) -> scenarios.Scenario:
    """Return the scenario that is named, or the line echo that the numbers describe."""
    if options.scenario is None:
        return scenarios.lines(options.connections, options.in_flight, (options.server,))
    for scenario in scenarios.chosen([options.scenario]):
        if options.server in scenario.servers:
            return scenario
    raise LookupError(f"{options.server} does not take part in {options.scenario}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--server", default="snowtrio", help="which server, or measured client")
    parser.add_argument("--scenario", help="one of the benchmarks'; a line echo if not given")
    parser.add_argument("--connections", type=int, default=64, help="of the line echo")
    parser.add_argument("--in-flight", type=int, default=64, help="of the line echo")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each of the two slices")
    parser.add_argument("--sort", choices=["own", "calls", "total"], default="own")
    parser.add_argument("--top", type=int, default=40, help="how many functions to show")
    return parser.parse_args()


if __name__ == "__main__":
    main()
