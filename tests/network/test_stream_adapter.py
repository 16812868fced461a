"""The buffered stream is a Trio stream, whatever is below it."""

from __future__ import annotations

import ssl
from functools import partial

from trio.testing import check_half_closeable_stream, check_two_way_stream

from snowtrio import BufferedStream

from .pairs import SMALL, buffered, clog, start_tls

Pair = tuple[BufferedStream, BufferedStream]


async def plain(buffer_size: int | None = None) -> Pair:
    return buffered(buffer_size=buffer_size)


async def clogged() -> Pair:
    one, other = buffered(buffer_size=SMALL)
    await clog(one.transport, other.transport)
    return one, other


async def test_trios_checks_on_sockets() -> None:
    """P10, P5, P6, P7: half-closeable; cancelled, closed and busy as Trio's own streams are."""
    await check_half_closeable_stream(plain, clogged)


async def test_trios_checks_on_small_sockets() -> None:
    """P10: sends that do not fit the kernel's buffer in one go."""
    await check_half_closeable_stream(partial(plain, SMALL), None)


async def test_trios_checks_on_tls(
    client_ssl_context: ssl.SSLContext, server_ssl_context: ssl.SSLContext
) -> None:
    """P10: TLS cannot half-close; all else is the same."""

    async def over_tls() -> Pair:
        one, other = buffered()
        await start_tls(one, other, client_ssl_context, server_ssl_context)
        return one, other

    await check_two_way_stream(over_tls, None)
