"""A request as a handler sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from operator import attrgetter
from typing import Any, TypeVar, overload
from urllib.parse import parse_qsl, unquote
from uuid import uuid4

from multidict import MultiDict, MultiDictProxy

from ..._codec import Codec
from ..._connection import Connection
from ..._transport import Address
from .._headers import Headers, HeadersToSend, read_headers
from .._json import read_json
from .._wire import RequestHead
from ._exchange import Exchange
from ._writer import ResponseWriter

SendT = TypeVar("SendT")
ReceiveT = TypeVar("ReceiveT")
ValueT = TypeVar("ValueT")


class Request:
    """What a client asks; a handler gets one and returns a `Response`.

    It belongs to its handler, and only until that returns.

    Parameters:
        exchange: reads its body and sends its response.
        head: what came.
    """

    __slots__ = ("_exchange", "_head", "_headers", "_id", "_path", "_query", "content", "params")

    def __init__(self, exchange: Exchange, head: RequestHead) -> None:
        self._exchange = exchange
        self._head = head
        self._headers: Headers | None = None
        self._path: tuple[str, str] | None = None
        self._query: MultiDictProxy[str] | None = None
        self._id: str | None = None
        self.content: bytes | None = head.body
        """The whole body, where it has been read: by `body`, or because it came with the head."""
        self.params: dict[str, str] = {}
        """What stands in the places of a route's pattern."""

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
        return list(self._head.fields)

    @property
    def id(self) -> str:
        """What tells this request from others in a log; made when first asked for."""
        if self._id is None:
            self._id = uuid4().hex
        return self._id

    @property
    def sequence(self) -> int:
        """Which request of its connection it is, from 1 on."""
        return self._exchange.requests

    @property
    def peer_address(self) -> Address | None:
        """The client's address."""
        return self._exchange.connection.peer_address

    @property
    def local_address(self) -> Address | None:
        """Our address."""
        return self._exchange.connection.local_address

    @property
    def upgrade_offered(self) -> str | None:
        """What the client would rather speak, as its ``Upgrade`` field says; see `upgrade`."""
        return self._head.upgrade

    def _split(self) -> tuple[str, str]:
        if self._path is None:
            target = self._head.target
            if not target.startswith(("/", "*")) and "://" in target:
                rest = target.split("://", 1)[1]
                slash = min((i for i in (rest.find("/"), rest.find("?")) if i >= 0), default=-1)
                target = rest[slash:] if slash >= 0 else ""
                target = target if target.startswith("/") else f"/{target}"
            path, _, query = target.partition("?")
            self._path = path, query
        return self._path

    # The body

    @property
    def max_body_size(self) -> int | None:
        """Bytes that the body may have; set it before reading to take more, or less."""
        return self._exchange.max_body_size

    @max_body_size.setter
    def max_body_size(self, size: int | None) -> None:
        self._exchange.max_body_size = size

    async def body(self) -> bytes:
        """Return the whole body.

        A checkpoint only where it has to be waited for. Cancelled, it loses what it had read.

        Raises:
            BodyTooLargeError: it is above `max_body_size`.
            BodyTimeoutError: it comes too slowly.
            RemoteProtocolError: the client left in the middle of it, or broke the protocol.
        """
        exchange = self._exchange
        self.content = await exchange.receive_body()
        return self.content

    async def text(self) -> str:
        """Return the body as UTF-8 text; raises as `body`, and `HTTPError` 400 where it is none."""
        return (await self.body()).decode()

    @overload
    async def json(self) -> Any: ...

    @overload
    async def json(self, kind: type[ValueT]) -> ValueT: ...

    async def json(self, kind: Any = Any) -> Any:
        """Return the body's JSON.

        Parameters:
            kind: the type it has to have.
        """
        return read_json(await self.body(), kind)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Iterate over the body as it comes; raises as `body`."""
        while (piece := await self._exchange.receive_piece()) is not None:
            yield piece

    @property
    def trailers(self) -> Headers:
        """The fields behind a chunked body, once that has been read."""
        return read_headers(self._exchange.trailers)

    # The client

    async def wait_disconnected(self) -> None:
        """Wait until the client has left: it has ended its input, or the connection is lost.

        For a response that goes on until then. The end of the input may be half a close, so what is
        sent afterwards may still arrive. A client that has sent its next request already is not
        watched. Cancelled, it loses nothing; always a checkpoint.

        Raises:
            LocalProtocolError: the body has not been read to its end.
            trio.BusyResourceError: another task waits, or reads the body.
        """
        await self._exchange.wait_disconnected()

    # The response, where returning one is not enough

    async def send_informational(self, status: int, headers: HeadersToSend = ()) -> None:
        """Send a response before the response, such as ``103 Early Hints``.

        Clients of HTTP/1.0 get none.

        Parameters:
            status: 102 to 199.
            headers: its fields.
        """
        await self._exchange.send_informational(status, headers)

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
        """
        await self._exchange.start_response(status, headers, content_length)
        return ResponseWriter(self._exchange)

    async def upgrade(
        self,
        protocol: str,
        codec: Codec[SendT, ReceiveT],
        headers: HeadersToSend = (),
    ) -> Connection[SendT, ReceiveT, None]:
        """Speak another protocol on this connection from here on (row Z4).

        Answers ``101 Switching Protocols``, or 200 to a CONNECT. What the client has sent behind
        the request is the new protocol's. The connection ends when the handler returns.

        Parameters:
            protocol: what goes into the ``Upgrade`` field.
            codec: of the new protocol.
            headers: further fields of the response.

        Raises:
            LocalProtocolError: the client has not offered it.
        """
        return await self._exchange.upgrade(protocol, codec, headers)


exchange_of: Callable[[Request], Exchange] = attrgetter("_exchange")
"""For the room above that speaks in bytes where `Request` does in text."""
