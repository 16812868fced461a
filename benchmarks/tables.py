"""Results as grids of text, for the terminal and for the documentation."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import goals
from results import Results, ScenarioResult


def three_digits(value: float) -> str:
    """Return a number with three digits that count."""
    places = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:,.{places}f}"


COLUMNS: dict[str, tuple[str, Callable[[float], str]]] = {
    "spoken": ("after a line", three_digits),
    "rate": ("a second", "{:,.0f}".format),
    "p50_ms": ("p50 ms", three_digits),
    "p99_ms": ("p99 ms", three_digits),
    "per_wake": ("a wake-up", "{:.1f}".format),
    "busy": ("own core", "{:.0%}".format),
    "load": ("load's", "{:.0%}".format),
}
"""The columns beside the cost: what stands above them, and how they are written."""


@attrs.frozen
class Grid:
    """A table.

    Parameters:
        headings: above the columns.
        texts: how many columns at the left are text; the others are figures.
        rows: the cells.
    """

    headings: list[str]
    texts: int
    rows: list[list[str]]


def is_ours(server: str) -> bool:
    """Whether a server is one of snowtrio's."""
    return server.startswith("snowtrio")


def peers_shown(name: str, scenario: ScenarioResult) -> list[str]:
    """Return whom a scenario's table compares with: the goals' peers, or else all there are."""
    named = [peer for peer in goals.peers_of(name) if peer in scenario.servers]
    return named or [server for server in scenario.servers if not is_ours(server)]


def scenario_grid(name: str, scenario: ScenarioResult) -> Grid:
    """Return what one scenario gave: a row for each server."""
    peers = peers_shown(name, scenario)
    first = next(iter(scenario.servers.values()))
    columns = [column for column in COLUMNS if column in first.columns]
    headings = ["server", scenario.unit]
    headings += [f"x {peer.replace('-', ' ')}" for peer in peers]
    headings += ["spread", *(COLUMNS[column][0] for column in columns)]
    rows = [
        [
            server,
            three_digits(scenario.cost(server)),
            *(f"{scenario.ratio(server, peer):.2f}" for peer in peers),
            f"{result.spread:.0%}" if len(result.rounds) > 1 else "",
            *(COLUMNS[column][1](result.median(column)) for column in columns),
        ]
        for server, result in scenario.servers.items()
    ]
    return Grid(headings, 1, rows)


def goals_grid(verdicts: list[goals.Verdict]) -> Grid:
    """Return what became of the goals: a row for each."""
    headings = ["scenario", "server", "compared with", "holds", "measured", "goal", "stretch"]
    rows = [
        [
            verdict.goal.scenario,
            verdict.goal.server,
            verdict.goal.peer or "none (KiB)",
            in_words(verdict),
            f"{verdict.measured:.2f}",
            *("" if b is None else f"{b:.2f}" for b in (verdict.goal.goal, verdict.goal.stretch)),
        ]
        for verdict in verdicts
    ]
    return Grid(headings, 4, rows)


def in_words(verdict: goals.Verdict) -> str:
    """Return whether goal and stretch hold."""
    if verdict.holds is None:
        return "stretch" if verdict.stretched else "not the stretch"
    if not verdict.holds:
        return "no"
    return "yes, stretch too" if verdict.stretched else "yes"


def losses(results: Results) -> list[tuple[str, str, float, list[str]]]:
    """Return where a peer is cheaper than our cheapest.

    For each such scenario: its title, our cheapest, how many times the cheapest peer's cost that
    is, and all the peers that are cheaper, the cheapest first.
    """
    found: list[tuple[str, str, float, list[str]]] = []
    for scenario in results.scenarios.values():
        order = sorted(scenario.servers, key=scenario.cost)
        best = next((server for server in order if is_ours(server)), None)
        cheaper = order[: order.index(best)] if best is not None else []
        if best is not None and cheaper:
            found.append((scenario.title, best, scenario.ratio(best, cheaper[0]), cheaper))
    return found
