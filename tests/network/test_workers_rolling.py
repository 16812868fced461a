"""All workers are replaced while clients go on asking: no request is lost."""

from __future__ import annotations

import json
import re
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import trio

from .examples import EXAMPLES, RunningExample, needs_program, run_program, running_example
from .peers import Peer
from .workers import PATIENCE, children_of, kill, running_workers

LINES = b"".join(b"%d of many\n" % number for number in range(2000))
WRK_SCRIPT = """
function done(summary)
  local errors = summary.errors
  io.write(string.format('{"requests": %d, "failed": %d}\\n', summary.requests,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"""


async def roll(example: RunningExample, times: int = 1) -> None:
    """Have both workers replaced, and wait until the old ones have ended."""
    for _ in range(times):
        ended = example.read_errors().count("ended with exit status 0")
        example.process.send_signal(signal.SIGHUP)
        with trio.fail_after(PATIENCE):
            while example.read_errors().count("ended with exit status 0") < ended + 2:
                await trio.sleep(0.05)


async def exchange_again_and_again(example: RunningExample, counts: list[int]) -> None:
    """Connect, ask for one thing after the other, and leave: all has to be answered."""
    while True:
        peer = Peer(await example.connect())
        async with peer.stream:
            for number in range(200):
                await peer.send(b"%d\n" % number)
                assert await peer.line() == str(number)
        counts[0] += 1


async def test_the_line_server_loses_no_line() -> None:
    """W33: under ``line_client``, and connections that come and go without a pause."""
    async with (
        running_example("line_server", "--workers", "2") as example,
        trio.open_nursery() as nursery,
    ):
        counts = [0]
        for _ in range(4):
            nursery.start_soon(exchange_again_and_again, example, counts)
        rolled = trio.Event()

        async def run_clients() -> None:
            client = str(EXAMPLES / "line_client.py")
            while not rolled.is_set():
                command = (sys.executable, client, "--port", str(example.port))
                done = await run_program(*command, stdin=LINES)
                assert (done.returncode, done.stderr) == (0, b"")
                assert done.stdout == LINES

        async with trio.open_nursery() as clients:
            clients.start_soon(run_clients)
            await roll(example, times=2)
            rolled.set()
        nursery.cancel_scope.cancel()
        assert counts[0] > 10
        assert not re.search("Error|killed", example.read_errors())


@pytest.mark.on_one_python
@needs_program("wrk")
async def test_the_json_server_loses_no_request(tmp_path: Path) -> None:
    """W33: under ``wrk``, whose connections are kept for the next request."""
    script = tmp_path / "count.lua"
    script.write_text(WRK_SCRIPT)
    async with running_example("http_json_server", "--workers", "2") as example:
        counted: dict[str, Any] = {}

        async def load() -> None:
            options = ("-t", "1", "-c", "16", "-d", "6s", "-s", str(script))
            done = await run_program("wrk", *options, f"http://127.0.0.1:{example.port}/stats")
            counted.update(json.loads(done.stdout.splitlines()[-1]))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(load)
            await roll(example)
        assert counted["failed"] == 0
        assert counted["requests"] > 100


async def test_a_connection_that_stays_is_told_when_its_time_is_over() -> None:
    """W33: it goes on until then, on the old process; the roll is not done before."""
    limits = {"roll": {"settle": 1.0, "goodbye": 1.0, "wait": 5.0}}
    async with running_workers(limits=limits) as running:
        before = await running.pids()
        peer = await running.connect_to(before[0])
        # What a terminal does to the helper of `multiprocessing` when it goes away: it would warn.
        for child, command in children_of(running.example.process.pid).items():
            if "resource_tracker" in command:
                kill(child, signal.SIGHUP)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(running.ask_admin, "roll")
            counts = await running.until(
                lambda counts: (
                    [each["number"] for each in counts["workers"]].count(0) == 2
                    and "DRAINING" in str(counts["workers"])
                )
            )
            assert counts["workers"][0]["pid"] == before[0]
            await peer.send(b"pid\n")
            assert int(await peer.line()) == before[0]
            assert await peer.rest() == b""
            await peer.stream.aclose()
        after = await running.pids()
        assert set(before.values()).isdisjoint(after.values())
        counts = await running.statistics()
        assert (counts["rolls"], counts["restarts"]) == (1, 0)
