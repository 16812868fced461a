"""Several processes on one port, looked after by a parent."""

from __future__ import annotations

import contextlib
import errno
import json
import signal
from pathlib import Path
from typing import Any

import pytest
import trio

from snowtrio import open_tcp_listeners

from .peers import Peer
from .workers import (
    PATIENCE,
    RunningWorkers,
    all_ready,
    kill,
    running_workers,
    until_gone,
)

CONNECTIONS = 60


async def drained_report(running: RunningWorkers) -> dict[str, Any]:
    """Wait until the parent has ended, with status 0; return its last words."""
    await running.example.wait_stopped()
    report: dict[str, Any] = json.loads(running.example.lines[-1])
    return report


async def ask_for_long(peer: Peer) -> None:
    """Ask for something that takes half a second, and return when it has been received."""
    await peer.send(b"first\nsleep 0.5\n")
    assert await peer.line() == "first"


async def test_two_processes_share_a_port_and_are_counted() -> None:
    """W33: a burst is spread over both, the parent knows what they count, nobody else listens."""
    async with running_workers() as running:
        peers = [Peer(await running.example.connect()) for _ in range(CONNECTIONS)]
        for peer in peers:
            await peer.send(b"pid\n")
        served_by = [int(await peer.line()) for peer in peers]
        pids = set((await running.pids()).values())
        # One after the other, to workers that have nothing to do: nobody comes first every time.
        assert min(served_by.count(pid) for pid in pids) >= CONNECTIONS // 6
        counts = await running.until(
            lambda counts: sum(each["messages_sent"] for each in counts["workers"]) == CONNECTIONS
        )
        for worker in counts["workers"]:
            mine = served_by.count(worker["pid"])
            assert (worker["connections"], worker["opened"]) == (mine, mine)
            assert worker["servers"][0]["pool"]["connections"] == mine
            assert worker["restarts"] == 0
        with pytest.raises(OSError, match="cannot listen") as caught:
            await open_tcp_listeners(running.example.port)
        assert caught.value.errno == errno.EADDRINUSE
        # A terminal sends these to all its processes.
        for pid in pids:
            kill(pid, signal.SIGINT)
            kill(pid, signal.SIGHUP)
        for peer in peers:
            await peer.send(b"still there\n")
            assert await peer.line() == "still there"
            await peer.stream.aclose()
        assert set((await running.pids()).values()) == pids
        running.example.process.send_signal(signal.SIGTERM)
        report = await drained_report(running)
        assert (report["killed"], report["failed"]) == ([], [])
        await until_gone(*pids)


@pytest.mark.on_one_python
async def test_a_burst_is_not_taken_by_the_first_that_wakes_up() -> None:
    """W33: each takes one at a time, so that connections go where there is time for them."""
    async with running_workers() as running:
        peers: list[Peer] = []

        async def connect() -> None:
            peers.append(Peer(await running.example.connect()))

        async with trio.open_nursery() as nursery:
            for _ in range(CONNECTIONS):
                nursery.start_soon(connect)
        for peer in peers:
            await peer.send(b"number\n")
        numbers = [await peer.line() for peer in peers]
        assert min(numbers.count("0"), numbers.count("1")) >= CONNECTIONS // 10
        for peer in peers:
            await peer.stream.aclose()


async def test_those_that_end_are_replaced() -> None:
    """W33: killed, ended by a bug, or asked to drain by a SIGTERM of its own."""
    limits = {"first_delay": 0.01}
    async with running_workers(limits=limits) as running:
        descriptors = await running.ask_admin("descriptors")
        before = await running.pids()
        other = await running.connect_to(before[1])
        kill(before[0])
        await running.until(lambda counts: all_ready(counts) and counts["restarts"] == 1)
        doomed = await running.connect_to((await running.pids())[0])
        await doomed.send(b"exit 7\n")
        with contextlib.suppress(trio.BrokenResourceError):
            assert await doomed.rest() == b""
        await doomed.stream.aclose()
        await running.until(lambda counts: all_ready(counts) and counts["restarts"] == 2)
        leaving = (await running.pids())[0]
        peer = await running.connect_to(leaving)
        await ask_for_long(peer)
        kill(leaving, signal.SIGTERM)
        assert await peer.line() == "sleep 0.5"
        assert await peer.rest() == b""
        await peer.stream.aclose()
        counts = await running.until(
            lambda counts: (
                all_ready(counts) and leaving not in [each["pid"] for each in counts["workers"]]
            )
        )
        assert counts["restarts"] == 2  # It was asked.
        await other.send(b"pid\n")
        assert int(await other.line()) == before[1]
        await other.stream.aclose()
        assert await running.ask_admin("descriptors") == descriptors
        assert "was killed by SIGKILL" in running.example.read_errors()
        assert "ended with exit status 7" in running.example.read_errors()


