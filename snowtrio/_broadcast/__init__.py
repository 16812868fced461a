"""One message to many connections, encoded once, with a policy for those that are slow (row B8).

``_broadcast`` has the verb, ``_policy`` the words it is told and answers in. ``_sending`` does it,
for rooms above too; ``_line`` keeps those in order that wait for one connection.
"""

from ._broadcast import broadcast
from ._line import Line
from ._policy import BroadcastReport, WhenSlow
from ._sending import Sending

__all__ = ["BroadcastReport", "Line", "Sending", "WhenSlow", "broadcast"]
