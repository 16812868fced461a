"""How a service ended."""

from __future__ import annotations

import signal
from typing import Any

import attrs

# As timeout(1) says it.
TIMED_OUT = 124


@attrs.frozen(kw_only=True)
class ServiceReport:
    """How a service ended, and with which exit status its process should.

    Parameters:
        signals: those that told it to stop, in order; none where the servers ended by themselves.
        cut: whether its servers were cancelled before they had drained.
        drained: what each server's ``drain`` returned, in the order of the servers; None for one
            that did not get so far, or was not drained.
    """

    signals: tuple[signal.Signals, ...]
    cut: bool
    drained: tuple[Any, ...]

    @property
    def status(self) -> int:
        """The exit status: ``sys.exit(report.status)``.

        0 after a drain that was completed (in which connections may have been cut when their time
        was over: that is in `drained`), and where the servers had not started or ended by
        themselves; 128 and the number of the signal where another one cut the drain short, as
        shells say it (130 for SIGINT, 143 for SIGTERM); 124 where the time for it was over.
        """
        if not self.cut:
            return 0
        return 128 + self.signals[-1] if len(self.signals) > 1 else TIMED_OUT
