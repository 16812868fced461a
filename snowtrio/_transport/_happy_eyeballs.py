"""Connecting to a host that may have several addresses (RFC 8305), with sockets made to order."""

from __future__ import annotations

import errno
import itertools
import os
import socket
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any, NamedTuple

import trio

from ._lingering import close_socket

# Before the next address is tried beside one that has not answered, in seconds (RFC 8305).
_HEAD_START = 0.25


class _Target(NamedTuple):
    family: int
    kind: int
    proto: int
    address: tuple[Any, ...]


async def connect_tcp(
    host: str,
    port: int,
    *,
    local_address: str | None = None,
    prepare: Callable[[socket.socket], None],
) -> socket.socket:
    """Return a connected socket: the first of the host's addresses that answers.

    Cancelled or failed, it leaves nothing open.

    Parameters:
        host: a name or address.
        port: its TCP port.
        local_address: the address of ours to connect from.
        prepare: called with each socket before it is bound or connected.

    Raises:
        OSError: none has answered. Of several failures it has no errno, and as its cause a group of
            all.
        UnicodeError: the name is none.
    """
    found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    targets = _interleave(
        _Target(family, kind, proto, address) for family, kind, proto, _, address in found
    )
    sources = None if local_address is None else await _find_sources(local_address)

    async def attempt(target: _Target) -> socket.socket:
        sock = socket.socket(target.family, target.kind, target.proto)
        try:
            sock.setblocking(False)
            prepare(sock)
            if sources is not None:
                _bind(sock, sources)
            await _connect(sock, target.address)
        except BaseException:
            close_socket(sock)  # It may be connected all the same, and linger.
            raise
        return sock

    return await (attempt(targets[0]) if len(targets) == 1 else _race(targets, attempt))


def _interleave(found: Iterable[_Target]) -> list[_Target]:
    """Return targets with their families by turns, so that one without a way costs one try."""
    families: dict[int, list[_Target]] = {}
    for target in dict.fromkeys(found):
        families.setdefault(target.family, []).append(target)
    turns = itertools.zip_longest(*families.values())
    return [target for turn in turns for target in turn if target is not None]


async def _find_sources(local_address: str) -> dict[int, tuple[Any, ...]]:
    """Return the addresses to bind to, by family."""
    try:
        found = await trio.socket.getaddrinfo(
            local_address, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (socket.gaierror, UnicodeError) as error:
        # A name that did not resolve: of ours, though, and not of the host.
        message = f"the local address {local_address!r} is none: {error}"
        raise socket.gaierror(socket.EAI_NONAME, message) from error
    return {family: address for family, _, _, _, address in reversed(found)}


def _bind(sock: socket.socket, sources: dict[int, tuple[Any, ...]]) -> None:
    if sock.family not in sources:
        ours, *_ = next(iter(sources.values()))
        raise OSError(errno.EAFNOSUPPORT, f"the local address {ours!r} is of another family")
    if hasattr(socket, "IP_BIND_ADDRESS_NO_PORT"):
        # The port is chosen when the peer is known: it has to be free for that alone.
        with suppress(OSError):
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_BIND_ADDRESS_NO_PORT, 1)
    sock.bind(sources[sock.family])


async def _connect(sock: socket.socket, address: tuple[Any, ...]) -> None:
    try:
        sock.connect(address)
    except BlockingIOError:
        await trio.lowlevel.wait_writable(sock)
        number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            raise OSError(number, f"{os.strerror(number)} ({address[0]})") from None


async def _race(
    targets: list[_Target], attempt: Callable[[_Target], Awaitable[socket.socket]]
) -> socket.socket:
    """Return the first socket that connects; each target has a head start before the next."""
    errors: list[OSError] = []
    winners: list[socket.socket] = []

    async def run(target: _Target, failed: trio.Event) -> None:
        try:
            winners.append(await attempt(target))
        except OSError as error:
            errors.append(error)
            failed.set()
        else:
            nursery.cancel_scope.cancel(reason="another address has answered")

    try:
        async with trio.open_nursery() as nursery:
            for target in targets:
                failed = trio.Event()
                nursery.start_soon(run, target, failed)
                with trio.move_on_after(_HEAD_START):
                    await failed.wait()
    except BaseException:
        _close_all(winners)
        raise
    if not winners:
        message = "none of the addresses has answered"
        raise OSError(message) from ExceptionGroup(message, errors)
    _close_all(winners[1:])
    return winners[0]


def _close_all(sockets: list[socket.socket]) -> None:
    for sock in sockets:
        close_socket(sock)
