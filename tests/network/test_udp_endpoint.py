"""Endpoints: whole datagrams with their senders, both ways."""

from __future__ import annotations

import gc
import socket
import sys
from typing import Any, cast

import pytest
import trio

from snowtrio import (
    Codec,
    LineCodec,
    LocalProtocolError,
    NetstringCodec,
    ReceiveBuffer,
    Side,
    SocketOptions,
    UnsupportedOptionError,
    read_socket_options,
)
from snowtrio.udp import (
    Datagram,
    EndpointLimits,
    UDPEndpoint,
    connect_udp_endpoint,
    open_udp_endpoint,
    open_udp_endpoints,
)

from .datagrams import HOSTS, TIMEOUT, plain_socket

DATAGRAMS = [b"first", b"", b"\x00\xff", b"x" * 9000, b"last"]


@pytest.mark.parametrize("family", HOSTS)
async def test_datagrams_keep_their_boundaries_and_their_sender(family: str) -> None:
    """Row P2: an empty one is one too."""
    host = HOSTS[family]
    with plain_socket(host) as peer:
        async with await open_udp_endpoint(host=host) as endpoint:
            for data in DATAGRAMS:
                peer.sendto(data, endpoint.address)
            with trio.fail_after(TIMEOUT):
                for data in DATAGRAMS:
                    assert await endpoint.receive() == (data, peer.getsockname())
            for data in DATAGRAMS:
                await endpoint.send(data, peer.getsockname())
                assert peer.recvfrom(65536) == (data, endpoint.address)
            counts = endpoint.statistics()
            assert counts.received == counts.sent == len(DATAGRAMS)
            assert counts.bytes_received == counts.bytes_sent == sum(map(len, DATAGRAMS))
            assert counts.inbox == 0


@pytest.mark.parametrize("family", HOSTS)
async def test_a_connected_endpoint_hears_its_peer_alone(family: str) -> None:
    """Row P2."""
    host = HOSTS[family]
    with plain_socket(host) as peer, plain_socket(host) as stranger:
        port = peer.getsockname()[1]
        async with await connect_udp_endpoint(host, port, local_host=host) as endpoint:
            assert endpoint.peer_address == peer.getsockname()
            stranger.sendto(b"from a stranger", endpoint.address)
            peer.sendto(b"from the peer", endpoint.address)
            with trio.fail_after(TIMEOUT):
                assert await endpoint.receive() == (b"from the peer", peer.getsockname())
            await endpoint.send(b"back")
            assert peer.recvfrom(100) == (b"back", endpoint.address)
            with pytest.raises(TypeError, match="sends to its peer"):
                await endpoint.send(b"elsewhere", stranger.getsockname())


async def test_all_that_is_there_comes_in_one_batch() -> None:
    """Row P2: and what is sent to each goes to each."""
    with plain_socket() as one, plain_socket() as other:
        async with await open_udp_endpoint() as endpoint:
            for number in range(20):
                (one, other)[number % 2].sendto(b"%d" % number, endpoint.address)
            with trio.fail_after(TIMEOUT):
                batch = await endpoint.receive_batch()
            assert [datagram.data for datagram in batch] == [b"%d" % each for each in range(20)]
            assert endpoint.receive_batch_nowait() == []
            await endpoint.send_each(batch)
            await endpoint.send_batch([b"a", b"b"], one.getsockname())
            assert [one.recv(100) for _ in range(12)] == [
                *(b"%d" % each for each in range(0, 20, 2)),
                *(b"a", b"b"),
            ]
            assert [other.recv(100) for _ in range(10)] == [b"%d" % e for e in range(1, 20, 2)]


@pytest.mark.parametrize(
    "limits",
    [EndpointLimits(max_inbox_datagrams=3), EndpointLimits(max_inbox_bytes=300)],
    ids=["datagrams", "bytes"],
)
async def test_a_batch_is_bounded_and_the_rest_waits_in_the_system(limits: EndpointLimits) -> None:
    """Row P2: nothing is lost by the bound."""
    with plain_socket() as peer:
        async with await open_udp_endpoint(limits=limits) as endpoint:
            for number in range(8):
                peer.sendto(bytes([number]) * 100, endpoint.address)
            sizes: list[int] = []
            with trio.fail_after(TIMEOUT):
                while sum(sizes) < 8:
                    sizes.append(len(await endpoint.receive_batch()))
            assert sizes == [3, 3, 2]


async def test_async_for_and_receive_take_from_the_same_inbox() -> None:
    """Row P2."""
    with plain_socket() as peer:
        async with await open_udp_endpoint() as endpoint:
            for number in range(4):
                peer.sendto(b"%d" % number, endpoint.address)
            assert (await endpoint.receive()).data == b"0"
            async for datagram in endpoint:
                if datagram.data == b"2":
                    break
            assert [datagram.data for datagram in await endpoint.receive_batch()] == [b"3"]


