"""Multicast that stays on this machine."""

from __future__ import annotations

import errno
import socket
import sys
from pathlib import Path

import pytest
import trio

from snowtrio import SocketOptions
from snowtrio.udp import UDPEndpoint, open_udp_endpoint

from .datagrams import HOSTS, TIMEOUT

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the loopback interface has another name, and other groups"
)


def find_interfaces() -> dict[str, str]:
    """Return an interface for each family: loopback has no groups in IPv6."""
    found = {"IPv4": "lo"}
    file = Path("/proc/net/if_inet6")
    for line in file.read_text().splitlines() if file.exists() else ():
        _, _, _, scope, _, name = line.split()
        if scope == "20":  # a link's own addresses
            found["IPv6"] = name
    return found


INTERFACES = find_interfaces()
FAMILIES = [
    pytest.param(
        family,
        marks=pytest.mark.skipif(
            family not in INTERFACES, reason=f"no interface has multicast over {family}"
        ),
    )
    for family in ("IPv4", "IPv6")
]
ANYWHERE = {"IPv4": "0.0.0.0", "IPv6": "::"}
GROUPS = {"IPv4": "239.255.7.1", "IPv6": "ff12::7:1"}
OTHER_GROUPS = {"IPv4": "239.255.7.2", "IPv6": "ff12::7:2"}


async def open_member(family: str, port: int = 0) -> UDPEndpoint:
    options = SocketOptions(reuse_address=True)
    return await open_udp_endpoint(port, host=ANYWHERE[family], options=options)


async def open_sender(family: str) -> UDPEndpoint:
    sender = await open_udp_endpoint(host=ANYWHERE[family])
    sender.set_multicast(interface=INTERFACES[family], hops=0)
    return sender


async def receive_nothing(endpoint: UDPEndpoint) -> None:
    with trio.move_on_after(0.05):
        raise AssertionError(f"received {await endpoint.receive()}")


@pytest.mark.parametrize("family", FAMILIES)
async def test_members_of_a_group_get_what_is_sent_to_it(family: str) -> None:
    """Row P2: two on one port, each once; and nobody who has left."""
    group = GROUPS[family]
    async with (
        await open_member(family) as one,
        await open_member(family, one.port) as other,
        await open_sender(family) as sender,
    ):
        one.join(group, interface=INTERFACES[family])
        other.join(group, interface=socket.if_nametoindex(INTERFACES[family]))
        await sender.send(b"to both", (group, one.port))
        with trio.fail_after(TIMEOUT):
            assert (await one.receive()).data == b"to both"
            assert (await other.receive()).data == b"to both"
        one.leave(group, interface=INTERFACES[family])
        await sender.send(b"to the other", (group, one.port))
        with trio.fail_after(TIMEOUT):
            assert (await other.receive()).data == b"to the other"
        await receive_nothing(one)


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_member_gets_nothing_of_groups_that_others_have_joined(family: str) -> None:
    """Row P2: Linux would give it to all, unless told not to."""
    async with (
        await open_member(family) as one,
        await open_member(family, one.port) as other,
        await open_sender(family) as sender,
    ):
        one.join(GROUPS[family], interface=INTERFACES[family])
        other.join(OTHER_GROUPS[family], interface=INTERFACES[family])
        await sender.send(b"secret", (OTHER_GROUPS[family], one.port))
        with trio.fail_after(TIMEOUT):
            assert (await other.receive()).data == b"secret"
        await receive_nothing(one)


@pytest.mark.parametrize("family", FAMILIES)
async def test_whether_this_machine_gets_it_can_be_set(family: str) -> None:
    """Row P2."""
    group = GROUPS[family]
    async with await open_member(family) as member, await open_sender(family) as sender:
        member.join(group, interface=INTERFACES[family])
        sender.set_multicast(loop=False)
        assert looping(sender) is False
        sender.set_multicast(loop=True)
        assert looping(sender) is True
        await sender.send(b"x", (group, member.port))
        with trio.fail_after(TIMEOUT):
            assert (await member.receive()).data == b"x"


def looping(endpoint: UDPEndpoint) -> bool:
    if endpoint.socket.family == socket.AF_INET6:
        return bool(endpoint.socket.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP))
    return bool(endpoint.socket.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP))


@pytest.mark.parametrize("family", FAMILIES)
async def test_what_is_no_group_is_told(family: str) -> None:
    """Row P2."""
    wrong = GROUPS["IPv6" if family == "IPv4" else "IPv4"]
    async with await open_member(family) as endpoint:
        with pytest.raises(ValueError, match="family"):
            endpoint.join(wrong)
        with pytest.raises(OSError, match="Invalid argument"):
            endpoint.join(HOSTS[family], interface=INTERFACES[family])
        with pytest.raises(OSError, match="no interface 'no-such-device'") as caught:
            endpoint.join(GROUPS[family], interface="no-such-device")
        assert caught.value.errno == errno.ENODEV
        with pytest.raises(OSError, match="assign requested address"):
            endpoint.leave(GROUPS[family], interface=INTERFACES[family])
