"""Sockets that a process is started with, as systemd does it (row W33's surroundings)."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trio

from snowtrio import systemd

# Puts sockets where systemd puts them, and becomes the program: so that LISTEN_PID is true.
LAUNCHER = """
import json, os, sys
numbers, names, pid, program = json.loads(sys.argv[1])
high = [os.dup2(number, 100 + place) for place, number in enumerate(numbers)]
for place, number in enumerate(high):
    os.dup2(number, 3 + place)
    os.set_inheritable(3 + place, True)
    os.close(number)
os.environ.update(LISTEN_FDS=str(len(high)), LISTEN_PID=pid or str(os.getpid()))
if names is not None:
    os.environ["LISTEN_FDNAMES"] = names
os.execv(sys.executable, [sys.executable, "-W", "error", "-c", program])
"""

DESCRIBE = """
import json, os, subprocess, sys
from snowtrio import systemd

def describe():
    try:
        sockets = systemd.inherited_sockets()
    except (OSError, ValueError) as error:
        left = [each for each in os.environ if each.startswith("LISTEN_")]
        return {"error": str(error), "left": left, "open": os.path.exists("/proc/self/fd/3")}
    listeners = []
    for each in sockets:
        try:
            listeners.append(str(each.listener().address))
        except ValueError as error:
            listeners.append(str(error))
    return {
        "names": [each.name for each in sockets],
        "types": [each.socket.type.name for each in sockets],
        "inheritable": [each.socket.get_inheritable() for each in sockets],
        "listeners": listeners,
        "again": len(systemd.inherited_sockets()),
        "left": [each for each in os.environ if each.startswith("LISTEN_")],
    }

print(json.dumps(describe()))
"""


async def start_with(
    *sockets: Any, names: str | None = None, pid: str = "", program: str = DESCRIBE
) -> Any:
    """Run a program that was started with sockets, and return the JSON that it prints."""
    numbers = [each.fileno() for each in sockets]
    argument = json.dumps([numbers, names, pid, program])
    process = await run_started([sys.executable, "-c", LAUNCHER, argument], numbers)
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


async def run_started(command: list[str], numbers: list[int]) -> Any:
    with trio.fail_after(30):
        return await trio.run_process(
            command,
            pass_fds=numbers,
            stdin=subprocess.DEVNULL,
            capture_stdout=True,
            capture_stderr=True,
            check=False,
        )


async def test_sockets_come_with_their_names_and_are_not_passed_on(tmp_path: Path) -> None:
    """Row W33: TCP, Unix and datagrams; asked again there are none."""
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_UNIX) as unix,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
    ):
        unix.bind(str(tmp_path / "listening"))
        unix.listen()
        udp.bind(("127.0.0.1", 0))
        said = await start_with(tcp, unix, udp, names="web:admin:dns")
        assert said["names"] == ["web", "admin", "dns"]
        assert said["types"] == ["SOCK_STREAM", "SOCK_STREAM", "SOCK_DGRAM"]
        assert said["inheritable"] == [False] * 3
        assert said["listeners"][:2] == [str(tcp.getsockname()), unix.getsockname()]
        assert said["listeners"][2].startswith("the inherited socket 'dns': a listener needs")
        assert (said["again"], said["left"]) == (0, [])


async def test_a_connection_is_no_listener() -> None:
    """Row W33: what a unit with Accept=yes passes is said to be none."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.create_connection(listening.getsockname()),
        listening.accept()[0] as accepted,
    ):
        said = await start_with(accepted)
        assert said["names"] == ["unknown"]
        assert "does not listen" in said["listeners"][0]


async def test_sockets_for_another_process_are_not_taken() -> None:
    """Row W33: a child of the service sees the same environment."""
    with socket.create_server(("127.0.0.1", 0)) as tcp:
        said = await start_with(tcp, pid="1")
        assert (said["names"], said["left"]) == ([], [])


async def test_what_is_no_socket_is_an_error_that_changes_nothing(tmp_path: Path) -> None:
    """Row W33."""
    with (tmp_path / "file").open("w") as file, socket.create_server(("127.0.0.1", 0)) as tcp:
        said = await start_with(tcp, file, names="web:log")
    assert said["error"].endswith("inherited descriptor 4 (log): Socket operation on non-socket")
    assert sorted(said["left"]) == ["LISTEN_FDNAMES", "LISTEN_FDS", "LISTEN_PID"]
    assert said["open"] is True


async def test_a_datagram_socket_among_listeners_is_an_error_that_changes_nothing() -> None:
    """Row W33: nothing is closed, and it can be asked in another way."""
    program = """
import json
from snowtrio import systemd
try:
    systemd.inherited_listeners()
except ValueError as error:
    said = str(error)
print(json.dumps([said, [each.socket.type.name for each in systemd.inherited_sockets()]]))
"""
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
    ):
        error, types = await start_with(tcp, udp, names="web:dns", program=program)
    assert error.startswith("the inherited socket 'dns'")
    assert types == ["SOCK_STREAM", "SOCK_DGRAM"]


async def test_a_server_answers_what_came_to_its_datagram_socket_before_it_started() -> None:
    """Rows W33 and P2: an endpoint of the inherited socket is a server's."""
    program = """
import json
import trio
from snowtrio import systemd
from snowtrio.udp import UDPEndpoint, serve_udp_endpoints

async def main():
    endpoints = [UDPEndpoint(each.socket) for each in systemd.inherited_sockets()]
    async with trio.open_nursery() as nursery:
        shout = lambda datagram: datagram.data.upper()
        server = await nursery.start(serve_udp_endpoints, shout, endpoints)
        report = await server.drain()
        print(json.dumps([report.clean, server.addresses]))

trio.run(main)
"""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer,
    ):
        udp.bind(("127.0.0.1", 0))
        peer.settimeout(10)
        for data in (b"early", b"bird"):
            peer.sendto(data, udp.getsockname())
        said = await start_with(udp, names="dns", program=program)
        assert said == [True, [list(udp.getsockname())]]
        assert [peer.recv(100), peer.recv(100)] == [b"EARLY", b"BIRD"]


def test_without_systemd_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row W33."""
    for name in ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"):
        monkeypatch.delenv(name, raising=False)
    assert systemd.inherited_sockets() == []
    assert systemd.inherited_listeners() == []


def test_the_environment_may_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row W33: by choice."""
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", "0")
    assert systemd.inherited_sockets(unset_environment=False) == []
    assert os.environ["LISTEN_FDS"] == "0"
    assert systemd.inherited_listeners() == []
    assert "LISTEN_FDS" not in os.environ
