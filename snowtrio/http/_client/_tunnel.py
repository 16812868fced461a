"""A tunnel through a proxy, as a handshake of the core (RFC 9110 section 9.3.6)."""

from __future__ import annotations

import ssl

import trio

from ..._errors import RemoteProtocolError
from ..._side import Side
from ..._transport import BufferedStream
from .._errors import ProxyError
from .._wire import RequestHead, ResponseHead
from ._limits import HTTPClientLimits
from ._proxies import Proxy
from ._site import HTTPClientProtocol
from ._urls import Origin

# Informational responses before the one that counts.
_MAX_INFORMATIONAL = 10


class TunnelProtocol(HTTPClientProtocol):
    """HTTP through a tunnel: the handshake digs it, and speaks TLS with the server at its end.

    Parameters:
        limits: of the heads, the proxy's too.
        proxy: that is asked.
        origin: where the tunnel leads.
        ssl_context: for TLS with the origin; None for http.
    """

    def __init__(
        self,
        limits: HTTPClientLimits,
        proxy: Proxy,
        origin: Origin,
        ssl_context: ssl.SSLContext | None,
    ) -> None:
        super().__init__(limits)
        self._proxy = proxy
        self._origin = origin
        self._ssl_context = ssl_context

    async def handshake(self, side: Side, stream: BufferedStream) -> None:
        """Dig the tunnel.

        Raises:
            ProxyError: the proxy refuses, or what it sent is no response, or it sent something
                where TLS begins.
            trio.BrokenResourceError: TLS could not be agreed on.
        """
        response = await self._ask(side, stream)
        if not 200 <= response.status < 300:
            raise _refusal(self._proxy, self._origin, response)
        if self._ssl_context is None:
            return
        if stream.buffer:
            raise ProxyError(f"{self._proxy} sent something where TLS had to begin")
        await stream.start_tls(
            self._ssl_context, server_side=False, server_hostname=self._origin.host
        )

    async def _ask(self, side: Side, stream: BufferedStream) -> ResponseHead:
        """Ask for the tunnel; what stands behind the response's head stays in the stream."""
        coder = self.codec.start(side, None)
        target = self._origin.authority
        fields = ((b"host", target.encode("ascii")), *self._proxy.fields)
        request = RequestHead(method="CONNECT", target=target, fields=fields)
        try:
            await stream.send_message(coder, request)
            for _ in range(_MAX_INFORMATIONAL):
                response = await stream.receive_message(coder)
                assert isinstance(response, ResponseHead)
                if response.status >= 200:
                    return response
        except trio.EndOfChannel:
            raise ProxyError(f"{self._proxy} closed the connection, and said nothing") from None
        except RemoteProtocolError as error:
            raise ProxyError(f"{self._proxy} sent what is no response: {error}") from error
        raise ProxyError(f"{self._proxy} does not come to the point")


def _refusal(proxy: Proxy, origin: Origin, response: ResponseHead) -> ProxyError:
    reason = f"{proxy} gives no way to {origin.authority}: status {response.status}"
    asked = [value.decode("latin-1") for name, value in response.fields if name == _CHALLENGE]
    if response.status == 407 and asked:
        reason += f"; it asks for {', '.join(asked)}"
    return ProxyError(reason, response.status)


_CHALLENGE = b"proxy-authenticate"
