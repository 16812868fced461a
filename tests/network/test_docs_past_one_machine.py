"""The how-to's two machines behind HAProxy, deployed as it says, with its own configuration."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio

from .documented import HOW_TO, read_blocks
from .examples import needs_program, run_program
from .haproxy import Balancer, haproxy
from .http_client_servers import free_port
from .http_peers import curl_json
from .peers import TIMEOUT, Peer

PAGE, CONFIGURATION = HOW_TO / "past-one-machine.md", HOW_TO / "haproxy.cfg"

pytestmark = [
    needs_program("haproxy"),
    pytest.mark.skipif(not PAGE.exists(), reason="the documentation is not here"),
]

HERE = "127.0.0.1"
WRK_SCRIPT = """
function done(summary)
  local errors = summary.errors
  io.write(string.format('{"requests": %d, "failed": %d}\\n', summary.requests,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"""


@attrs.define
class Machine:
    """A program that can be replaced.

    Parameters:
        program: its file.
        name: what HAProxy calls it.
    """

    program: Path
    name: str
    ports: tuple[int, int] = attrs.field(init=False, factory=lambda: (free_port(), free_port()))
    process: trio.Process | None = attrs.field(init=False, default=None)

    async def start(self) -> None:
        ports = map(str, self.ports)
        self.process = await trio.lowlevel.open_process(
            [sys.executable, "-W", "error", str(self.program), HERE, *ports, HERE]
        )

    async def stop(self) -> None:
        """Send SIGTERM, and check that it drains and ends well."""
        assert self.process is not None
        self.process.terminate()
        with trio.fail_after(TIMEOUT):
            assert await self.process.wait() == 0

    async def end(self) -> None:
        if self.process is not None:
            self.process.kill()
            with trio.CancelScope(shield=True):
                await self.process.wait()

    async def wait_up(self, balancer: Balancer) -> None:
        with trio.fail_after(TIMEOUT):
            for section in ("web", "lines"):
                await balancer.wait_for(self.name, "UP", section=section)


@asynccontextmanager
async def deployed(folder: Path) -> AsyncGenerator[tuple[Balancer, list[Machine]], None]:
    """Run the page's program twice, and HAProxy with the page's file before both."""
    program = folder / "service.py"
    text = "\n".join(read_blocks(PAGE, "python"))
    assert "settle=5" in text
    # All that is faster here: HAProxy looks ten times a second, and so knows sooner.
    program.write_text(text.replace("settle=5", "settle=1"))
    machines = [Machine(program, name) for name in ("a", "b")]
    environment = {"INTER": "100ms"}
    for machine in machines:
        web, lines = machine.ports
        environment[f"WEB_{machine.name.upper()}"] = f"127.0.0.1:{web}"
        environment[f"LINES_{machine.name.upper()}"] = f"127.0.0.1:{lines}"
    async with AsyncExitStack() as stack:
        for machine in machines:
            stack.push_async_callback(machine.end)
            await machine.start()
        balancer = await stack.enter_async_context(
            haproxy(
                folder,
                CONFIGURATION.read_text(),
                fronts={"BIND_WEB": "127.0.0.1", "BIND_LINES": "127.0.0.1"},
                environment=environment,
            )
        )
        for machine in machines:
            await machine.wait_up(balancer)
        yield balancer, machines
        async with trio.open_nursery() as nursery:
            for machine in machines:
                nursery.start_soon(machine.stop)


async def roll(balancer: Balancer, machines: list[Machine]) -> None:
    """Deploy on one machine after the other."""
    for machine in machines:
        await machine.stop()
        await machine.start()
        await machine.wait_up(balancer)


def url_of(balancer: Balancer, path: str) -> str:
    host, port = balancer.address["BIND_WEB"]
    return f"http://{host}:{port}{path}"


async def test_the_configuration_is_right_as_it_stands() -> None:
    """W33: without any of its variables."""
    done = await run_program("haproxy", "-c", "-f", str(CONFIGURATION), environment={**os.environ})
    assert done.returncode == 0, done.stderr.decode()


@needs_program("curl")
async def test_clients_keep_their_addresses(tmp_path: Path) -> None:
    """W33: of the web; and both machines are in use."""
    async with deployed(tmp_path) as (balancer, _):
        for host in ("127.0.0.5", "127.0.0.6"):
            told = await curl_json("--interface", host, url_of(balancer, "/address"))
            assert told[0] == host
        for name in ("a", "b"):
            assert int((await balancer.state(name, section="web"))["stot"]) == 1


@needs_program("wrk")
async def test_a_deploy_under_load_loses_no_request(tmp_path: Path) -> None:
    """W33: wrk on the web, and lines one after the other, while both machines are replaced."""
    script = tmp_path / "done.lua"
    script.write_text(WRK_SCRIPT)
    async with deployed(tmp_path) as (balancer, machines), trio.open_nursery() as nursery:
        answered: list[int] = []
        for _ in range(4):
            nursery.start_soon(exchange_lines, balancer, answered)
        async with trio.open_nursery() as rolling:
            rolling.start_soon(roll, balancer, machines)
            web = url_of(balancer, "/address")
            done = await run_program("wrk", "-c16", "-t1", "-d8s", "-s", str(script), web)
        nursery.cancel_scope.cancel()
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["failed"] == 0, done.stdout.decode()
    assert told["requests"] > 100
    assert len(answered) > 100


async def exchange_lines(balancer: Balancer, answered: list[int]) -> None:
    """Connect, have some lines answered, and leave; again and again. All have to be answered.

    A connection that is made in the moment in which a port closes may end at its first line, as the
    page says: then it is made again.
    """
    while True:
        async with await balancer.connect("BIND_LINES") as stream:
            peer = Peer(stream)
            for number in range(5):
                await peer.send(b"%d\n" % number)
                if not number and not await peer.fill():
                    break
                assert await peer.line() == str(number)
                answered.append(number)
        await trio.sleep(0.01)
