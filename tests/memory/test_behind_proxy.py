"""Behind a proxy: who is believed, what is read, and what becomes of those who do not say it."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from snowtrio import (
    BufferedStream,
    Connection,
    DrainTimeouts,
    LineCodec,
    Protocol,
    ProxyHeader,
    ProxyInfo,
    RawCodec,
    Refusal,
    ServerLimits,
    Side,
    behind_proxy,
    encode_proxy_header,
)
from snowtrio.testing import MemoryListener

from ..serving import (
    Served,
    Steps,
    Stopwatch,
    ask,
    errors_in,
    lines_of,
    read_all,
    read_line,
    serving,
)

PROXY = ("10.0.0.1", 50000)
CLIENT, FRONT = ("192.0.2.1", 40000), ("198.51.100.2", 443)
HEADER = ProxyHeader(source=CLIENT, destination=FRONT, unique_id=b"x", checksum=True)
LINE = b"PROXY TCP4 192.0.2.1 198.51.100.2 40000 443\r\n"
BLOCK = encode_proxy_header(HEADER)
LOCAL = encode_proxy_header(ProxyHeader(local=True))


def line_of(client: int) -> bytes:
    return b"PROXY TCP4 192.0.2.%d 198.51.100.2 40000 443\r\n" % client


class Network(MemoryListener):
    """A listener whose peers have an address.

    Parameters:
        peer: the address of all of them; it can be changed.
    """

    def __init__(self, peer: object = PROXY) -> None:
        super().__init__()
        self.peer = peer

    async def accept(self) -> trio.abc.Stream:
        stream = await super().accept()
        named: Any = stream
        named.peer_address, named.local_address = self.peer, ("10.0.0.2", 7000)
        return stream


def serving_behind(
    listener: MemoryListener | None = None,
    *,
    trusted: Any = ("10.0.0.0/8",),
    terms: dict[str, Any] | None = None,
    **options: Any,
) -> Any:
    """Serve behind a proxy: as `serving` otherwise."""

    def around(listener: MemoryListener) -> Any:
        return behind_proxy([listener], trusted=trusted, **(terms or {}))[0]

    return serving(listener=listener or Network(), around=around, **options)


def failures(served: Served) -> tuple[int, int]:
    pool = served.server.statistics().pool
    return pool.handshakes_failed, pool.handshakes_timed_out


# Who is believed


@pytest.mark.parametrize("header", [LINE, BLOCK])
async def test_the_client_is_the_peer(header: bytes, autojump_clock: MockClock) -> None:
    """W33: header and first message in one segment; the proxy's own addresses are kept."""
    async with serving_behind() as served:
        stream = await served.connect(header + b"one\ntw")
        assert await read_line(stream) == b"one\n"
        assert await ask(stream, b"o") == b"two"
        (connection,) = served.server.connections
        assert connection.peer_address == CLIENT
        assert connection.local_address == FRONT
        assert isinstance(connection.proxy, ProxyInfo)
        assert connection.proxy.peer_address == PROXY
        assert connection.proxy.local_address == ("10.0.0.2", 7000)
        assert connection.proxy.header.source == CLIENT
        assert failures(served) == (0, 0)
        (ended,) = (await served.server.drain()).connections
        assert ended.peer_address == CLIENT


@pytest.mark.parametrize("header", [LINE, BLOCK, LOCAL])
async def test_byte_by_byte(header: bytes, autojump_clock: MockClock) -> None:
    """W33: a header that is not whole is waited for, in a handshake's place."""
    async with serving_behind() as served:
        stream = await served.connect()
        for byte in header:
            assert served.counts == (0, 1)
            await stream.send_all(bytes([byte]))
            await trio.testing.wait_all_tasks_blocked()
        assert served.counts == (1, 0)
        assert await ask(stream, b"hello") == b"hello"


