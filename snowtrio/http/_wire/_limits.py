"""What a message may be, before anything of it is believed."""

from __future__ import annotations

from typing import Protocol


class HeadLimits(Protocol):
    """The bounds of heads, in bytes but for the count of fields."""

    @property
    def max_head_size(self) -> int:
        """The start line and all fields; trailers have the same bound of their own."""
        ...

    @property
    def max_target_size(self) -> int:
        """The target in a request line."""
        ...

    @property
    def max_fields(self) -> int:
        """Header fields, and as many trailers."""
        ...
