"""UDP servers that answer with a plain function; and what both kinds have in common."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import trio
import trio.testing

from snowtrio import DrainTimeouts, NetstringCodec
from snowtrio.udp import (
    Datagram,
    EndpointLimits,
    UDPServer,
    UDPServerLimits,
    UDPSession,
    connect_udp_endpoint,
    open_udp_endpoint,
    open_udp_endpoints,
    serve_udp,
    serve_udp_endpoints,
)

from .datagrams import TIMEOUT, plain_socket, send_without_port, serving


def shout(datagram: Datagram) -> bytes | None:
    """Answer, but for what says that it wants no answer, and what cannot be answered."""
    if datagram.data == b"hush":
        return None
    if datagram.data == b"fail":
        raise LookupError("as it was told")
    if datagram.data == b"long":
        return b"x" * 70_000
    return datagram.data.upper()


async def ask(port: int, *messages: bytes) -> list[bytes]:
    """Send datagrams, and return the answers up to that of the last one."""
    async with await connect_udp_endpoint("127.0.0.1", port) as endpoint:
        await endpoint.send_batch([*messages, b"end"])
        answers: list[bytes] = []
        with trio.fail_after(TIMEOUT):
            async for datagram in endpoint:
                if datagram.data == b"END":
                    return answers
                answers.append(datagram.data)
    raise AssertionError


async def test_each_datagram_is_answered_to_its_sender() -> None:
    """Row P2: with as many peers as there are, and nothing kept of them."""
    async with serving(shout) as server, trio.open_nursery() as nursery:

        async def check(name: bytes) -> None:
            assert await ask(server.port, name, b"hush", b"", name) == [
                *(name.upper(), b"", name.upper()),
            ]

        for number in range(20):
            nursery.start_soon(check, b"peer %d" % number)
        await trio.testing.wait_all_tasks_blocked()
    counts = server.statistics()
    assert (counts.sessions, counts.opened, server.sessions) == (0, 0, [])


async def test_a_function_that_fails_is_logged_and_the_others_are_answered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Row P2: one line in a second, whatever a stranger sends."""
    async with serving(shout) as server:
        assert await ask(server.port, b"a", *[b"fail"] * 50, b"long", b"b") == [b"A", b"B"]
        assert server.statistics().handler_errors == 51
    (record,) = [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert record.name == "snowtrio.udp"
    assert record.exc_info is not None


async def test_errors_propagate_where_they_are_to() -> None:
    """Row P2."""

    async def provoke() -> None:
        async with serving(shout, propagate_errors=True) as server:
            with plain_socket() as peer:
                peer.sendto(b"fail", ("127.0.0.1", server.port))
                await trio.sleep_forever()

    with pytest.raises(ExceptionGroup) as caught, trio.fail_after(TIMEOUT):
        await provoke()
    assert caught.group_contains(LookupError)


async def test_messages_of_a_codec() -> None:
    """Row P2: what is no message gets no answer, and is counted."""
    with plain_socket() as peer:
        async with serving(shout, codec=NetstringCodec()) as server:
            for data in (b"junk", b"1:a,1:b,", b"2:ab,"):
                peer.sendto(data, ("127.0.0.1", server.port))
            assert await trio.to_thread.run_sync(peer.recv, 100) == b"2:AB,"
            assert server.statistics().undecodable == 2


async def test_a_drain_answers_what_has_come() -> None:
    """Row P2: to the last one, and its port is free when it returns."""
    limits = UDPServerLimits(max_inbox_datagrams=4)
    async with trio.open_nursery() as nursery:
        serve = nursery.start
        server: UDPServer = await serve(lambda **k: serve_udp(shout, 0, limits=limits, **k))
        with plain_socket() as peer:
            for number in range(30):
                peer.sendto(b"n%d" % number, ("127.0.0.1", server.port))
            with trio.fail_after(TIMEOUT):
                report = await server.drain()
            assert report.clean
            assert [peer.recv(100) for _ in range(30)] == [b"N%d" % each for each in range(30)]
        async with await open_udp_endpoint(server.port):
            pass
        assert await server.drain() is report


async def test_a_port_in_use_is_told() -> None:
    """Row P2."""
    async with serving(shout) as server:
        with pytest.raises(OSError, match=f"cannot bind to 127.0.0.1:{server.port}"):
            await serve_udp(shout, server.port)


async def test_one_server_over_several_endpoints() -> None:
    """Row P2: it owns them."""
    endpoints = await open_udp_endpoints(0, host="localhost")
    endpoints.append(await open_udp_endpoint(limits=EndpointLimits(max_datagram_size=3)))
    async with trio.open_nursery() as nursery:
        server: UDPServer[Any, Any] = await nursery.start(serve_udp_endpoints, shout, endpoints)
        assert server.addresses == [endpoint.address for endpoint in endpoints]
        assert server.port == endpoints[0].port
        for address in server.addresses:
            async with await connect_udp_endpoint(address[0], address[1]) as client:
                await client.send(b"hi")
                with trio.fail_after(TIMEOUT):
                    assert (await client.receive()).data == b"HI"
        assert [each.received for each in server.statistics().endpoints] == [1] * len(endpoints)
        nursery.cancel_scope.cancel()
    assert all(endpoint.socket.fileno() == -1 for endpoint in endpoints)


async def test_what_is_given_wrongly_is_told() -> None:
    """Row P2."""
    with pytest.raises(TypeError, match="a handler is"):
        UDPServer("handler")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="no sessions"):
        UDPServer(shout, admit=lambda datagram: True)
    server = UDPServer(shout)
    with pytest.raises(RuntimeError, match="does not serve yet"):
        await server.drain()
    with pytest.raises(LookupError):
        _ = server.port
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve, [await open_udp_endpoint()])
        with pytest.raises(RuntimeError, match="once"):
            await server.serve([])
        nursery.cancel_scope.cancel()
    with pytest.raises(RuntimeError, match="before it had drained"):
        await server.drain()


async def test_a_handler_can_be_an_object() -> None:
    """Row P2: by what its ``__call__`` is."""

    class Echo:
        async def __call__(self, session: UDPSession) -> None:
            async for data in session:
                await session.send(data.upper())

    async with serving(Echo()) as server:
        assert await ask(server.port, b"a") == [b"A"]
        assert len(server.sessions) == 1
        await server.drain(DrainTimeouts(wait=TIMEOUT))


@pytest.mark.parametrize("kind", ["function", "sessions"])
async def test_who_cannot_be_answered_stops_nobody(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Row P2: nothing can be sent to port 0, and anybody can write it on a datagram."""

    async def echo(session: UDPSession) -> None:
        async for data in session:
            await session.send(data.upper())

    async with serving(shout if kind == "function" else echo) as server:
        try:
            send_without_port(b"a", server.port)
        except PermissionError:
            pytest.skip("only root can send such a datagram")
        assert await ask(server.port, b"b") == [b"B"]
        counts = server.statistics()
        assert (counts.replies_failed, counts.not_admitted) in ((1, 0), (0, 1))
    assert not [each for each in caplog.records if each.levelno >= logging.WARNING]
