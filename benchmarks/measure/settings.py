"""What holds for every measurement of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import attrs

Figures: TypeAlias = dict[str, float]
"""What one measurement gives. ``cost`` is the figure that counts."""


@attrs.frozen
class Settings:
    """How long to measure, and what TLS needs.

    Parameters:
        seconds: how long a measured slice lasts.
        certificates: a folder with ``authority.pem`` and ``server.pem``.
        many: connections where a scenario asks for "many idle ones".
    """

    seconds: float
    certificates: Path
    many: int = 5000
