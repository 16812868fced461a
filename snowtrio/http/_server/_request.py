"""A request as a handler sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from types import MappingProxyType
from typing import Any, TypeVar, overload
from urllib.parse import parse_qsl, unquote

from multidict import MultiDict, MultiDictProxy

from ..._codec import Codec
from ..._connection import Connection
from ..._errors import LocalProtocolError
from ..._proxy_protocol import ProxyInfo
from ..._transport import Address, PlainSocket
from .._headers import Headers, HeadersToSend, read_cookies, read_headers, write_headers
from .._wire import RequestHead
from ._body_pieces import BodyPieces
from ._exchange import Exchange, Goodbye
from ._json_body import check_json_type, read_json_body
from ._response import check_status
from ._target import split_target
from ._text_body import read_text
from ._writer import ResponseWriter

SendT = TypeVar("SendT")
ReceiveT = TypeVar("ReceiveT")
ValueT = TypeVar("ValueT")


class Request:
    """What a client asks; a handler gets one and returns a `Response`.

    It belongs to its handler, and only until that returns.
    """

    # No slots: one is made for each request, and Python makes objects without them faster. What is
    # set on few of them stands here, so that most are made without it.
    _headers: Headers | None = None
    _path: tuple[str, str] | None = None
    _query: MultiDictProxy[str] | None = None
    _id: str | None = None
    _way: str | None = None

    params: Mapping[str, str] = MappingProxyType({})
    """What stands in the places of a route's pattern."""

    def __init__(self, exchange: Exchange, head: RequestHead) -> None:
        """Begin with a head that came.

        Parameters:
            exchange: reads its body and sends its response.
            head: what came.
        """
        self._exchange = exchange
        self._head = head
        self.content: bytes | None = head.body
        """The whole body, where it has been read: by `body`, because the handler is a plain
        function, or because it came together with the head. None otherwise."""
        self.sequence: int = exchange.sequence
        """Which of the server's requests it is, from 1 on, in the order in which handlers begin."""

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.target}>"

    # The head

    @property
    def method(self) -> str:
        """The method, in upper case."""
        return self._head.method

    @property
    def target(self) -> str:
        """The target as it stands in the request line."""
        return self._head.target

    @property
    def http_version(self) -> str:
        """``"1.1"`` or ``"1.0"``."""
        return self._head.http_version

    @property
    def headers(self) -> Headers:
        """The header fields, found by name in any case."""
        if self._headers is None:
            self._headers = read_headers(self._head.fields)
        return self._headers

    @property
    def cookies(self) -> Mapping[str, str]:
        """The cookies, by name, with values as they were set; a mapping made anew at each look."""
        return read_cookies(self.headers)

    @property
    def path(self) -> str:
        """The path, with its percent-encoding undone; ``*`` of ``OPTIONS *``."""
        raw = self._split()[0]
        return unquote(raw) if "%" in raw else raw

    @property
    def raw_path(self) -> str:
        """The path as it stands in the target."""
        return self._split()[0]

    @property
    def query_string(self) -> str:
        """What stands behind the question mark."""
        return self._split()[1]

    @property
    def query(self) -> MultiDictProxy[str]:
        """The query's names and values, decoded as forms are."""
        if self._query is None:
            pairs = parse_qsl(self._split()[1], keep_blank_values=True)
            self._query = MultiDictProxy(MultiDict(pairs))
        return self._query

    @property
    def fields(self) -> list[tuple[bytes, bytes]]:
        """The header fields as they came, names in lower case."""
        if self._headers is not None and not self._head.fields:  # It has let go of them.
            return write_headers(self._headers.items())
        return list(self._head.fields)

    @property
    def id(self) -> str:
        """What tells this request from others in a log; made when first asked for.

        Where the server was given a ``request_id_header``, that field's value is taken, if it is
        there once and consists of up to 128 visible ASCII characters.
        """
        if self._id is None:
            self._id = self._exchange.service.name(self._head)
        return self._id

    @property
    def peer_address(self) -> Address | None:
        """The client's address."""
        return self._exchange.connection.peer_address

    @property
    def local_address(self) -> Address | None:
        """Our address."""
        return self._exchange.connection.local_address

    @property
    def proxy(self) -> ProxyInfo | None:
        """The proxy that brought it, where the server's listener is `behind_proxy`; else None."""
        return self._exchange.connection.proxy

    @property
    def socket(self) -> PlainSocket | None:
        """The connection's socket, for its options and for looking at: see `Connection.socket`."""
        return self._exchange.connection.socket

    @property
    def upgrade_offered(self) -> str | None:
        """What the client would rather speak, as its ``Upgrade`` field says; see `upgrade`."""
        return self._head.upgrade

    def _split(self) -> tuple[str, str]:
        if self._path is None:
            self._path = split_target(self._head.target)
        return self._path

    # The body

    @property
    def max_body_size(self) -> int | None:
        """Bytes that the body may have; set it before reading to take more, or less."""
        return self._live().max_body_size

    @max_body_size.setter
    def max_body_size(self, size: int | None) -> None:
        self._live().max_body_size = size

    async def body(self) -> bytes:
        """Return the whole body; again, if it has been read.

        A checkpoint only where it has to be waited for. Cancelled, it loses nothing: call it again.

        Raises:
            BodyTooLargeError: it is above `max_body_size`.
            BodyTimeoutError: it comes too slowly.
            BadMessageError: the client broke the protocol, or ended its input inside the body.
            LocalProtocolError: it has been iterated over.
        """
        if self._way == "pieces":
            raise LocalProtocolError("the body has been iterated over: there is no whole")
        content = self.content
        if content is None:
            exchange = self._live()
            self._way = "whole"
            content = self.content = await exchange.receive_body()
        elif self._way is None:
            self._way = "whole"
            if content:
                self._live().check_size(len(content))
        return content

    async def text(self) -> str:
        """Return the body as text, in the charset of its ``Content-Type``, else in UTF-8.

        Raises:
            HTTPError: 400 where it is none, 415 where the charset is not known.

        The others are those of `body`.
        """
        return read_text(await self.body(), self.headers.get("content-type", ""))

    @overload
    async def json(self, *, any_content_type: bool = False) -> Any: ...

    @overload
    async def json(self, kind: type[ValueT], *, any_content_type: bool = False) -> ValueT: ...

    @overload
    async def json(self, kind: Any, *, any_content_type: bool = False) -> Any: ...

    async def json(self, kind: Any = Any, *, any_content_type: bool = False) -> Any:
        """Return the body's JSON (row Z13); what is raised here is the right response as well.

        Parameters:
            kind: the type it has to have: a dataclass, an attrs class, or whatever else msgspec
                takes. Members that the type does not know are passed over; of two with one name the
                last one counts.
            any_content_type: whether a body is taken that does not say it is JSON. A page of any
                other site can have its visitors' browsers send such a one.

        Raises:
            BadJSONError: 400 where it is no JSON: not UTF-8, empty, nested too deeply, with a byte
                order mark; 422 where it does not fit, and the error names the path.
            HTTPError: 415, its ``Content-Type`` is neither ``application/json`` nor ends in
                ``+json``.
            BodyTooLargeError: as `body`, and so are the others.
        """
        if not any_content_type:
            check_json_type(self._head.fields)
        return read_json_body(await self.body(), kind)

    @overload
    def content_json(self, *, any_content_type: bool = False) -> Any: ...

    @overload
    def content_json(self, kind: type[ValueT], *, any_content_type: bool = False) -> ValueT: ...

    @overload
    def content_json(self, kind: Any, *, any_content_type: bool = False) -> Any: ...

    def content_json(self, kind: Any = Any, *, any_content_type: bool = False) -> Any:
        """Return the JSON of `content`: for plain functions, which cannot await `json`.

        Parameters:
            kind: as of `json`.
            any_content_type: likewise.

        Raises:
            LocalProtocolError: the body has not been read, as in a coroutine function that has not
                awaited `body`.
            BadJSONError: as `json`, and so are the others.
        """
        if not any_content_type:
            check_json_type(self._head.fields)
        if self.content is None:
            raise LocalProtocolError("the body has not been read: await request.json() instead")
        if self._way is None and self.content:
            self._live().check_size(len(self.content))
        return read_json_body(self.content, kind)

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Iterate over the body as it comes, once; raises as `body`.

        Where the body has been read whole, that is the only piece. What is left of a body that is
        not iterated to its end is thrown away after the response, or the connection is closed.
        """
        if self._way == "whole" and self.content is None:
            raise LocalProtocolError("the body is being read whole")
        if self._way is None:
            exchange = self._live()
            self._way = "pieces"
            if self.content:
                exchange.check_size(len(self.content))
        return BodyPieces(self.content, self._next_piece)

    async def _next_piece(self) -> bytes | None:
        """Return the next piece of a body that did not come whole, None at its end."""
        return await self._live().receive_piece()

    def _live(self) -> Exchange:
        """Return the exchange while this request is the one that is being answered."""
        exchange = self._exchange
        if exchange.head is not self._head:
            raise LocalProtocolError("this request is over: its handler has returned")
        return exchange

    @property
    def trailers(self) -> Headers:
        """The fields behind a chunked body, once that has been read."""
        return read_headers(self._live().trailers)

    # The ends

    @property
    def draining(self) -> bool:
        """Whether the server drains: a response that could go on for ever should end."""
        return self._live().draining

    async def wait_draining(self) -> None:
        """Wait until the server drains. Always a checkpoint; cancel-safe."""
        await self._live().wait_draining()

    async def wait_disconnected(self) -> None:
        """Wait until the client has left: it has ended its input, or the connection is lost.

        For a response that goes on until then. The end of the input may be half a close, so what is
        sent afterwards may still arrive. A client that has sent its next request already is not
        watched. Cancelled, it loses nothing; always a checkpoint.

        Raises:
            LocalProtocolError: the body has not been read to its end.
            trio.BusyResourceError: another task waits, or reads the body.
        """
        await self._live().wait_disconnected()

    # The response, where returning one is not enough

    async def send_informational(self, status: int, headers: HeadersToSend = ()) -> None:
        """Send a response before the response, such as ``103 Early Hints``.

        Clients of HTTP/1.0 get none.

        Parameters:
            status: 102 to 199.
            headers: its fields.
        """
        await self._live().send_informational(status, headers)

    async def start_response(
        self,
        status: int = 200,
        headers: HeadersToSend = (),
        *,
        content_length: int | None = None,
    ) -> ResponseWriter:
        """Begin the response, and return what sends its body. The handler returns None then.

        Parameters:
            status: 200 to 999.
            headers: its fields.
            content_length: bytes of the body, where that is known.

        Cancelled, no response has begun.

        Raises:
            LocalProtocolError: there is a response already, or it contradicts itself.
            BadFieldError: a header cannot be sent.
        """
        exchange = self._live()
        fields = write_headers(headers)
        await exchange.send_head(check_status(status), fields, None, content_length=content_length)
        return ResponseWriter(exchange, self._head)

    async def upgrade(
        self,
        protocol: str,
        codec: Codec[SendT, ReceiveT],
        headers: HeadersToSend = (),
        *,
        goodbye: Goodbye[SendT, ReceiveT] | None = None,
    ) -> Connection[SendT, ReceiveT, None]:
        """Speak another protocol on this connection from here on (row Z4).

        Answers ``101 Switching Protocols``, or 200 to a CONNECT. What the client has sent behind
        the request is the new protocol's. The connection is closed in order when the handler
        returns. The deadlines of HTTP do not hold for it any more; those of every connection
        do, such as ``stall_timeout`` and ``idle_timeout``, and it keeps its place.

        Parameters:
            protocol: what goes into the ``Upgrade`` field.
            codec: of the new protocol.
            headers: further fields of the response.
            goodbye: called with the connection when the server drains, to say what the protocol
                says at its end. Without it the handler sees the end of input then.

        Raises:
            LocalProtocolError: the client has not offered it, or there is a response already.
            HTTPError: 503 where the server drains.
        """
        connection = await self._live().upgrade(protocol, codec, headers, goodbye)
        # It may live for long: what came is kept once, as text.
        if self.headers:
            self._head.fields = ()
        return connection
