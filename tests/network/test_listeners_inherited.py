"""Listeners made of sockets that were bound elsewhere."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import trio

from snowtrio import Listener, listener_from_socket, serve_listeners
from snowtrio._transport._closing import Closeable

from ..serving import LIMIT, ask
from .tcp import connect, serving_tcp

ALL = 64


async def close_all(*resources: Closeable) -> None:
    for each in resources:
        await each.aclose()


@pytest.mark.parametrize("shared", [False, True])
async def test_a_socket_is_served_on_and_owned(shared: bool) -> None:
    """W33: P1's rules hold for it."""
    sock = socket.create_server(("127.0.0.1", 0))
    listener = listener_from_socket(sock, shared=shared)
    assert isinstance(listener, Listener)
    async with serving_tcp(serve=serve_listeners, where=[listener]) as server:
        streams = [await connect(server) for _ in range(5)]
        for stream in streams:
            assert await ask(stream, b"x") == b"x"
            await stream.aclose()
    assert sock.fileno() == -1


async def test_a_unix_sockets_file_stays(tmp_path: Path) -> None:
    """W33: whoever has bound it removes it."""
    path = tmp_path / "socket"
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    sock.listen()
    listener = listener_from_socket(sock)
    assert listener.address == str(path)
    await listener.aclose()
    assert path.exists()


async def test_a_shared_one_takes_one_at_a_time() -> None:
    """W33: the others are left to whoever comes next."""
    sock = socket.create_server(("127.0.0.1", 0), backlog=16)
    waiting = [await trio.open_tcp_stream(*sock.getsockname()) for _ in range(3)]
    shared = listener_from_socket(sock.dup(), shared=True)
    alone = listener_from_socket(sock)
    with trio.fail_after(LIMIT):
        first = await shared.accept_some(lambda: ALL)
        rest = await alone.accept_some(lambda: ALL)
        assert shared.accept_waiting(ALL) == []
    assert (len(first), len(rest)) == (1, 2)
    await close_all(*waiting, *first, *rest, shared, alone)


async def test_what_is_left_is_all_taken_before_it_closes() -> None:
    """W33, S23: taking one at a time is for those who wait, not for the end."""
    sock = socket.create_server(("127.0.0.1", 0), backlog=16)
    waiting = [await trio.open_tcp_stream(*sock.getsockname()) for _ in range(3)]
    listener = listener_from_socket(sock, shared=True)
    taken = listener.accept_waiting(ALL)
    assert len(taken) == 3
    await close_all(*waiting, *taken, listener)


def test_what_does_not_listen_is_refused_and_stays_the_callers() -> None:
    """W33."""
    for sock in (socket.socket(), socket.socket(type=socket.SOCK_DGRAM)):
        with sock, pytest.raises(ValueError, match="socket"):
            listener_from_socket(sock)
