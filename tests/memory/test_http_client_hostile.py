"""A client among servers, bodies, sinks and callers that mean no good (rows Z7 to Z12)."""

from __future__ import annotations

import contextlib
import gzip
from collections.abc import AsyncIterator
from itertools import count

import pytest
import trio

from snowtrio import ConnectionLostError
from snowtrio.http import (
    BadResponseError,
    FetchTimeoutError,
    InvalidURLError,
    NoResponseError,
    Timeouts,
)

from .client_peers import LIMIT
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

SECRETS = {"Authorization": "Bearer s3cret", "Cookie": "id=s3cret"}


def moved(location: str) -> bytes:
    return b"HTTP/1.1 307 Moved\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % location.encode()


@pytest.mark.parametrize("own", [{}, {"Authorization": "Bearer s3cret too"}])
async def test_what_the_client_sends_everywhere_does_not_follow_elsewhere(
    own: dict[str, str],
) -> None:
    """Row Z9: credentials of the client itself go to no other origin that a redirect names."""
    books, films = Servers(name="books"), Servers(name="films")
    seen: list[bytes] = []
    headers = {**SECRETS, "X-Mine": "kept"}
    async with client_of(books, films, headers=headers) as client, trio.open_nursery() as nursery:

        async def serve() -> None:
            seen.append(await answer(books, 0, moved("/b")))
            seen.append(await answer(books, 0, moved("http://films/c")))
            seen.append(await answer(films, 0))

        nursery.start_soon(serve)
        await client.fetch("http://books/a", headers=own)
        _, again = await exchange(client, films, url="http://films/asked-for-itself")
    assert [b"s3cret" in each for each in [*seen, again]] == [True, True, False, True]
    assert all(b"x-mine: kept\r\n" in each for each in seen)


async def test_the_host_that_is_given_is_the_only_one() -> None:
    """Row Z7: a ``Host`` given to a request stands instead of that of the URL."""
    peers = Servers()
    async with client_of(peers, headers={"X": "y"}) as client:
        for own in ({"Host": "other"}, {"a": "b", "Host": "other"}):
            _, request = await exchange(client, peers, headers=own)
            hosts = [line for line in request.split(b"\r\n") if line.startswith(b"host:")]
            assert hosts == [b"host: other"]


async def test_an_error_of_the_body_is_not_one_of_the_connection(autojump_clock: object) -> None:
    """Row Z7: what relays from another connection learns that that one broke."""
    peers = Servers()

    async def relay() -> AsyncIterator[bytes]:
        yield b"a"
        raise ConnectionLostError("the other one")

    async with client_of(peers) as client:
        with trio.fail_after(LIMIT), pytest.raises(ConnectionLostError, match="the other one"):
            await client.fetch(URL, body=relay())


async def test_a_body_may_take_its_time(autojump_clock: object) -> None:
    """Row Z11: the server is not to blame for a body of ours that is slow; the total counts."""
    peers = Servers()

    async def slow() -> AsyncIterator[bytes]:
        for _ in range(3):
            await trio.sleep(100)
            yield b"x"

    timeouts = Timeouts(total=None, send=3, response=3)
    async with client_of(peers, timeout=timeouts) as client, trio.open_nursery() as nursery:

        async def serve() -> None:
            await connected(peers, 1)
            request = b""
            while not request.endswith(b"0\r\n\r\n"):
                request += await peers.read(0)
            await peers.say(0, OK)

        nursery.start_soon(serve)
        assert (await client.fetch(URL, body=slow())).status == 200
        with pytest.raises(FetchTimeoutError, match="body") as raised:
            await client.fetch(URL, body=slow(), timeout=Timeouts(send=3, total=50))
        assert raised.value.phase == "source"


async def test_informational_responses_without_end(autojump_clock: object) -> None:
    """Row Z11: a server that never comes to the point is no server, whatever the timeouts."""
    peers = Servers()
    forever = Timeouts(total=None, response=None)
    async with client_of(peers) as client, trio.open_nursery() as nursery:

        async def flood() -> None:
            await connected(peers, 1)
            with contextlib.suppress(trio.BrokenResourceError):
                while True:
                    await peers.say(0, b"HTTP/1.1 103 Early Hints\r\n\r\n")
                    await trio.sleep(0.1)

        nursery.start_soon(flood)
        with trio.fail_after(LIMIT), pytest.raises(BadResponseError, match="informational"):
            await client.fetch(URL, timeout=forever)


