"""``examples/jsonrpc_client.py``: its command line, and the client in it, against three servers.

Our own example; pjrpc's dispatcher behind the standard library's ``socketserver``; and a peer that
says what the test wants.
"""

from __future__ import annotations

import contextlib
import json
import signal
import socketserver
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pjrpc.server
import pytest
import trio

from snowtrio import RequestInDoubtError, SnowtrioError

from .examples import EXAMPLES, STOP_TIMEOUT, run_program, running_example
from .peers import Peer
from .threads import hear_ctrl_c

sys.path.insert(0, str(EXAMPLES))

from jsonrpc_client import JSONRPCClient, JSONRPCError

COMMAND = (sys.executable, "-W", "error", str(EXAMPLES / "jsonrpc_client.py"))


async def run_client(port: int, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return await run_program(*COMMAND, "--port", str(port), *arguments)


def error_in(done: subprocess.CompletedProcess[bytes]) -> str:
    """Return the one line that it said had gone wrong."""
    assert (done.returncode, done.stdout) == (1, b"")
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith("jsonrpc_client: ")
    return line.removeprefix("jsonrpc_client: ")


# A server that is not ours


METHODS = pjrpc.server.MethodRegistry()


@METHODS.add()
def subtract(minuend: float, subtrahend: float) -> float:
    return minuend - subtrahend


@METHODS.add()
def echo(value: Any) -> Any:
    return value


@METHODS.add()
def fail() -> None:
    raise pjrpc.server.JsonRpcError(code=7, message="out of luck", data=[1, "x"])


class Lines(socketserver.StreamRequestHandler):
    """Answers lines by pjrpc."""

    def handle(self) -> None:
        dispatcher: pjrpc.server.Dispatcher[None] = pjrpc.server.Dispatcher()
        dispatcher.add_methods(METHODS)
        for line in self.rfile:
            if answer := dispatcher.dispatch(line.decode(), context=None):
                self.wfile.write(answer[0].encode() + b"\n")


@pytest.fixture(params=["ours", "pjrpc"])
async def port(request: pytest.FixtureRequest) -> AsyncIterator[int]:
    """A server that has ``subtract`` and ``echo``."""
    if request.param == "ours":
        async with running_example("jsonrpc_server") as example:
            yield example.port
    else:
        with serving_pjrpc() as found:
            yield found


@contextlib.contextmanager
def serving_pjrpc() -> Iterator[int]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Lines) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


# The command line


RESULTS: dict[tuple[str, ...], object] = {
    ("subtract", "42", "23"): 19,
    ("subtract", "subtrahend=23", "minuend=42.5"): 19.5,
    ("echo", '{"a": [null, true, "ü"]}'): {"a": [None, True, "ü"]},
    ("echo", "plain text"): "plain text",
    ("echo", '"a=b"'): "a=b",
    ("echo", "value=a=b"): "a=b",
    ("echo", "null"): None,
}


async def test_the_result_is_printed(port: int) -> None:
    """Parameters by position and by name, of every kind, and text."""
    for words, result in RESULTS.items():
        done = await run_client(port, *words)
        assert (done.returncode, done.stderr) == (0, b""), words
        assert json.loads(done.stdout) == result, words


@pytest.mark.on_one_python
async def test_errors_are_told_with_their_code(port: int) -> None:
    assert error_in(await run_client(port, "nonsense")).startswith("-32601 Method not found")
    assert error_in(await run_client(port, "subtract", "1")).startswith("-32602 Invalid params")
    assert "named" in error_in(await run_client(port, "subtract", "1", "subtrahend=2"))


@pytest.mark.on_one_python
async def test_a_batch_is_sent_as_it_is(port: int, tmp_path: Path) -> None:
    """Ids of any type; an error among the responses is an exit status of 1."""
    file = tmp_path / "batch.json"
    batch: list[dict[str, Any]] = [
        {"jsonrpc": "2.0", "method": "subtract", "params": [3, 1], "id": "a"},
        {"jsonrpc": "2.0", "method": "echo", "params": ["notified"]},
        {"jsonrpc": "2.0", "method": "echo", "params": ["x"], "id": 7},
    ]
    file.write_text(json.dumps(batch))
    done = await run_client(port, "--batch", str(file))
    assert (done.returncode, done.stderr) == (0, b"")
    assert {each["id"]: each["result"] for each in json.loads(done.stdout)} == {"a": 2, 7: "x"}
    file.write_text(json.dumps([*batch, {"jsonrpc": "2.0", "method": "nonsense", "id": 8}]))
    done = await run_client(port, "--batch", str(file))
    assert done.returncode == 1
    assert len(json.loads(done.stdout)) == 3
    file.write_text(json.dumps([batch[1]]))
    done = await run_client(port, "--batch", str(file))
    assert (done.returncode, done.stdout) == (0, b"[]\n")


@pytest.mark.on_one_python
async def test_a_notification_has_no_answer(port: int) -> None:
    done = await run_client(port, "--notify", "echo", "1")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


