"""A connection: a nursery with a reader and a writer task, linked to its user by channels.

``_connection`` is what users see, ``_life`` runs it, ``_reader`` and ``_writer`` are its halves.
In: ``_reading`` is what others do in the reader's place, ``_decoder`` makes batches of bytes,
``_inbox`` hands them to a receiver or ``_answering`` to a plain function, ``_intake`` says when
reading has to pause. Out: ``_outbox`` is what the writer has to send, ``_delivery`` brings it to
the kernel, ``_departures`` wakes one task for many writers. ``_budget`` and ``_rate`` bound many
connections together.
"""

from ._budget import MemoryBudget, Share
from ._connection import Connection, control_of, writer_of
from ._control import Control, SendInTurn
from ._departures import Departures, current_departures
from ._ending import Cause, Ending
from ._life import Life, cause_of
from ._limits import ConnectionLimits
from ._losses import again
from ._outbox import Droppable
from ._rate import TokenBucket
from ._slot import Slot
from ._statistics import ConnectionStatistics
from ._writer import Writer

__all__ = [
    "Cause",
    "Connection",
    "ConnectionLimits",
    "ConnectionStatistics",
    "Control",
    "Departures",
    "Droppable",
    "Ending",
    "Life",
    "MemoryBudget",
    "SendInTurn",
    "Share",
    "Slot",
    "TokenBucket",
    "Writer",
    "again",
    "cause_of",
    "control_of",
    "current_departures",
    "writer_of",
]
