"""``examples/jsonrpc_server.py``, run as its docstring says and asked by hand and by nc."""

from __future__ import annotations

import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from .examples import RunningExample, needs_program, run_program, running_example
from .peers import Peer, connected
from .tcp import reset


def response(result: object, identity: object) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "result": result, "id": identity}


def error(code: int, message: str, identity: object = None) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "error": {"code": code, "message": message}, "id": identity}


INVALID = error(-32600, "Invalid Request")

# Section 7 of the specification, example by example. A message there may have several lines; here
# it has one.
SPECIFICATION: list[tuple[str, object]] = [
    (
        '{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}',
        response(19, 1),
    ),
    (
        '{"jsonrpc": "2.0", "method": "subtract", "params": [23, 42], "id": 2}',
        response(-19, 2),
    ),
    (
        (
            '{"jsonrpc": "2.0", "method": "subtract",'
            ' "params": {"subtrahend": 23, "minuend": 42}, "id": 3}'
        ),
        response(19, 3),
    ),
    (
        (
            '{"jsonrpc": "2.0", "method": "subtract",'
            ' "params": {"minuend": 42, "subtrahend": 23}, "id": 4}'
        ),
        response(19, 4),
    ),
    ('{"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]}', None),
    ('{"jsonrpc": "2.0", "method": "foobar"}', None),
    (
        '{"jsonrpc": "2.0", "method": "foobar", "id": "1"}',
        error(-32601, "Method not found", "1"),
    ),
    (
        '{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]',
        error(-32700, "Parse error"),
    ),
    ('{"jsonrpc": "2.0", "method": 1, "params": "bar"}', INVALID),
    (
        (
            '[ {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},'
            ' {"jsonrpc": "2.0", "method" ]'
        ),
        error(-32700, "Parse error"),
    ),
    ("[]", INVALID),
    ("[1]", [INVALID]),
    ("[1,2,3]", [INVALID, INVALID, INVALID]),
    (
        (
            '[ {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},'
            ' {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]},'
            ' {"jsonrpc": "2.0", "method": "subtract", "params": [42,23], "id": "2"},'
            ' {"foo": "boo"},'
            ' {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},'
            ' {"jsonrpc": "2.0", "method": "get_data", "id": "9"} ]'
        ),
        [
            response(7, "1"),
            response(19, "2"),
            INVALID,
            error(-32601, "Method not found", "5"),
            response(["hello", 5], "9"),
        ],
    ),
    (
        (
            '[ {"jsonrpc": "2.0", "method": "notify_sum", "params": [1,2,4]},'
            ' {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]} ]'
        ),
        None,
    ),
]

PING = '{"jsonrpc":"2.0","method":"echo","params":["ping"],"id":"ping"}'
PONG = response("ping", "ping")


def request(method: str, params: object = None, **members: object) -> str:
    called = {"jsonrpc": "2.0", "method": method}
    return json.dumps({**called, **({} if params is None else {"params": params}), **members})


@asynccontextmanager
async def talking() -> AsyncIterator[tuple[RunningExample, Peer]]:
    async with running_example("jsonrpc_server") as example, connected(example) as peer:
        yield example, peer


async def ask(peer: Peer, line: str | bytes) -> Any:
    """Return what a line is answered with, None for nothing; the connection must go on."""
    await peer.send((line.encode() if isinstance(line, str) else line) + b"\n")
    first: object = json.loads(await peer.line()) if not is_silent(line) else None
    await peer.send(PING.encode() + b"\n")
    assert json.loads(await peer.line()) == PONG
    return first


def is_silent(line: str | bytes) -> bool:
    return (line if isinstance(line, bytes) else line.encode()) in SILENT


SILENT = {line.encode() for line, expected in SPECIFICATION if expected is None} | {
    request("sleep", [-1]).encode(),
    request("echo", [1, 2, 3]).encode(),
}


