"""Which end of a connection we are."""

from __future__ import annotations

import enum


class Side(enum.Enum):
    """The end that a connection, a handshake or a coder belongs to."""

    CLIENT = "client"
    SERVER = "server"

    @property
    def peer(self) -> Side:
        """The other end."""
        return Side.SERVER if self is Side.CLIENT else Side.CLIENT