async def test_one_that_does_not_start_is_tried_again_and_leaks_nothing(tmp_path: Path) -> None:
    """W33: while others serve it is tried for ever, and a roll leaves them alone."""
    fails = tmp_path / "fails"
    limits = {"first_delay": 0.001, "longest_delay": 0.02, "max_failed_starts": 2}
    async with running_workers(limits=limits, fail_if=fails) as running:
        pids = await running.pids()
        descriptors = await running.ask_admin("descriptors")
        fails.touch()
        kill(pids[0])
        await running.until(lambda counts: counts["failed_starts"] >= 20)
        assert await running.ask_admin("roll") is False
        assert (await running.pids())[1] == pids[1]
        fails.unlink()
        counts = await running.until(all_ready)
        assert counts["restarts"] > 20
        assert await running.ask_admin("descriptors") == descriptors
        assert "others are" in running.example.read_errors()


async def test_if_none_starts_the_parent_ends(tmp_path: Path) -> None:
    """W33: after as many in a row as the limits say."""
    limits = {"first_delay": 0.001, "max_failed_starts": 3}
    with pytest.raises(AssertionError, match="WorkerStartError") as caught:
        async with running_workers(limits=limits, fail_if=tmp_path):
            pass
    assert "3 times in a row" in str(caught.value)
    assert 'if __name__ == "__main__"' in str(caught.value)


@pytest.mark.on_one_python
@pytest.mark.parametrize("killed", [False, True])
async def test_one_that_hangs_is_noticed(killed: bool) -> None:
    """W33: and killed by choice; the other serves in the meantime."""
    limits = {"hang_timeout": 0.4, "kill_hung": killed, "first_delay": 0.01}
    async with running_workers(limits=limits) as running:
        pids = await running.pids()
        peer = await running.connect_to(pids[0])
        await peer.send(b"block %d\n" % (60 if killed else 2))
        if killed:
            counts = await running.until(lambda counts: counts["restarts"] and all_ready(counts))
            assert counts["killed"] == 1
            assert (await running.pids())[0] != pids[0]
        else:
            await running.until(lambda counts: "HUNG" in str(counts["workers"]))
            assert await running.ask("number") == "1"
            assert await peer.line() == "block 2"
            assert await running.until(all_ready)
            assert await running.pids() == pids
        await trio.aclose_forcefully(peer.stream)


async def test_sigterm_answers_what_is_under_way() -> None:
    """W33: in all workers, which end with the parent."""
    async with running_workers() as running:
        pids = await running.pids()
        peers = [await running.connect_to(pid) for pid in pids.values()]
        for peer in peers:
            await ask_for_long(peer)
        running.example.process.send_signal(signal.SIGTERM)
        for peer in peers:
            assert await peer.line() == "sleep 0.5"
            assert await peer.rest() == b""
            await peer.stream.aclose()
        report = await drained_report(running)
        assert (report["connections"], report["cut"]) == (2, 0)
        with pytest.raises(OSError, match="failed"):
            await running.example.connect()


async def test_another_signal_cuts_the_drain_short() -> None:
    """W33: connections are cut, and nothing is left."""
    async with running_workers() as running:
        pids = await running.pids()
        peer = await running.connect_to(pids[0])
        await peer.send(b"sleep 60\n")
        process = running.example.process
        process.send_signal(signal.SIGTERM)
        await running.until(lambda counts: "DRAINING" in str(counts["workers"]))
        process.send_signal(signal.SIGTERM)
        with trio.fail_after(PATIENCE):
            assert await process.wait() == 128 + signal.SIGTERM
        await trio.aclose_forcefully(peer.stream)
        await until_gone(*pids.values())


async def test_those_that_do_not_end_in_time_are_killed() -> None:
    """W33: one deadline for all of them."""
    drain = {"goodbye": 0.1, "wait": 0.1}
    limits = {"drain": drain, "kill_timeout": 0.2}
    async with running_workers("--target", "stubborn", limits=limits) as running:
        pids = await running.pids()
        running.example.process.send_signal(signal.SIGTERM)
        report = await drained_report(running)
        assert sorted(report["killed"]) == sorted(pids.values())
        assert 0.4 <= report["seconds"] < 10


async def test_without_its_parent_a_worker_drains_and_ends() -> None:
    """W33: no orphans, and what was asked is answered."""
    async with running_workers() as running:
        pids = await running.pids()
        peer = await running.connect_to(pids[0])
        await ask_for_long(peer)
        process = running.example.process
        process.kill()
        with trio.fail_after(PATIENCE):
            await process.wait()
        assert await peer.line() == "sleep 0.5"
        assert await peer.rest() == b""
        await peer.stream.aclose()
        await until_gone(*pids.values())


async def test_a_listener_each_by_so_reuseport() -> None:
    """W33: whoever connects while a worker is being replaced waits for the next one."""
    async with running_workers("--reuse-port", limits={"first_delay": 0.01}) as running:
        pids = await running.pids()
        for pid in pids.values():
            await (await running.connect_to(pid)).stream.aclose()
        kill(pids[0])
        peers = [Peer(await running.example.connect()) for _ in range(20)]
        for peer in peers:
            await peer.send(b"number\n")
        assert {await peer.line() for peer in peers} == {"0", "1"}
        for peer in peers:
            await peer.stream.aclose()
