"""What a load, or a measured client, finds wrong."""

from __future__ import annotations


class WrongReplyError(Exception):
    """What came back is not what was sent."""
