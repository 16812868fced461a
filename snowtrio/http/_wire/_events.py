"""What a connection carries: heads, pieces of bodies, ends of messages.

A message is one head; then, unless the head brings its whole body, any number of ``bytes`` and an
`EndOfMessage`. Field names are lower case in both directions, values have no white space around
them, and both are bytes as they stand on the wire.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import attrs

Fields: TypeAlias = Sequence[tuple[bytes, bytes]]


# Where it counts, the two heads are made by position, with all that they have; and they have no
# slots: so Python (3.13) makes them in a fifth of the time.
@attrs.define(eq=False, slots=False)
class RequestHead:
    """The head of a request, and its body where that came, or leaves, together with it.

    Parameters:
        method: in upper case as a rule; methods are case-sensitive.
        target: as it stands in the request line (RFC 9112 section 3.2).
        fields: the header fields in order.
        body: the whole body; None where it follows in pieces.
        http_version: "1.1" or "1.0".
        keep_alive: whether another message may follow on the connection. A client that says False
            sends ``Connection: close``.
        content_length: bytes of the body; None where it is chunked.
        expects_continue: whether the client waits for ``100 Continue`` before it sends the body.
        upgrade: what the client would go on to speak, as in its ``Upgrade`` field; None without.
            What stands behind the head is not decoded then until somebody decides.
        trailers: fields that came behind a chunked body; only with the whole body.
    """

    method: str
    target: str
    fields: Fields = ()
    body: bytes | None = b""
    http_version: str = "1.1"
    keep_alive: bool = True
    content_length: int | None = 0
    expects_continue: bool = False
    upgrade: str | None = None
    trailers: Fields = ()


@attrs.define(eq=False, slots=False)
class ResponseHead:
    """The head of a response, and its body where that came, or leaves, together with it.

    Parameters:
        status: 100 to 999; those below 200 are informational, and another response follows.
        fields: the header fields in order, but for what the framing adds to them:
            ``Content-Length``, ``Transfer-Encoding``, ``Connection``.
        body: the whole body; None where it follows in pieces.
        method: of the request that is answered; it decides whether there is a body at all.
        http_version: on a server the client's, since a body of unknown length is chunked for 1.1
            alone; on a client the server's.
        keep_alive: whether the connection goes on afterwards.
        content_length: bytes of a body that follows in pieces; None where that is not known, and
            chunks, or the end of the connection, say where it ends.
        trailers: fields that came behind a chunked body; only with the whole body.
    """

    status: int
    fields: Fields = ()
    body: bytes | None = b""
    method: str = "GET"
    http_version: str = "1.1"
    keep_alive: bool = True
    content_length: int | None = None
    trailers: Fields = ()


@attrs.define(eq=False)
class EndOfMessage:
    """The end of a body that came, or leaves, in pieces.

    Parameters:
        trailers: fields behind a chunked body; nobody sees them behind another one.
    """

    trailers: Fields = ()


RequestEvent: TypeAlias = RequestHead | bytes | EndOfMessage
ResponseEvent: TypeAlias = ResponseHead | bytes | EndOfMessage
