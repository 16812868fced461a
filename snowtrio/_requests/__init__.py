"""Requests and replies over a client's pool.

``_client`` is what users have, ``_session`` one connection of it for one user, ``_asking`` what
both can be asked. A request is a `Call` (``_calls``); it enters by the ``_turnstile`` and travels
through the pool as a message, of which ``_protocol`` makes bytes. There it joins the ``_exchange``
of its connection, which gives replies to calls as the ``_correlation`` says, and to ``_pushes``
what answers none. The ``_ledger`` tells each call its fate; ``_backlog`` keeps what nobody took.
"""

from ._asking import Replies
from ._calls import WhenCancelled
from ._client import RequestClient
from ._correlation import ById, Correlation, InOrder, Outstanding
from ._histogram import LatencyHistogram
from ._limits import RequestLimits
from ._pushes import Pushes
from ._session import Session
from ._statistics import RequestStatistics

__all__ = [
    "ById",
    "Correlation",
    "InOrder",
    "LatencyHistogram",
    "Outstanding",
    "Pushes",
    "Replies",
    "RequestClient",
    "RequestLimits",
    "RequestStatistics",
    "Session",
    "WhenCancelled",
]
