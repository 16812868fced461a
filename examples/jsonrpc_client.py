"""Call a method of a JSON-RPC 2.0 server over TCP, one JSON value a line.

    python examples/jsonrpc_client.py --port 7008 add 1 2.5
    python examples/jsonrpc_client.py --port 7008 subtract minuend=42 subtrahend=23
    python examples/jsonrpc_client.py --port 7008 --follow count 3 0.5

A parameter is JSON, or else text: ``hello`` is ``"hello"``. The result is printed as JSON, an error
as one line on standard error, with exit status 1. With ``--follow`` the notifications that come are
printed too, until Ctrl-C. `JSONRPCClient` can be used by itself::

    async with JSONRPCClient("127.0.0.1", 7008) as client:
        total = await client.call("add", 1, 2.5)
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self, TypeAlias, cast

import trio

from snowtrio import (
    ById,
    Connection,
    ConnectionLostError,
    Endpoint,
    JSONLinesCodec,
    Protocol,
    RemoteProtocolError,
    RequestClient,
    RequestLimits,
    SnowtrioError,
)

Object: TypeAlias = dict[str, Any]
NAMED = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)


class JSONRPCError(Exception):
    """The server answered with an error: its code and message, and perhaps data."""

    def __init__(self, error: Object) -> None:
        self.code, self.message = error.get("code"), error.get("message")
        self.data = error.get("data")
        more = "" if self.data is None else f" ({json.dumps(self.data, ensure_ascii=False)})"
        super().__init__(f"{self.code} {self.message}{more}")


def request_key(message: Any) -> Any:
    """Return what the response to a message is known by: an id, or all ids of a batch; or None."""
    if isinstance(message, list):
        members = cast("list[Object]", message)
        return frozenset(each["id"] for each in members if "id" in each) or None
    return message.get("id")


def response_key(message: Any) -> Any:
    """Return the same for what the server sent; None for a notification."""
    if isinstance(message, list):
        return frozenset(response_key(each) for each in cast("list[object]", message))
    if not isinstance(message, dict):
        raise RemoteProtocolError(f"this is not JSON-RPC: {message!r}")
    response = cast("Object", message)
    if "method" in response:
        return None
    if not isinstance(response.get("id"), str | int | float):
        raise RemoteProtocolError(f"a response to nobody: {response.get('error', response)}")
    return response["id"]


def outcome_of(response: Object) -> Any:
    """Return the result in a response, or its error."""
    if "result" in response:
        return response["result"]
    if isinstance(error := response.get("error"), dict):
        return JSONRPCError(cast("Object", error))
    raise RemoteProtocolError(f"neither a result nor an error: {response}")


def request_of(method: str, params: Iterable[Any], named: Object | None = None) -> Object:
    """Return a request without an id, which is a notification."""
    if (positional := list(params)) and named:
        raise TypeError("parameters are either positional or named")
    return {"jsonrpc": "2.0", "method": method, "params": named or positional}


class JSONRPCProtocol(Protocol[Any]):
    """JSON lines, and a note of the connection's end."""

    codec = JSONLinesCodec(max_message_size=1024 * 1024)

    def __init__(self) -> None:
        super().__init__()
        self.lost = trio.Event()

    async def close(self, connection: Connection[Any]) -> None:
        """Take note."""
        self.lost.set()


