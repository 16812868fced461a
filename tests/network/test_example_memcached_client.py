"""``examples/memcached_client.py`` against a real memcached: as a program, and as a client."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from snowtrio import (
    ConnectError,
    LocalProtocolError,
    RequestError,
    RequestInDoubtError,
    RequestLimits,
    RequestNotSentError,
)

from .examples import EXAMPLES, needs_program, run_program
from .memcached_peers import Memcached, running_memcached
from .peers import Peer

sys.path.insert(0, str(EXAMPLES))

from memcached_client import (
    Command,
    MemcachedClient,
    MemcachedCodec,
    MemcachedError,
    Value,
    main,
    parse_options,
)

COMMAND = (sys.executable, "-W", "error", str(EXAMPLES / "memcached_client.py"))
ONE = RequestLimits(max_connections=1)

needs_memcached = needs_program("memcached")


@pytest.fixture
async def memcached(tmp_path: Path) -> AsyncIterator[Memcached]:
    async with running_memcached(tmp_path) as running:
        yield running


async def run_client(
    port: int, *words: str | bytes, stdin: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    # Any bytes may stand in a command line but NUL.
    decoded = [word if isinstance(word, str) else word.decode("latin-1") for word in words]
    return await run_program(*COMMAND, "--port", str(port), *decoded, stdin=stdin)


def said_one_line(errors: bytes) -> bool:
    """Whether a person finds one clear line there, and no traceback."""
    lines = errors.decode().splitlines()
    return len(lines) == 1 and lines[0].startswith("memcached_client: ") and len(lines[0]) > 20


def client_of(port: int, limits: RequestLimits | None = None) -> MemcachedClient:
    return MemcachedClient(MemcachedCodec(), "127.0.0.1", port, limits=limits)


def store(name: bytes, key: bytes, value: bytes, *, noreply: bool = False) -> Command:
    return Command(name, (key, b"0", b"0"), value, noreply)


async def read_stats(client: MemcachedClient) -> dict[bytes, bytes]:
    answer = await client.execute(Command(b"stats"))
    assert isinstance(answer, tuple)
    lines = [line.split(b" ", 2) for line in answer if isinstance(line, bytes)]
    assert len(lines) == len(answer)
    return {name: value for _, name, value in lines}


# The program

CONVERSATION = [
    ("set a hello", "STORED"),
    ("get a", "VALUE a 0 5\nhello\nEND"),
    ("set a hello --flags 5 --exptime 100", "STORED"),
    ("gets a nothing", "VALUE a 5 5 2\nhello\nEND"),
    ("cas a goodbye 1", "EXISTS"),
    ("cas a goodbye 2", "STORED"),
    ("cas nothing goodbye 2", "NOT_FOUND"),
    ("add a other", "NOT_STORED"),
    ("add b other", "STORED"),
    ("replace c other", "NOT_STORED"),
    ("replace b another", "STORED"),
    ("append b !", "STORED"),
    ("prepend b x", "STORED"),
    ("get a b c", "VALUE a 0 7\ngoodbye\nVALUE b 0 9\nxanother!\nEND"),
    ("get c", "END"),
    ("gat 100 b", "VALUE b 0 9\nxanother!\nEND"),
    ("touch b -1", "TOUCHED"),
    ("touch b 100", "NOT_FOUND"),
    ("set n 41", "STORED"),
    ("incr n 1", "42"),
    ("decr n 50", "0"),
    ("incr nothing 1", "NOT_FOUND"),
    ("delete n", "DELETED"),
    ("delete n", "NOT_FOUND"),
    ("set e --noreply --exptime -1 x", ""),
    ("set n --noreply 41", ""),
    ("incr n --noreply 1", ""),
    ("get e n", "VALUE n 0 2\n42\nEND"),
    ("set dash --flags 1 -- -1", "STORED"),
    ("get dash", "VALUE dash 1 2\n-1\nEND"),
    ("flush_all", "OK"),
    ("get a b n dash", "END"),
    ("stats reset", "RESET"),
]


@needs_memcached
async def test_what_is_typed_is_answered(
    memcached: Memcached, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each command, with the reply line by line. A process for each would take its time."""
    for typed, answer in CONVERSATION:
        monkeypatch.setattr(sys, "argv", ["", "--port", str(memcached.port), *typed.split()])
        await main(parse_options())
        assert capsys.readouterr().out == (f"{answer}\n" if answer else ""), typed


