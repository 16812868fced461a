"""Every wait of a request has its bound, and a body is read as it is wanted (rows Z8, Z11, Z12)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio

from snowtrio.http import (
    ContentCodingError,
    FetchTimeoutError,
    HTTPClient,
    ResponseTooLargeError,
    Timeouts,
)

from .http_client_peers import (
    OK,
    URL,
    Servers,
    answer,
    client_of,
    connected,
    exchange,
)

quiet = trio.testing.wait_all_tasks_blocked


async def endless() -> AsyncIterator[bytes]:
    yield b"a"
    await trio.sleep_forever()


@pytest.mark.parametrize(
    ("timeouts", "seconds", "phase"),
    [
        (Timeouts(response=3), 3, "response"),
        (Timeouts(response=3, total=2), 2, "response"),
        (Timeouts(response=None, total=400), 400, "response"),
        (2, 2, "response"),
    ],
)
async def test_a_server_that_says_nothing(
    autojump_clock: object, timeouts: Timeouts | float, seconds: float, phase: str
) -> None:
    """Row Z11: the head has to come in time; the connection is closed, and no place is lost."""
    peers = Servers()
    async with client_of(peers, max_connections=1) as client:
        began = trio.current_time()
        with pytest.raises(FetchTimeoutError, match="head") as raised:
            await client.fetch(URL, timeout=timeouts)
        assert trio.current_time() - began == pytest.approx(seconds)
        assert (raised.value.phase, raised.value.in_doubt) == (phase, True)
        assert isinstance(raised.value, TimeoutError)
        await exchange(client, peers, index=1)
    assert peers.theirs[0].closed


async def test_a_connection_that_does_not_open(autojump_clock: object) -> None:
    """Row Z11: connecting has a bound of its own, and so has waiting for a connection."""
    peers = Servers(closed=True)
    async with client_of(peers, max_connections=1) as client, trio.open_nursery() as nursery:
        began = trio.current_time()
        with pytest.raises(FetchTimeoutError) as raised:
            await client.fetch(URL, timeout=Timeouts(connect=4))
        assert (raised.value.phase, raised.value.in_doubt) == ("connect", False)
        assert trio.current_time() - began == pytest.approx(4)
        peers.open()
        nursery.start_soon(client.fetch, URL)
        await quiet()
        with pytest.raises(FetchTimeoutError) as raised:
            await client.fetch(URL, timeout=Timeouts(waiting=5))
        assert (raised.value.phase, raised.value.in_doubt) == ("waiting", False)
        assert trio.current_time() - began == pytest.approx(9)
        await answer(peers, 0)


async def test_a_body_that_stops(autojump_clock: object) -> None:
    """Row Z11: each piece has to come in time, not all of them together."""
    peers = Servers()
    async with client_of(peers) as client, trio.open_nursery() as nursery:

        async def drip() -> None:
            await answer(peers, 0, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
            for _ in range(5):
                await trio.sleep(2)
                await peers.say(0, b"x")

        nursery.start_soon(drip)
        began = trio.current_time()
        with pytest.raises(FetchTimeoutError, match="body") as raised:
            await client.fetch(URL, timeout=Timeouts(piece=3))
        assert raised.value.phase == "piece"
        assert trio.current_time() - began == pytest.approx(13)


async def test_a_body_that_is_not_taken(autojump_clock: object) -> None:
    """Row Z11: a server that takes nothing of a body that is sent is given up."""
    peers = Servers()

    async def pieces() -> AsyncIterator[bytes]:
        while True:
            yield bytes(2**20)

    async with client_of(peers) as client, trio.open_nursery() as nursery:

        async def stall() -> None:
            await connected(peers, 1)
            peers.theirs[0].stall()

        nursery.start_soon(stall)
        with pytest.raises(FetchTimeoutError) as raised:
            await client.fetch(URL, body=pieces(), timeout=Timeouts(send=3))
        assert raised.value.phase == "send"


async def test_after_a_body_the_response_is_due(autojump_clock: object) -> None:
    """Row Z11: the wait for the head begins when all was sent."""
    peers = Servers()

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(4):
            await trio.sleep(5)
            yield b"x"

    async with client_of(peers) as client:
        began = trio.current_time()
        with pytest.raises(FetchTimeoutError) as raised:
            await client.fetch(URL, body=pieces(), timeout=Timeouts(send=6, response=3))
        assert raised.value.phase == "response"
        assert trio.current_time() - began == pytest.approx(23)


async def test_a_stream_waits_for_its_reader() -> None:
    """Row Z12: pieces come as they are read, and the server is held up meanwhile."""
    peers = Servers()
    sent = 0
    async with client_of(peers) as client, trio.open_nursery() as nursery:

        async def pour() -> None:
            nonlocal sent
            await answer(peers, 0, b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            for _ in range(100):
                await peers.say(0, bytes(10_000))
                await trio.lowlevel.checkpoint()
                sent += 10_000

        nursery.start_soon(pour)
        async with client.stream("GET", URL) as response:
            assert (response.status, response.headers["content-length"]) == (200, "1000000")
            size = 0
            async for piece in response:
                size += len(piece)
            assert size == 1_000_000
            assert await response.receive() == b""
        await exchange(client, peers)
    assert len(peers.streams) == 1


@pytest.mark.parametrize(("length", "kept"), [(1000, True), (10_000_000, False)])
async def test_a_body_that_is_left(length: int, kept: bool) -> None:
    """Row Z8: little of an unread body is read away; with more, its connection is cut."""
    peers = Servers()
    async with client_of(peers) as client, trio.open_nursery() as nursery:

        async def serve() -> None:
            head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length
            await answer(peers, 0, head + bytes(500))
            await quiet()
            if kept:
                await peers.say(0, bytes(length - 500))

        nursery.start_soon(serve)
        async with client.stream("GET", URL) as response:
            assert len(await response.receive()) == 500
        assert client.statistics().idle == kept
        await exchange(client, peers, index=1 - kept)


async def test_a_block_that_raises_cuts_its_connection() -> None:
    """Row Z8: what is under way on it stays unknown, so nobody uses it again."""
    peers = Servers()
    async with client_of(peers) as client, trio.open_nursery() as nursery:
        nursery.start_soon(answer, peers, 0, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1")
        with pytest.raises(ZeroDivisionError):
            async with client.stream("GET", URL):
                raise ZeroDivisionError
        assert client.statistics().idle == 0
        await exchange(client, peers, index=1)


async def test_reading_a_stream_whole() -> None:
    """Row Z12: the rest of a stream as bytes, within a bound."""
    peers = Servers()
    async with client_of(peers, max_body_size=5) as client, trio.open_nursery() as nursery:
        nursery.start_soon(answer, peers, 0)
        async with client.stream("POST", URL, body=b"x") as response:
            assert await response.read() == b"ok"
        nursery.start_soon(answer, peers, 0)
        async with client.stream("GET", URL) as response:
            with pytest.raises(ResponseTooLargeError):
                await response.read(max_size=1)


async def test_a_stream_has_no_total(autojump_clock: object) -> None:
    """Row Z11: the total of a stream is up to its head, and each piece has a bound."""
    peers = Servers()
    async with client_of(peers) as client, trio.open_nursery() as nursery:
        nursery.start_soon(answer, peers, 0, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1")
        async with client.stream("GET", URL, timeout=Timeouts(total=5, piece=20)) as response:
            assert await response.receive() == b"1"
            await trio.sleep(10)
            began = trio.current_time()
            with pytest.raises(FetchTimeoutError):
                await response.receive()
            assert trio.current_time() - began == pytest.approx(20)


async def test_both_directions_at_once() -> None:
    """Row Z7: a body goes on being sent while the block reads a response that came early."""
    peers = Servers()
    wanted, want = trio.open_memory_channel[bytes](0)

    async def pieces() -> AsyncIterator[bytes]:
        async for piece in want:
            yield piece

    async with client_of(peers) as client, trio.open_nursery() as nursery:

        async def echo() -> None:
            await answer(peers, 0, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n")
            for _ in range(3):
                chunk = await peers.read(0)
                await peers.say(0, chunk[3:4])

        nursery.start_soon(echo)
        async with client.stream("POST", URL, body=pieces()) as response:
            for piece in (b"x", b"y", b"z"):
                await wanted.send(piece)
                assert await response.receive() == piece


async def test_requests_of_one_client_have_deadlines_of_their_own(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Row Z11: in whichever order they were begun, and while there is nobody else."""
    peers = Servers()
    ends: dict[float, float] = {}

    async def fetch(client: HTTPClient, total: float) -> None:
        began = trio.current_time()
        with pytest.raises(FetchTimeoutError):
            await client.fetch(URL, timeout=total)
        ends[total] = trio.current_time() - began

    async with client_of(peers, max_connections=2) as client:
        for times in ((7, 3, 9, 5), (2, 4), (8,)):
            async with trio.open_nursery() as nursery:
                for total in times:
                    nursery.start_soon(fetch, client, total)
    assert ends == {total: pytest.approx(total) for total in (7, 3, 9, 5, 2, 4, 8)}


async def test_unknown_codings_and_raw_bodies() -> None:
    """Row Z10: a coding that is not known is an error, unless the body is wanted as it is."""
    peers = Servers()
    coded = OK.replace(b"\r\n\r\n", b"\r\nContent-Encoding: secret\r\n\r\n")
    async with client_of(peers) as client, trio.open_nursery() as nursery:
        response, _ = await exchange(client, peers, coded, decode=False)
        assert response.body == b"ok"
        nursery.start_soon(answer, peers, 0, coded)
        with pytest.raises(ContentCodingError):
            await client.fetch(URL)


async def test_a_task_that_reads_is_cancelled() -> None:
    """Row Z11: cancelled between two pieces, the connection is closed."""
    peers = Servers()
    async with client_of(peers) as client, trio.open_nursery() as nursery:
        nursery.start_soon(answer, peers, 0, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1")

        async def read() -> None:
            async with client.stream("PUT", URL, body=endless()) as response:
                async for _ in response:
                    pass

        nursery.start_soon(read)
        await connected(peers, 1)
        await quiet()
        nursery.cancel_scope.cancel()
    assert peers.theirs[0].closed
