"""Whose a connection is, how many there are, and what is sent once more (row Z8)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio

from snowtrio import ConnectError, DrainTimeouts, PoolBusyError, PoolClosedError
from snowtrio.http import HTTPClient, NoResponseError, RetryPolicy

from .cancelling import cancelled_at, every_suspension
from .client_peers import outcomes
from .http_client_peers import (
    OK,
    URL,
    Servers,
    answer,
    client_of,
    connected,
    exchange,
    read_request,
)

quiet = trio.testing.wait_all_tasks_blocked


def places(client: HTTPClient) -> tuple[int, int, int]:
    """Return connections, idle ones, and requests that wait for one."""
    found = client.statistics()
    return found.connections, found.idle, found.waiting


async def test_two_fetches_use_one_connection() -> None:
    """Row Z8: the second request goes out on the connection of the first."""
    peers = Servers()
    async with client_of(peers) as client:
        for _ in range(3):
            await exchange(client, peers)
        assert places(client) == (1, 1, 0)
    assert len(peers.streams) == 1
    assert peers.connected == 0


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        OK + b"more",
    ],
)
async def test_what_is_not_kept(response: bytes) -> None:
    """Row Z8: a connection that ends, or has more on it than was asked for, is used once."""
    peers = Servers()
    async with client_of(peers) as client:
        await exchange(client, peers, response)
        await quiet()
        await exchange(client, peers, index=1)
        await quiet()
        assert client.statistics().opened == 2
        assert peers.theirs[0].closed


async def test_an_idle_connection_leaves_with_its_server() -> None:
    """Row Z8: the end of input on a connection that nobody uses is seen at once."""
    peers = Servers()
    async with client_of(peers) as client:
        await exchange(client, peers)
        await peers.streams[0].aclose()
        await quiet()
        assert places(client) == (0, 0, 0)
        await exchange(client, peers, index=1, body=b"not repeated, sent once")
        assert client.statistics().stale == 0


async def test_what_comes_unasked_is_no_response() -> None:
    """Row Z8: a 408 that a server says before it closes does not answer the next request."""
    peers = Servers()
    async with client_of(peers) as client:
        await exchange(client, peers)
        await peers.say(0, b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        await quiet()
        response, _ = await exchange(client, peers, index=1)
        assert response.status == 200


@pytest.mark.parametrize("says", [b"", b"HTTP/1.1 408 No\r\nConnection: close\r\n\r\n"])
async def test_a_stale_connection_is_replaced_once(says: bytes) -> None:
    """Row Z8: a GET whose connection ends unanswered goes out once more, on a new one."""
    peers = Servers()
    async with client_of(peers) as client, trio.open_nursery() as nursery:
        await exchange(client, peers)

        async def serve() -> None:
            await read_request(peers, 0)
            if says:
                await peers.say(0, says)
            await peers.streams[0].aclose()
            await answer(peers, 1)

        nursery.start_soon(serve)
        assert (await client.fetch(URL)).status == 200
        assert client.statistics().stale == 1


async def close_after_request(peers: Servers, *indices: int) -> None:
    for index in indices:
        await connected(peers, index + 1)
        await read_request(peers, index)
        await peers.streams[index].aclose()


async def test_a_stale_connection_is_replaced_once_only() -> None:
    """Row Z8: the server that does it again does not get it a third time."""
    peers = Servers()
    async with client_of(peers) as client, trio.open_nursery() as nursery:
        await exchange(client, peers)
        nursery.start_soon(close_after_request, peers, 0, 1)
        with pytest.raises(NoResponseError) as raised:
            await client.fetch(URL)
        assert raised.value.in_doubt
    assert len(peers.streams) == 2


async def test_others_are_not_repeated() -> None:
    """Row Z8: a POST may have been executed, and the error says so; so may a part of a response."""
    peers = Servers()
    async with client_of(peers) as client, trio.open_nursery() as nursery:
        await exchange(client, peers)
        nursery.start_soon(close_after_request, peers, 0)
        with pytest.raises(NoResponseError, match="may have acted") as raised:
            await client.fetch(URL, body=b"pay")
        assert raised.value.in_doubt
        await exchange(client, peers, index=1)

        async def cut() -> None:
            await answer(peers, 1, b"HTTP/1.1 200 OK\r\nContent-Le")
            await peers.streams[1].aclose()

        nursery.start_soon(cut)
        with pytest.raises(NoResponseError):
            await client.fetch(URL)
    assert len(peers.streams) == 2


async def test_an_iterator_is_not_repeated() -> None:
    """Row Z8: what has been taken from a body's iterator cannot be sent again."""
    peers = Servers()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"a"

    async with client_of(peers) as client, trio.open_nursery() as nursery:
        await exchange(client, peers)
        nursery.start_soon(close_after_request, peers, 0)
        with pytest.raises(NoResponseError):
            await client.fetch(URL, method="PUT", body=pieces())


