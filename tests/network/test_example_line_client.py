"""``examples/line_client.py``, run as its docstring says, against the line server and worse."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import IO, TypeAlias

import attrs
import pytest
import trio

from .examples import EXAMPLES, STOP_TIMEOUT, run_program, running_example
from .peers import Peer, line_of

COMMAND = (sys.executable, "-W", "error", str(EXAMPLES / "line_client.py"))

Serve: TypeAlias = Callable[[Peer], Awaitable[None]]


async def run_client(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return await run_program(*COMMAND, *arguments, stdin=stdin)


def said_one_line(errors: bytes) -> bool:
    """Whether a person finds one clear line there, and no traceback."""
    lines = errors.decode().splitlines()
    return len(lines) == 1 and lines[0].startswith("line_client: ") and len(lines[0]) > 20


@attrs.define(eq=False)
class RunningClient:
    """A client that is typed to."""

    process: trio.Process
    peer: Peer
    errors: IO[bytes]

    async def wait(self) -> tuple[int, bytes]:
        """Return its status and what it has written to its standard error."""
        with trio.fail_after(STOP_TIMEOUT):
            status = await self.process.wait()
        self.errors.seek(0)
        return status, self.errors.read()


def hear_ctrl_c() -> None:
    """Undo what a shell does to programs in its background, perhaps this one: ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextlib.asynccontextmanager
async def running_client(port: int) -> AsyncIterator[RunningClient]:
    """Run a client on standard input for the time of a block."""
    with tempfile.TemporaryFile() as errors:
        process = await trio.lowlevel.open_process(
            [*COMMAND, "--port", str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={name: os.environ[name] for name in os.environ if name != "PYTHONUNBUFFERED"},
            preexec_fn=hear_ctrl_c,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        async with trio.StapledStream(process.stdin, process.stdout) as stream:
            try:
                yield RunningClient(process, Peer(stream), errors)
            finally:
                process.kill()
                with trio.CancelScope(shield=True):
                    await process.wait()


@contextlib.asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[int]:
    """Serve plain connections for the time of a block; gives the port."""

    async def run(stream: trio.SocketStream) -> None:
        async with stream:
            await serve(Peer(stream))

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port: int = listener.socket.getsockname()[1]
        nursery.start_soon(trio.serve_listeners, run, [listener])
        yield port
        nursery.cancel_scope.cancel()


# When all is well


def text_of(size: int) -> bytes:
    """Return lines of all kinds, about `size` bytes."""
    chance = random.Random(7)
    lines: list[bytes] = [b"", b"\r", b"a\rb\r\r", b"\x00\xff", line_of(64 * 1024)[:-1]]
    while size > 0:
        lines.append(chance.randbytes(chance.randrange(120)).replace(b"\n", b"\r"))
        size -= len(lines[-1])
    return b"\n".join(lines) + b"\n"


async def test_a_big_file_comes_back_in_order(tmp_path: Path) -> None:
    """Row S1: five megabytes, far more than fits between the two."""
    path = tmp_path / "text"
    path.write_bytes(text_of(5_000_000))
    async with running_example("line_server") as example:
        done = await run_client("--port", str(example.port), str(path))
        assert example.read_errors() == ""
    assert done.stderr == b""
    assert done.stdout == path.read_bytes()
    assert done.returncode == 0


@pytest.mark.on_one_python
async def test_standard_input_comes_back() -> None:
    """Row Z1: a last line without its end is sent as a line."""
    async with running_example("line_server") as example:
        for typed in (b"one\ntwo\n", b"one\ntwo", b"\n", b""):
            done = await run_client("--port", str(example.port), stdin=typed)
            printed = typed if typed.endswith(b"\n") or not typed else typed + b"\n"
            assert (done.returncode, done.stdout, done.stderr) == (0, printed, b"")


async def test_replies_are_printed_while_somebody_types() -> None:
    async with (
        running_example("line_server") as example,
        running_client(example.port) as client,
    ):
        for text in ("one", "two"):
            await client.peer.send(text.encode() + b"\n")
            assert await client.peer.line() == text


async def test_ctrl_c_ends_it_quietly() -> None:
    """Also while it waits for somebody to type."""
    async with (
        running_example("line_server") as example,
        running_client(example.port) as client,
    ):
        await client.peer.send(b"one\n")
        assert await client.peer.line() == "one"
        client.process.send_signal(signal.SIGINT)
        assert await client.wait() == (130, b"")


# When it is not


@pytest.mark.on_one_python
async def test_nothing_listens() -> None:
    """Row P4: refused."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    await listener.aclose()
    done = await run_client("--port", str(port), stdin=b"hello\n")
    assert done.returncode == 1
    assert said_one_line(done.stderr)
    assert b"refused" in done.stderr
    assert str(port).encode() in done.stderr


@pytest.mark.on_one_python
async def test_the_host_is_unknown() -> None:
    """Row P4: names of this end are never resolved (RFC 6761)."""
    done = await run_client("--host", "nobody.invalid", stdin=b"hello\n")
    assert done.returncode == 1
    assert said_one_line(done.stderr)
    assert b"nobody.invalid" in done.stderr


@pytest.mark.on_one_python
async def test_the_file_is_not_there(tmp_path: Path) -> None:
    done = await run_client(str(tmp_path / "no-such-file"))
    assert done.returncode == 1
    assert said_one_line(done.stderr)
    assert b"no-such-file" in done.stderr


@pytest.mark.on_one_python
async def test_a_line_is_too_long() -> None:
    """Row S3: our own line, so nothing of it is sent."""
    async with running_example("line_server") as example:
        done = await run_client("--port", str(example.port), stdin=line_of(64 * 1024 + 1))
        assert example.read_errors() == ""
    assert (done.returncode, done.stdout) == (1, b"")
    assert said_one_line(done.stderr)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_the_server_dies_while_it_waits_for_more_input(number: signal.Signals) -> None:
    """Killed or drained: either way it will answer no more."""
    async with (
        running_example("line_server") as example,
        running_client(example.port) as client,
    ):
        await client.peer.send(b"one\n")
        assert await client.peer.line() == "one"
        example.process.send_signal(number)
        status, errors = await client.wait()
        assert status == 1
        assert said_one_line(errors)
        await example.process.wait()


async def answer_one(peer: Peer) -> None:
    """Take all input, answer the first line of it, and leave."""
    received = await peer.rest()
    await peer.send(received.partition(b"\n")[0] + b"\n")


async def leave_at_once(peer: Peer) -> None:
    """Answer one line and leave with much unread, which makes a reset."""
    await peer.send((await peer.line()).encode() + b"\n")


@pytest.mark.on_one_python
@pytest.mark.parametrize(("serve", "lines"), [(answer_one, 2), (leave_at_once, 200_000)])
async def test_the_server_leaves_in_the_middle(serve: Serve, lines: int) -> None:
    async with serving(serve) as port:
        done = await run_client("--port", str(port), stdin=b"hello\n" * lines)
    assert done.returncode == 1
    assert done.stdout in (b"", b"hello\n")  # A reset may overtake the reply.
    assert said_one_line(done.stderr)
