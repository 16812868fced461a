"""One message to many WebSockets: who is in which room, and what becomes of a publication."""

from ._hub import Hub, Membership
from ._statistics import HubStatistics

__all__ = ["Hub", "HubStatistics", "Membership"]
