"""What Autobahn says of each case, and whether that is good enough."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import attrs

OK = "OK"
INFORMATIONAL = "INFORMATIONAL"
MISSING = "MISSING"
# Those that the suite itself can only ever call informational.
UNDEFINED = frozenset({"7.1.6", "7.13.1", "7.13.2"})

GROUPS = {
    1: "framing",
    2: "pings and pongs",
    3: "reserved bits",
    4: "opcodes",
    5: "fragmentation",
    6: "UTF-8",
    7: "closing",
    9: "limits and performance",
    10: "auto-fragmentation",
    12: "compression of five kinds of data",
    13: "compression with all parameters",
}


@attrs.frozen
class Verdict:
    """What became of a case.

    Parameters:
        case: its number, such as 7.1.6.
        behavior: what was said of the messages.
        closing: what was said of the end.
        seconds: that it took.
        reason: the suite's words.
    """

    case: str
    behavior: str
    closing: str
    seconds: float = 0.0
    reason: str = ""

    @property
    def is_good(self) -> bool:
        """Whether it is OK, or informational where nothing else can be said."""
        wanted = INFORMATIONAL if self.case in UNDEFINED else OK
        return self.behavior == self.closing == wanted

    @property
    def word(self) -> str:
        """Both in one."""
        same = self.behavior == self.closing
        return self.behavior if same else f"{self.behavior} (closing {self.closing})"

    @property
    def number(self) -> tuple[int, ...]:
        """To sort by."""
        return tuple(int(part) for part in self.case.split("."))


def read_verdicts(folder: Path, agent: str, cases: Iterable[str]) -> list[Verdict]:
    """Return the verdicts of a report, with a missing one for each case that is not in it.

    Parameters:
        folder: where the suite has written it.
        agent: whom it is of.
        cases: that were to be run.
    """
    index = folder / "index.json"
    report: dict[str, Any] = json.loads(index.read_text())[agent] if index.exists() else {}
    return [
        _read(folder, case, report[case]) if case in report else Verdict(case, MISSING, MISSING)
        for case in cases
    ]


def _read(folder: Path, case: str, summary: dict[str, Any]) -> Verdict:
    details = json.loads((folder / summary["reportfile"]).read_text())
    reason = f"{details['result']} {details['resultClose']}"
    seconds = summary["duration"] / 1000
    return Verdict(case, summary["behavior"], summary["behaviorClose"], seconds, reason)


def tally(verdicts: Iterable[Verdict]) -> str:
    """Return how often there is each verdict, the most frequent first."""
    counts = Counter(verdict.word for verdict in verdicts)
    return ", ".join(f"{count} {word}" for word, count in counts.most_common()) or "none"


def table(roles: dict[str, list[Verdict]]) -> str:
    """Return the tallies of each group as a table in Markdown, a column for each role."""
    lines = [
        "| group | about | " + " | ".join(roles) + " |",
        "|---|---|" + "---|" * len(roles),
    ]
    for group, about in GROUPS.items():
        parts = [[each for each in all_ if each.number[0] == group] for all_ in roles.values()]
        if any(parts):
            cells = " | ".join(tally(part) for part in parts)
            lines.append(f"| {group} | {about} | {cells} |")
    lines.append("| all | | " + " | ".join(tally(all_) for all_ in roles.values()) + " |")
    return "\n".join(lines)