@needs_memcached
async def test_the_program_prints_its_reply(memcached: Memcached) -> None:
    """Also a long one."""
    done = await run_client(memcached.port, "version")
    assert done.stdout.startswith(b"VERSION ")
    done = await run_client(memcached.port, "stats")
    assert (done.returncode, done.stderr) == (0, b"")
    lines = done.stdout.decode().splitlines()
    assert all(line.startswith("STAT ") for line in lines[:-1])
    assert f"STAT pid {memcached.process.pid}" in lines
    assert lines[-1] == "END"


@pytest.mark.on_one_python
@needs_memcached
async def test_a_big_value_comes_back(memcached: Memcached) -> None:
    """Row S1: a million bytes of all kinds, also line ends."""
    value = bytes(range(256)) * 4000 + b"\r\nEND\r\n"
    done = await run_client(memcached.port, "set", "big", "-", stdin=value)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"STORED\n", b"")
    done = await run_client(memcached.port, "get", "big")
    assert done.stdout == b"VALUE big 0 %d\n%b\nEND\n" % (len(value), value)


@pytest.mark.on_one_python
@needs_memcached
async def test_what_the_server_refuses(memcached: Memcached) -> None:
    """An error is an error to whoever runs the program."""
    for words, stdin, reason in [
        (["set", "big", "-"], bytes(1024 * 1024), b"SERVER_ERROR object too large for cache"),
        (["incr", "n", "-5"], b"", b"CLIENT_ERROR invalid numeric delta argument"),
        (["stats", "nonsense"], b"", b"ERROR"),
    ]:
        done = await run_client(memcached.port, *words, stdin=stdin)
        assert (done.returncode, done.stdout) == (1, b"")
        assert done.stderr.strip() == b"memcached_client: " + reason


@pytest.mark.on_one_python
@needs_memcached
async def test_what_would_be_another_command_is_never_sent(memcached: Memcached) -> None:
    """Row S6: neither by a key, nor by a line that the server does not take."""
    assert (await run_client(memcached.port, "set", "a", "kept")).returncode == 0
    for words in (
        ["get", "a\r\nflush_all"],
        ["set", "b 0 0 1\r\nx\r\nflush_all\r\nset c", "value"],
        ["set", "k" * 251, "flush_all"],
        ["set", "b", "flush_all", "--exptime", "99999999999999999999"],
        ["quit"],
    ):
        done = await run_client(memcached.port, *words)
        assert (done.returncode, done.stdout) == (1, b""), words
        assert said_one_line(done.stderr), done.stderr
    async with client_of(memcached.port) as client:
        assert await client.execute(Command(b"get", (b"a",))) == (Value(b"a", b"kept", 0),)
        stats = await read_stats(client)
        assert (stats[b"cmd_flush"], stats[b"cmd_set"]) == (b"0", b"1")


async def run_against(
    answer: bytes | None, *words: str, stay: bool = False
) -> tuple[bytes, subprocess.CompletedProcess[bytes]]:
    """Run the program against a peer with one answer, which then leaves, unless it is to stay.

    Returns what the peer got, and what became of the program.
    """
    received = bytearray()

    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            peer = Peer(stream)
            received.extend((await peer.line()).encode() + b"\n")
            if answer is not None:
                await peer.send(answer)
            if stay:
                await peer.rest()

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        done = await run_client(listener.socket.getsockname()[1], *words)
        nursery.cancel_scope.cancel()
    return bytes(received), done


@pytest.mark.on_one_python
@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", b"no reply came"),
        (b"VALUE a 0 1000\r\nxxx", b"no reply came"),
        (b"VALUE a 0 1\r\nx\r\n", b"no reply came"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"no reply of a memcached"),
        (b"VALUE a 0 1\r\nxyz\r\nEND\r\n", b"does not end where it should"),
        (b"VALUE a 0 4000000000\r\n", b"max_message_size"),
    ],
)
async def test_a_server_that_leaves_or_talks_nonsense(answer: bytes, reason: bytes) -> None:
    """Rows S3 and B5: one clear line, and status 1."""
    received, done = await run_against(answer, "get", "a")
    assert received == b"get a\r\n"
    assert (done.returncode, done.stdout) == (1, b"")
    assert said_one_line(done.stderr)
    assert reason in done.stderr


