"""Who takes part: the name of each server, and the file in ``peers/`` that has it."""

from __future__ import annotations

import importlib.util
import shutil

import attrs


@attrs.frozen
class Entry:
    """A server under test.

    Parameters:
        module: its file in ``peers/``.
        variant: which of the servers in that file.
        needs: the library without which it cannot run.
    """

    module: str
    variant: str = ""
    needs: str = "trio"


SERVERS = {
    "snowtrio": Entry("snowtrio_server", "coroutine"),
    "snowtrio-batches": Entry("snowtrio_server", "batches"),
    "snowtrio-function": Entry("snowtrio_server", "function"),
    "asyncio-streams": Entry("asyncio_streams", "asyncio"),
    "asyncio-protocol": Entry("asyncio_protocol", "asyncio plain"),
    "uvloop-streams": Entry("asyncio_streams", "uvloop", needs="uvloop"),
    "uvloop-protocol": Entry("asyncio_protocol", "uvloop plain", needs="uvloop"),
    "uvloop-joined": Entry("asyncio_protocol", "uvloop joined", needs="uvloop"),
    "asyncio-raw": Entry("asyncio_protocol", "asyncio raw"),
    "uvloop-raw": Entry("asyncio_protocol", "uvloop raw", needs="uvloop"),
    "trio": Entry("raw_trio"),
    "anyio": Entry("anyio_streams", needs="anyio"),
    "twisted": Entry("twisted_lines", needs="twisted"),
}

CLIENTS = {
    "snowtrio": Entry("snowtrio_pool"),
    "asyncio-streams": Entry("asyncio_streams", "asyncio"),
    "uvloop-streams": Entry("asyncio_streams", "uvloop", needs="uvloop"),
    "trio": Entry("raw_trio"),
}
"""The measured clients, in ``clients/``, under the names of the servers that they belong to."""

REDIS_CLIENTS = {
    "snowtrio": Entry("snowtrio_redis"),
    "redis-py": Entry("redis_asyncio", needs="redis"),
    "redis-py-hiredis": Entry("redis_asyncio", "hiredis", needs="hiredis"),
}
"""The measured clients of Redis."""

HTTP_SERVERS = {
    "snowtrio": Entry("snowtrio_http", "coroutine", needs="httptools"),
    "snowtrio-unpipelined": Entry("snowtrio_http", "coroutine", needs="httptools"),
    "snowtrio-function": Entry("snowtrio_http", "function", needs="httptools"),
    "snowtrio-asgi": Entry("snowtrio_http", "asgi", needs="snowtrio.asgi"),
    "uvicorn": Entry("uvicorn_http", needs="uvicorn"),
    "aiohttp": Entry("aiohttp_http", "asyncio", needs="aiohttp"),
    "aiohttp-uvloop": Entry("aiohttp_http", "uvloop", needs="aiohttp"),
    "hypercorn": Entry("hypercorn_http", needs="hypercorn"),
    "asyncio-fixed": Entry("fixed_http", "asyncio"),
    "uvloop-fixed": Entry("fixed_http", "uvloop", needs="uvloop"),
}
"""The HTTP servers, in ``peers/``."""

WEBSOCKET_SERVERS = {
    "snowtrio": Entry("snowtrio_websocket", "coroutine", needs="httptools"),
    "snowtrio-function": Entry("snowtrio_websocket", "function", needs="httptools"),
    "websockets": Entry("websockets_asyncio", "asyncio", needs="websockets"),
    "websockets-uvloop": Entry("websockets_asyncio", "uvloop", needs="websockets"),
    "websockets-trio": Entry("websockets_trio", needs="websockets"),
    "trio-websocket": Entry("trio_websockets", needs="trio_websocket"),
    "picows": Entry("picows_listener", "asyncio", needs="picows"),
    "picows-uvloop": Entry("picows_listener", "uvloop", needs="picows"),
    "aiohttp": Entry("aiohttp_websocket", "asyncio", needs="aiohttp"),
    "aiohttp-uvloop": Entry("aiohttp_websocket", "uvloop", needs="aiohttp"),
}
"""The WebSocket servers, in ``peers/``."""

UDP_SERVERS = {
    "snowtrio": Entry("snowtrio_udp", "sessions"),
    "snowtrio-endpoint": Entry("snowtrio_udp", "endpoint"),
    "snowtrio-function": Entry("snowtrio_udp", "function"),
    "asyncio-protocol": Entry("asyncio_datagrams", "asyncio"),
    "uvloop-protocol": Entry("asyncio_datagrams", "uvloop", needs="uvloop"),
    "trio": Entry("raw_trio_udp"),
}
"""The UDP servers, in ``peers/``: of ours a session a peer, an endpoint, a plain function."""

HTTP_CLIENTS = {
    "snowtrio": Entry("snowtrio_http", needs="httptools"),
    "httpx": Entry("httpx_trio", needs="httpx"),
    "aiohttp": Entry("aiohttp_client", "asyncio", needs="aiohttp"),
    "aiohttp-uvloop": Entry("aiohttp_client", "uvloop", needs="aiohttp"),
}
"""The measured HTTP clients, in ``clients/``."""

PROGRAMS = ("redis-server",)
"""Servers that are programs of their own."""


def is_installed(name: str) -> bool:
    """Whether a server's library is here."""
    if name in PROGRAMS:
        return shutil.which(name) is not None
    rosters = (
        *(SERVERS, REDIS_CLIENTS, HTTP_SERVERS, HTTP_CLIENTS, WEBSOCKET_SERVERS, UDP_SERVERS),
    )
    entries = [entry[name] for entry in rosters if name in entry]
    return all(importlib.util.find_spec(entry.needs) is not None for entry in entries)


def server(name: str, workload: str) -> Entry:
    """Return the server of this name that does this work.

    Raises:
        LookupError: there is none.
    """
    if workload == "datagrams":
        return UDP_SERVERS[name]
    if workload.startswith("websocket"):
        return WEBSOCKET_SERVERS[name]
    return (HTTP_SERVERS if workload == "http" else SERVERS)[name]


def cheapest_echo() -> str:
    """Return the server that costs its clients the least waiting."""
    return "uvloop-raw" if is_installed("uvloop-raw") else "asyncio-raw"


def cheapest_http() -> str:
    """Return the HTTP server that costs its clients the least waiting."""
    return "uvloop-fixed" if is_installed("uvloop-fixed") else "asyncio-fixed"
