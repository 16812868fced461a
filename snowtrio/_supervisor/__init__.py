"""The pool supervisor: one for servers and clients.

``_places`` counts who may be here, ``_handshake`` agrees with them, ``_supervisor`` runs each
connection from there to its last hook, ``_drain`` ends them all and says what it did, and
``_partings`` tells them. ``_nursery`` and ``_entered`` are the nursery and the block of whoever has
a supervisor.
"""

from ._drain import Drain, Drained, DrainReport, DrainTimeouts, Phase
from ._entered import EnteredOnce
from ._handshake import TLS, NoPlaceError
from ._idle import LOOKS, IdleWatch
from ._limits import PoolLimits
from ._log_limit import LogLimit
from ._nursery import open_plain_nursery
from ._peer import peer_of
from ._places import Place, Places, Refusal
from ._statistics import PoolStatistics
from ._supervisor import Member, Supervisor

__all__ = [
    "LOOKS",
    "TLS",
    "Drain",
    "DrainReport",
    "DrainTimeouts",
    "Drained",
    "EnteredOnce",
    "IdleWatch",
    "LogLimit",
    "Member",
    "NoPlaceError",
    "Phase",
    "Place",
    "Places",
    "PoolLimits",
    "PoolStatistics",
    "Refusal",
    "Supervisor",
    "open_plain_nursery",
    "peer_of",
]
