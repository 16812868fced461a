"""What snowtrio wants to reach, as data, and whether it does.

A bound is a ratio to a peer in the same run, or an amount where there is no peer. The goals are
never asserted by a test: they depend on the machine.
"""

from __future__ import annotations

import attrs
from results import Results


@attrs.frozen(kw_only=True)
class Goal:
    """A bound on one of our servers.

    Parameters:
        scenario: its name.
        server: which of ours.
        peer: whom to compare with; "" bounds the cost itself.
        goal: the most that it may be; None where only the stretch names this peer.
        stretch: what would be better still.
    """

    scenario: str
    server: str = "snowtrio"
    peer: str = ""
    goal: float | None = None
    stretch: float | None = None


def compare(
    scenario: str, server: str, peer: str, goal: float | None, stretch: float | None = None
) -> Goal:
    """Return a goal that is a ratio."""
    return Goal(scenario=scenario, server=server, peer=peer, goal=goal, stretch=stretch)


GOALS = (
    compare("lines-64x64", "snowtrio", "asyncio-streams", 0.16, 0.11),
    compare("lines-64x64", "snowtrio", "uvloop-protocol", 0.30, 0.2),
    compare("lines-64x64", "snowtrio-batches", "uvloop-joined", 1.5, 1.0),
    compare("lines-64x64", "snowtrio-function", "uvloop-joined", 1.5, 1.0),
    compare("lines-64x1", "snowtrio", "asyncio-streams", 1.05, 0.85),
    compare("lines-64x1", "snowtrio", "trio", 0.6),
    compare("lines-512x1", "snowtrio", "asyncio-streams", 1.05, 0.85),
    compare("lines-512x1", "snowtrio", "trio", 0.6),
    compare("lines-64x1", "snowtrio-function", "asyncio-streams", 0.6),
    compare("lines-64x1", "snowtrio-function", "uvloop-protocol", 1.3, 1.0),
    compare("lines-1x1", "snowtrio", "asyncio-streams", 1.35, 1.0),
    compare("lines-1x1", "snowtrio", "trio", 0.9),
    compare("lines-1x1", "snowtrio-function", "asyncio-streams", 1.15, 0.9),
    compare("prefix-256KiB", "snowtrio", "asyncio-streams", 1.0),
    compare("prefix-256KiB", "snowtrio", "uvloop-streams", None, 1.0),
    compare("tls-64x64", "snowtrio", "asyncio-streams", 0.35, 0.2),
    compare("pool-1000", "snowtrio", "asyncio-streams", 0.5, 0.25),
    compare("broadcast-1", "snowtrio", "asyncio-streams", 0.5, 0.3),
    compare("broadcast-16", "snowtrio", "asyncio-streams", 0.5, 0.3),
    compare("connects", "snowtrio", "asyncio-streams", 1.0, 0.8),
    compare("requests-1000", "snowtrio", "redis-py", 0.5, 0.15),
    compare("requests-1000", "snowtrio", "redis-py-hiredis", 0.5, 0.15),
    compare("http-json", "snowtrio", "uvicorn", 1.0, 0.75),
    compare("http-json", "snowtrio", "aiohttp", 0.75),
    compare("http-json", "snowtrio", "hypercorn", 0.3),
    compare("http-pipelined", "snowtrio", "snowtrio-unpipelined", 0.5),
    compare("http-fetch", "snowtrio", "httpx", 0.5),
    compare("http-fetch", "snowtrio", "aiohttp", 1.0),
    compare("ws-64x1", "snowtrio", "websockets", 0.6, 0.45),
    compare("ws-64x1", "snowtrio", "websockets-trio", 0.25),
    compare("ws-64x1", "snowtrio", "trio-websocket", 0.25),
    compare("ws-64x1", "snowtrio", "picows", 2.2, 1.6),
    compare("ws-64x1", "snowtrio-function", "picows", 2.2, 1.6),
    compare("ws-64x32", "snowtrio", "websockets", 0.15, 0.08),
    compare("ws-64x32", "snowtrio", "picows", 0.9, 0.5),
    compare("ws-64x32", "snowtrio-function", "picows", 0.9, 0.5),
    compare("ws-16k", "snowtrio", "websockets", 0.9),
    compare("ws-broadcast", "snowtrio", "websockets", 0.4),
    compare("udp-64", "snowtrio", "asyncio-protocol", 0.8),
    compare("udp-64", "snowtrio-endpoint", "asyncio-protocol", 0.8),
    compare("udp-64", "snowtrio-function", "asyncio-protocol", 0.8),
    compare("udp-64x1", "snowtrio", "asyncio-protocol", None, 0.8),
    compare("udp-64x1", "snowtrio-function", "asyncio-protocol", 0.8),
    Goal(scenario="ws-memory", goal=24.0, stretch=16.0),
    Goal(scenario="memory", goal=18.0, stretch=12.0),
)


@attrs.frozen
class Verdict:
    """A goal, and what was measured: a ratio, or an amount where there is no peer."""

    goal: Goal
    measured: float

    @property
    def holds(self) -> bool | None:
        """Whether the goal is reached; None where there is only a stretch."""
        return None if self.goal.goal is None else self.measured <= self.goal.goal

    @property
    def stretched(self) -> bool | None:
        """Whether the stretch is reached; None without one."""
        return None if self.goal.stretch is None else self.measured <= self.goal.stretch


def verdicts(results: Results) -> list[Verdict]:
    """Return a verdict for each goal whose scenario and servers were measured."""
    found: list[Verdict] = []
    for goal in GOALS:
        scenario = results.scenarios.get(goal.scenario)
        if scenario is None or goal.server not in scenario.servers:
            continue
        if not goal.peer:
            found.append(Verdict(goal, scenario.servers[goal.server].median("cost")))
        elif goal.peer in scenario.servers:
            found.append(Verdict(goal, scenario.ratio(goal.server, goal.peer)))
    return found


def peers_of(scenario: str) -> list[str]:
    """Return whom to compare with in a scenario: the goals' peers, or asyncio's streams."""
    named = dict.fromkeys(each.peer for each in GOALS if each.scenario == scenario and each.peer)
    return list(named) or ["asyncio-streams"]


def needed_by(scenario: str) -> set[str]:
    """Return the servers that the goals of a scenario are about."""
    ours = [goal for goal in GOALS if goal.scenario == scenario]
    return {goal.server for goal in ours} | {goal.peer for goal in ours}
