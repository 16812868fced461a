"""What a service tells its manager and when, on a clock that jumps (row W33's surroundings).

Datagrams on a Unix socket arrive while they are sent: nobody here waits for one.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from snowtrio import systemd


class Manager:
    """The socket that is notified."""

    def __init__(self, address: str) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.setblocking(False)
        self.sock.bind(address)

    def heard(self) -> list[str]:
        """Return what has come since the last time."""
        datagrams: list[str] = []
        while True:
            try:
                datagrams.append(self.sock.recv(4096).decode())
            except BlockingIOError:
                return datagrams


@pytest.fixture(params=["path", "abstract"])
def manager(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Manager]:
    if request.param == "path":
        address = shown = str(tmp_path / "notify")
    else:
        shown = f"@snowtrio-test-{os.getpid()}"
        address = "\0" + shown[1:]
    manager = Manager(address)
    monkeypatch.setenv("NOTIFY_SOCKET", shown)
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    with manager.sock:
        yield manager


async def test_what_is_said_comes_as_it_is(manager: Manager) -> None:
    """Row W33: in order, and the end by itself."""
    async with systemd.open_notifier() as notifier:
        assert notifier.listened
        notifier.notify(MAINPID=7, X_MINE="a")
        notifier.ready("a server", status="up\nMAINPID=1")
        notifier.status("busy")
        notifier.extend_timeout(1.5)
        assert manager.heard() == [
            "MAINPID=7\nX_MINE=a",
            "READY=1\nSTATUS=up MAINPID=1",
            "STATUS=busy",
            "EXTEND_TIMEOUT_USEC=1500000",
        ]
        with pytest.raises(ValueError, match="line break"):
            notifier.notify(STATUS="a\nREADY=1")
    assert manager.heard() == ["STOPPING=1"]


async def test_the_end_is_said_once(manager: Manager) -> None:
    """Row W33: with the time that it may take."""
    async with systemd.open_notifier() as notifier:
        notifier.stopping("a server", within=90.0)
    assert manager.heard() == ["STOPPING=1\nEXTEND_TIMEOUT_USEC=90000000"]


async def test_the_end_is_said_when_all_fails(manager: Manager) -> None:
    """Row W33: and the error comes out plain."""
    with pytest.raises(KeyError):
        async with systemd.open_notifier(unset_environment=False):
            raise KeyError
    assert manager.heard() == ["STOPPING=1"]
    with trio.CancelScope() as scope:
        async with systemd.open_notifier():
            scope.cancel()
            await trio.sleep_forever()
    assert manager.heard() == ["STOPPING=1"]


async def test_a_reload_says_when_it_began_and_that_it_is_over(manager: Manager) -> None:
    """Row W33: also one that fails, but not behind the end."""
    async with systemd.open_notifier() as notifier:
        before = time.monotonic_ns() // 1000
        async with notifier.reloading():
            (said,) = manager.heard()
            first, _, moment = said.partition("\nMONOTONIC_USEC=")
            assert first == "RELOADING=1"
            assert before <= int(moment) <= time.monotonic_ns() // 1000
        assert manager.heard() == ["READY=1"]
        with pytest.raises(KeyError):
            async with notifier.reloading():
                raise KeyError
        assert manager.heard()[1:] == ["READY=1"]
        async with notifier.reloading():
            notifier.stopping()
        assert manager.heard()[1:] == ["STOPPING=1"]


async def test_the_watchdog_hears_twice_in_its_time(
    manager: Manager, monkeypatch: pytest.MonkeyPatch, mock_clock: MockClock
) -> None:
    """Row W33: from the beginning to the end, also while the service ends."""
    monkeypatch.setenv("WATCHDOG_USEC", "20000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    async with systemd.open_notifier() as notifier:
        assert notifier.watchdog_timeout == 20.0
        await trio.testing.wait_all_tasks_blocked()
        assert manager.heard() == ["WATCHDOG=1"]
        for _ in range(3):
            mock_clock.jump(9.9)
            await trio.testing.wait_all_tasks_blocked()
            assert manager.heard() == []
            mock_clock.jump(0.2)
            await trio.testing.wait_all_tasks_blocked()
            assert manager.heard() == ["WATCHDOG=1"]
        notifier.stopping()
        mock_clock.jump(10.1)
        await trio.testing.wait_all_tasks_blocked()
        assert manager.heard() == ["STOPPING=1", "WATCHDOG=1"]
    assert manager.heard() == []


async def test_a_loop_that_stands_still_is_not_vouched_for(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row W33: nothing else than the loop says that we live."""
    monkeypatch.setenv("WATCHDOG_USEC", "2000")
    async with systemd.open_notifier():
        await trio.testing.wait_all_tasks_blocked()
        assert "WATCHDOG=1" in manager.heard()
        time.sleep(0.1)  # noqa: ASYNC251 - that is what is tested
        assert manager.heard() == []


async def test_another_process_watchdog_is_not_ours(
    manager: Manager, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    """Row W33."""
    monkeypatch.setenv("WATCHDOG_USEC", "2000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getppid()))
    async with systemd.open_notifier() as notifier:
        assert notifier.watchdog_timeout is None
        await trio.sleep(60)
        assert manager.heard() == []


@pytest.mark.parametrize("unset", [True, False])
async def test_children_are_not_told_unless_they_shall_be(
    manager: Manager, monkeypatch: pytest.MonkeyPatch, unset: bool
) -> None:
    """Row W33."""
    monkeypatch.setenv("WATCHDOG_USEC", "2000000")
    async with systemd.open_notifier(unset_environment=unset):
        assert ("NOTIFY_SOCKET" in os.environ) is not unset
        assert ("WATCHDOG_USEC" in os.environ) is not unset


async def test_without_systemd_nobody_is_told(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    """Row W33: and a mistake is one all the same."""
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.setenv("WATCHDOG_USEC", "2000000")
    async with systemd.open_notifier() as notifier:
        assert not notifier.listened
        notifier.ready()
        async with notifier.reloading():
            await trio.sleep(60)
        notifier.stopping(within=5.0)
        with pytest.raises(ValueError, match="line break"):
            notifier.notify(STATUS="a\nb")


async def test_a_manager_that_is_gone_is_logged_and_harms_nobody(
    manager: Manager, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    """Row W33."""
    async with systemd.open_notifier() as notifier:
        notifier.ready()
        manager.sock.close()
        for _ in range(50):
            notifier.status("still here")
        await trio.sleep(60)
    assert 1 <= len(caplog.records) <= 2
    assert "cannot notify systemd" in caplog.text
