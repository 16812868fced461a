"""A host with several addresses: the first that answers is taken (RFC 8305; rows P4, B13).

Nothing here leaves the machine.
"""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import attrs
import pytest
import trio

from snowtrio import (
    ConnectError,
    ConnectRefusedError,
    LineCodec,
    SocketOptions,
    TCPEndpoint,
    open_connection,
    open_tcp_connection,
)

from ..serving import LIMIT
from .optioned import linux
from .tcp import serving_tcp

pytestmark = linux  # The whole of 127.0.0.0/8 is this machine there.


@attrs.define
class Resolver(trio.abc.HostnameResolver):
    """Gives a host's addresses as the test says.

    Parameters:
        addresses: in the order in which the system would give them.
    """

    addresses: list[str]

    async def getaddrinfo(self, host: Any, port: Any, *args: Any, **options: Any) -> list[Any]:
        """Return the addresses."""
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                socket.IPPROTO_TCP,
                "",
                (address, port, 0, 0) if ":" in address else (address, port),
            )
            for address in self.addresses
        ]

    async def getnameinfo(self, sockaddr: Any, flags: int) -> tuple[str, str]:
        """Not asked for."""
        raise NotImplementedError


def resolve(*addresses: str) -> None:
    trio.socket.set_custom_hostname_resolver(Resolver(list(addresses)))


@contextmanager
def silent(address: str, port: int = 0) -> Iterator[int]:
    """Yield a port that does not answer: what waits to be accepted there is enough already."""
    with socket.socket() as listener, socket.socket() as one, socket.socket() as other:
        listener.bind((address, port))
        listener.listen(0)
        for each in (one, other):
            each.setblocking(False)
            each.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["::1", "127.0.0.1"],
        ["127.0.0.2", "127.0.0.3", "::1", "127.0.0.1"],
        ["127.0.0.1", "127.0.0.1"],
    ],
)
async def test_one_that_answers(addresses: list[str]) -> None:
    """P4: those that refuse are passed over."""
    resolve(*addresses)
    async with serving_tcp() as server:
        async with open_tcp_connection(LineCodec(), "a.host", server.port) as connection:
            assert connection.peer_address == ("127.0.0.1", server.port)
            await connection.send(b"a")
            assert await connection.receive() == b"a"
        pool = server.statistics().pool
        assert pool.opened == 1


async def test_one_that_is_silent() -> None:
    """P4: the next is tried beside it, and not before."""
    resolve("127.0.0.2", "127.0.0.1")
    began = trio.current_time()
    async with serving_tcp() as server:
        with silent("127.0.0.2", server.port), trio.fail_after(LIMIT):
            async with open_tcp_connection(LineCodec(), "a.host", server.port) as connection:
                assert connection.peer_address == ("127.0.0.1", server.port)
                assert trio.current_time() - began >= 0.25


class Busy(trio.abc.Instrument):
    """Takes 0.4 seconds over each of two steps, from a head start after now on."""

    def __init__(self) -> None:
        self._since = trio.current_time() + 0.24
        self._left = 2

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if self._left and trio.current_time() > self._since:
            self._left -= 1
            time.sleep(0.4)


async def test_two_that_answer_at_the_same_time() -> None:
    """P4: one is taken, and the other closed."""
    resolve("127.0.0.2", "127.0.0.1")
    async with trio.open_nursery() as nursery:
        with (
            socket.create_server(("127.0.0.1", 0)) as prompt,
            socket.create_server(("127.0.0.2", prompt.getsockname()[1]), backlog=0) as late,
            socket.create_connection(late.getsockname()),
        ):

            async def answer() -> None:
                """Have room for another, who asks again a second after the first time."""
                await trio.sleep(0.1)
                late.accept()[0].close()

            nursery.start_soon(answer)
            busy = Busy()
            trio.lowlevel.add_instrument(busy)
            try:
                transport = await TCPEndpoint("a.host", prompt.getsockname()[1]).connect()
            finally:
                trio.lowlevel.remove_instrument(busy)
            for listener in (prompt, late):
                listener.setblocking(False)
                with listener.accept()[0] as peer:
                    peer.setblocking(False)
                    if peer.getpeername() == transport.local_address:
                        transport.close_nowait()
                    assert peer.recv(1) == b""