async def test_a_datagram_that_is_too_large_is_never_delivered_cut() -> None:
    """Row P2: it is counted, and the next one comes."""
    limits = EndpointLimits(max_datagram_size=512)
    with plain_socket() as peer:
        async with await open_udp_endpoint(limits=limits) as endpoint:
            for size in (513, 512, 65507):
                peer.sendto(b"x" * size, endpoint.address)
            peer.sendto(b"end", endpoint.address)
            with trio.fail_after(TIMEOUT):
                assert len((await endpoint.receive()).data) == 512
                assert (await endpoint.receive()).data == b"end"
            assert endpoint.statistics().oversized == 2


async def test_the_largest_datagram_passes_and_one_byte_more_is_told() -> None:
    """Row P2."""
    with plain_socket() as peer:
        async with await open_udp_endpoint() as endpoint:
            await endpoint.send(b"x" * 65507, peer.getsockname())
            assert len(peer.recv(65536)) == 65507
            with pytest.raises(LocalProtocolError, match="65508 bytes"):
                await endpoint.send(b"x" * 65508, peer.getsockname())
            peer.sendto(b"x" * 65507, endpoint.address)
            assert len((await endpoint.receive()).data) == 65507


@pytest.mark.skipif(sys.platform != "linux", reason="the system does not tell")
async def test_what_the_system_drops_is_counted() -> None:
    """Row P2: sent is received and dropped, to the last one."""
    options = SocketOptions(receive_buffer_size=16 * 1024)
    with plain_socket() as peer:
        async with await open_udp_endpoint(options=options) as endpoint:
            assert endpoint.statistics().kernel_drops == 0
            for _ in range(200):
                peer.sendto(b"x" * 1000, endpoint.address)
            received = len(endpoint.receive_batch_nowait())
            assert 0 < received < 200
            assert endpoint.statistics().kernel_drops == 200 - received
        assert endpoint.statistics().kernel_drops == 200 - received  # Closed, it is still known.


async def test_a_name_to_send_to_is_refused_and_can_be_resolved() -> None:
    """Row P2: the system would look it up in the middle of everything."""
    with plain_socket() as peer:
        async with await open_udp_endpoint() as endpoint:
            port = peer.getsockname()[1]
            with pytest.raises(ValueError, match=r"resolve"):
                await endpoint.send(b"x", ("localhost", port))
            with pytest.raises(ValueError, match="IPv4"):
                await endpoint.send(b"x", ("::1", port))
            with pytest.raises(TypeError, match="address to send to"):
                await endpoint.send(b"x")
            with pytest.raises(TypeError, match="a host and a port"):
                await endpoint.send(b"x", cast("Any", f"127.0.0.1:{port}"))
            await endpoint.send(b"by name", await endpoint.resolve("localhost", port))
            assert peer.recv(100) == b"by name"


async def test_why_nobody_can_be_reached_from_loopback_is_told() -> None:
    """Row P2: endpoints are bound there by default, and systems say no more than EINVAL."""
    async with await open_udp_endpoint() as endpoint:
        with pytest.raises(OSError, match=r"192\.0\.2\.1.*bound to 127\.0\.0\.1") as caught:
            await endpoint.send(b"x", ("192.0.2.1", 9))
        assert caught.value.errno
        assert endpoint.statistics().sent == 0


@pytest.mark.parametrize("port", [-1, 65536, 65536 + 9])
async def test_a_number_that_is_no_port_is_refused(port: int) -> None:
    """Row P2: the system takes its last 16 bits, and is somewhere else."""
    async with await open_udp_endpoint() as endpoint:
        for use in (
            lambda: connect_udp_endpoint("127.0.0.1", port),
            lambda: connect_udp_endpoint("127.0.0.1", 9, local_port=port),
            lambda: open_udp_endpoint(port),
            lambda: open_udp_endpoints(port),
            lambda: endpoint.resolve("127.0.0.1", port),
            lambda: endpoint.send(b"x", ("127.0.0.1", port)),
        ):
            with pytest.raises(ValueError, match="65535"):
                await use()
        assert endpoint.statistics().sent == 0


async def test_a_codec_that_does_not_start_leaves_nothing_open() -> None:
    """Row P2."""

    class Refusing(LineCodec):
        def start(self, side: Side, context: object) -> LineCodec:
            raise LookupError("not today")

    with pytest.raises(LookupError):
        await open_udp_endpoint(codec=Refusing())
    with pytest.raises(LookupError):
        await connect_udp_endpoint("127.0.0.1", 9, codec=Refusing())
    gc.collect()  # What is left open is a warning now, and so an error.


