"""What an idle registered connection costs in memory.

Opens idle connections to a server that runs in a process of its own and compares its resident
memory before and after. Only the server's side is measured.

    python benchmarks/memory.py --connections 5000
"""

from __future__ import annotations

import argparse
import resource
import socket
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent


def resident(pid: int) -> int:
    """Return a process's resident memory in bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def settled(pid: int) -> int:
    """Return the resident memory once it has stopped changing."""
    last = -1
    while (now := resident(pid)) != last:
        last = now
        time.sleep(0.3)
    return now


def measure(server: str, connections: int) -> float:
    """Return bytes a connection."""
    command = [sys.executable, str(HERE / "servers.py"), server]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = ("127.0.0.1", int(process.stdout.readline()))
            # One exchange first: what is allocated once is not a connection's.
            with socket.create_connection(address) as first:
                first.sendall(b"x\n")
                first.recv(10)
            before = settled(process.pid)
            opened = [socket.create_connection(address) for _ in range(connections)]
            after = settled(process.pid)
            for sock in opened:
                sock.close()
        finally:
            process.kill()
    return (after - before) / connections


def main() -> None:
    """Measure and print a line for each server."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=2000)
    parser.add_argument("--servers", nargs="*", default=["snowtrio", "trio", "asyncio-streams"])
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print(f"{options.connections} idle connections, memory of the server's side")
    for server in options.servers:
        print(f"{server:20} {measure(server, options.connections) / 1024:6.1f} KiB a connection")


if __name__ == "__main__":
    main()