class Sipping:
    """A sink that takes a byte at a time."""

    def __init__(self) -> None:
        self.taken = 0

    def write(self, piece: bytes) -> int:
        self.taken += 1
        return 1


async def test_a_sink_that_takes_a_byte_at_a_time() -> None:
    """Row Z12: however little a sink takes of a piece, it is given the rest."""
    peers = Servers()
    body = bytes(10_000)
    async with client_of(peers) as client:
        sink = Sipping()
        await exchange(
            client, peers, b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n" + body, sink=sink
        )
    assert sink.taken == 10_000


async def test_a_stream_is_not_read_behind_its_block() -> None:
    """Row Z8: a response that was left belongs to nobody: least of all the next one's bytes."""
    peers = Servers()
    async with client_of(peers) as client, trio.open_nursery() as nursery:
        nursery.start_soon(answer, peers, 0)
        async with client.stream("GET", URL) as left:
            pass
        nursery.start_soon(answer, peers, 0)
        async with client.stream("GET", URL) as other:
            for read in (left.read, left.receive, left.__anext__):
                with pytest.raises(RuntimeError, match="block"):
                    await read()
            assert await other.read() == b"ok"
            assert await other.read() == b""


async def test_no_connect() -> None:
    """Row Z8: a tunnel is no response; what asks for one cannot come back to the pool."""
    peers = Servers()
    async with client_of(peers) as client:
        with pytest.raises(ValueError, match="CONNECT"):
            await client.fetch(URL, method="connect")
        with pytest.raises(ValueError, match="CONNECT"):
            async with client.stream("CONNECT", URL):
                pass


class Counting:
    """A sink that never waits, and counts."""

    size = 0

    def write(self, piece: bytes) -> None:
        self.size += len(piece)


async def test_a_bomb_of_nothing_lets_others_run() -> None:
    """Row Z10: nor does it matter whether anything comes of it in the end."""
    peers = Servers()
    empty = gzip.compress(b"", mtime=0)
    bomb = gzip.compress(empty * 100_000, mtime=0)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip, gzip\r\nContent-Length: %d\r\n\r\n"
    turns = 0
    async with client_of(peers) as client, trio.open_nursery() as nursery:
        nursery.start_soon(answer, peers, 0, head % len(bomb) + bomb)

        async def turn() -> None:
            nonlocal turns
            while True:
                turns += 1
                await trio.lowlevel.checkpoint()

        nursery.start_soon(turn)
        assert (await client.fetch(URL)).body == b""
        nursery.cancel_scope.cancel()
    assert turns > 25


async def test_a_bomb_lets_others_run() -> None:
    """Row Z10: however much comes of few bytes, deadlines hold and other tasks run."""
    peers = Servers()
    bomb = gzip.compress(gzip.compress(bytes(2**26), mtime=0), mtime=0)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip, gzip\r\nContent-Length: %d\r\n\r\n"
    sink = Counting()
    async with client_of(peers) as client, trio.open_nursery() as nursery:
        nursery.start_soon(answer, peers, 0, head % len(bomb) + bomb)
        with trio.CancelScope() as scope:

            async def strike() -> None:
                while sink.size < 2**20:
                    await trio.lowlevel.checkpoint()
                scope.cancel()

            nursery.start_soon(strike)
            await client.fetch(URL, sink=sink)
        assert scope.cancelled_caught
    assert sink.size < 2**24


@pytest.mark.parametrize(
    "content_type",
    [
        *("x; charset=idna", "x; charset=undefined", "x; charset*0=a; charset*=b"),
        *("x; charset=hex", "x; charset=no-such", 'x; charset="'),
    ],
)
async def test_text_of_any_charset(content_type: str) -> None:
    """Row Z7: a server cannot make a response's text raise."""
    peers = Servers()
    response = OK.replace(b"\r\n\r\n", b"\r\nContent-Type: %b\r\n\r\n" % content_type.encode())
    async with client_of(peers) as client:
        found, _ = await exchange(client, peers, response)
    assert found.text() == "ok"


@pytest.mark.parametrize(
    "url",
    [
        *("http://127.1/", "http://0x7f.1/", "http://2130706433/", "http://0177.0.0.1/"),
        *("http://1.2.3.4.5/", "http://1.2.3.256/", "http://1.2.3.4./", "http://a.0x10/"),
        *("http://a:8_0/", "http://a:+80/", "http://a:٨٠/", "http://[v1.a]/", "http://[a]/"),
        *("http://exa%6dple/", "http://a\\@b/", "http://a\tb/", "http://a:80a/", "http://a b/"),
        *("http://a℀b/", "http://[::1%25lo]/", "http://[::1]x/", "http://a:0/", "http://a..b/"),
    ],
)
async def test_hosts_that_others_read_otherwise(url: str) -> None:
    """Row Z7: what one program takes for an address and another one for a name is refused."""
    async with client_of(Servers()) as client:
        with pytest.raises(InvalidURLError):
            await client.fetch(url)
        assert client.statistics().opened == 0


