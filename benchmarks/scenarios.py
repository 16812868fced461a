"""What is measured: every scenario, and who takes part in it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import attrs
import roster
from measure import broadcast, connects, datagrams, echo, http, memory, pool, redis, requests
from measure.settings import Figures, Settings

OURS = ("snowtrio", "snowtrio-batches", "snowtrio-function")
CALLBACKS = ("asyncio-protocol", "uvloop-protocol", "uvloop-joined", "twisted")
STREAMS = ("asyncio-streams", "uvloop-streams", "trio", "anyio")


@attrs.frozen(kw_only=True)
class Scenario:
    """One question, put to several servers.

    Parameters:
        name: how the command line calls it; the part before the first hyphen is its family.
        title: what it is, for a table.
        unit: what its cost is.
        servers: who takes part.
        measure: measures one of them once.
        needs: a program without which it cannot run.
        most_rounds: how many rounds at most, for what takes long or never changes.
    """

    name: str
    title: str
    unit: str = "CPU µs a message"
    servers: tuple[str, ...]
    measure: Callable[[str, Settings], Figures]
    needs: str = ""
    most_rounds: int | None = None

    @property
    def family(self) -> str:
        """The scenarios that belong together."""
        return self.name.partition("-")[0]


def many(number: int, noun: str) -> str:
    """Return so many of something, in words."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def lines(connections: int, in_flight: int, servers: tuple[str, ...]) -> Scenario:
    """Return an echo of lines of 64 bytes."""
    return Scenario(
        name=f"lines-{connections}x{in_flight}",
        title=f"line echo, {many(connections, 'connection')} x {in_flight} in flight",
        servers=servers,
        measure=partial(echo.measure, connections=connections, in_flight=in_flight),
    )


def prefixed(label: str, size: int, connections: int, in_flight: int) -> Scenario:
    """Return an echo of messages with their length before them."""
    return Scenario(
        name=f"prefix-{label.replace(' ', '')}",
        title=f"length-prefixed echo of {label}, {connections} connections x {in_flight} in flight",
        servers=("snowtrio", "asyncio-streams", "uvloop-streams"),
        measure=partial(
            echo.measure,
            connections=connections,
            in_flight=in_flight,
            frames="prefixed",
            size=size,
        ),
    )


def over_tls(connections: int, in_flight: int) -> Scenario:
    """Return an echo of lines of 64 bytes over TLS."""
    return Scenario(
        name=f"tls-{connections}x{in_flight}",
        title=f"line echo over TLS, {connections} connections x {in_flight} in flight",
        servers=("snowtrio", "snowtrio-function", "asyncio-streams", "uvloop-streams", "trio"),
        measure=partial(echo.measure, connections=connections, in_flight=in_flight, tls=True),
    )


def from_a_pool(tasks: int) -> Scenario:
    """Return many tasks of a client that ask, and wait for their replies."""
    return Scenario(
        name=f"pool-{tasks}",
        title=f"client, {many(tasks, 'task')}: pool of 16 (snowtrio), connection each (others)",
        unit="client's CPU µs an exchange",
        servers=("snowtrio", "asyncio-streams", "uvloop-streams", "trio"),
        measure=partial(pool.measure, tasks=tasks),
    )


def broadcasting(in_flight: int) -> Scenario:
    """Return lines that go to a thousand connections each."""
    return Scenario(
        name=f"broadcast-{in_flight}",
        title=f"broadcast to 1,000 connections, {in_flight} in flight",
        unit="CPU µs a delivery",
        servers=("snowtrio", "asyncio-streams", "uvloop-streams", "trio"),
        measure=partial(broadcast.measure, connections=1000, in_flight=in_flight),
    )


def key_value(command: str, pipeline: int) -> Scenario:
    """Return a command that ``redis-benchmark`` gives."""
    return Scenario(
        name=f"redis-{command}-{pipeline}",
        title=f"redis-benchmark, {command.upper()}, {pipeline} in flight: example and real Redis",
        unit="CPU µs a command",
        servers=("snowtrio", "redis-server"),
        measure=partial(redis.measure, command=command, pipeline=pipeline),
        needs="redis-benchmark",
        most_rounds=3,
    )


def of_redis(tasks: int) -> Scenario:
    """Return many tasks of a client of Redis that share a few connections."""
    return Scenario(
        name=f"requests-{tasks}",
        title=f"client of Redis, {many(tasks, 'task')} x 100 GETs, 4 connections",
        unit="client's CPU µs a request",
        servers=tuple(roster.REDIS_CLIENTS),
        measure=partial(requests.measure, tasks=tasks),
        needs="redis-server",
        most_rounds=3,
    )


def fetching(tasks: int) -> Scenario:
    """Return many tasks of an HTTP client that share ten connections."""
    return Scenario(
        name="http-fetch",
        title=f"HTTP client, {many(tasks, 'task')}, 10 connections, a small JSON document",
        unit="client's CPU µs a fetch",
        servers=tuple(roster.HTTP_CLIENTS),
        measure=partial(http.measure_client, tasks=tasks),
        most_rounds=3,
    )


def websockets(
    label: str, title: str, size: int, in_flight: int = 1, frames: str = "websocket"
) -> Scenario:
    """Return an echo of binary messages without compression, or of text with it."""
    without = WITHOUT_DEFLATE if frames == "deflate" else ()
    return Scenario(
        name=f"ws-{label}",
        title=f"WebSocket echo, {title}, 64 connections x {in_flight} in flight",
        servers=tuple(name for name in WEBSOCKETS if name not in without),
        measure=partial(
            echo.measure, connections=64, in_flight=in_flight, frames=frames, size=size
        ),
    )


