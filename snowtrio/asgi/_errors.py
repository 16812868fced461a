"""What an application and its operator are told."""

from __future__ import annotations

from .._errors import SnowtrioError


class ClientDisconnectedError(SnowtrioError, OSError):
    """Raised by ``send``: the connection is lost, so that nobody gets what an application sends.

    An application need not catch it: its end by this error is no failure.
    """

    def __init__(self) -> None:
        super().__init__("the client has disconnected")


class LifespanError(SnowtrioError):
    """An application failed to start up or to shut down, or does not know how where it has to."""
