r"""A JSON-RPC 2.0 server over TCP, one JSON value a line.

    python examples/jsonrpc_server.py --port 7008
    printf '{"jsonrpc":"2.0","method":"subtract","params":[42,23],"id":1}\n' | nc -N 127.0.0.1 7008

Requests of one connection run side by side, 16 at most, and are answered as they are done; a batch
is one of them. The methods:

    echo(value)             the value
    add(*terms)             the sum; also called sum
    subtract(minuend, subtrahend)
    sleep(seconds)          the seconds, after so long
    count(to, interval=0)   `to`, after so many notifications, `interval` seconds apart, like
                            {"jsonrpc":"2.0","method":"tick","params":[1]}
    get_data()              what the specification's examples want of it

What is not JSON is answered with an error, and the connection goes on; a line above 1 MiB, or half
a line at the end, is the last that is answered.
"""

from __future__ import annotations

import argparse
import functools
import inspect
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, TypeGuard, cast

import trio

from snowtrio import (
    Connection,
    JSONLinesCodec,
    LocalProtocolError,
    RemoteProtocolError,
    RequestHandler,
    Server,
    run_service,
    serve_tcp,
)

Peer: TypeAlias = Connection[Any]
Response: TypeAlias = dict[str, Any]

PARSE_ERROR = -32700, "Parse error"
INVALID_REQUEST = -32600, "Invalid Request"
METHOD_NOT_FOUND = -32601, "Method not found"
INVALID_PARAMS = -32602, "Invalid params"
INTERNAL_ERROR = -32603, "Internal error"
APPLICATION_ERROR = -32000, "Application error"

MALFORMED = object()
"""Stands for a line that is not JSON."""


class RPCError(Exception):
    """What an error response says: its kind, and more about it if there is any."""

    def __init__(self, kind: tuple[int, str], data: str | None = None) -> None:
        super().__init__(*kind)
        self.error: dict[str, Any] = {"code": kind[0], "message": kind[1]}
        if data is not None:
            self.error["data"] = data

    def response(self, identity: object = None) -> Response:
        """Return the response to the request with this id; None where it cannot be told."""
        return {"jsonrpc": "2.0", "error": self.error, "id": identity}


# The methods: each gets the connection, and then the parameters.


async def echo(_: Peer, value: object) -> object:
    return value


async def add(_: Peer, *terms: float) -> float:
    check_numbers(*terms)
    return sum(terms)


async def subtract(_: Peer, minuend: float, subtrahend: float) -> float:
    check_numbers(minuend, subtrahend)
    return minuend - subtrahend


async def sleep(_: Peer, seconds: float) -> float:
    check_numbers(seconds)
    await trio.sleep(seconds)
    return seconds


async def count(peer: Peer, to: int, interval: float = 0) -> int:
    check_numbers(to, interval)
    for number in range(1, int(to) + 1):
        await trio.sleep(interval)
        await peer.send({"jsonrpc": "2.0", "method": "tick", "params": [number]})
    return to


async def get_data(_: Peer) -> list[Any]:
    return ["hello", 5]


def check_numbers(*values: object) -> None:
    """Refuse what is no number; in Python, but not in JSON, a truth value is one."""
    for value in values:
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise RPCError(INVALID_PARAMS, f"{value!r} is not a number")


METHODS: dict[str, Callable[..., Awaitable[Any]]] = {
    "echo": echo,
    "add": add,
    "sum": add,
    "subtract": subtract,
    "sleep": sleep,
    "count": count,
    "get_data": get_data,
}
SIGNATURES = {name: inspect.signature(method) for name, method in METHODS.items()}


# The protocol


def read_line(line: bytes) -> Any:
    """Return the value of a line; what is none is a message too, for it has to be answered."""
    try:
        # NaN and the infinities, which Python takes and JSON does not have, are no integers.
        return json.loads(line.decode(), parse_constant=int)
    except (ValueError, RecursionError):
        return MALFORMED


class JSONRPCCodec(JSONLinesCodec):
    """JSON lines; a response that has no JSON, or too much of it, leaves as an error."""

    def encode(self, message: Any) -> bytes:
        """Return the message's line, or that of an error in its place."""
        try:
            return super().encode(message)
        except LocalProtocolError as error:
            instead = RPCError(INTERNAL_ERROR, str(error))
            return super().encode(instead.response(identity_of(message)))


def identity_of(value: object) -> object:
    """Return the id of a request or response; None where there is none that can be one."""
    identity = value.get("id") if is_object(value) else None
    return identity if type(identity) in (str, int, float) else None


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def is_request(value: object) -> TypeGuard[dict[str, Any]]:
    """Whether a value is a request or a notification."""
    return (
        is_object(value)
        and value.get("jsonrpc") == "2.0"
        and isinstance(value.get("method"), str)
        and isinstance(value.get("params", []), (list, dict))
        and value.get("id") == identity_of(value)
    )


async def call(peer: Peer, name: str, params: list[Any] | dict[str, Any]) -> Any:
    """Call a method; an `RPCError` says that it does not exist or takes other parameters."""
    if name not in METHODS:
        raise RPCError(METHOD_NOT_FOUND)
    arguments, named = (params, {}) if isinstance(params, list) else ([], params)
    try:
        SIGNATURES[name].bind(peer, *arguments, **named)
    except TypeError as error:
        raise RPCError(INVALID_PARAMS, str(error)) from error
    return await METHODS[name](peer, *arguments, **named)


async def answer_one(peer: Peer, value: object) -> Response | None:
    """Return the response to a request, None to a notification."""
    identity = identity_of(value)
    if not is_request(value):
        return RPCError(INVALID_REQUEST).response(identity)
    try:
        result = await call(peer, value["method"], value.get("params", []))
        response = {"jsonrpc": "2.0", "result": result, "id": identity}
    except RPCError as error:
        response = error.response(identity)
    except Exception as error:  # the method's; where the connection is lost, the response is too
        what = f"{type(error).__name__}: {error}"
        response = RPCError(APPLICATION_ERROR, what).response(identity)
    return response if "id" in value else None


async def answer(peer: Peer, message: Any) -> Any:
    """Return what answers a line, None for nothing."""
    if message is MALFORMED:
        return RPCError(PARSE_ERROR).response()
    if not isinstance(message, list):
        return await answer_one(peer, message)
    batch = cast("list[object]", message)
    if not batch:
        return RPCError(INVALID_REQUEST).response()
    responses = [await answer_one(peer, value) for value in batch]
    return [response for response in responses if response is not None] or None


requests = RequestHandler(answer, in_order=False)


async def handle(peer: Peer) -> None:
    """Answer requests, and at last what cannot even be cut into lines."""
    try:
        await requests(peer)
    except RemoteProtocolError as error:
        await peer.send(RPCError(PARSE_ERROR, str(error)).response())
        raise


async def main(host: str, port: int) -> int:
    """Serve until SIGINT or SIGTERM, then drain; return the exit status."""
    codec = JSONRPCCodec(loads=read_line, max_message_size=1024 * 1024)

    def ready(server: Server[Any]) -> None:
        print(f"listening on {host}:{server.port}", flush=True)

    serve = functools.partial(serve_tcp, handle, codec, port, host=host)
    return (await run_service(serve, ready=ready)).status


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Serve JSON-RPC 2.0.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=7008, help="port to listen on; 0 chooses one")
    return parser.parse_args()


if __name__ == "__main__":
    arguments = parse_arguments()
    try:
        sys.exit(trio.run(main, arguments.host, arguments.port))
    except OSError as error:  # The port is in use, say.
        sys.exit(f"jsonrpc_server: {error}")
