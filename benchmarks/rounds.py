"""The order of measurements: every server once, then every server again."""

from __future__ import annotations

import shutil

import roster
from load.errors import WrongReplyError
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
    order: list[tuple[Scenario, int, str]] = []
    for scenario, servers in plan:
        found = present(scenario, servers, results.notes)
        times = min(rounds, scenario.most_rounds or rounds)
        order += [(scenario, number, server) for number in range(times) for server in found]
    task = progress.add_task("", total=len(order))
    shown = ""
    for scenario, number, server in order:
        if scenario.name != shown and not progress.console.is_terminal:
            # Nothing moves where this goes to: a line now and then.
            shown = scenario.name
            progress.console.print(shown)
        about = f"{scenario.name} {number + 1}/{rounds} {server}"
        progress.update(task, description=about)
        measure_once(scenario, server, settings, results)
        progress.advance(task)


def present(scenario: Scenario, servers: list[str], notes: list[str]) -> list[str]:
    """Return the servers that are installed, and note what is missing."""
    if scenario.needs and shutil.which(scenario.needs) is None:
        notes.append(f"{scenario.name}: not installed: {scenario.needs}")
        return []
    absent = [server for server in servers if not roster.is_installed(server)]
    if absent:
        notes.append(f"{scenario.name}: not installed: {', '.join(absent)}")
    return [server for server in servers if server not in absent]


def measure_once(scenario: Scenario, server: str, settings: Settings, results: Results) -> None:
    """Measure one server once; what fails is noted, and the others go on."""
    try:
        figures = scenario.measure(server, settings)
    except (MeasurementError, WrongReplyError, OSError) as error:
        results.notes.append(f"{scenario.name}: {server} failed: {error}")
    else:
        new = ScenarioResult(scenario.title, scenario.unit)
        result = results.scenarios.setdefault(scenario.name, new)
        result.servers.setdefault(server, ServerResult()).rounds.append(figures)
