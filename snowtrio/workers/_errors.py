"""What can go wrong with workers."""

from __future__ import annotations

from .._errors import SnowtrioError


class WorkerStartError(SnowtrioError):
    """Workers end before they are ready, again and again, and there is none that serves.

    What they died of is in the log, and on their standard error. All of them have ended when this
    is raised.
    """
