"""``examples/echo_server.py``, run as its docstring says."""

from __future__ import annotations

import signal

import pytest
import trio

from .examples import needs_program, run_program, running_example
from .peers import Peer, connected, line_of


@needs_program("nc")
async def test_nc_gets_its_bytes_back() -> None:
    """Row Z1: it listens when it says so, answers, and leaves nothing open."""
    async with running_example("echo_server") as example:
        typed = b"no newline, \x00\xff and\r\nall"
        done = await run_program("nc", "-N", example.host, str(example.port), stdin=typed)
        assert done.stdout == typed
        assert example.read_errors() == ""


async def test_it_listens_on_ipv6() -> None:
    """Row S26."""
    async with running_example("echo_server", "--host", "::1") as example:
        assert example.host == "::1"
        async with connected(example) as peer:
            await peer.send(b"six")
            assert await peer.exactly(3) == b"six"


async def test_many_bytes_come_back_as_they_were() -> None:
    """Row S5: far more than fits between the two."""
    data = line_of(3_000_000)
    async with (
        running_example("echo_server") as example,
        connected(example) as peer,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(peer.send, data)
        assert await peer.exactly(len(data)) == data


async def test_bytes_follow_the_end_of_input() -> None:
    """Row P5: half-close."""
    data = line_of(500_000)
    async with running_example("echo_server") as example, connected(example) as peer:

        async def send_all() -> None:
            await peer.send(data)
            await peer.send_eof()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send_all)
            assert await peer.rest() == data


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_it_with_a_client_connected(number: signal.Signals) -> None:
    """Rows P11 and S23: the client gets its bytes, the end of input, and no reset."""
    async with running_example("echo_server") as example, connected(example) as peer:
        await peer.send(b"last words")
        assert await peer.exactly(10) == b"last words"
        example.process.send_signal(number)
        assert await peer.rest() == b""
        await peer.stream.aclose()
        await example.wait_stopped()
        assert example.lines == [f"listening on {example.host}:{example.port}"]
        assert example.read_errors() == ""


async def echo_until_the_end(peer: Peer, started: trio.Event) -> None:
    """Send without a pause and check that what comes back is the beginning of it."""
    pattern = line_of(100_000)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(peer.pump, pattern)
        data = await peer.exactly(len(pattern))
        started.set()
        data += await peer.rest()
        nursery.cancel_scope.cancel()
    times = len(data) // len(pattern) + 1
    assert (pattern * times).startswith(data)


async def test_clients_that_are_still_sending_are_drained_without_a_reset() -> None:
    """Rows B9, P11 and Z3."""
    async with running_example("echo_server") as example, trio.open_nursery() as nursery:
        for _ in range(5):
            peer, started = Peer(await example.connect()), trio.Event()

            async def run(peer: Peer = peer, started: trio.Event = started) -> None:
                async with peer.stream:
                    await echo_until_the_end(peer, started)

            nursery.start_soon(run)
            await started.wait()
        await example.stop(signal.SIGTERM)
        assert example.read_errors() == ""