async def test_a_repetition_does_not_settle_doubts(autojump_clock: object) -> None:
    """Row Z8: what may have reached a server stays in doubt, though the repetition did not."""
    peers = Servers()
    async with client_of(peers) as client, trio.open_nursery() as nursery:
        await exchange(client, peers)

        async def serve() -> None:
            await read_request(peers, 0)
            peers.close()
            await peers.streams[0].aclose()

        nursery.start_soon(serve)
        with pytest.raises(FetchTimeoutError) as raised:
            await client.fetch(URL, method="PUT", body=b"x")
        assert (raised.value.phase, raised.value.in_doubt) == ("connect", True)


RESPONSE = (
    b"HTTP/1.1 100 Continue\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n"
    b"5;a=b\r\nhello\r\n6\r\n world\r\n0\r\nT: z\r\n\r\n"
)


@pytest.mark.parametrize("end", ["eof", "reset", "stall"])
async def test_struck_at_every_byte(autojump_clock: object, end: str) -> None:
    """Rows Z8, Z11: wherever a response ends too early, one error says so and no place is lost."""
    for size in range(len(RESPONSE)):
        peers = Servers()
        async with client_of(peers, max_connections=1) as client, trio.open_nursery() as nursery:

            async def serve(size: int = size, peers: Servers = peers) -> None:
                await answer(peers, 0, RESPONSE[:size])
                if end == "eof":
                    await peers.streams[0].aclose()
                elif end == "reset":
                    await quiet()
                    peers.theirs[0].break_now()

            nursery.start_soon(serve)
            with pytest.raises((FetchTimeoutError, NoResponseError)) as raised:
                await client.fetch(URL, body=b"x", timeout=Timeouts(response=3, piece=4))
            assert isinstance(raised.value, FetchTimeoutError) == (end == "stall")
            assert getattr(raised.value, "in_doubt", False)
            await quiet()
            assert client.statistics().connections == 0
            await exchange(client, peers, index=1)
        assert not peers.connected


async def echo_path(peers: Servers, index: int) -> None:
    """Answer with the path that was asked for, some sooner and some later."""
    with contextlib.suppress(trio.BrokenResourceError, trio.EndOfChannel):
        while True:
            path = (await read_request(peers, index)).split(b" ", 2)[1]
            for _ in range(len(path) % 3 + index % 2):
                await trio.lowlevel.checkpoint()
            head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
            await peers.say(index, head % len(path) + path)


async def echo_paths(peers: Servers) -> None:
    async with trio.open_nursery() as nursery:
        for index in count():
            await connected(peers, index + 1)
            nursery.start_soon(echo_path, peers, index)


async def strike(scope: trio.CancelScope, after: int) -> None:
    for _ in range(after):
        await trio.lowlevel.checkpoint()
    scope.cancel()


async def test_answers_belong_to_their_requests() -> None:
    """Row Z8: whoever is cancelled when, nobody gets another one's answer, and nothing is lost."""
    peers = Servers()
    done: list[str] = []
    bounds = {"max_connections": 3, "max_connections_per_origin": 2, "max_idle": 1}

    async def ask(number: int) -> None:
        path = "/" + "x" * (number % 7) + str(number)
        async with trio.open_nursery() as nursery:
            if number % 3:
                nursery.start_soon(strike, nursery.cancel_scope, number % 40)
            found = await client.fetch(f"http://{'ab'[number % 2]}{number % 5}.example{path}")
            nursery.cancel_scope.cancel()
            assert found.text() == path
            done.append(path)

    async with client_of(peers, **bounds) as client, trio.open_nursery() as nursery:
        nursery.start_soon(echo_paths, peers)
        with trio.fail_after(LIMIT):
            async with trio.open_nursery() as asking:
                for number in range(600):
                    asking.start_soon(ask, number)
                    await trio.lowlevel.checkpoint()
        await quiet()
        found = client.statistics()
        assert (found.connections, found.waiting) == (found.idle, 0)
        assert found.idle <= 1
        assert len(done) >= 200
        nursery.cancel_scope.cancel()
    assert not peers.connected
