"""What a run shows on the terminal."""

from __future__ import annotations

import goals
import tables
from results import Results
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from scenarios import SCENARIOS

# Where the output goes to a file, and has no width of its own.
WIDTH = 150


def console() -> Console:
    """Return where tables go."""
    shown = Console(highlight=False)
    return shown if shown.is_terminal else Console(highlight=False, width=WIDTH)


def progress() -> Progress:
    """Return a display that takes next to no time away from what is measured."""
    return Progress(
        BarColumn(30),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
        console=Console(stderr=True),
        refresh_per_second=2,
    )


def table(grid: tables.Grid, strong: list[bool]) -> Table:
    """Return a table, some of its rows more visible than others."""
    drawn = Table(box=box.SIMPLE_HEAD)
    for number, heading in enumerate(grid.headings):
        text = number < grid.texts
        drawn.add_column(heading, justify="left" if text else "right", no_wrap=text)
    for row, bold in zip(grid.rows, strong, strict=True):
        drawn.add_row(*row, style="bold" if bold else None)
    return drawn


def show(results: Results) -> None:
    """Print everything that was measured."""
    shown = console()
    for name, scenario in results.scenarios.items():
        grid = tables.scenario_grid(name, scenario)
        shown.print(f"[bold]{name}[/]: {scenario.title}")
        shown.print(table(grid, [tables.is_ours(row[0]) for row in grid.rows]))
    if verdicts := goals.verdicts(results):
        shown.print("[bold]the goals[/], those that do not hold in bold")
        grid = tables.goals_grid(verdicts)
        shown.print(table(grid, [verdict.holds is False for verdict in verdicts]))
    for note in results.notes:
        shown.print(f"note: {note}", markup=False)


def show_list() -> None:
    """Print the scenarios and who takes part."""
    shown = console()
    for scenario in SCENARIOS:
        shown.print(f"{scenario.name:16} {scenario.title}")
        shown.print(f"{'':16} {' '.join(scenario.servers)}", style="dim")