async def test_endpoints_on_all_addresses_have_one_port() -> None:
    """Row P2."""
    endpoints = await open_udp_endpoints(0, host=None)
    try:
        assert len({endpoint.port for endpoint in endpoints}) == 1
        families = [endpoint.socket.family for endpoint in endpoints]
        assert socket.AF_INET in families
        with pytest.raises(OSError, match="cannot bind"):
            await open_udp_endpoints(endpoints[0].port)
    finally:
        for endpoint in endpoints:
            await endpoint.aclose()


async def test_options_are_set_and_read_back() -> None:
    """Row P3: broadcast is refused by the system without its option."""
    async with await open_udp_endpoint(host="0.0.0.0") as endpoint:
        assert read_socket_options(endpoint).broadcast is False
        with pytest.raises(PermissionError, match=r"SocketOptions\(broadcast=True\)"):
            await endpoint.send(b"x", ("255.255.255.255", 9))
    options = SocketOptions(broadcast=True, reuse_port=True)
    async with await open_udp_endpoint(options=options) as endpoint:
        assert read_socket_options(endpoint).broadcast is True
        async with await open_udp_endpoint(endpoint.port, options=options) as second:
            assert second.port == endpoint.port
    with pytest.raises(UnsupportedOptionError):
        await open_udp_endpoint(options=SocketOptions(no_delay=True))


@pytest.mark.skipif(sys.platform != "linux", reason="loopback has a broadcast address there")
async def test_a_broadcast_arrives() -> None:
    """Row P2."""
    options = SocketOptions(broadcast=True)
    async with (
        await open_udp_endpoint(host="0.0.0.0") as listening,
        await open_udp_endpoint(host="127.0.0.1", options=options) as sending,
    ):
        await sending.send(b"to all", ("127.255.255.255", listening.port))
        with trio.fail_after(TIMEOUT):
            assert await listening.receive() == (b"to all", sending.address)


async def test_one_datagram_is_one_message_of_the_codec() -> None:
    """Row P2: what is none, or two, is counted and thrown away."""
    codec = NetstringCodec()
    with plain_socket() as peer:
        async with await open_udp_endpoint(codec=codec) as endpoint:
            for data in (b"junk", b"5:hello,", b"2:ab,2:cd,", b"5:hel", b"", b"0:,"):
                peer.sendto(data, endpoint.address)
            with trio.fail_after(TIMEOUT):
                assert await endpoint.receive() == (b"hello", peer.getsockname())
                assert (await endpoint.receive()).data == b""
            assert endpoint.statistics().undecodable == 4
            await endpoint.send(b"hi", peer.getsockname())
            assert peer.recv(100) == b"2:hi,"


class Number(Codec[int]):
    """A number in as many bytes as it takes; it knows no other end than the datagram's."""

    def encode(self, message: int) -> bytes:
        if message < 0:
            raise LocalProtocolError("not below zero")
        return message.to_bytes(8, "big").lstrip(b"\0")

    def decode(self, buffer: ReceiveBuffer) -> list[int]:
        return [int.from_bytes(buffer.take_all(), "big")]


async def test_a_codec_may_take_the_datagram_as_it_is() -> None:
    """Row P2: no bytes are a message too."""
    async with (
        await open_udp_endpoint(codec=Number()) as one,
        await open_udp_endpoint(codec=Number()) as other,
    ):
        for number in (0, 1, 2**40):
            await one.send(number, other.address)
            with trio.fail_after(TIMEOUT):
                assert await other.receive() == Datagram(number, one.address)
        with pytest.raises(LocalProtocolError):
            await one.send(-1, other.address)
        assert one.statistics().sent == 3


async def test_the_end_of_a_datagram_can_end_a_message() -> None:
    """Row P2: as the end of input does on a connection, for codecs that take it."""
    with plain_socket() as peer:
        async with await open_udp_endpoint(codec=LineCodec(deliver_unterminated=True)) as endpoint:
            for data in (b"with an end\n", b"without", b"two\nlines"):
                peer.sendto(data, endpoint.address)
            peer.sendto(b"last", endpoint.address)
            with trio.fail_after(TIMEOUT):
                found = [(await endpoint.receive()).data for _ in range(3)]
            assert found == [b"with an end", b"without", b"last"]


async def test_a_socket_that_was_inherited_becomes_an_endpoint() -> None:
    """Row W33: it is owned from then on."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    with plain_socket() as peer:
        async with UDPEndpoint(sock) as endpoint:
            peer.sendto(b"x", endpoint.address)
            assert await endpoint.receive() == (b"x", peer.getsockname())
    assert sock.fileno() == -1
    with socket.socket() as stream, pytest.raises(ValueError, match="UDP socket"):
        UDPEndpoint(stream)