class JSONRPCClient:
    """Calls methods; any number of tasks may, at the same time. All go by one connection.

    What the server sends unasked, its notifications, is in ``requests.pushes``.

    Parameters:
        where: a host or an endpoint.
        port: the host's port.
        timeout: seconds that a call may take; no bound unless given.
    """

    def __init__(
        self, where: str | Endpoint, port: int | None = None, *, timeout: float | None = None
    ) -> None:
        protocol = JSONRPCProtocol()
        self.lost = protocol.lost
        self.requests = RequestClient[Any](
            *(protocol, where, port),
            correlation=ById(request_key, response_key),
            limits=RequestLimits(max_connections=1),
        )
        self._timeout = timeout
        self._ids = itertools.count(1)

    async def __aenter__(self) -> Self:
        await self.requests.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self.requests.__aexit__(*error)

    async def call(self, method: str, *params: Any, **named: Any) -> Any:
        """Return the result of a method.

        Raises:
            JSONRPCError: the server answered with an error.
            SnowtrioError: there is no answer; as `RequestClient.request`.
        """
        request = request_of(method, params, named) | {"id": next(self._ids)}
        outcome = outcome_of(await self.requests.request(request, timeout=self._timeout))
        if isinstance(outcome, JSONRPCError):
            raise outcome
        return outcome

    async def notify(self, method: str, *params: Any, **named: Any) -> None:
        """Send a notification, which is not answered."""
        await self.requests.notify(request_of(method, params, named))

    async def batch(self, *calls: tuple[Any, ...]) -> list[Any]:
        """Call methods together: ``batch(("add", 1, 2), ("echo", "x"))``.

        Returns the results in order; in the place of one that failed is its `JSONRPCError`.
        """
        requests = [
            request_of(method, params) | {"id": next(self._ids)} for method, *params in calls
        ]
        responses = {each["id"]: each for each in await self.send_batch(requests)}
        return [outcome_of(responses[request["id"]]) for request in requests]

    async def send_batch(self, batch: list[Object]) -> list[Object]:
        """Send a batch as it is; return its responses as they are, none if nothing asks for one."""
        if request_key(batch) is not None:
            return list(await self.requests.request(batch, timeout=self._timeout))
        await self.requests.notify(batch)
        return []


# The command line


def value_of(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def show(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False), flush=True)


async def follow(client: JSONRPCClient) -> None:
    """Print notifications until the connection ends."""

    async def print_them() -> None:
        async for notification in client.requests.pushes:
            show(notification)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(print_them)
        await client.lost.wait()
        raise ConnectionLostError("the server has closed the connection")


async def main(options: argparse.Namespace) -> int:
    """Do what the command line says; return the exit status."""
    matches = [(text, NAMED.fullmatch(text)) for text in options.params]
    named = {match[1]: value_of(match[2]) for _, match in matches if match}
    params = [value_of(text) for text, match in matches if not match]
    responses: list[Object] = []
    async with (
        JSONRPCClient(options.host, options.port, timeout=options.timeout) as client,
        trio.open_nursery() as nursery,
    ):
        if options.follow:
            await client.requests.bootstrap()
            nursery.start_soon(follow, client)
        if options.batch:
            show(responses := await client.send_batch(json.loads(options.batch.read_bytes())))
        elif options.notify:
            await client.notify(options.method, *params, **named)
        elif options.method:
            show(await client.call(options.method, *params, **named))
    return int(any("error" in each for each in responses))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Call a method of a JSON-RPC 2.0 server.")
    parser.add_argument("method", nargs="?")
    parser.add_argument("params", nargs="*", help="JSON or text; NAME=VALUE for named ones")
    parser.add_argument("--host", default="127.0.0.1", help="where the server is")
    parser.add_argument("--port", type=int, default=7008, help="its port")
    parser.add_argument("--timeout", type=float, help="seconds that it may take")
    parser.add_argument("--notify", action="store_true", help="ask for no answer")
    parser.add_argument("--batch", type=Path, metavar="FILE", help="send an array of requests")
    parser.add_argument("--follow", action="store_true", help="print notifications until Ctrl-C")
    return parser.parse_args()


if __name__ == "__main__":
    logging.getLogger("snowtrio").addHandler(logging.NullHandler())
    status: int | str = 0
    arguments = parse_arguments()
    try:
        status = trio.run(main, arguments)
    except* (JSONRPCError, SnowtrioError, OSError, ValueError, TypeError) as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
        status = f"jsonrpc_client: {error}"
    except* KeyboardInterrupt:
        status = 0 if arguments.follow else 130
    sys.exit(status)
