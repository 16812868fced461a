"""What a request is told for one hop alone, and made anew for the next one. Pure."""

from __future__ import annotations

from .._errors import ProxyError
from .._headers import write_field
from .._wire import ResponseHead
from ._asking import Outgoing
from ._cookies import CookieJar
from ._proxies import Field, ProxyChoice, choose_proxy

PROXY_AUTHENTICATION_REQUIRED = 407


class Hops:
    """Cookies and the proxy, for each URL on the way.

    Parameters:
        cookies: where they are kept; None sends and keeps none.
        proxy: which one.
    """

    def __init__(self, cookies: CookieJar | None, proxy: ProxyChoice | None) -> None:
        self.cookies = cookies
        self._proxy = proxy
        self._idle = cookies is None and proxy is None

    def prepare(self, request: Outgoing) -> None:
        """Add what belongs to the next hop, and take away what belonged to the one before."""
        if self._idle:
            return
        asked = request.asked
        extra: list[Field] = []
        own = (*asked.fields, *request.defaults)
        if self.cookies is not None and not any(name == b"cookie" for name, _ in own):
            cookie = self.cookies.value_for(asked.destination.url)
            if cookie is not None:
                extra.append(write_field("cookie", cookie))
        proxy = choose_proxy(self._proxy, asked.destination.origin)
        request.absolute = proxy is not None and proxy.sees(asked.destination.origin)
        if proxy is not None and request.absolute:
            extra.extend(proxy.fields)
        request.extra = tuple(extra)

    def note(self, request: Outgoing, head: ResponseHead) -> None:
        """Keep what a response sets.

        Raises:
            ProxyError: the proxy wants to know who asks. Nothing reached the server.
        """
        if self._idle:
            return
        if request.absolute and head.status == PROXY_AUTHENTICATION_REQUIRED:
            raise ProxyError("the proxy wants to know who asks: status 407", head.status)
        if self.cookies is not None:
            self.cookies.take(request.asked.destination.url, head.fields)
