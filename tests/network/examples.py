"""Examples as their users start them: a process of their own, on a free port, ended by a signal."""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

import attrs
import pytest
import trio

EXAMPLES = Path(__file__).parents[2] / "examples"

# Far above what it takes, so that only a hang meets them.
START_TIMEOUT = 20.0
STOP_TIMEOUT = 20.0
PROGRAM_TIMEOUT = 30.0

READY = "listening on "
HOST_AND_PORT = re.compile(r"(?P<host>[^/]+):(?P<port>\d+)")


def needs_program(name: str) -> pytest.MarkDecorator:
    """Return a mark that skips a test where a program is not installed."""
    return pytest.mark.skipif(shutil.which(name) is None, reason=f"{name} is not installed")


async def run_program(
    *command: str, stdin: bytes = b"", environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run a program to its end and return its status, output and errors, whatever they are."""
    with trio.fail_after(PROGRAM_TIMEOUT):
        return await trio.run_process(
            command,
            stdin=stdin,
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            env=environment,
        )


@attrs.frozen(eq=False)
class SharedExample:
    """An example that several tests talk to, each in a run of Trio of its own.

    Parameters:
        host: where it says that it listens.
        port: where it says that it listens.
        errors: what it writes to its standard error.
    """

    host: str
    port: int
    _errors: IO[bytes]

    def read_errors(self) -> str:
        """Return what it has written to its standard error."""
        return read_all(self._errors)

    async def connect(self) -> trio.SocketStream:
        """Return a plain connection to it."""
        return await trio.open_tcp_stream(self.host, self.port)


@attrs.define(eq=False)
class RunningExample:
    """An example that has said where it listens.

    Parameters:
        process: runs it. Its output is read up to the line that says where it listens, and the rest
            when it has ended, so it must not print much in between.
        errors: what it writes to its standard error.
    """

    process: trio.Process
    errors: IO[bytes]
    lines: list[str] = attrs.field(init=False, factory=list)
    """What it has printed, as far as it has been read."""
    address: str = attrs.field(init=False, default="")
    """Where it says that it listens: a host and a port, or the path of a Unix socket."""
    host: str = attrs.field(init=False, default="")
    port: int = attrs.field(init=False, default=0)
    _partial: bytes = attrs.field(init=False, default=b"")

    async def wait_ready(self) -> None:
        """Read on until it says where it listens."""
        while True:
            line = await self.read_line()
            if line is None:
                await self.process.wait()
                raise AssertionError(f"ended without listening: {self.read_errors()}")
            if line.startswith(READY):
                self.address = line.removeprefix(READY)
                if match := HOST_AND_PORT.fullmatch(self.address):
                    self.host, self.port = match["host"].strip("[]"), int(match["port"])
                return

    async def read_line(self) -> str | None:
        """Return the next line that it prints, None at the end."""
        assert self.process.stdout is not None
        while b"\n" not in self._partial:
            data = await self.process.stdout.receive_some()
            if not data:
                return None
            self._partial += data
        line, _, self._partial = self._partial.partition(b"\n")
        self.lines.append(line.decode())
        return self.lines[-1]

    def read_errors(self) -> str:
        """Return what it has written to its standard error."""
        return read_all(self.errors)

    async def connect(self) -> trio.SocketStream:
        """Return a plain connection to it."""
        if self.port:
            return await trio.open_tcp_stream(self.host, self.port)
        return await trio.open_unix_socket(self.address)

    async def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """Send it a signal and check that it ends by itself, with status 0."""
        self.process.send_signal(number)
        await self.wait_stopped()

    async def wait_stopped(self) -> None:
        """Wait until it has ended, which it has been told to, and check that its status is 0."""
        with trio.fail_after(STOP_TIMEOUT):
            while await self.read_line() is not None:
                pass
            status = await self.process.wait()
        assert status == 0, f"exit status {status}: {self.read_errors()}"


def read_all(file: IO[bytes]) -> str:
    """Return what a file has, from its beginning."""
    file.seek(0)
    return file.read().decode()


def command_of(name: str, *arguments: str) -> list[str]:
    """Return what starts an example; it listens on a free port."""
    example = str(EXAMPLES / f"{name}.py")
    return [sys.executable, "-W", "error", example, "--port", "0", *arguments]


@contextlib.asynccontextmanager
async def running_example(name: str, *arguments: str) -> AsyncIterator[RunningExample]:
    """Run an example for the time of a block, and end it with SIGINT unless the block has.

    Parameters:
        name: its file in ``examples/``, without the suffix.
        arguments: its command line; ``--port 0`` is put before them.
    """
    async with running_program(name, command_of(name, *arguments)) as example:
        yield example


@contextlib.asynccontextmanager
async def running_program(
    name: str, command: Sequence[str], environment: Mapping[str, str] | None = None
) -> AsyncIterator[RunningExample]:
    """Run a program that behaves as the examples do.

    Parameters:
        name: for its errors.
        command: what starts it.
        environment: its environment variables; ours by default.
    """
    with tempfile.TemporaryFile() as errors:
        process = await trio.lowlevel.open_process(
            command, stdout=subprocess.PIPE, stderr=errors, env=environment
        )
        assert process.stdout is not None
        async with process.stdout:
            example = RunningExample(process, errors)
            try:
                with trio.fail_after(START_TIMEOUT):
                    await example.wait_ready()
                yield example
                if process.returncode is None:
                    await example.stop()
            except Exception as error:
                # One that has crashed is given the time to say why.
                with trio.move_on_after(0.2):
                    await process.wait()
                error.add_note(f"{name} has written: {example.read_errors() or 'nothing'}")
                raise
            finally:
                await _end(process)


async def _end(process: trio.Process) -> None:
    if process.returncode is None:
        process.kill()
    with trio.CancelScope(shield=True):
        await process.wait()


@contextlib.contextmanager
def shared_example(name: str, *arguments: str) -> Iterator[SharedExample]:
    """Run an example that listens on TCP for the time of a block, outside of Trio.

    For a fixture of a module: to start a process takes far longer than most tests. At the end it
    has to stop by itself on SIGINT, with status 0.

    Parameters:
        name: its file in ``examples/``, without the suffix.
        arguments: its command line; ``--port 0`` is put before them.
    """
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            command_of(name, *arguments), stdout=subprocess.PIPE, stderr=errors
        ) as process,
    ):
        try:
            host, port = _read_address(process, errors)
            yield SharedExample(host, port, errors)
            process.send_signal(signal.SIGINT)
            assert process.wait(STOP_TIMEOUT) == 0, read_all(errors)
        finally:
            process.kill()


def _read_address(process: subprocess.Popen[bytes], errors: IO[bytes]) -> tuple[str, int]:
    assert process.stdout is not None
    hung = threading.Timer(START_TIMEOUT, process.kill)
    hung.start()
    try:
        for line in process.stdout:
            text = line.decode().removesuffix("\n")
            if text.startswith(READY) and (
                match := HOST_AND_PORT.fullmatch(text.removeprefix(READY))
            ):
                return match["host"].strip("[]"), int(match["port"])
    finally:
        hung.cancel()
    raise AssertionError(f"ended without listening: {read_all(errors)}")
