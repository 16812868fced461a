"""Endpoints in trouble: reports of the network, a full kernel, closing, cancelling."""

from __future__ import annotations

import errno
import logging
import socket
from contextlib import suppress
from typing import Any

import pytest
import trio
import trio.testing

from snowtrio import ConnectError, ConnectionClosedError
from snowtrio.udp import (
    Datagram,
    UDPEndpoint,
    UDPServer,
    UndeliveredError,
    connect_udp_endpoint,
    open_udp_endpoint,
    serve_udp_endpoints,
)

from .datagrams import HOSTS, TIMEOUT, closed_port, plain_socket


@pytest.mark.parametrize("family", HOSTS)
async def test_a_closed_port_is_reported_once_and_the_endpoint_lives(family: str) -> None:
    """Row P2: the peer may be back with the next datagram."""
    host = HOSTS[family]
    port = closed_port(host)
    async with await connect_udp_endpoint(host, port) as endpoint:
        await endpoint.send(b"anybody?")
        with trio.fail_after(TIMEOUT), pytest.raises(UndeliveredError) as caught:
            await endpoint.receive()
        assert caught.value.errno == errno.ECONNREFUSED
        assert endpoint.statistics().undelivered == {"ECONNREFUSED": 1}
        with trio.move_on_after(0.05) as scope:
            await endpoint.receive()
        assert scope.cancelled_caught
        async with await open_udp_endpoint(port, host=host) as peer:
            await endpoint.send(b"again")
            with trio.fail_after(TIMEOUT):
                datagram = await peer.receive()
                assert datagram.data == b"again"
                await peer.send(b"here", datagram.sender)
                assert (await endpoint.receive()).data == b"here"


async def test_a_report_does_not_swallow_the_next_datagram() -> None:
    """Row P2: the kernel tells it to whoever sends next, and then has not sent."""
    port = closed_port()
    async with await connect_udp_endpoint("127.0.0.1", port) as endpoint:
        await endpoint.send(b"lost")
        async with await open_udp_endpoint(port) as peer:
            for number in range(3):
                await endpoint.send(b"%d" % number)
            with trio.fail_after(TIMEOUT):
                assert [d.data for d in await peer.receive_batch()] == [b"0", b"1", b"2"]
        assert endpoint.statistics().undelivered == {"ECONNREFUSED": 1}
        assert endpoint.statistics().sent == 4
        with trio.fail_after(TIMEOUT), pytest.raises(UndeliveredError):
            await endpoint.receive()


async def test_a_report_that_a_send_comes_upon_wakes_the_receiver() -> None:
    """Row P2: the system has told it to the send, and tells it nobody else."""
    port = closed_port()
    async with await connect_udp_endpoint("127.0.0.1", port) as endpoint:
        with trio.fail_after(TIMEOUT):
            async with trio.open_nursery() as nursery:

                async def receive() -> None:
                    with pytest.raises(UndeliveredError):
                        await endpoint.receive()

                nursery.start_soon(receive)
                await trio.testing.wait_all_tasks_blocked()
                # All in one step, so that the receiver does not come in between.
                endpoint.send_nowait(b"lost")
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
                    peer.bind(("127.0.0.1", port))
                    endpoint.send_nowait(b"arrives, and finds the report")
                    assert peer.recv(100) == b"arrives, and finds the report"
        assert endpoint.statistics().undelivered == {"ECONNREFUSED": 1}
        with trio.move_on_after(0.05) as scope:
            await endpoint.receive()
        assert scope.cancelled_caught


async def test_a_report_loses_nothing_that_had_come() -> None:
    """Row P2: whichever of them the system gives first."""
    with plain_socket() as peer:
        endpoint = await connect_udp_endpoint(*peer.getsockname())
        peer.sendto(b"good bye", endpoint.address)
    async with endpoint:
        await endpoint.send(b"still there?")
        found: list[object] = []
        with trio.fail_after(TIMEOUT):
            while len(found) < 2:
                try:
                    found.append((await endpoint.receive()).data)
                except UndeliveredError as error:
                    found.append(error.errno)
        assert set(found) == {b"good bye", errno.ECONNREFUSED}


