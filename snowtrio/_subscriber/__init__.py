"""A subscription that outlives its connections.

``_subscriber`` opens one connection after the other and brings what comes on them to ``_backlog``,
which keeps it for the consumer. ``_session`` runs one connection.
"""

from ._backlog import Gap
from ._limits import SubscriberLimits
from ._statistics import SubscriberStatistics
from ._subscriber import Subscriber

__all__ = ["Gap", "Subscriber", "SubscriberLimits", "SubscriberStatistics"]
