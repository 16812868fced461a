r"""Echo lines as a service of systemd: its sockets, readiness, reloads, a watchdog.

    systemd-socket-activate -l 7000 python examples/systemd_service.py
    printf 'hello\n' | nc -N 127.0.0.1 7000

Started with sockets it serves those, otherwise it opens its own as any program does, on ``--host``
and ``--port``. SIGHUP reads the file of settings again: ``{"max_connections": 100}``, say.
``docs/how-to/systemd.md`` has the units.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
from pathlib import Path
from typing import Any

import attrs
import trio

from snowtrio import (
    Connection,
    LineCodec,
    Server,
    ServerLimits,
    open_tcp_listeners,
    run_service,
    serve_listeners,
    systemd,
)


async def echo(connection: Connection[bytes]) -> None:
    """Send each line back."""
    async for line in connection:
        await connection.send(line)


async def read_limits(settings: Path | None, limits: ServerLimits) -> ServerLimits:
    """Return limits with what a file says of them."""
    if settings is None:
        return limits
    return attrs.evolve(limits, **json.loads(await trio.Path(settings).read_text()))


async def main(arguments: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM, then drain; return the exit status."""
    listeners = systemd.inherited_listeners()
    if not listeners:
        listeners = await open_tcp_listeners(arguments.port, host=arguments.host)
    limits = await read_limits(arguments.settings, ServerLimits())
    serve = functools.partial(serve_listeners, echo, LineCodec(), listeners, limits=limits)

    async with systemd.open_notifier() as notifier:

        def ready(server: Server[Any, Any, Any]) -> None:
            print(f"listening on {describe(server)}", flush=True)
            notifier.ready(status=f"serving at most {server.limits.max_connections}")

        async def reload(server: Server[Any, Any, Any]) -> None:
            async with notifier.reloading():
                server.limits = await read_limits(arguments.settings, server.limits)
                notifier.status(f"serving at most {server.limits.max_connections}")

        report = await run_service(serve, ready=ready, reload=reload, stopping=notifier.stopping)
    return report.status


def describe(server: Server[Any, Any, Any]) -> str:
    """Return where a server listens first: a host and a port, or a path."""
    address = server.addresses[0]
    return f"{address[0]}:{address[1]}" if isinstance(address, tuple) else str(address)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Echo lines, as a service of systemd.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=7000, help="port to listen on; 0 chooses one")
    parser.add_argument("--settings", type=Path, metavar="FILE", help="limits, as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    status: int | str
    try:
        status = trio.run(main, parse_arguments())
    except OSError as error:  # The port is in use, say.
        status = f"systemd_service: {error}"
    sys.exit(status)
