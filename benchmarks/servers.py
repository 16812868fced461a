"""The servers under test: the same line echo, written as each library's documentation says."""

from __future__ import annotations

import argparse
import asyncio
import functools

import trio

import snowtrio


def ready(port: int) -> None:
    """Tell the benchmark where to connect."""
    print(port, flush=True)


# snowtrio


async def echo(connection: snowtrio.Connection[bytes]) -> None:
    async for line in connection:
        await connection.send(line)


async def echo_batches(connection: snowtrio.Connection[bytes]) -> None:
    async for lines in connection.batches():
        await connection.send_batch(lines)


def echo_function(connection: snowtrio.Connection[bytes], line: bytes) -> bytes:  # noqa: ARG001
    return line


async def serve_snowtrio(handler: object) -> None:
    limits = snowtrio.ServerLimits(max_connections=10_000)
    async with trio.open_nursery() as nursery:
        serve = functools.partial(snowtrio.serve_tcp, limits=limits)
        server = await nursery.start(serve, handler, snowtrio.LineCodec(), 0)
        ready(server.port)


# Trio


async def trio_echo(stream: trio.SocketStream) -> None:
    buffer = bytearray()
    async for data in stream:
        buffer += data
        while (end := buffer.find(b"\n")) != -1:
            line = bytes(buffer[:end])
            del buffer[: end + 1]
            await stream.send_all(line + b"\n")


async def serve_trio() -> None:
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, trio_echo, 0)
        ready(listeners[0].socket.getsockname()[1])


# asyncio


async def streams_echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        writer.write(line)
        await writer.drain()
    writer.close()


async def serve_streams() -> None:
    server = await asyncio.start_server(streams_echo, "127.0.0.1", 0)
    ready(server.sockets[0].getsockname()[1])
    await server.serve_forever()


class EchoProtocol(asyncio.Protocol):
    """Writes line by line."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        *lines, self.buffer = (self.buffer + data).split(b"\n")
        for line in lines:
            self.transport.write(line + b"\n")  # type: ignore[attr-defined]


class JoiningProtocol(EchoProtocol):
    """Joins its writes by hand."""

    def data_received(self, data: bytes) -> None:
        *lines, self.buffer = (self.buffer + data).split(b"\n")
        self.transport.write(b"".join([line + b"\n" for line in lines]))  # type: ignore[attr-defined]


async def serve_protocol(factory: type[asyncio.Protocol]) -> None:
    server = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", 0)
    ready(server.sockets[0].getsockname()[1])
    await server.serve_forever()


def run_uvloop(main: object) -> None:
    import uvloop

    uvloop.run(main)  # type: ignore[arg-type]


SERVERS = {
    "snowtrio": lambda: trio.run(serve_snowtrio, echo),
    "snowtrio-batches": lambda: trio.run(serve_snowtrio, echo_batches),
    "snowtrio-function": lambda: trio.run(serve_snowtrio, echo_function),
    "trio": lambda: trio.run(serve_trio),
    "asyncio-streams": lambda: asyncio.run(serve_streams()),
    "asyncio-protocol": lambda: asyncio.run(serve_protocol(EchoProtocol)),
    "uvloop-streams": lambda: run_uvloop(serve_streams()),
    "uvloop-protocol": lambda: run_uvloop(serve_protocol(EchoProtocol)),
    "uvloop-joined": lambda: run_uvloop(serve_protocol(JoiningProtocol)),
}


def main() -> None:
    """Run one server until it is killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("server", choices=sorted(SERVERS))
    SERVERS[parser.parse_args().server]()


if __name__ == "__main__":
    main()