def without_order(answer: object) -> object:
    """Responses of a batch may stand in any order."""
    return sorted(map(json.dumps, answer)) if isinstance(answer, list) else answer


async def test_the_specifications_examples() -> None:
    """Each as it stands in section 7; the connection lives after every one of them."""
    async with talking() as (example, peer):
        for line, expected in SPECIFICATION:
            assert without_order(await ask(peer, line)) == without_order(expected), line
        assert example.read_errors() == ""


async def test_the_specifications_examples_byte_by_byte() -> None:
    """Row S1: as many answers as there are to be, while some are still being asked."""
    lines = "".join(line + "\n" for line, _ in SPECIFICATION).encode()
    expected = [answer for _, answer in SPECIFICATION if answer is not None]
    async with talking() as (_, peer):
        for start in range(len(lines)):
            await peer.send(lines[start : start + 1])
        got = [json.loads(await peer.line()) for _ in expected]
        assert sorted(map(json.dumps, map(without_order, got))) == sorted(
            map(json.dumps, map(without_order, expected))
        )


@needs_program("nc")
async def test_nc_gets_the_specifications_answers() -> None:
    """Row P5: those to its last lines follow the end of its input."""
    lines = "".join(line + "\n" for line, _ in SPECIFICATION).encode()
    expected = [answer for _, answer in SPECIFICATION if answer is not None]
    async with running_example("jsonrpc_server") as example:
        done = await run_program("nc", "-N", example.host, str(example.port), stdin=lines)
        got = [json.loads(line) for line in done.stdout.splitlines()]
        assert sorted(map(json.dumps, map(without_order, got))) == sorted(
            map(json.dumps, map(without_order, expected))
        )
        assert example.read_errors() == ""


ASKED: list[tuple[str | bytes, object]] = [
    (request("echo", [{"a": [None, True]}], id="x"), response({"a": [None, True]}, "x")),
    (request("echo", {"value": "ü"}, id=1.5), response("ü", 1.5)),
    (request("echo", [1], id=None), response(1, None)),
    (request("echo", [1], id=0), response(1, 0)),
    (request("echo", [1], id=""), response(1, "")),
    (request("add", id=1), response(0, 1)),
    (request("add", [1, 2.5], id=1), response(3.5, 1)),
    (request("sleep", [0], id=1), response(0, 1)),
    (request("echo", [1], id=True), INVALID),
    (request("echo", [1], id=[1]), INVALID),
    (request("echo", 1, id=7), error(-32600, "Invalid Request", 7)),
    (json.dumps({"method": "echo", "params": [1], "id": 1}), {**INVALID, "id": 1}),
    (json.dumps({"jsonrpc": "1.0", "method": "echo", "id": 1}), {**INVALID, "id": 1}),
    ("null", INVALID),
    ('"text"', INVALID),
    ("{}", INVALID),
    ("[[]]", [INVALID]),
    (f"[{PING}]", [PONG]),
    ("", error(-32700, "Parse error")),
    ("NaN", error(-32700, "Parse error")),
    ("[" * 100_000, error(-32700, "Parse error")),
    ("9" * 5000, error(-32700, "Parse error")),
    (b"\xff\xfe", error(-32700, "Parse error")),
    (request("sleep", [-1]), None),
    (request("echo", [1, 2, 3]), None),
]
# What is answered with an error, and a word of its reason.
FAILING: list[tuple[str, int, str]] = [
    (request("subtract", [1], id=1), -32602, "missing"),
    (request("subtract", [1, 2, 3], id=1), -32602, "too many"),
    (request("subtract", {"minuend": 1, "subtrahent": 2}, id=1), -32602, "subtrah"),
    (request("subtract", {"peer": 1, "minuend": 1, "subtrahend": 2}, id=1), -32602, "peer"),
    (request("add", ["one", 2], id=1), -32602, "'one' is not a number"),
    (request("add", [True], id=1), -32602, "True is not a number"),
    (request("sleep", [-1], id=1), -32000, "ValueError"),
    (request("add", [1e308, 1e308], id=1), -32603, "JSON"),
    ('{"jsonrpc":"2.0","method":"add","params":[%s,1],"id":1}' % ("9" * 4300), -32603, "JSON"),
    ("[" + ",".join("1" * 30_000) + "]", -32603, "max_message_size"),
]


