"""What a run leaves in the documentation: ``docs/explanation/performance/``.

The page beside that folder says how the figures came about and what they mean; it includes the one
that is written here. So a new run changes figures and never the text.
"""

from __future__ import annotations

from pathlib import Path

import chart
import goals
import tables
from results import Results

FOLDER = Path(__file__).parents[1] / "docs" / "explanation" / "performance"

FIRST = ("processor", "system", "python")
"""Of what a run says about its machine: what stands without its name."""

WHAT_BARS_ARE = (
    "A bar is the median, and the line on it reaches from the best round to the worst. "
    "Shorter is better."
)

COMMENT = "% Written by benchmarks/run.py --docs. Do not edit."


def write(results: Results, folder: Path = FOLDER) -> None:
    """Write the page of figures and its charts."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "figures.md").write_text(
        "\n\n".join(
            [
                COMMENT,
                *about(results),
                *charts(results, folder),
                *goals_section(results),
                *losses_section(results),
                *tables_section(results),
            ]
        )
        + "\n"
    )


def about(results: Results) -> list[str]:
    """Return where and how the figures came about."""
    versions = [f"{name} {value}" for name, value in results.machine.items() if name not in FIRST]
    where = [results.machine[name] for name in FIRST]
    settings = results.settings
    how = f"{settings['rounds']} rounds, {settings['seconds']} s a slice"
    return [
        "### The run",
        f"Measured on {settings['began']}: {', '.join([*where, *versions])}. {how}.",
        *(f"Note: {note}." for note in results.notes),
    ]


def charts(results: Results, folder: Path) -> list[str]:
    """Draw the charts; return the part of the page that shows them."""
    parts = [
        "### Charts",
        WHAT_BARS_ARE,
    ]
    echoes = [name for name in results.scenarios if name.startswith("lines-")]
    others = [name for name in results.scenarios if name not in echoes]
    for file, names, title in (
        ("lines.svg", echoes, "Line echo: CPU time a message"),
        ("others.svg", others, "Everything else: CPU time, and memory"),
    ):
        if names:
            chart.bars(results, folder / file, names)
            parts.append(f"![{title}]({file})")
    if chart.growth(results, folder / "connections.svg"):
        parts.append("![CPU time a message among 64, 512 and 4,096 connections](connections.svg)")
    return parts


def goals_section(results: Results) -> list[str]:
    """Return the goals, and whether they hold."""
    verdicts = goals.verdicts(results)
    if not verdicts:
        return []
    return ["### Goals", markdown(tables.goals_grid(verdicts))]


def losses_section(results: Results) -> list[str]:
    """Return where a peer is cheaper than whatever we have."""
    lost = tables.losses(results)
    if not lost:
        return ["### Where a peer is cheaper", "Nowhere."]
    rows = [
        [title, best, f"{ratio:.2f} x {cheaper[0]}", ", ".join(cheaper)]
        for title, best, ratio, cheaper in lost
    ]
    grid = tables.Grid(["scenario", "our cheapest", "costs", "cheaper"], 4, rows)
    return ["### Where a peer is cheaper", markdown(grid)]


def tables_section(results: Results) -> list[str]:
    """Return all the figures."""
    parts = ["### All figures"]
    for name, scenario in results.scenarios.items():
        parts += [
            f"**{scenario.title}** (`{name}`)",
            markdown(tables.scenario_grid(name, scenario)),
        ]
    return parts


def markdown(grid: tables.Grid) -> str:
    """Return a grid as a table in Markdown."""
    rules = ["---" if number < grid.texts else "---:" for number in range(len(grid.headings))]
    lines = [grid.headings, rules, *grid.rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
