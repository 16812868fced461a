"""One datagram that has come."""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeAlias

from typing_extensions import TypeVar

DataT = TypeVar("DataT", default=bytes)

InternetAddress: TypeAlias = tuple[str, int] | tuple[str, int, int, int]
"""Host and port; for IPv6 also the flow and the scope."""


class Datagram(NamedTuple, Generic[DataT]):
    """A datagram, whole, and who says to have sent it.

    It is also a pair, as `UDPEndpoint.send_each` takes them: what is sent to the sender again.
    """

    data: DataT
    """Its bytes, which may be none; or the message, where there is a codec."""
    sender: InternetAddress
    """The address it came from. Anybody can write any address on a datagram."""
