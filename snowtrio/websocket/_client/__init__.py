"""Opening WebSockets.

``_open`` has the verb for one, and ``_reconnecting`` that for one after the other, as often as
``_reconnect`` says. Both have ``_opened`` do it, on a client of HTTP: what is ``_asked`` of the
server, and by the rules of ``_opening`` what that may answer.
"""

from ._open import OpenOptions, open_websocket
from ._reconnect import Reconnect, is_temporary
from ._reconnecting import Reconnecting, open_reconnecting

__all__ = [
    "OpenOptions",
    "Reconnect",
    "Reconnecting",
    "is_temporary",
    "open_reconnecting",
    "open_websocket",
]
