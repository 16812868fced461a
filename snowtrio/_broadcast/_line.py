"""Who waits for a connection, behind whom."""

from __future__ import annotations

from typing import Any, TypeAlias

import attrs
import trio

from .._connection import Connection


@attrs.define(eq=False)
class Turn:
    """A broadcast's place among those that wait for one connection."""

    before: Turn | None
    over: trio.Event = attrs.field(factory=trio.Event)

    def waits_for(self) -> Turn | None:
        """Return the one that has to be over first; some have been given up before their time."""
        while self.before is not None and self.before.over.is_set():
            self.before = self.before.before
        return self.before

    async def wait(self) -> None:
        """Wait until all before it are over."""
        while (before := self.waits_for()) is not None:
            await before.over.wait()


Line: TypeAlias = dict[Connection[Any, Any, Any], Turn]
"""The last of those that wait for each connection."""
