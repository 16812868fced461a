"""``examples/jsonrpc_server.py`` asked by a client that is not ours: pjrpc, over a plain stream."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Generator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from pjrpc.client import AbstractAsyncClient, JsonRpcError

from .examples import running_example
from .peers import Peer, connected


class LineClient(AbstractAsyncClient):
    """Sends a request a line, and gives each reply to the request whose id it has."""

    def __init__(self, peer: Peer) -> None:
        self._numbers = itertools.count(1)
        super().__init__(id_gen_impl=self._ids)
        self.ticks: list[object] = []
        self._peer = peer
        self._sending = trio.Lock()
        self._waiting: dict[str, tuple[trio.Event, list[str]]] = {}

    def _ids(self) -> Generator[int, None, None]:
        yield from self._numbers

    async def _request(
        self, request_text: str, is_notification: bool, request_kwargs: Mapping[str, Any]
    ) -> str | None:
        key = key_of(json.loads(request_text))
        done, replies = self._waiting[key] = trio.Event(), []
        async with self._sending:
            await self._peer.send(request_text.encode() + b"\n")
        if is_notification:
            del self._waiting[key]
            return None
        await done.wait()
        return replies[0]

    async def receive(self) -> None:
        """Hand out replies, until cancelled."""
        while True:
            line = await self._peer.line()
            message = json.loads(line)
            if "method" in message:
                self.ticks += message["params"]
                continue
            done, replies = self._waiting.pop(key_of(message))
            replies.append(line)
            done.set()


def key_of(message: Any) -> str:
    """Return what a request and its reply have in common; of a batch, the ids that are answered."""
    if isinstance(message, list):
        return json.dumps([each["id"] for each in message if "id" in each])
    return json.dumps(message.get("id"))


@asynccontextmanager
async def calling() -> AsyncIterator[LineClient]:
    async with (
        running_example("jsonrpc_server") as example,
        connected(example) as peer,
        trio.open_nursery() as nursery,
    ):
        client = LineClient(peer)
        nursery.start_soon(client.receive)
        yield client
        nursery.cancel_scope.cancel()
        assert example.read_errors() == ""


async def test_calls_by_position_and_by_name() -> None:
    """What it calls is what it gets."""
    async with calling() as client:
        assert await client("add", 1, 2, 3) == 6
        assert await client.call("subtract", subtrahend=23, minuend=42) == 19
        assert await client.proxy.echo({"a": [None, True, "ü"]}) == {"a": [None, True, "ü"]}
        await client.notify("echo", 1)
        assert await client("echo", "still there") == "still there"


async def test_errors_are_its_errors() -> None:
    """Each of them is one to it as well."""
    failing = {"nothing": (), "subtract": (1,), "sleep": (-1,)}
    codes: list[int] = []
    async with calling() as client:
        for method, params in failing.items():
            with pytest.raises(JsonRpcError) as caught:
                await client(method, *params)
            codes.append(caught.value.code)
    assert codes == [-32601, -32602, -32000]


async def test_a_batch() -> None:
    """Two calls and a notification between them."""
    async with calling() as client:
        async with client.batch() as batch:
            batch("add", 1, 2)
            batch.notify("echo", "nobody listens")
            batch("nothing")
        replies = batch.get_response()
        assert replies is not None
        first, second = replies
        assert first.result == 3
        assert second.is_error
        async with client.batch() as silent:
            silent.notify("echo", 1)
        assert silent.get_response() is None


async def test_many_calls_at_a_time() -> None:
    """Rows B5 and S13 for requests: more than run at a time; each gets its own reply."""
    got: dict[int, object] = {}

    async def call(client: LineClient, number: int) -> None:
        if number % 3 == 0:
            await client("sleep", 0.001 * (number % 7))
        got[number] = await client("add", number, 1)

    async with calling() as client:
        async with trio.open_nursery() as nursery:
            for number in range(100):
                nursery.start_soon(call, client, number)
        assert await client("count", 5) == 5
        assert client.ticks == [1, 2, 3, 4, 5]
    assert got == {number: number + 1 for number in range(100)}
