"""Listening on a Unix socket: whose file it is, and whose it is not."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from pathlib import Path

import pytest
import trio
import trio.testing

from snowtrio import (
    open_tcp_listeners,
    open_unix_listener,
    serve_unix,
)

from ..serving import ask
from .tcp import serving_tcp

# Unix sockets


async def test_unix_socket_is_this_users_own_and_is_removed(tmp_path: Path) -> None:
    """S26: by default nobody else can connect."""
    path = tmp_path / "socket"
    async with serving_tcp(serve=serve_unix, where=path) as server:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert server.addresses == [str(path)]
        stream = await trio.open_unix_socket(path)
        assert await ask(stream, b"x") == b"x"
        await stream.aclose()
    assert not path.exists()
    async with serving_tcp(serve=serve_unix, where=str(path), mode=0o666):
        assert stat.S_IMODE(path.stat().st_mode) == 0o666


async def test_stale_unix_socket_is_replaced_and_a_live_one_is_not(tmp_path: Path) -> None:
    """W25: only what nobody listens on is removed."""
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    async with serving_tcp(serve=serve_unix, where=path):
        with pytest.raises(OSError, match="another server listens there") as caught:
            await open_unix_listener(path)
        assert caught.value.errno == errno.EADDRINUSE
        assert str(path) in str(caught.value)
        stream = await trio.open_unix_socket(path)
        assert await ask(stream, b"still") == b"still"
        await stream.aclose()


async def test_live_unix_socket_with_a_full_backlog_is_not_removed(tmp_path: Path) -> None:
    """W25: one that is too busy to answer lives."""
    path = tmp_path / "socket"
    with contextlib.ExitStack() as stack:
        busy = stack.enter_context(socket.socket(socket.AF_UNIX))
        busy.bind(str(path))
        busy.listen(0)
        for _ in range(4):
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                client.connect(str(path))
        with pytest.raises(OSError, match="another server listens there"):
            await open_unix_listener(path)
        assert path.exists()


async def test_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    """W25."""
    path = tmp_path / "file"
    path.write_text("precious")
    with pytest.raises(OSError, match="no socket is there") as caught:
        await open_unix_listener(path)
    assert caught.value.errno == errno.EEXIST
    assert path.read_text() == "precious"


async def test_file_of_another_server_is_not_removed(tmp_path: Path) -> None:
    """W25: somebody else may have taken the path while we listened."""
    path = tmp_path / "socket"
    first = await open_unix_listener(path)
    path.unlink()
    second = await open_unix_listener(path)
    await first.aclose()
    assert path.exists()
    await second.aclose()
    assert not path.exists()
    await second.aclose()


@pytest.mark.parametrize("name", ["no/such/directory", "x" * 200])
async def test_path_that_cannot_be_is_named(name: str, tmp_path: Path) -> None:
    """W25: a bind error raises at once and leaves no file and no descriptor."""
    with pytest.raises(OSError, match="cannot listen on .*" + name[-10:]):
        await open_unix_listener(tmp_path / name)
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - no blocking to speak of


async def test_unix_socket_whose_permissions_fail_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """W25."""

    def refuse(*arguments: object, **keywords: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "chmod", refuse)
    monkeypatch.setattr(Path, "chmod", refuse)
    with pytest.raises(PermissionError, match="cannot listen"):
        await open_unix_listener(tmp_path / "socket")
    assert not (tmp_path / "socket").exists()


async def test_cancelled_before_it_listens_it_leaves_nothing(tmp_path: Path) -> None:
    """B6."""
    with trio.CancelScope() as scope:
        scope.cancel()
        await open_unix_listener(tmp_path / "socket")
    with trio.CancelScope() as scope:
        scope.cancel()
        await open_tcp_listeners(0)
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - no blocking to speak of
