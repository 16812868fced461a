"""What tests of requests share: a client of `Peers`, requests in tasks, peers that answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import trio
import trio.testing

from snowtrio import LineCodec, RequestClient, RequestLimits

from .client_peers import Peers


def asking(*peers: Peers, protocol: Any = None, **options: Any) -> RequestClient[bytes]:
    """Return a client of these peers that speaks lines, unless told otherwise.

    What is no parameter of the client's is a limit. It does not linger.
    """
    own = ("correlation", "when_cancelled", "when_pushes_wait", "move_unsent")
    given = {name: options.pop(name) for name in own if name in options}
    return RequestClient(
        protocol or LineCodec(),
        [each.endpoint for each in peers],
        limits=RequestLimits(**{"linger_timeout": 0, **options}),
        **given,
    )


class Asked:
    """One call that runs in a task of its own, and what became of it."""

    def __init__(self) -> None:
        self.scope = trio.CancelScope()
        self.result: Any = None
        """What it returned or raised; a `trio.Cancelled` where it was cancelled."""
        self.done = trio.Event()

    async def run(self, call: Callable[[], Awaitable[object]]) -> None:
        try:
            with self.scope:
                try:
                    self.result = await call()
                except trio.Cancelled as error:
                    self.result = error
                    raise
        except Exception as error:
            self.result = error
        finally:
            self.done.set()


async def start(nursery: trio.Nursery, call: Callable[[], Awaitable[object]]) -> Asked:
    """Begin a call, and wait until it waits for something."""
    asked = Asked()
    nursery.start_soon(asked.run, call)
    await trio.testing.wait_all_tasks_blocked()
    return asked


async def start_all(nursery: trio.Nursery, client: Any, *messages: bytes) -> list[Asked]:
    """Begin requests, each once the one before waits."""
    return [await start(nursery, partial(client.request, message)) for message in messages]


async def echo(peers: Peers, index: int) -> None:
    """Answer each line of a connection with itself, until it ends or breaks."""
    stream, kept = peers.streams[index], b""
    try:
        while data := await stream.receive_some(65536):
            *lines, kept = (kept + bytes(data)).split(b"\n")
            if lines:
                await stream.send_all(b"".join(line + b"\n" for line in lines))
        await stream.aclose()
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        await stream.aclose()


async def echo_all(peers: Peers) -> None:
    """Answer on every connection that comes, until cancelled."""
    served = 0
    async with trio.open_nursery() as nursery:
        while True:
            while served < len(peers.streams):
                nursery.start_soon(echo, peers, served)
                served += 1
            await trio.sleep(0.01)