async def test_an_endpoint_without_a_peer_hears_of_nothing() -> None:
    """Row P2: one that has gone stops nobody."""
    async with await open_udp_endpoint() as endpoint, await open_udp_endpoint() as peer:
        for _ in range(3):
            await endpoint.send(b"lost", ("127.0.0.1", closed_port()))
        await peer.send(b"x", endpoint.address)
        with trio.fail_after(TIMEOUT):
            assert (await endpoint.receive()).data == b"x"
        assert endpoint.statistics().undelivered == {}


async def test_no_way_there_is_told_when_connecting() -> None:
    """Row P4: with the errno of the cause; nothing is left open."""
    with pytest.raises(ConnectError) as caught:
        await connect_udp_endpoint("127.0.0.1", 9, local_host="192.0.2.1")
    assert caught.value.errno == errno.EADDRNOTAVAIL
    with pytest.raises(ConnectError, match="family"):
        await connect_udp_endpoint("127.0.0.1", 9, local_host="::1")
    with pytest.raises(ConnectError):
        await connect_udp_endpoint("no-such-host.invalid", 9)


async def test_a_cancelled_receive_loses_nothing() -> None:
    """Row P2."""
    with plain_socket() as peer:
        async with await open_udp_endpoint() as endpoint:
            for number in range(100):
                with trio.CancelScope() as scope:
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(endpoint.receive_batch)
                        await trio.lowlevel.checkpoint()
                        scope.cancel()
                if not scope.cancelled_caught:
                    raise AssertionError(f"there was nothing to receive in round {number}")
            for number in range(100):
                peer.sendto(b"%d" % number, endpoint.address)
                with trio.CancelScope() as scope:
                    scope.cancel()
                    await endpoint.receive_batch()
            with trio.fail_after(TIMEOUT):
                received = [(await endpoint.receive()).data for _ in range(100)]
            assert received == [b"%d" % number for number in range(100)]


async def test_only_one_task_receives_at_a_time() -> None:
    """Row P2: a second one is told, and the first goes on."""
    with plain_socket() as peer:
        async with await open_udp_endpoint() as endpoint, trio.open_nursery() as nursery:

            async def receive() -> None:
                assert (await endpoint.receive()).data == b"x"

            nursery.start_soon(receive)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(trio.BusyResourceError):
                await endpoint.receive()
            peer.sendto(b"x", endpoint.address)


@pytest.mark.parametrize("connected", [False, True])
async def test_closing_wakes_the_receiver(connected: bool) -> None:
    """Row P2."""
    with plain_socket() as peer:
        if connected:
            endpoint = await connect_udp_endpoint(*peer.getsockname())
        else:
            endpoint = await open_udp_endpoint()
        async with trio.open_nursery() as nursery:

            async def receive() -> None:
                with pytest.raises(ConnectionClosedError):
                    await endpoint.receive()

            nursery.start_soon(receive)
            await trio.testing.wait_all_tasks_blocked()
            await endpoint.aclose()
        for _ in range(2):
            await endpoint.aclose()
        with pytest.raises(trio.ClosedResourceError):
            await endpoint.receive()
        with pytest.raises(trio.ClosedResourceError):
            endpoint.receive_batch_nowait()
        with pytest.raises(trio.ClosedResourceError):
            await endpoint.send(b"x", None if connected else peer.getsockname())
        with pytest.raises(trio.ClosedResourceError):
            endpoint.send_nowait(b"x", None if connected else peer.getsockname())
        assert "closed" in repr(endpoint)


async def test_closing_at_the_moment_that_something_has_come_is_told_as_closing() -> None:
    """Row P2: the receiver is on its way already, and whether it runs first is chance."""

    async def receive(endpoint: UDPEndpoint) -> None:
        with suppress(ConnectionClosedError):
            await endpoint.receive()

    async def close(endpoint: UDPEndpoint, signal: UDPEndpoint) -> None:
        await signal.receive()
        endpoint.close()

    with plain_socket() as peer:
        for _ in range(30):
            async with await open_udp_endpoint() as endpoint, await open_udp_endpoint() as signal:
                with trio.fail_after(TIMEOUT):
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(receive, endpoint)
                        nursery.start_soon(close, endpoint, signal)
                        await trio.testing.wait_all_tasks_blocked()
                        peer.sendto(b"x", endpoint.address)
                        peer.sendto(b"x", signal.address)


