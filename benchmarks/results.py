"""What a run gave, and how it is kept in a file."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import attrs
from measure.settings import Figures


@attrs.define
class ServerResult:
    """One server in one scenario: the figures of each round."""

    rounds: list[Figures] = attrs.field(factory=list)

    def median(self, column: str) -> float:
        """Return the median of a column over the rounds."""
        return statistics.median(figures[column] for figures in self.rounds)

    @property
    def columns(self) -> list[str]:
        """The columns that were measured."""
        return list(self.rounds[0])

    @property
    def spread(self) -> float:
        """How far apart the rounds' costs lie, as a part of their median."""
        costs = [figures["cost"] for figures in self.rounds]
        return (max(costs) - min(costs)) / self.median("cost")


@attrs.define
class ScenarioResult:
    """One scenario: all its servers in the order in which they are shown."""

    title: str
    unit: str
    servers: dict[str, ServerResult] = attrs.field(factory=dict)

    def cost(self, server: str) -> float:
        """Return the median cost of a server."""
        return self.servers[server].median("cost")

    def ratio(self, server: str, peer: str) -> float:
        """Return a server's median cost as a part of a peer's."""
        return self.cost(server) / self.cost(peer)


@attrs.define
class Results:
    """A whole run.

    Parameters:
        machine: where it ran.
        settings: how: ``rounds``, ``seconds``, and when it began.
        scenarios: by name.
        notes: what was left out, or went wrong.
    """

    machine: dict[str, str]
    settings: dict[str, str]
    scenarios: dict[str, ScenarioResult] = attrs.field(factory=dict)
    notes: list[str] = attrs.field(factory=list)

    def save(self, path: Path) -> None:
        """Write everything to a file, the medians beside the rounds."""
        data = attrs.asdict(self)
        for name, scenario in self.scenarios.items():
            for server, result in scenario.servers.items():
                medians = {column: result.median(column) for column in result.columns}
                data["scenarios"][name]["servers"][server]["medians"] = medians
        path.write_text(json.dumps(data, indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Results:
        """Read what `save` has written."""
        data = json.loads(path.read_text())
        scenarios = {
            name: ScenarioResult(
                each["title"],
                each["unit"],
                {server: ServerResult(got["rounds"]) for server, got in each["servers"].items()},
            )
            for name, each in data["scenarios"].items()
        }
        return cls(data["machine"], data["settings"], scenarios, data["notes"])
