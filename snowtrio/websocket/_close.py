"""What the two sides say when they close: codes and reasons (RFC 6455, sections 5.5.1 and 7.4)."""

from __future__ import annotations

import enum

import attrs

MAX_REASON = 123
"""Bytes of a reason: a control frame has at most 125, and two of them are the code."""


class CloseCode(enum.IntEnum):
    """The registered codes. Applications have 4000 to 4999 for their own."""

    NORMAL = 1000
    GOING_AWAY = 1001
    """The server ends, or the page is left."""
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS = 1005
    """None was given; never sent."""
    ABNORMAL = 1006
    """The connection ended without a close; never sent."""
    INVALID_PAYLOAD = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014
    TLS_HANDSHAKE = 1015
    """TLS failed; never sent."""


_SENDABLE = frozenset((1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014))


@attrs.frozen
class Close:
    """What one side has said when it closed.

    Parameters:
        code: 1005 where none was given.
        reason: for a person to read; may be empty.
    """

    code: int = CloseCode.NORMAL
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.code:d} {self.reason}".rstrip()


def is_valid_code(code: int) -> bool:
    """Say whether a code may stand in a close frame."""
    return code in _SENDABLE or 3000 <= code <= 4999


def check_close(code: int, reason: str) -> Close:
    """Return what is to be said.

    Raises:
        ValueError: the code cannot be sent, or the reason is too long.
    """
    if not is_valid_code(code):
        raise ValueError(f"{code} cannot be sent: 1000 to 1003, 1007 to 1014, and 3000 to 4999 can")
    if len(reason.encode()) > MAX_REASON:
        raise ValueError(f"a reason has at most {MAX_REASON} bytes of UTF-8")
    return Close(code, reason)