async def test_families_by_turns() -> None:
    """P4: where a family has no way, that is known after one address of it."""
    resolve("127.0.0.2", "127.0.0.3", "127.0.0.4", "::1")
    began = trio.current_time()
    async with serving_tcp(host="::1") as server:
        port = server.port
        with silent("127.0.0.2", port), silent("127.0.0.3", port), silent("127.0.0.4", port):
            async with open_tcp_connection(LineCodec(), "a.host", port) as connection:
                assert connection.peer_address[0] == "::1"  # type: ignore[index]
    # One head start, where it would have been three.
    assert trio.current_time() - began < 0.7


async def test_none_waits_for_one_that_has_refused() -> None:
    """P4: the next is tried at once."""
    resolve(*(f"127.0.0.{number}" for number in range(2, 10)))
    began = trio.current_time()
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectRefusedError):
            await TCPEndpoint("a.host", unused.getsockname()[1]).connect()
    # Eight head starts would have been two seconds.
    assert trio.current_time() - began < 1


async def test_none_that_answers() -> None:
    """P4: the error has all causes, each once."""
    resolve("127.0.0.2", "127.0.0.3", "127.0.0.2")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectRefusedError, match="cannot connect to a") as caught:
            async with open_tcp_connection(LineCodec(), "a.host", unused.getsockname()[1]):
                pass
    assert [str(cause)[-11:] for cause in caught.value.causes] == ["(127.0.0.2)", "(127.0.0.3)"]


async def test_cancelled() -> None:
    """P4: nothing is left open; the check of descriptors sees to that."""
    resolve("127.0.0.2", "127.0.0.3")
    with silent("127.0.0.2") as port, silent("127.0.0.3", port):
        with trio.move_on_after(0.4) as scope:
            async with open_tcp_connection(LineCodec(), "a.host", port):
                pass
        assert scope.cancelled_caught


async def test_cancelled_at_each_step() -> None:
    """B6: with two that answer at the same time, too."""
    resolve("127.0.0.1", "::1")
    async with serving_tcp(host=None) as server:
        for steps in range(16):
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(strike, scope, steps)
                    async with open_tcp_connection(LineCodec(), "a.host", server.port):
                        await trio.sleep_forever()


async def strike(scope: trio.CancelScope, steps: int) -> None:
    for _ in range(steps):
        await trio.lowlevel.checkpoint()
    scope.cancel()


async def test_an_address_of_ours() -> None:
    """P4: connections come from it; a host of the other family has no way from there."""
    async with serving_tcp(host=None) as server:
        for host, ours in [("127.0.0.1", "127.0.0.5"), ("::1", "::1"), ("localhost", "127.0.0.5")]:
            endpoint = TCPEndpoint(host, server.port, local_address=ours)
            async with open_connection(LineCodec(), endpoint) as connection:
                assert connection.local_address is not None
                assert connection.local_address[0] == ours
                if hasattr(socket, "IP_BIND_ADDRESS_NO_PORT"):
                    assert connection.socket is not None
                    number = socket.IP_BIND_ADDRESS_NO_PORT
                    assert connection.socket.getsockopt(socket.IPPROTO_IP, number)
        endpoint = TCPEndpoint("::1", server.port, local_address="127.0.0.1")
        with pytest.raises(ConnectError) as caught:
            async with open_connection(LineCodec(), endpoint):
                pass
        assert caught.value.errno == errno.EAFNOSUPPORT
        assert "the local address '127.0.0.1' is of another family" in str(caught.value)


@pytest.mark.parametrize("ours", ["a" * 64, "::0::"])
async def test_an_address_of_ours_that_is_none(ours: str) -> None:
    """P4: the error does not put it on the host."""
    endpoint = TCPEndpoint("127.0.0.1", 9, local_address=ours)
    with pytest.raises(ConnectError, match=f"the local address '{ours}' is none") as caught:
        async with open_connection(LineCodec(), endpoint):
            pass
    assert not isinstance(caught.value, ConnectRefusedError)


async def test_options_of_each_attempt() -> None:
    """P3: whichever answers, it was made with them."""
    resolve("127.0.0.2", "127.0.0.1")
    options = SocketOptions(hop_limit=9)
    async with (
        serving_tcp() as server,
        open_tcp_connection(LineCodec(), "a.host", server.port, options=options) as connection,
    ):
        assert connection.socket is not None
        assert connection.socket.getsockopt(socket.IPPROTO_IP, socket.IP_TTL) == 9
