"""Opening WebSockets."""

from ._open import open_websocket

__all__ = ["open_websocket"]