@pytest.mark.on_one_python
async def test_a_server_that_is_silent() -> None:
    """Row S17: the time is over, and the command may have been executed."""
    _, done = await run_against(None, "incr", "a", "1", "--timeout", "0.2", stay=True)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == b"memcached_client: no reply came within 0.2 seconds\n"


@pytest.mark.on_one_python
async def test_nothing_listens() -> None:
    """Row P4: refused."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    await listener.aclose()
    done = await run_client(port, "version")
    assert done.returncode == 1
    assert said_one_line(done.stderr)
    assert b"refused" in done.stderr


# The client


@needs_memcached
async def test_many_tasks_over_few_connections(memcached: Memcached) -> None:
    """Row S14: each task gets its own replies."""
    limits = RequestLimits(max_connections=4, max_pending=64)
    async with client_of(memcached.port, limits) as client:

        async def work(number: int) -> None:
            key = b"key%d" % number
            assert await client.execute(store(b"set", key, b"0")) == b"STORED"
            for count in range(1, 21):
                assert await client.execute(Command(b"incr", (key, b"1"))) == b"%d" % count
                values = await client.execute(Command(b"get", (key, b"none")))
                assert values == (Value(key, b"%d" % count, 0),)
                with pytest.raises(MemcachedError, match="invalid numeric delta"):
                    await client.execute(Command(b"incr", (key, b"-1")))

        async with trio.open_nursery() as nursery:
            for number in range(200):
                nursery.start_soon(work, number)
        stats = await read_stats(client)
        assert (stats[b"cmd_set"], stats[b"incr_hits"]) == (b"200", b"4000")
        assert (stats[b"get_hits"], stats[b"get_misses"]) == (b"4000", b"4000")
        counts = client.statistics()
        assert counts.answered == 200 + 3 * 4000 + 1
        assert counts.in_flight == 0
        assert counts.in_flight_peak > 100
        assert counts.client.pool.opened <= 4


@needs_memcached
async def test_one_connection_goes_on_behind_what_is_refused(memcached: Memcached) -> None:
    """Row S6: errors of the server or of this side are those of one command alone."""
    async with client_of(memcached.port, ONE) as client:
        for _ in range(3):
            with pytest.raises(MemcachedError, match="too large for cache"):
                await client.execute(store(b"set", b"big", bytes(2_000_000)))
            with pytest.raises(LocalProtocolError):
                await client.execute(Command(b"get", (b"a b",)))
            big = bytes(1_000_000)
            replies = await client.request_batch(
                [
                    store(b"set", b"a", big),
                    store(b"set", b"c", big * 2),
                    store(b"append", b"c", big),
                    store(b"set", b"b", b"2"),
                    Command(b"get", (b"a", b"b")),
                ]
            )
            assert replies[0] == replies[3] == b"STORED"
            assert isinstance(replies[1], MemcachedError)
            assert replies[2] == b"NOT_STORED"
            assert replies[4] == (Value(b"a", big, 0), Value(b"b", b"2", 0))
        assert client.statistics().client.pool.opened == 1


@needs_memcached
async def test_a_reply_of_many_values(memcached: Memcached) -> None:
    """Row S7: a thousand keys are asked for in a line of 250,000 bytes, and come in their order."""
    keys = tuple(b"%0250d" % number for number in range(1000))
    async with client_of(memcached.port, ONE) as client:
        await client.request_batch([store(b"set", key, key.lstrip(b"0")) for key in keys])
        values = await client.execute(Command(b"get", keys))
        assert isinstance(values, tuple)
        assert [value.key for value in values if isinstance(value, Value)] == list(keys)


@needs_memcached
async def test_noreply_and_nobody_is_answered_for_it(memcached: Memcached) -> None:
    """Also where the server refuses it; the replies of others stay theirs."""
    async with client_of(memcached.port, ONE) as client:
        for number in range(100):
            value = b"%d" % number
            await client.notify(store(b"set", b"a", value, noreply=True))
            await client.notify(store(b"add", b"a", value, noreply=True))
            await client.notify(Command(b"incr", (b"a", b"-1"), noreply=True))
            assert await client.execute(Command(b"incr", (b"a", b"1"), noreply=True)) == b""
            answer = await client.execute(Command(b"get", (b"a",)))
            assert answer == (Value(b"a", b"%d" % (number + 1), 0),)
        await client.notify(store(b"set", b"big", bytes(2_000_000), noreply=True))
        assert await client.execute(Command(b"get", (b"big",))) == ()


@needs_memcached
async def test_a_cancelled_command_shifts_no_replies(memcached: Memcached) -> None:
    """Row B6."""
    async with client_of(memcached.port, ONE) as client:
        await client.execute(store(b"set", b"n", b"0"))
        for number in range(1, 51):
            with trio.CancelScope() as scope:
                scope.cancel()
                await client.execute(Command(b"incr", (b"n", b"0")))
            with trio.move_on_after(0):
                await client.execute(store(b"set", b"x", bytes(100_000)))
            assert await client.execute(Command(b"incr", (b"n", b"1"))) == b"%d" % number
        assert client.statistics().client.pool.opened == 1


# The server dies


@needs_memcached
async def test_killed_while_it_is_stopped(memcached: Memcached) -> None:
    """Row B5: whatever was sent may have been executed, and is told so."""
    outcomes: Counter[type[Exception]] = Counter()
    async with client_of(memcached.port, RequestLimits(max_connections=2)) as client:
        await client.bootstrap()
        memcached.process.send_signal(signal.SIGSTOP)

        async def ask(number: int) -> None:
            try:
                await client.execute(Command(b"incr", (b"n", b"1")))
            except RequestError as error:
                outcomes[type(error)] += 1

        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(ask, number)
            await trio.testing.wait_all_tasks_blocked(0.05)
            memcached.process.kill()
        counts = client.statistics()
    assert set(outcomes) <= {RequestInDoubtError, RequestNotSentError}
    assert outcomes[RequestInDoubtError] == counts.in_doubt > 0
    assert outcomes.total() == 50
    assert counts.in_flight == counts.answered == 0


@needs_memcached
async def test_killed_in_the_middle(memcached: Memcached) -> None:
    """Row B5: with an exact ledger. All add to one number, so a reply tells how many came before.

    What is missing among the replies was executed and is in doubt; what was not sent never counts.
    """
    answered: list[int] = []
    in_doubt = not_sent = 0
    async with client_of(memcached.port, RequestLimits(max_connections=4)) as client:
        await client.execute(store(b"set", b"n", b"0"))

        async def work() -> None:
            nonlocal in_doubt, not_sent
            while True:
                try:
                    answer = await client.execute(Command(b"incr", (b"n", b"1")))
                except RequestInDoubtError:
                    in_doubt += 1
                except (RequestNotSentError, ConnectError):
                    not_sent += 1
                    return
                else:
                    assert isinstance(answer, bytes)
                    answered.append(int(answer))
                    if len(answered) == 5000:
                        memcached.process.kill()

        async with trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(work)
        counts = client.statistics()
    assert not_sent == 100
    assert len(set(answered)) == len(answered) >= 5000
    assert max(answered) <= len(answered) + in_doubt
    assert (counts.in_flight, counts.answered) == (0, len(answered) + 1)
    assert counts.in_doubt == in_doubt


@needs_memcached
async def test_another_one_takes_over(memcached: Memcached, tmp_path: Path) -> None:
    """Row S15: the client connects again, and what one command lost is no other's trouble."""
    async with client_of(memcached.port) as client:
        assert await client.execute(store(b"set", b"a", b"1")) == b"STORED"
        memcached.process.kill()
        await memcached.process.wait()
        with pytest.raises((RequestError, ConnectError)):
            await client.execute(Command(b"get", (b"a",)))
        (tmp_path / "again").mkdir()
        async with running_memcached(tmp_path / "again", "--port", str(memcached.port)) as again:
            assert again.port == memcached.port
            assert await client.execute(Command(b"get", (b"a",))) == ()