async def test_what_else_may_be_asked() -> None:
    """Ids of all kinds, and requests that are none."""
    async with talking() as (example, peer):
        for line, expected in ASKED:
            assert await ask(peer, line) == expected, line
        assert example.read_errors() == ""


async def test_what_fails_is_told_with_its_reason() -> None:
    """Parameters that do not fit, a method that raises, a result that JSON has no form for."""
    async with talking() as (example, peer):
        for line, code, data in FAILING:
            answer = await ask(peer, line)
            assert answer["error"]["code"] == code
            assert data in answer["error"]["data"]
            assert answer["id"] == (None if line.startswith("[") else 1)
        assert example.read_errors() == ""


async def test_a_slow_request_holds_up_no_other() -> None:
    """Rows B5 and S10 for requests: each is answered when it is done; a reset cancels the rest."""
    async with running_example("jsonrpc_server") as example:
        stream = await example.connect()
        peer = Peer(stream)
        asked = [request("echo", ["x"], id=number) for number in range(50)]
        await peer.send("\n".join([request("sleep", [3600], id="slow"), *asked, ""]).encode())
        answered = [json.loads(await peer.line())["id"] for _ in asked]
        assert sorted(answered) == list(range(50))
        reset(stream)
        async with connected(example) as other:
            # When this one is answered, the server has seen the reset before it.
            assert await ask(other, PING) == PONG
        await example.stop()
        assert example.read_errors() == ""


async def test_notifications_come_before_the_response() -> None:
    """The ticks of `count`, also where it is itself a notification, which is not answered."""
    ticks = [{"jsonrpc": "2.0", "method": "tick", "params": [number]} for number in (1, 2, 3)]
    async with talking() as (_, peer):
        await peer.send((request("count", [3, 0.01], id="c") + "\n").encode())
        got = [json.loads(await peer.line()) for _ in range(4)]
        assert got == [*ticks, response(3, "c")]
        await peer.send((request("count", {"to": 3}) + "\n").encode())
        assert [json.loads(await peer.line()) for _ in range(3)] == ticks
        await peer.send((PING + "\n").encode())
        assert json.loads(await peer.line()) == PONG


@pytest.mark.parametrize(
    ("last", "data"),
    [(b'{"jsonrpc":', "unfinished frame"), (b"x" * (1024 * 1024 + 100), "max_message_size")],
    ids=["half", "long"],
)
async def test_what_cannot_be_cut_into_lines_is_told_at_the_end(last: bytes, data: str) -> None:
    """Rows S3 and S4: after what is under way."""
    async with talking() as (example, peer):
        await peer.send((request("sleep", [0.1], id=1) + "\n").encode() + last)
        await peer.send_eof()
        first, second = map(json.loads, (await peer.rest()).splitlines())
        assert first == response(0.1, 1)
        assert second["error"]["code"] == -32700
        assert data in second["error"]["data"]
        assert example.read_errors() == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_it_when_all_is_answered(number: signal.Signals) -> None:
    """Rows P11 and S23."""
    async with talking() as (example, peer):
        await peer.send((request("sleep", [0.3], id=1) + "\n" + PING + "\n").encode())
        assert json.loads(await peer.line()) == PONG
        example.process.send_signal(number)
        assert json.loads(await peer.rest()) == response(0.3, 1)
        await peer.stream.aclose()
        await example.wait_stopped()
        assert example.read_errors() == ""


async def test_it_listens_on_ipv6() -> None:
    """Row S26."""
    async with (
        running_example("jsonrpc_server", "--host", "::1") as example,
        connected(example) as peer,
    ):
        assert await ask(peer, PING) == PONG
