"""HTTP/1.1 as messages: heads, pieces of bodies, and the codecs of both sides (RFC 9112).

``_events`` says what a connection carries. Bytes become events in ``_requests`` and ``_responses``,
which stand on llhttp (``_parser``, ``_chunks``) and on what it leaves unchecked (``_checks``);
events become bytes in ``_writing`` and ``_fields``. ``_codecs`` puts both together for either side.
"""

from ._codecs import ClientCodec, ClientCoder, ServerCodec, ServerCoder
from ._events import (
    EndOfMessage,
    Fields,
    RequestEvent,
    RequestHead,
    ResponseEvent,
    ResponseHead,
)
from ._fields import is_token, write_fields
from ._limits import HeadLimits

__all__ = [
    "ClientCodec",
    "ClientCoder",
    "EndOfMessage",
    "Fields",
    "HeadLimits",
    "RequestEvent",
    "RequestHead",
    "ResponseEvent",
    "ResponseHead",
    "ServerCodec",
    "ServerCoder",
    "is_token",
    "write_fields",
]