async def test_a_cancelled_close_closes() -> None:
    """Row P2."""
    endpoint = await open_udp_endpoint()
    with trio.CancelScope() as scope:
        scope.cancel()
        await endpoint.aclose()
    assert scope.cancelled_caught
    assert endpoint.socket.fileno() == -1


async def test_a_task_that_only_sends_lets_others_run_and_can_be_cancelled() -> None:
    """Row P2: a datagram seldom has to wait for the kernel."""
    with plain_socket() as peer:
        async with await open_udp_endpoint() as endpoint:
            with trio.move_on_after(0.05) as scope:
                while True:
                    await endpoint.send(b"x", peer.getsockname())
            assert scope.cancelled_caught


class FullSocket(socket.socket):
    """Has no room for so many datagrams, and says so as the system does."""

    def __init__(self, number: int, refusals: int) -> None:
        super().__init__(socket.AF_INET, socket.SOCK_DGRAM)
        self.bind(("127.0.0.1", 0))
        self.number = number
        self.refusals = refusals

    def sendto(self, *arguments: Any) -> int:
        if self.refusals:
            self.refusals -= 1
            raise OSError(self.number, "no room")
        return super().sendto(*arguments)


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOBUFS])
async def test_a_send_waits_where_the_kernel_has_no_room(number: int) -> None:
    """Row P2: and does not where it may not."""
    with plain_socket() as peer:
        async with UDPEndpoint(FullSocket(number, 3)) as endpoint:
            with pytest.raises(trio.WouldBlock):
                endpoint.send_nowait(b"no", peer.getsockname())
            with trio.CancelScope() as scope:
                scope.cancel()
                await endpoint.send(b"no", peer.getsockname())
            assert scope.cancelled_caught
            assert endpoint.statistics().sent == 0
            with trio.fail_after(TIMEOUT):
                await endpoint.send(b"yes", peer.getsockname())
            assert peer.recv(100) == b"yes"
            counts = endpoint.statistics()
            assert (counts.sent, counts.sends_waited) == (1, 2)


async def test_replies_without_room_hold_up_a_server_once_for_all_of_them() -> None:
    """Row P2: and so its end; waiting for each would take as many seconds as there are."""
    began = trio.current_time()
    with plain_socket() as peer:
        endpoint = UDPEndpoint(FullSocket(errno.ENOBUFS, 10**9))
        for _ in range(100):
            peer.sendto(b"x", endpoint.address)
        async with trio.open_nursery() as nursery:
            server: UDPServer = await nursery.start(
                serve_udp_endpoints, lambda datagram: datagram.data, [endpoint]
            )
            while not server.statistics().endpoints[0].received:
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
    assert trio.current_time() - began < TIMEOUT
    assert server.statistics().replies_failed == 100


async def test_replies_that_are_refused_do_not_hide_what_a_handler_raises(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Row P2: strangers can have replies refused as often as they like; of each there is a line."""

    def fail(datagram: Datagram) -> bytes:
        if datagram.data == b"fail":
            raise LookupError("as it was told")
        return datagram.data

    caplog.set_level(logging.INFO, "snowtrio.udp")
    with plain_socket() as peer:
        endpoint = UDPEndpoint(FullSocket(errno.EPERM, 3))
        for data in (b"refused", b"refused", b"fail", b"refused", b"fail", b"last"):
            peer.sendto(data, endpoint.address)
        async with trio.open_nursery() as nursery:
            await nursery.start(serve_udp_endpoints, fail, [endpoint])
            assert await trio.to_thread.run_sync(peer.recv, 100) == b"last"
            nursery.cancel_scope.cancel()
    records = [each for each in caplog.records if each.name == "snowtrio.udp"]
    assert [each.levelno for each in records] == [logging.INFO, logging.ERROR]