async def test_notifications_are_followed_until_ctrl_c() -> None:
    """Those of a call before its result, in order; then those that still come."""
    async with running_example("jsonrpc_server") as example:
        process = await trio.lowlevel.open_process(
            [*COMMAND, "--port", str(example.port), "--follow", "count", "3"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=hear_ctrl_c,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        async with process.stdout, process.stderr:
            printed = b""
            with trio.fail_after(STOP_TIMEOUT):
                while printed.count(b"\n") < 4:
                    printed += await process.stdout.receive_some()
                process.send_signal(signal.SIGINT)
                assert await process.wait() == 0
                assert await process.stderr.receive_some() == b""
    messages = [json.loads(line) for line in printed.splitlines()]
    assert [each["params"][0] for each in messages if each != 3] == [1, 2, 3]
    assert 3 in messages


@pytest.mark.on_one_python
async def test_nothing_listens() -> None:
    """Row P4: refused, in one line."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    await listener.aclose()
    assert "refused" in error_in(await run_client(port, "echo", "1"))


@pytest.mark.on_one_python
@pytest.mark.parametrize("arguments", [("--follow",), ("echo", "1")])
async def test_the_server_leaves(arguments: tuple[str, ...]) -> None:
    """S18: whoever waits for something is told."""

    async def leave(peer: Peer) -> None:
        if "echo" in arguments:
            await peer.line()

    async with serving(leave) as port:
        assert error_in(await run_client(port, *arguments))


@pytest.mark.on_one_python
async def test_an_answer_takes_too_long() -> None:
    async def say_nothing(peer: Peer) -> None:
        await peer.rest()

    async with serving(say_nothing) as port:
        done = await run_client(port, "--timeout", "0.05", "echo", "1")
        assert "within 0.05 seconds" in error_in(done)


# The client in it


@contextlib.asynccontextmanager
async def serving(serve: Callable[[Peer], Awaitable[None]]) -> AsyncIterator[int]:
    """Serve plain connections for the time of a block; gives the port."""

    async def run(stream: trio.SocketStream) -> None:
        async with stream:
            await serve(Peer(stream))

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, run, [listener])
        yield listener.socket.getsockname()[1]
        nursery.cancel_scope.cancel()


async def test_many_tasks_call_by_one_connection(port: int) -> None:
    """S14: each gets the result of its own call, in whatever order they come."""
    results: dict[int, object] = {}

    async def call(client: JSONRPCClient, number: int) -> None:
        results[number] = await client.call("subtract", number, subtrahend_of(number))

    async with JSONRPCClient("127.0.0.1", port) as client:
        async with trio.open_nursery() as nursery:
            for number in range(200):
                nursery.start_soon(call, client, number)
        assert client.requests.statistics().client.pool.opened == 1
    assert results == {number: number - subtrahend_of(number) for number in range(200)}


def subtrahend_of(number: int) -> int:
    return number * 7 % 11


async def test_a_batch_has_its_results_in_order(port: int) -> None:
    """B1: with errors in the places of those that failed, while others call."""
    async with JSONRPCClient("127.0.0.1", port) as client, trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(client.call, "echo", "meanwhile")
        first, failed, last = await client.batch(
            ("subtract", 5, 3), ("nonsense",), ("echo", {"a": 1})
        )
        await client.notify("echo", 1)
        assert (first, last) == (2, {"a": 1})
        assert isinstance(failed, JSONRPCError)
        assert failed.code == -32601


async def test_an_error_has_what_the_server_said() -> None:
    with serving_pjrpc() as port:
        async with JSONRPCClient("127.0.0.1", port) as client:
            with pytest.raises(JSONRPCError) as caught:
                await client.call("fail")
    error = caught.value
    assert (error.code, error.message, error.data) == (7, "out of luck", [1, "x"])
    assert str(error) == '7 out of luck ([1, "x"])'


async def test_responses_in_another_order_and_in_pieces() -> None:
    """S14, S1: the last is answered first, a byte at a time, and a batch back to front."""

    async def serve(peer: Peer) -> None:
        requests = [json.loads(await peer.line()) for _ in range(3)]
        answers = b'{"jsonrpc": "2.0", "method": "tick", "params": {"n": 1}}\n'
        for request in reversed(requests):
            answers += json.dumps(answer_to(request)).encode() + b"\n"
        for index in range(len(answers)):
            await peer.send(answers[index : index + 1])
        await peer.line()

    results: dict[object, object] = {}

    async def call(client: JSONRPCClient, value: object) -> None:
        results[value] = await client.call("echo", value)

    async with serving(serve) as port, JSONRPCClient("127.0.0.1", port, timeout=20) as client:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(call, client, "a")
            nursery.start_soon(call, client, "b")
            assert await client.batch(("echo", 1), ("echo", 2)) == [1, 2]
        assert (await client.requests.pushes.receive())["params"] == {"n": 1}
        await client.notify("bye")
    assert results == {"a": "a", "b": "b"}


def answer_to(request: Any) -> Any:
    if isinstance(request, list):
        return [answer_to(each) for each in reversed(request)]
    return {"jsonrpc": "2.0", "result": request["params"][0], "id": request["id"]}


@pytest.mark.parametrize(
    "line",
    [
        '{"jsonrpc": "2.0", "error": {"code": -32700, "message": "Parse error"}, "id": null}',
        '{"jsonrpc": "2.0", "result": 1, "id": [1]}',
        '{"jsonrpc": "2.0", "result": 1, "id": 99}',
        '[{"jsonrpc": "2.0", "result": 1, "id": 99}]',
        "17",
        "not JSON",
    ],
)
async def test_a_server_that_breaks_the_protocol_is_left(line: str) -> None:
    """S18: whose answer cannot be told is in doubt, and not waited for."""

    async def serve(peer: Peer) -> None:
        await peer.line()
        await peer.send(line.encode() + b"\n")
        await peer.rest()

    async with serving(serve) as port, JSONRPCClient("127.0.0.1", port) as client:
        with trio.fail_after(STOP_TIMEOUT), pytest.raises(RequestInDoubtError):
            await client.call("echo", 1)


async def test_a_response_without_result_or_error() -> None:
    async def serve(peer: Peer) -> None:
        request = json.loads(await peer.line())
        await peer.send(json.dumps({"jsonrpc": "2.0", "id": request["id"]}).encode() + b"\n")
        await peer.rest()

    async with serving(serve) as port, JSONRPCClient("127.0.0.1", port) as client:
        with pytest.raises(SnowtrioError, match="neither"):
            await client.call("echo", 1)
