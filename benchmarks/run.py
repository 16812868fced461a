"""Measure snowtrio beside its peers: processor time a message, in the same run.

    python benchmarks/run.py                            # everything, five rounds
    python benchmarks/run.py --quick                    # under a minute: what the goals compare
    python benchmarks/run.py --only lines-64x64 --only tls --json figures.json
    python benchmarks/run.py --from figures.json --chart figures.svg
    python benchmarks/run.py --docs                     # and write what the documentation shows
    python benchmarks/run.py --list

Servers run one at a time on one core, the load on another, in rounds that are interleaved so that a
change of the machine's speed meets all of them.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import certificates
import goals
import machine
import rounds
import scenarios
import terminal
from measure.settings import Settings
from results import Results


def planned(options: argparse.Namespace) -> list[tuple[scenarios.Scenario, list[str]]]:
    """Return the scenarios to run, each with its servers."""
    plan: list[tuple[scenarios.Scenario, list[str]]] = []
    for scenario in scenarios.chosen(options.only):
        servers = list(scenario.servers)
        if options.servers:
            servers = [server for server in servers if server in options.servers]
        elif options.quick and not options.only:
            servers = [server for server in servers if server in goals.needed_by(scenario.name)]
        if servers:
            plan.append((scenario, servers))
    if not plan:
        raise LookupError("none of these servers takes part")
    return plan


def measure(options: argparse.Namespace) -> Results:
    """Run what was asked for."""
    seconds = options.seconds or (0.3 if options.quick else 0.8)
    number = options.rounds or (1 if options.quick else 5)
    plan = planned(options)
    results = Results(
        machine.description(),
        {"rounds": str(number), "seconds": f"{seconds:g}", "began": time.strftime("%Y-%m-%d")},
    )
    with tempfile.TemporaryDirectory() as folder, terminal.progress() as progress:
        certificates.issue(Path(folder))
        settings = Settings(seconds, Path(folder), many=1000 if options.quick else 5000)
        rounds.run_all(plan, number, settings, results, progress)
    return results


def main() -> int:
    """Run what the command line asks for; return the exit status."""
    options = parse_arguments()
    if options.list:
        terminal.show_list()
        return 0
    machine.allow_many_descriptors()
    try:
        results = Results.load(options.results) if options.results else measure(options)
    except (LookupError, OSError) as error:
        sys.exit(f"run: {error}")
    terminal.show(results)
    write(results, options)
    return 1 if any(" failed: " in note for note in results.notes) else 0


def write(results: Results, options: argparse.Namespace) -> None:
    """Write the files that were asked for."""
    if options.json:
        results.save(options.json)
    if options.chart:
        import chart

        chart.bars(results, options.chart, list(results.scenarios))
    if options.docs:
        import pages

        pages.write(results)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--list", action="store_true", help="print the scenarios, and stop")
    parser.add_argument("--only", action="append", default=[], help="a scenario or a family")
    parser.add_argument("--servers", nargs="+", help="only these")
    parser.add_argument("--quick", action="store_true", help="one short round of what has goals")
    parser.add_argument("--rounds", type=int, help="5, or 1 with --quick")
    parser.add_argument("--seconds", type=float, help="of a slice: 0.8, or 0.3 with --quick")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--from", type=Path, dest="results", help="measure nothing: read this file")
    parser.add_argument("--chart", type=Path, help="write a chart to this file, as SVG")
    parser.add_argument("--docs", action="store_true", help="write the documentation's figures")
    options = parser.parse_args()
    if options.docs and (options.only or options.servers or options.quick):
        parser.error("the documentation shows a whole run: --docs goes with no choice of parts")
    return options


if __name__ == "__main__":
    sys.exit(main())
