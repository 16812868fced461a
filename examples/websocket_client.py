"""Talk to a WebSocket: lines are sent as messages, and messages are printed as lines.

    python examples/websocket_client.py ws://127.0.0.1:8765/
    echo hello | python examples/websocket_client.py wss://example.org/chat
    python examples/websocket_client.py --binary ws://127.0.0.1:8765/ < picture.png > echoed.png

At the end of the input the WebSocket is closed, and what the server sends until it has answered the
close is still printed. With ``--binary`` the input is sent in pieces as they come, and what is
received is written as it is; without, each line is a text message, without its line end. Ctrl-C
closes with 1001.

What goes wrong is told in one line, and the exit status says what it was:

====  ====================================================================
   0  the WebSocket was closed with 1000, or without a code, by whoever
   1  it was closed with another code, or the connection ended without
   2  the arguments are wrong
   3  no WebSocket could be opened
 130  Ctrl-C
====  ====================================================================
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import ssl
import sys
from contextlib import AbstractAsyncContextManager
from typing import cast

import trio

from snowtrio import SnowtrioError
from snowtrio.http import EnvironmentProxies, UpgradeRefusedError
from snowtrio.websocket import (
    CloseCode,
    Deflate,
    WebSocket,
    WebSocketClosedError,
    WebSocketLimits,
    open_websocket,
)

READ_SIZE = 64 * 1024

# While a WebSocket is being closed, what there is no room for is thrown away; here it would be
# missing in the output.
MAX_QUEUED = 1024 * 1024
MAX_QUEUED_SIZE = 64 * 1024 * 1024

IN_ORDER = (CloseCode.NORMAL, CloseCode.NO_STATUS)


class OpenError(Exception):
    """No WebSocket could be opened; the cause says why."""


async def read_some() -> bytes:
    """Return what is there to read, as somebody types it.

    A thread that waits for a terminal cannot be stopped. It is left behind, and holds no lock that
    the interpreter would need at its end.
    """
    return await trio.to_thread.run_sync(
        os.read, sys.stdin.fileno(), READ_SIZE, abandon_on_cancel=True
    )


async def send_lines(websocket: WebSocket) -> None:
    """Send every line of the input."""
    rest = b""
    while data := await read_some():
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            await websocket.send(line.removesuffix(b"\r").decode(errors="replace"))
    if rest:
        await websocket.send(rest.decode(errors="replace"))


async def send_pieces(websocket: WebSocket) -> None:
    """Send the input as it comes."""
    while data := await read_some():
        await websocket.send(data)


async def send_input(websocket: WebSocket, *, binary: bool) -> None:
    """Send the input, then close; a server that closes before is no trouble here."""
    try:
        await (send_pieces(websocket) if binary else send_lines(websocket))
    except WebSocketClosedError:
        return
    await websocket.close()


async def close_when_interrupted(
    websocket: WebSocket,
    interrupted: trio.Event,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    with trio.open_signal_receiver(signal.SIGINT) as signals:
        task_status.started()
        async for _ in signals:
            interrupted.set()
            await websocket.close(CloseCode.GOING_AWAY)


def write(message: str | bytes, *, binary: bool) -> None:
    """Write a message; somebody may wait for it."""
    data = message.encode() if isinstance(message, str) else message
    sys.stdout.buffer.write(data if binary else data + b"\n")
    sys.stdout.buffer.flush()


async def talk(websocket: WebSocket, arguments: argparse.Namespace) -> int:
    """Send and receive until the WebSocket is closed; return the exit status."""
    interrupted = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(close_when_interrupted, websocket, interrupted)
        nursery.start_soon(lambda: send_input(websocket, binary=arguments.binary))
        async for message in websocket:
            write(message, binary=arguments.binary)
        nursery.cancel_scope.cancel(reason="the WebSocket is closed")
    if interrupted.is_set():
        return 130
    close = websocket.close_received or websocket.close_sent
    if close is not None and close.code not in IN_ORDER:
        print(f"websocket_client: closed: {close}", file=sys.stderr)
        return 1
    return 0


def make_context(arguments: argparse.Namespace) -> ssl.SSLContext | None:
    if not (arguments.ca or arguments.insecure):
        return None
    context = ssl.create_default_context(cafile=arguments.ca)
    if arguments.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def opening(arguments: argparse.Namespace) -> AbstractAsyncContextManager[WebSocket]:
    """Return what opens the WebSocket."""
    return open_websocket(
        arguments.url,
        subprotocols=arguments.subprotocol,
        headers=arguments.header,
        origin=arguments.origin,
        compression=Deflate() if arguments.compression else None,
        limits=WebSocketLimits(
            max_message_size=arguments.max_message_size,
            max_queued_messages=MAX_QUEUED,
            max_queued_size=MAX_QUEUED_SIZE,
            ping_interval=arguments.ping_interval,
        ),
        timeout=arguments.timeout,
        ssl_context=make_context(arguments),
        proxy=arguments.proxy or EnvironmentProxies(),
    )


async def main(arguments: argparse.Namespace) -> int:
    """Open, talk, close; return the exit status."""
    opened = False
    try:
        async with opening(arguments) as websocket:
            opened = True
            return await talk(websocket, arguments)
    except (SnowtrioError, OSError, ValueError) as error:
        if opened:
            raise
        raise OpenError from error


def explain(error: BaseException) -> str:
    """Return what a person should read of an error."""
    text = str(error) or repr(error)
    if isinstance(error, UpgradeRefusedError):
        said = getattr(error.response, "text", str)().strip()
        return f"{text}: {said.splitlines()[0]:.200}" if said else text
    return text


def parse_header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME: VALUE")
    return name.strip(), value.strip()


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Send lines to a WebSocket, and print messages.")
    add = parser.add_argument
    add("url", help="ws://… or wss://…")
    add("--binary", action="store_true", help="send pieces of the input; print bytes as they are")
    add("--subprotocol", action="append", default=[], metavar="NAME", help="offer it; repeatable")
    add("--header", action="append", default=[], type=parse_header, metavar="NAME: VALUE")
    add("--origin", help="the Origin field")
    add("--compression", action="store_true", help="compress messages if the server can")
    add("--max-message-size", type=int, default=16 * 1024 * 1024, metavar="BYTES")
    add("--ping-interval", type=float, default=20.0, metavar="SECONDS", help="when nothing comes")
    add("--timeout", type=float, default=10.0, metavar="SECONDS", help="to open it")
    add("--proxy", metavar="URL", help="http:// or socks5h://; else the environment's")
    add("--ca", metavar="FILE", help="trust these authorities alone")
    add("--insecure", action="store_true", help="trust any certificate")
    return parser.parse_args()


def first_error(error: BaseException) -> BaseException:
    """Return the error that a person should read: a nursery reports several in a group."""
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return error


if __name__ == "__main__":
    given = parse_arguments()
    if None in (sys.stdin, sys.stdout):
        sys.exit("websocket_client: standard input or output is closed")
    # What goes wrong is said once, below.
    logging.getLogger("snowtrio").addHandler(logging.NullHandler())
    status = 1
    try:
        status = trio.run(main, given)
    except* OpenError as group:
        print(
            f"websocket_client: {explain(first_error(group).__cause__ or group)}", file=sys.stderr
        )
        status = 3
    except* (SnowtrioError, OSError) as group:
        print(f"websocket_client: {explain(first_error(group))}", file=sys.stderr)
    except* KeyboardInterrupt:
        status = 130
    sys.exit(status)