@pytest.mark.parametrize(
    "header", [LOCAL, b"PROXY UNKNOWN\r\n", encode_proxy_header(ProxyHeader(unique_id=b"x"))]
)
async def test_a_proxy_that_tells_no_addresses_keeps_its_own(
    header: bytes, autojump_clock: MockClock
) -> None:
    """W33: a health check is served, as what it is."""
    async with serving_behind() as served:
        stream = await served.connect(header)
        assert await ask(stream, b"hello") == b"hello"
        (connection,) = served.server.connections
        assert connection.peer_address == PROXY
        assert connection.local_address == ("10.0.0.2", 7000)
        assert connection.proxy is not None
        assert connection.proxy.header.local == (header == LOCAL)


STRANGERS = [("192.0.2.9", 1), ("2001:db8::1", 1, 0, 0), "/tmp/peer", "", None, ("no address", 1)]


@pytest.mark.parametrize("peer", STRANGERS)
async def test_a_stranger_is_refused_whatever_it_says(
    peer: object, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """W33: at once, and counted as a handshake that failed."""
    caplog.set_level(logging.INFO)
    async with serving_behind(Network(peer)) as served:
        watch = Stopwatch()
        for said in (b"", LINE + b"one\n", b"one\n"):
            assert await read_all(await served.connect(said)) == b""
        assert watch.seconds == 0
        assert failures(served) == (3, 0)
        assert served.server.statistics().accepted == 3
        assert "is no proxy that is trusted" in lines_of(caplog, logging.INFO)[0]
        assert errors_in(caplog) == []


@pytest.mark.parametrize("peer", STRANGERS)
async def test_a_stranger_that_is_served_is_what_it_is(
    peer: object, autojump_clock: MockClock
) -> None:
    """W33: its header is bytes of the protocol."""
    async with serving_behind(Network(peer), terms={"untrusted": "direct"}) as served:
        stream = await served.connect(LINE + b"one\n")
        assert await read_line(stream) == LINE.replace(b"\r", b"")
        assert await read_line(stream) == b"one\n"
        (connection,) = served.server.connections
        assert (connection.peer_address, connection.proxy) == (peer, None)


@pytest.mark.parametrize(
    ("peer", "trusted"),
    [
        (("10.1.2.3", 1), ["10.0.0.0/8"]),
        (("10.1.2.3", 1), ["192.0.2.0/24", "10.1.2.3"]),
        (("::ffff:10.1.2.3", 1, 0, 0), ["10.0.0.0/8"]),
        (("::ffff:10.1.2.3", 1, 0, 0), ["::ffff:10.1.2.3"]),
        (("10.1.2.3", 1), ["::ffff:10.0.0.0/104"]),
        (("2001:db8::7", 1, 0, 0), ["2001:db8::/32"]),
        (("fe80::7%eth0", 1, 0, 2), ["fe80::/10"]),
        ("/tmp/peer", ["unix"]),
        ("", ["10.0.0.0/8", "unix"]),
    ],
)
async def test_who_is_trusted(peer: object, trusted: list[str], autojump_clock: MockClock) -> None:
    """W33: networks, single addresses, Unix sockets by choice."""
    async with serving_behind(Network(peer), trusted=trusted) as served:
        await served.connect(LINE)
        assert [each.peer_address for each in served.server.connections] == [CLIENT]


# What does not say it


async def test_a_trusted_peer_without_a_header_is_refused(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """W33: at its first wrong byte, without waiting for it to leave."""
    caplog.set_level(logging.INFO)
    async with serving_behind() as served:
        watch = Stopwatch()
        stream = await served.connect(b"P")
        assert served.counts == (0, 1)
        await stream.send_all(b"O")
        assert await read_all(stream) == b""
        assert watch.seconds == 0
        await trio.testing.wait_all_tasks_blocked()
        assert failures(served) == (1, 0)
        assert "there is no PROXY header" in lines_of(caplog, logging.INFO)[0]


@pytest.mark.parametrize(
    "said", [b"P", b"PROX", b"POST", b"\r\n\r\n\r\n", b"\r\n\r\n\0\r\nQUIT", b""]
)
async def test_a_trusted_peer_without_a_header_can_be_served(
    said: bytes, autojump_clock: MockClock
) -> None:
    """W33: every byte that was looked at is the protocol's, also where the end comes in between."""
    async with serving_behind(terms={"headerless": "direct"}) as served:
        stream: Any = await served.connect(said)
        await stream.send_all(b"!\n")
        lines = [await read_line(stream) for _ in range((said + b"!\n").count(b"\n"))]
        assert b"".join(lines) == (said + b"!\n").replace(b"\r", b"")
        (connection,) = served.server.connections
        assert (connection.peer_address, connection.proxy) == (PROXY, None)
        another: Any = await served.connect(LINE + b"one\n")
        assert await read_line(another) == b"one\n"
        assert served.server.connections[-1].peer_address == CLIENT


async def test_a_trusted_peer_that_ends_before_it_can_be_told_is_served(
    autojump_clock: MockClock,
) -> None:
    """W33: what it has said may be all that the protocol needs."""
    async with serving_behind(protocol=RawCodec(), terms={"headerless": "direct"}) as served:
        stream: Any = await served.connect(b"PRO")
        await stream.send_eof()
        assert await read_all(stream) == b"PRO"
        assert failures(served) == (0, 0)


WRONG = [
    b"PROXY TCP4 nonsense\r\n",
    b"PROXY " + b"x" * 200,
    BLOCK[:12] + b"\x31",
    BLOCK[:-1] + bytes([BLOCK[-1] ^ 1]),
    BLOCK[:14] + b"\xff\xff",
]


@pytest.mark.parametrize("headerless", ["refuse", "direct"])
@pytest.mark.parametrize("said", WRONG)
async def test_a_wrong_header_is_never_taken_for_none(
    said: bytes, headerless: str, autojump_clock: MockClock
) -> None:
    """W33: too long, nonsense, another version, a wrong checksum."""
    async with serving_behind(terms={"headerless": headerless}) as served:
        assert await read_all(await served.connect(said)) == b""
        assert served.counts == (0, 0)
        assert failures(served) == (1, 0)


@pytest.mark.parametrize("said", [b"", b"PROXY", LINE[:-1], BLOCK[:-1]])
async def test_a_peer_that_leaves_in_its_header(
    said: bytes, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """W33: as a proxy that looks whether the port is open does."""
    async with serving_behind() as served:
        stream = await served.connect(said)
        await stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert served.counts == (0, 0)
        assert failures(served) == (1, 0)
        assert errors_in(caplog) == []


async def test_a_header_has_the_handshakes_time(autojump_clock: MockClock) -> None:
    """W33, B2: the deadline is one for the header and the handshake, and frees the place."""

    class Slow(Protocol[bytes]):
        codec = LineCodec()

        async def handshake(self, side: Side, stream: BufferedStream) -> None:
            assert stream.proxy is not None
            assert (stream.peer_address, stream.local_address) == (CLIENT, FRONT)
            await stream.receive_line()

    limits = ServerLimits(handshake_timeout=5)

    async def handle(connection: Connection[bytes]) -> None:
        await connection.send(b"in")

    async with serving_behind(handler=handle, protocol=Slow(), limits=limits) as served:
        watch = Stopwatch()
        silent = await served.connect(LINE[:-1])
        await trio.sleep(3)
        slow = await served.connect(LINE)
        assert await read_all(silent) == b""
        assert watch.seconds == 5
        assert await read_all(slow) == b""
        assert watch.seconds == 8
        await trio.testing.wait_all_tasks_blocked()
        assert served.counts == (0, 0)
        assert failures(served) == (0, 2)
        assert await read_line(await served.connect(LINE + b"behind it\n")) == b"in\n"


async def test_those_that_withhold_it_keep_nobody_else_out(autojump_clock: MockClock) -> None:
    """W33, B2: they have the handshakes' places, and one who needs none comes in by another way."""
    plain = MemoryListener()
    limits = ServerLimits(max_connections=8, max_handshakes=1, handshake_timeout=5)
    async with serving_behind(limits=limits, others=[plain]) as served:
        silent = await served.connect()
        next_one = await served.connect(LINE)
        assert served.counts == (0, 1)
        other = await plain.connect()
        assert await ask(other, b"hello") == b"hello"
        assert served.counts == (1, 1)
        watch = Stopwatch()
        assert await ask(next_one, b"hello") == b"hello"
        assert watch.seconds == 5
        assert await read_all(silent) == b""


# Bounds for each peer


async def test_the_bound_of_a_peer_counts_clients(autojump_clock: MockClock) -> None:
    """W33: not the proxy, whose connections are many people's; refused as without a proxy."""
    limits = ServerLimits(max_connections_per_peer=1)
    async with serving_behind(limits=limits, when_full=b"one is enough\n") as served:
        streams = [await served.connect(line_of(number)) for number in range(5)]
        for stream in streams:
            assert await ask(stream, b"hello") == b"hello"
        second = await served.connect(line_of(3) + b"hello\n")
        assert await read_line(second) == b"one is enough\n"
        statistics = served.server.statistics()
        assert statistics.refused[Refusal.PEER] == 1
        assert (statistics.accepted, statistics.pool.opened) == (6, 5)
        assert failures(served) == (0, 0)
        for header in [LOCAL, b"PROXY UNKNOWN\r\n"] * 2:
            assert await ask(await served.connect(header), b"anybody") == b"anybody"
        await second.aclose()
        await streams[3].aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert await ask(await served.connect(line_of(3)), b"again") == b"again"


# Ends


async def test_a_drain_cuts_those_that_have_not_said_it(autojump_clock: MockClock) -> None:
    """W33, S23: a header that never ends is no reason to stay."""
    async with serving_behind() as served:
        silent = await served.connect(LINE[:20])
        late = await served.connect(LINE[:20])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(served.server.drain, DrainTimeouts(goodbye=1, wait=2))
            await trio.sleep(0.5)
            await late.send_all(LINE[20:] + b"still answered\n")
            assert await read_line(late) == b"still answered\n"
            assert await read_all(late) == b""
            assert await read_all(silent) == b""


async def test_cancelled_at_every_step(autojump_clock: MockClock) -> None:
    """W33: nothing is left, whatever the server was doing."""
    number = done = 0
    while not done:
        number += 1
        async with serving_behind() as served:
            steps = Steps(number, served.nursery.cancel_scope.cancel)
            trio.lowlevel.add_instrument(steps)
            try:
                stream = await served.listener.connect()
                await stream.send_all(LINE)
                await stream.send_all(b"hello\n")
                done = await read_line(stream) == b"hello\n"
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass
            finally:
                trio.lowlevel.remove_instrument(steps)
    assert number > 5


# Misuse


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"trusted": []}, ValueError),
        ({"trusted": "10.0.0.0/8"}, TypeError),
        ({"trusted": ["10.0.0.1/8"]}, ValueError),
        ({"trusted": ["localhost"]}, ValueError),
        ({"trusted": ["unix"], "untrusted": "ignore"}, ValueError),
        ({"trusted": ["unix"], "headerless": "wait"}, ValueError),
        ({"trusted": ["unix"], "max_header_size": 100}, ValueError),
    ],
)
def test_terms_that_make_no_sense(options: dict[str, Any], error: type[Exception]) -> None:
    """W33: said when the listeners are made, which stay the caller's."""
    with pytest.raises(error):
        behind_proxy([MemoryListener()], **options)


def test_behind_one_proxy_is_enough() -> None:
    """W33: of several, the one that connects to us says who the client is."""
    listeners = behind_proxy([MemoryListener()], trusted=["unix"])
    with pytest.raises(ValueError, match="already"):
        behind_proxy(listeners, trusted=["unix"])
