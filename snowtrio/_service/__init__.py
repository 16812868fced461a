"""Running servers as a service: until a signal says stop.

``_receiver`` has signals received by tasks, ``_service`` runs servers and does what signals say,
``_part`` is one of those servers, ``_report`` says how it ended and with which exit status.
"""

from ._receiver import SignalReceiver
from ._report import ServiceReport
from ._service import run_service

__all__ = ["ServiceReport", "SignalReceiver", "run_service"]
