"""Closing without waiting for anybody."""

from __future__ import annotations

from typing import Protocol

import trio


class Closeable(Protocol):
    """A transport, a listener, a stream."""

    async def aclose(self) -> None:
        """Close; at once when cancelled."""


async def close_at_once(resource: Closeable) -> None:
    """Close without a word to the peer, in a cancelled scope or out of one.

    ``trio.aclose_forcefully`` raises ``Cancelled`` where the scope around it is cancelled too, and
    what its caller has to do next is then not done. This one returns, and is no checkpoint.
    """
    with trio.CancelScope(shield=True) as at_once:
        at_once.cancel(reason="this closes at once")
        await resource.aclose()
