"""Tables for the terminal: one a scenario, and the goals."""

from __future__ import annotations

import goals
from results import Results, ScenarioResult
from rich import box
from rich.console import Console
from rich.table import Table

HEADINGS = {
    "spoken": ("after a line", "{:.2f}"),
    "rate": ("a second", "{:,.0f}"),
    "p50_ms": ("p50 ms", "{:.2f}"),
    "p99_ms": ("p99 ms", "{:.2f}"),
    "per_wake": ("a wake-up", "{:.1f}"),
    "busy": ("own core", "{:.0%}"),
    "load": ("load's", "{:.0%}"),
}
"""The columns beside the cost: what stands above them, and how they are written."""


def plain_table() -> Table:
    """Return an empty table without much around it."""
    return Table(box=box.SIMPLE_HEAD)


def scenario_table(name: str, scenario: ScenarioResult) -> Table:
    """Return the table of one scenario."""
    peers = [peer for peer in goals.peers_of(name) if peer in scenario.servers]
    peers = peers or [server for server in scenario.servers if not server.startswith("snowtrio")]
    first = next(iter(scenario.servers.values()))
    columns = [column for column in HEADINGS if column in first.columns]
    headings = [scenario.unit, "spread", *(f"x {peer.replace('-', ' ')}" for peer in peers)]
    table = plain_table()
    table.add_column("server", no_wrap=True)
    for heading in headings:
        table.add_column(heading, justify="right")
    for column in columns:
        table.add_column(HEADINGS[column][0], justify="right", style="dim")
    for server, result in scenario.servers.items():
        table.add_row(
            server,
            f"{scenario.cost(server):.2f}",
            f"{result.spread:.0%}",
            *(f"{scenario.ratio(server, peer):.2f}" for peer in peers),
            *(HEADINGS[column][1].format(result.median(column)) for column in columns),
            style="bold" if server.startswith("snowtrio") else None,
        )
    return table


def goals_table(results: Results) -> Table:
    """Return what became of the goals."""
    table = plain_table()
    for heading in ("scenario", "server", "compared with"):
        table.add_column(heading)
    for heading in ("measured", "goal", "stretch"):
        table.add_column(heading, justify="right")
    table.add_column("holds")
    for verdict in goals.verdicts(results):
        goal = verdict.goal
        table.add_row(
            goal.scenario,
            goal.server,
            goal.peer or "itself",
            f"{verdict.measured:.2f}",
            *("" if bound is None else f"{bound:.2f}" for bound in (goal.goal, goal.stretch)),
            in_words(verdict),
            style="red" if verdict.holds is False else None,
        )
    return table


def in_words(verdict: goals.Verdict) -> str:
    """Return whether goal and stretch hold."""
    if verdict.stretched:
        return "yes, stretch too" if verdict.holds else "stretch"
    if verdict.holds is None:
        return "not the stretch"
    return "yes" if verdict.holds else "no"


def show(results: Results, console: Console) -> None:
    """Print everything that was measured."""
    for name, scenario in results.scenarios.items():
        console.print(f"[bold]{name}[/]: {scenario.title}", highlight=False)
        console.print(scenario_table(name, scenario))
    if goals.verdicts(results):
        console.print("[bold]the goals[/]")
        console.print(goals_table(results))
    for note in results.notes:
        console.print(f"note: {note}")
