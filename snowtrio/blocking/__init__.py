"""Requests from ordinary threads: for scripts, notebooks, and web frameworks that are not async.

::

    with BlockingRequestClient(RequestClient(LineCodec(), "127.0.0.1", 7000)) as client:
        reply = client.request(b"hello", timeout=2.0)

Trio runs in a thread of its own, or in that of an ``anyio.from_thread.BlockingPortal``.
"""

from __future__ import annotations

from ._client import BlockingRequestClient, BlockingSession
from ._taking import BlockingPushes, BlockingReplies

__all__ = ["BlockingPushes", "BlockingReplies", "BlockingRequestClient", "BlockingSession"]

# The private files are where they are written; this is where they are found.
for _name in __all__:
    globals()[_name].__module__ = __name__