async def test_no_more_than_the_bounds() -> None:
    """Row Z8: so many for an origin, so many in all; who came first is served first."""
    peers = Servers()
    order: list[int] = []
    async with client_of(peers, max_connections_per_origin=2) as client:

        async def ask(number: int) -> None:
            await client.fetch(URL)
            order.append(number)

        async with trio.open_nursery() as nursery:
            for number in range(6):
                nursery.start_soon(ask, number)
                await quiet()
            assert places(client) == (2, 0, 4)
            for index in (0, 0, 1, 0, 1, 0):
                await answer(peers, index)
                await quiet()
        assert order == [0, 2, 1, 3, 4, 5]
        assert (client.statistics().opened, places(client)) == (2, (2, 2, 0))


async def test_an_idle_connection_of_another_origin_gives_way() -> None:
    """Row Z8: where all places are taken, the one that was idle for longest is closed."""
    books, films, songs = Servers(name="books"), Servers(name="films"), Servers(name="songs")
    async with client_of(books, films, songs, max_connections=2) as client:
        await exchange(client, books, url="http://books/")
        await exchange(client, films, url="http://films/")
        await exchange(client, songs, url="http://songs/")
        assert (books.connected, films.connected, songs.connected) == (0, 1, 1)
        assert client.statistics().origins == 2


async def test_a_busy_origin_does_not_keep_another_one_out() -> None:
    """Row Z8: a connection that comes back gives way to who has waited longer, whatever for."""
    books, films = Servers(name="books"), Servers(name="films")
    async with client_of(books, films, max_connections=1) as client:
        done: list[str] = []

        async def ask(url: str) -> None:
            await client.fetch(url)
            done.append(url)

        async with trio.open_nursery() as nursery:
            for url in ("http://books/1", "http://films/2", "http://books/3"):
                nursery.start_soon(ask, url)
                await quiet()
            await answer(books, 0)
            await answer(films, 0)
            await answer(books, 1)
        assert done == ["http://books/1", "http://films/2", "http://books/3"]
        assert client.statistics().connections == 1


async def test_idle_connections_are_bounded_and_grow_old(autojump_clock: object) -> None:
    """Row Z8: so many are kept, for so long; an origin without any is forgotten."""
    peers = Servers()
    async with client_of(peers, max_idle=2, keep_alive_timeout=10.0) as client:
        async with trio.open_nursery() as nursery:
            for index in range(4):
                nursery.start_soon(client.fetch, URL)
                nursery.start_soon(answer, peers, index)
        await quiet()
        assert places(client) == (2, 2, 0)
        await trio.sleep(13)
        assert places(client) == (0, 0, 0)
        assert client.statistics().origins == 0


@pytest.mark.parametrize(
    "response", [OK.replace(b"200 OK", b"200 OK\r\nConnection: close"), b"nonsense\r\n", b""]
)
async def test_who_waits_gets_the_place_of_a_connection_that_ended(response: bytes) -> None:
    """Row Z8: whatever ends a connection, its place goes to the next in line."""
    peers = Servers()
    found: list[Any] = []
    async with client_of(peers, max_connections=1) as client, trio.open_nursery() as nursery:

        async def ask() -> None:
            found.extend(await outcomes(*[lambda: client.fetch(URL)] * 3))

        nursery.start_soon(ask)
        await connected(peers, 1)
        for index in range(3):
            await answer(peers, index, response if index < 2 else OK)
            if not response and index < 2:
                await peers.streams[index].aclose()
        await quiet()
        assert places(client) == (1, 1, 0)
    ends_well = response.startswith(b"HTTP")
    assert sum(isinstance(each, Exception) for each in found) == (0 if ends_well else 2)


async def test_too_many_wait() -> None:
    """Row Z8: the line is bounded."""
    peers = Servers()
    bounds = {"max_connections": 1, "max_waiting": 1}
    async with client_of(peers, **bounds) as client, trio.open_nursery() as nursery:
        nursery.start_soon(client.fetch, URL)
        nursery.start_soon(client.fetch, URL)
        await quiet()
        with pytest.raises(PoolBusyError):
            await client.fetch(URL)
        await answer(peers, 0)
        await answer(peers, 0)


