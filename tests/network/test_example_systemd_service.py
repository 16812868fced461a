"""``examples/systemd_service.py`` and the how-to: sockets and notifications as systemd has them."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

import pytest
import trio

from ..serving import LIMIT
from .examples import (
    EXAMPLES,
    START_TIMEOUT,
    RunningExample,
    command_of,
    needs_program,
    run_program,
    running_example,
)
from .peers import connected

HOW_TO = EXAMPLES.parent / "docs/how-to/systemd.md"
COMMAND = re.compile(r"^```sh\n(systemd-socket-activate .*)\n```$", re.MULTILINE)
UNIT = re.compile(r"^```ini\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Manager:
    """The socket that the example notifies."""

    def __init__(self, path: Path) -> None:
        self.environment = {"NOTIFY_SOCKET": str(path)}
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.setblocking(False)
        self.sock.bind(str(path))

    async def hear(self) -> str:
        """Return what is said next; that the watchdog is told so does not count."""
        with trio.fail_after(LIMIT):
            while True:
                await trio.lowlevel.wait_readable(self.sock)
                said = self.sock.recv(4096).decode()
                if said != "WATCHDOG=1":
                    return said


@contextlib.asynccontextmanager
async def started(
    command: list[str], environment: Mapping[str, str]
) -> AsyncGenerator[RunningExample, None]:
    """Run a program; at the end it has ended, whatever happened."""
    with tempfile.TemporaryFile() as errors:
        process = await trio.lowlevel.open_process(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, **environment},
        )
        assert process.stdout is not None
        async with process.stdout:
            try:
                yield RunningExample(process, errors)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                with trio.CancelScope(shield=True):
                    await process.wait()


async def test_without_systemd_it_is_any_program() -> None:
    """Rows W33 and P11."""
    async with running_example("systemd_service") as example, connected(example) as peer:
        await peer.send(b"hello\n")
        assert await peer.line() == "hello"
        await peer.send_eof()
        assert await peer.rest() == b""
        assert example.read_errors() == ""


async def test_it_says_what_it_does_and_when(tmp_path: Path) -> None:
    """Row W33: ready once it listens, a reload's beginning and end, the drain's beginning."""
    settings = tmp_path / "settings.json"
    settings.write_text('{"max_connections": 5}')
    manager = Manager(tmp_path / "notify")
    command = command_of("systemd_service", "--settings", str(settings))
    environment = {**manager.environment, "WATCHDOG_USEC": "200000"}
    with manager.sock, trio.fail_after(START_TIMEOUT + LIMIT):
        async with started(command, environment) as example:
            assert await manager.hear() == "READY=1\nSTATUS=serving at most 5"
            await example.wait_ready()
            async with connected(example) as peer:
                settings.write_text('{"max_connections": 7}')
                example.process.send_signal(signal.SIGHUP)
                assert re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=\d+", await manager.hear())
                assert await manager.hear() == "STATUS=serving at most 7"
                assert await manager.hear() == "READY=1"
                settings.write_text("none")
                example.process.send_signal(signal.SIGHUP)
                assert (await manager.hear()).startswith("RELOADING=1\n")
                assert await manager.hear() == "READY=1"
                await peer.send(b"hello\n")
                assert await peer.line() == "hello"
                example.process.send_signal(signal.SIGTERM)
                assert await manager.hear() == "STOPPING=1"
                assert await peer.rest() == b""
            await example.wait_stopped()
            assert "the reload has failed" in example.read_errors()


async def test_the_watchdog_is_told_until_the_end(tmp_path: Path) -> None:
    """Row W33: more often than it asks for."""
    manager = Manager(tmp_path / "notify")
    environment = {**manager.environment, "WATCHDOG_USEC": "100000"}
    with manager.sock, trio.fail_after(START_TIMEOUT + LIMIT):
        async with started(command_of("systemd_service"), environment) as example:
            await example.wait_ready()
            for _ in range(5):
                await trio.lowlevel.wait_readable(manager.sock)
                said = manager.sock.recv(4096)
                assert said == b"WATCHDOG=1" or said.startswith(b"READY=1\n")
            await example.stop(signal.SIGTERM)


@needs_program("systemd-socket-activate")
async def test_it_serves_the_socket_that_the_documented_command_opens(tmp_path: Path) -> None:
    """Row W33: systemd's own tool holds the port, and starts it for the first connection."""
    (documented,) = COMMAND.findall(HOW_TO.read_text())
    path = tmp_path / "lines.socket"
    manager = Manager(tmp_path / "notify")
    command = [
        {"7000": str(path), "python": sys.executable}.get(word, word)
        for word in shlex.split(documented)
    ]
    for name in ("PYTHONPATH", "NOTIFY_SOCKET"):  # It passes on no more than it is told to.
        command[1:1] = ["-E", name]
    command[command.index("examples/systemd_service.py")] = str(EXAMPLES / "systemd_service.py")
    pythonpath = {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    with manager.sock, trio.fail_after(START_TIMEOUT + LIMIT):
        async with started(command, {**manager.environment, **pythonpath}) as example:
            while not path.exists():
                await trio.sleep(0.005)
            example.address = str(path)
            async with connected(example) as peer:
                await peer.send(b"hello\n")
                assert await peer.line() == "hello"
                await example.wait_ready()
                assert example.address == str(path)
                assert (await manager.hear()).startswith("READY=1\n")
                example.process.send_signal(signal.SIGTERM)
                assert await peer.rest() == b""
            await example.wait_stopped()
            assert await manager.hear() == "STOPPING=1"
            assert path.exists(), "it is systemd's to remove"


@needs_program("systemd-analyze")
async def test_systemd_understands_the_documented_units(tmp_path: Path) -> None:
    """Row W33."""
    sockets, service = UNIT.findall(HOW_TO.read_text())
    (tmp_path / "lines.socket").write_text(sockets)
    program = "/srv/lines/.venv/bin/python"
    assert program in service
    (tmp_path / "lines.service").write_text(service.replace(program, sys.executable))
    units = [str(tmp_path / name) for name in ("lines.socket", "lines.service")]
    done = await run_program("systemd-analyze", "verify", *units)
    if b"Failed to connect" in done.stderr or b"Operation not permitted" in done.stderr:
        pytest.skip("systemd-analyze cannot run here")
    assert (done.returncode, done.stderr.decode()) == (0, "")
