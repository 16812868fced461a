"""The pool supervisor: one for servers and clients.

``_places`` counts who may be here, ``_supervisor`` runs each connection from handshake to last hook,
``_drain`` says what a drain did.
"""

from ._drain import Drained, DrainReport, DrainTimeouts, Phase
from ._idle import LOOKS, IdleWatch
from ._limits import PoolLimits
from ._nursery import open_plain_nursery
from ._places import Place, Refusal
from ._statistics import PoolStatistics
from ._supervisor import TLS, Member, Supervisor, peer_of

__all__ = [
    "LOOKS",
    "TLS",
    "DrainReport",
    "DrainTimeouts",
    "Drained",
    "IdleWatch",
    "Member",
    "Phase",
    "Place",
    "PoolLimits",
    "PoolStatistics",
    "Refusal",
    "Supervisor",
    "open_plain_nursery",
    "peer_of",
]
