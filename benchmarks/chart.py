"""Charts of results, as SVG."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from results import Results, ScenarioResult
from tables import is_ours

OURS = "#1b6ca8"
THEIRS = "#b5bec8"
INK = "#333333"
LINES = ("#1b6ca8", "#58a5d8", "#d1495b", "#edae49", "#66a182", "#8d6a9f")

# The same figures give the same file: no random names in it, and text stays text.
STYLE: Any = {
    "svg.hashsalt": "snowtrio",
    "svg.fonttype": "none",
    "font.size": 8,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}

NUMBERS = (64, 512, 4096)
"""The numbers of connections in the chart of growth."""


def panel(axes: Axes, scenario: ScenarioResult) -> None:
    """Draw one scenario: a bar for each server, and a line from its best round to its worst."""
    servers = list(scenario.servers)[::-1]
    costs = [scenario.cost(server) for server in servers]
    rounds = [[each["cost"] for each in scenario.servers[server].rounds] for server in servers]
    reach = (
        [cost - min(each) for cost, each in zip(costs, rounds, strict=True)],
        [max(each) - cost for cost, each in zip(costs, rounds, strict=True)],
    )
    colors = [OURS if is_ours(server) else THEIRS for server in servers]
    axes.barh(servers, costs, color=colors, xerr=reach, error_kw={"lw": 0.8, "ecolor": INK})
    for place, (cost, each) in enumerate(zip(costs, rounds, strict=True)):
        axes.text(max(each), place, f"  {cost:.3g}", va="center", size=7)
    axes.set_title(scenario.title, size=8, loc="left")
    axes.set_xlabel(scenario.unit, size=7)
    axes.margins(x=0.15)
    axes.set_xlim(left=0)
    axes.spines[["top", "right"]].set_visible(False)


def bars(results: Results, path: Path, names: list[str]) -> None:
    """Write a chart with a panel for each of the scenarios."""
    columns = min(2, len(names))
    rows = math.ceil(len(names) / columns)
    scenarios = [results.scenarios[name] for name in names]
    heights = [
        max(len(each.servers) for each in scenarios[row * columns : (row + 1) * columns])
        for row in range(rows)
    ]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.2 * columns, sum(0.2 * h + 0.8 for h in heights)))
        ratios = [0.2 * height + 0.8 for height in heights]
        grid = figure.add_gridspec(rows, columns, height_ratios=ratios)
        for number, scenario in enumerate(scenarios):
            panel(figure.add_subplot(grid[divmod(number, columns)]), scenario)
        save(figure, path)


def growth(results: Results, path: Path) -> bool:
    """Write a chart of what a message costs among more and more connections; whether it could."""
    scenarios = {number: results.scenarios.get(f"lines-{number}x1") for number in NUMBERS}
    found = {number: each for number, each in scenarios.items() if each is not None}
    if len(found) < len(NUMBERS):
        return False
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 3.4))
        axes = figure.add_subplot()
        for server, color in zip(found[NUMBERS[-1]].servers, LINES, strict=False):
            costs = [each.cost(server) for each in found.values() if server in each.servers]
            if len(costs) == len(NUMBERS):
                width = 2.0 if is_ours(server) else 1.0
                axes.plot(NUMBERS, costs, marker="o", ms=4, lw=width, label=server, color=color)
        axes.set_xscale("log", base=2)
        axes.set_xticks(NUMBERS, [f"{number:,}" for number in NUMBERS])
        axes.set_ylim(bottom=0)
        axes.set_xlabel("connections, one message in flight on each")
        axes.set_ylabel("CPU µs a message")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
        save(figure, path)
    return True


def save(figure: Figure, path: Path) -> None:
    """Write a figure without the date, so that the same figures give the same file."""
    figure.set_layout_engine("constrained")
    figure.savefig(path, format="svg", metadata={"Date": None})
    # Git and editors dislike what matplotlib leaves at the ends of lines.
    lines = path.read_text().splitlines()
    path.write_text("\n".join(line.rstrip() for line in lines) + "\n")
