"""A manager that reads slowly, or begins anew, on real sockets (row W33's surroundings)."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import trio

from snowtrio import systemd

from ..serving import LIMIT


def listening(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.bind(str(path))
    return sock


async def read(sock: socket.socket, count: int) -> list[str]:
    said: list[str] = []
    with trio.fail_after(LIMIT):
        while len(said) < count:
            await trio.lowlevel.wait_readable(sock)
            said.append(sock.recv(4096).decode())
    return said


async def test_nobody_waits_for_a_manager_that_does_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row W33: what it had no room for comes later, of each kind the last, in order."""
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    with listening(tmp_path / "notify") as manager:
        async with systemd.open_notifier() as notifier:
            for number in range(1000):
                notifier.status(str(number))
            notifier.ready()
            notifier.status("last")
            fitted = 0
            while (said := (await read(manager, 1))[0]) == f"STATUS={fitted}":
                fitted += 1
            assert 0 < fitted < 999
            assert [said, *await read(manager, 1)] == ["READY=1", "STATUS=last"]
        assert await read(manager, 1) == ["STOPPING=1"]


async def test_a_manager_that_never_reads_does_not_hold_up_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row W33: the last words have a second."""
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    with listening(tmp_path / "notify"), trio.fail_after(LIMIT):
        async with systemd.open_notifier() as notifier:
            for number in range(1000):
                notifier.status(str(number))


async def test_a_manager_that_begins_anew_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row W33: with another socket in the same place."""
    path = tmp_path / "notify"
    monkeypatch.setenv("NOTIFY_SOCKET", str(path))
    async with systemd.open_notifier() as notifier:
        with listening(path) as manager:
            notifier.ready()
            assert await read(manager, 1) == ["READY=1"]
        path.unlink()
        with listening(path) as manager:
            notifier.status("there again")
            assert await read(manager, 1) == ["STATUS=there again"]