def open_websockets(label: str, title: str, workload: str) -> Scenario:
    """Return WebSockets that are open and idle."""
    servers = tuple(name for name in WEBSOCKETS if not name.endswith(("function", "uvloop")))
    if workload == "websocket-deflate":
        servers = tuple(name for name in servers if name not in WITHOUT_DEFLATE)
    return Scenario(
        name=f"ws-{label}",
        title=f"memory of an idle WebSocket{title}, before it has spoken and after a message",
        unit="KiB a connection",
        servers=servers,
        measure=partial(memory.measure, workload=workload),
        most_rounds=1,
    )


def over_udp(label: str, sockets: int, in_flight: int) -> Scenario:
    """Return an echo of datagrams of 64 bytes."""
    return Scenario(
        name=f"udp-{label}",
        title=f"UDP echo, {many(sockets, 'peer')} x {in_flight} in flight",
        unit="CPU µs a datagram",
        servers=tuple(roster.UDP_SERVERS),
        measure=partial(datagrams.measure, sockets=sockets, in_flight=in_flight),
    )


WEBSOCKETS = tuple(roster.WEBSOCKET_SERVERS)
WITHOUT_DEFLATE = ("trio-websocket", "picows", "picows-uvloop")
EVERYBODY = (*OURS, *STREAMS, *CALLBACKS)
# With one message in flight there is nothing to join.
THOSE_THAT_DIFFER = tuple(server for server in EVERYBODY if server != "uvloop-joined")
MOST = (*OURS, "asyncio-streams", "trio", "uvloop-protocol", "uvloop-joined")
FEW = ("snowtrio", "snowtrio-function", "asyncio-streams", "uvloop-protocol", "trio")

SCENARIOS = (
    lines(1, 1, THOSE_THAT_DIFFER),
    lines(64, 1, THOSE_THAT_DIFFER),
    lines(512, 1, MOST),
    # Opening so many takes longer than measuring them.
    attrs.evolve(lines(4096, 1, FEW), most_rounds=3),
    lines(64, 64, EVERYBODY),
    lines(512, 4, MOST),
    prefixed("64 B", 64, 64, 16),
    prefixed("4 KiB", 4096, 64, 4),
    prefixed("256 KiB", 256 * 1024, 8, 1),
    over_tls(64, 1),
    over_tls(64, 64),
    Scenario(
        name="connects",
        title="connect, exchange a line, close",
        unit="CPU µs a connection",
        servers=(
            *("snowtrio", "snowtrio-function"),
            *("asyncio-streams", "uvloop-streams", "trio", "anyio", "uvloop-protocol", "twisted"),
        ),
        measure=partial(connects.measure, at_once=32),
    ),
    *(from_a_pool(tasks) for tasks in (1, 100, 1000)),
    *(broadcasting(in_flight) for in_flight in (1, 16)),
    *(key_value(command, pipeline) for pipeline in (1, 16) for command in ("set", "get")),
    of_redis(1000),
    Scenario(
        name="http-json",
        title="HTTP, GET of a small JSON document, 64 connections (wrk)",
        unit="CPU µs a request",
        servers=(
            *("snowtrio", "snowtrio-function", "snowtrio-asgi"),
            *("uvicorn", "aiohttp", "aiohttp-uvloop", "hypercorn"),
        ),
        measure=partial(http.measure_server, connections=64),
        needs="wrk",
    ),
    Scenario(
        name="http-pipelined",
        title="HTTP as above, 16 requests at a time on each connection (wrk)",
        unit="CPU µs a request",
        servers=("snowtrio", "snowtrio-function", "snowtrio-unpipelined", "uvicorn", "aiohttp"),
        measure=partial(http.measure_server, connections=64, depth=16),
        needs="wrk",
        most_rounds=3,
    ),
    fetching(100),
    websockets("64x1", "125 B", 125),
    websockets("64x32", "125 B", 125, in_flight=32),
    websockets("16k", "16 KiB", 16 * 1024),
    websockets("deflate", "1 KiB of JSON, compressed", 1024, frames="deflate"),
    Scenario(
        name="ws-broadcast",
        title="WebSocket, broadcast of 125 B to 1,000 connections",
        unit="CPU µs a delivery",
        servers=tuple(name for name in WEBSOCKETS if name != "snowtrio-function"),
        measure=partial(
            broadcast.measure, connections=1000, in_flight=1, workload="websocket-broadcast"
        ),
    ),
    Scenario(
        name="ws-connect",
        title="WebSocket, open and close in order",
        unit="CPU µs a connection",
        # One of them at times hangs up without an answer to a close that comes at once.
        servers=tuple(name for name in WEBSOCKETS if name != "websockets-trio"),
        measure=partial(connects.measure, at_once=32, workload="websocket"),
    ),
    open_websockets("memory", "", "websocket"),
    open_websockets("memory-deflate", " with compression", "websocket-deflate"),
    over_udp("64", 1, 64),
    over_udp("64x1", 64, 1),
    over_udp("1", 1, 1),
    Scenario(
        name="memory",
        title="memory of an idle connection, before it has spoken and after a line",
        unit="KiB a connection",
        servers=("snowtrio", *STREAMS, "twisted"),
        measure=memory.measure,
        most_rounds=1,
    ),
)


def chosen(names: list[str]) -> list[Scenario]:
    """Return the scenarios of these names or families, all without any.

    Raises:
        LookupError: a name stands for nothing.
    """
    for name in names:
        if not any(name in (each.name, each.family) for each in SCENARIOS):
            raise LookupError(f"no scenario or family is called {name}")
    return [each for each in SCENARIOS if not names or each.name in names or each.family in names]
