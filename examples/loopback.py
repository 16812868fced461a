"""The shortest round trip: serve, connect, exchange one line, leave nothing open.

    python examples/loopback.py

Port 0 lets the system choose, and ``nursery.start`` returns when the server listens, so the client
never comes too early. When the block ends the server has drained and its port is free again.
"""

from __future__ import annotations

import argparse
import functools

import trio

from snowtrio import Connection, LineCodec, open_tcp_connection, serve_tcp


async def answer(connection: Connection[bytes]) -> None:
    """Greet whoever says a name."""
    async for name in connection:
        await connection.send(b"hello, " + name)


async def main(host: str, port: int) -> None:
    """Run the server and the client in one program."""
    async with trio.open_nursery() as nursery:
        serve = functools.partial(serve_tcp, answer, LineCodec(), port, host=host)
        server = await nursery.start(serve)
        print(f"listening on {host}:{server.port}", flush=True)
        async with open_tcp_connection(LineCodec(), host, server.port) as connection:
            await connection.send(b"world")
            print("reply:", (await connection.receive()).decode())
        report = await server.drain()
        print(f"closed, {report.cut} connections had to be cut")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Exchange one line with ourselves.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 chooses one")
    return parser.parse_args()


if __name__ == "__main__":
    arguments = parse_arguments()
    trio.run(main, arguments.host, arguments.port)
