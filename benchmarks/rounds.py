"""The order of measurements: every server once, then every server again."""

from __future__ import annotations

import roster
from measure.processes import MeasurementError
from measure.settings import Settings
from results import Results, ScenarioResult, ServerResult
from rich.progress import Progress
from scenarios import Scenario


def run_all(
    plan: list[tuple[Scenario, list[str]]],
    rounds: int,
    settings: Settings,
    results: Results,
    progress: Progress,
) -> None:
    """Measure all scenarios into `results`."""
    total = rounds * sum(len(servers) for _, servers in plan)
    task = progress.add_task("", total=total)
    for scenario, servers in plan:
        result = ScenarioResult(scenario.title, scenario.unit)
        results.scenarios[scenario.name] = result
        willing = [server for server in servers if roster.is_installed(server)]
        if absent := set(servers) - set(willing):
            results.notes.append(f"{scenario.name}: not installed: {', '.join(sorted(absent))}")
            progress.advance(task, rounds * len(absent))
        for number in range(rounds):
            for server in willing:
                progress.update(task, description=f"{scenario.name} {number + 1}/{rounds} {server}")
                measure_once(scenario, server, settings, result, results.notes)
                progress.advance(task)


def measure_once(
    scenario: Scenario,
    server: str,
    settings: Settings,
    result: ScenarioResult,
    notes: list[str],
) -> None:
    """Measure one server once; what fails is noted, and the others go on."""
    try:
        figures = scenario.measure(server, settings)
    except MeasurementError as error:
        notes.append(f"{scenario.name}: {server} failed: {error}")
    else:
        result.servers.setdefault(server, ServerResult()).rounds.append(figures)