async def test_a_failed_opening_is_told_and_frees_its_place() -> None:
    """Row Z8: each request that opens a connection gets its own error; the next one tries anew."""
    peers = Servers()
    peers.failures.extend([ConnectionRefusedError(111, "no"), OSError(113, "no way")])
    async with client_of(peers, max_connections=1) as client:
        found = await outcomes(lambda: client.fetch(URL), lambda: client.fetch(URL))
        assert all(isinstance(each, ConnectError) for each in found)
        assert places(client) == (0, 0, 0)
        assert client.statistics().opens_failed == 2
        await exchange(client, peers)


@pytest.mark.parametrize("idle", [True, False])
async def test_cancelled_at_every_await(idle: bool) -> None:
    """Rows Z8, Z11: a cancelled request's connection is closed, and no place is lost."""

    async def scenario(suspension: int) -> bool:
        peers = Servers()
        async with client_of(peers, max_connections=1) as client, trio.open_nursery() as nursery:

            async def serve(index: int) -> None:
                while True:
                    try:
                        await answer(peers, index)
                    except (trio.BrokenResourceError, trio.EndOfChannel):
                        return

            if idle:
                await exchange(client, peers)
            serving = trio.CancelScope()

            async def serve_all() -> None:
                with serving:
                    async with trio.open_nursery() as inner:
                        for index in range(3):
                            inner.start_soon(serve, index)

            nursery.start_soon(serve_all)

            async def work() -> None:
                await client.fetch(URL, body=b"x" * 1000)
                await client.fetch(f"{URL}:81/", headers={"x": "y"})

            struck = await cancelled_at(suspension, work)
            await quiet()
            assert client.statistics().waiting == 0
            with trio.fail_after(5):
                assert (await client.fetch(URL)).status == 200
            await quiet()
            assert places(client) == (1, 1, 0)
            serving.cancel()
        return struck

    assert [n async for n in every_suspension(scenario)]


async def test_leaving_waits_for_what_is_under_way() -> None:
    """Row Z8: a client that is closed begins nothing, and lets others finish."""
    peers = Servers()
    found: list[Any] = []
    client = client_of(peers, max_connections=1)
    async with trio.open_nursery() as nursery:

        async def ask() -> None:
            found.extend(await outcomes(lambda: client.fetch(URL), lambda: client.fetch(URL)))

        async def serve() -> None:
            await connected(peers, 1)
            await read_request(peers, 0)
            await quiet()
            await peers.say(0, OK)

        async with client:
            nursery.start_soon(ask)
            await connected(peers, 1)
            await quiet()
            nursery.start_soon(serve)
    kinds = sorted(type(each).__name__ for each in found)
    assert kinds == ["ClientResponse", "PoolClosedError"]
    assert peers.connected == 0
    with pytest.raises(PoolClosedError):
        await client.fetch(URL)


async def test_what_does_not_end_in_time_is_cut(autojump_clock: object) -> None:
    """Row Z8: ``aclose`` waits to its deadline."""
    peers = Servers()
    found: list[Any] = []
    async with client_of(peers) as client, trio.open_nursery() as nursery:

        async def ask() -> None:
            found.extend(await outcomes(lambda: client.fetch(URL)))

        nursery.start_soon(ask)
        await connected(peers, 1)
        await quiet()
        began = trio.current_time()
        await client.aclose(DrainTimeouts(wait=3))
        assert trio.current_time() - began == pytest.approx(3)
    assert isinstance(found[0], NoResponseError)


async def test_opening_is_given_up_at_the_end() -> None:
    """Row Z8: nobody waits for a connection of a client that is closed."""
    peers = Servers(closed=True)
    found: list[Any] = []
    async with trio.open_nursery() as nursery:
        async with client_of(peers) as client:

            async def ask() -> None:
                found.extend(await outcomes(lambda: client.fetch(URL)))

            nursery.start_soon(ask)
            await quiet()
        await quiet()
    assert isinstance(found[0], PoolClosedError)


async def test_retries_by_policy(autojump_clock: object) -> None:
    """Row Z8: refused connections and a 503 are tried again, with the pauses that are asked for."""
    peers = Servers()
    peers.failures.append(ConnectionRefusedError(111, "no"))
    policy = RetryPolicy(attempts=4, backoff=2.0)
    busy = b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 1\r\n\r\nx"
    async with client_of(peers, retries=policy) as client, trio.open_nursery() as nursery:

        async def serve() -> None:
            await answer(peers, 0, busy)
            await answer(peers, 0)

        nursery.start_soon(serve)
        began = trio.current_time()
        assert (await client.fetch(URL)).status == 200
        assert 8 <= trio.current_time() - began <= 9
        response, _ = await exchange(client, peers, busy, body=b"not repeated")
        assert response.status == 503
        response, _ = await exchange(
            client, peers, busy.replace(b"7", b"70")
        )  # Longer than anybody waits.
        assert response.status == 503
