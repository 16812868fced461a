"""wrk, Node's fetch and httpx talk to our HTTP server."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from snowtrio.http import HTTPLimits, Request, Response

from ..serving import LIMIT
from .examples import needs_program, run_program
from .http_peers import opened, report, run, serving_http
from .tcp import until

BODY = bytes(range(256)) * 1000
PIECES = 50


async def lines() -> AsyncIterator[str]:
    for number in range(PIECES):
        yield f"line {number}\n"


async def forever() -> AsyncIterator[str]:
    while True:
        yield "forever\n"
        await trio.sleep(0.01)


LINES = "".join(f"line {number}\n" for number in range(PIECES))


async def answer(request: Request) -> Response:
    """Answer as the path says."""
    match request.path:
        case "/lines":
            return Response(lines())
        case "/forever":
            return Response(forever())
        case "/echo":
            return Response(await request.body(), content_type=request.headers.get("content-type"))
        case "/nothing":
            return Response(status=204)
        case "/late":
            await trio.sleep_forever()
    return await report(request)


# wrk

PIPELINED = """
init = function(args)
  local requests = {}
  for i = 1, 16 do requests[i] = wrk.format(nil, "/" .. i) end
  everything = table.concat(requests)
end
request = function() return everything end
"""


async def wrk(*arguments: str) -> int:
    """Run wrk for a second, check that it saw no error, and return how many answers it saw."""
    output = (await run("wrk", "-t1", "-d1s", *arguments)).decode()
    assert "Socket errors" not in output, output
    assert "Non-2xx" not in output, output
    found = re.search(r"(\d+) requests in", output)
    assert found, output
    return int(found[1])


@needs_program("wrk")
async def test_wrk_on_connections_that_are_kept() -> None:
    """Row Z5: no error, and no connection more than it has asked for."""
    async with serving_http() as server:
        assert await wrk("-c32", f"http://127.0.0.1:{server.port}/") > 32
        # It tries the address with one more.
        assert opened(server) <= 33


@needs_program("wrk")
async def test_wrk_with_a_new_connection_for_each_request() -> None:
    """Row Z5: closed as asked, and every answer is whole."""
    async with serving_http() as server:
        url = f"http://127.0.0.1:{server.port}/"
        answers = await wrk("-c8", "-H", "Connection: close", url)
        assert opened(server) >= answers > 8


@needs_program("wrk")
async def test_wrk_with_sixteen_requests_at_once(tmp_path: Path) -> None:
    """Row Z4: pipelining."""
    script = tmp_path / "pipelined.lua"
    script.write_text(PIPELINED)
    async with serving_http() as server:
        assert await wrk("-c4", "-s", str(script), f"http://127.0.0.1:{server.port}") > 64


# Node

NODE = """
import assert from "node:assert/strict";
const base = process.argv[process.argv.length - 1];

const first = await fetch(base + "/some%20path?a=1");
assert.equal(first.status, 200);
assert.equal((await first.json()).target, "/some%20path?a=1");

const bytes = new Uint8Array(256000).map((_, i) => i % 256);
const echoed = await fetch(base + "/echo", {method: "POST", body: bytes});
assert.deepEqual(new Uint8Array(await echoed.arrayBuffer()), bytes);

const pieces = new ReadableStream({
  async start(controller) {
    for (let i = 0; i < 100; i++) controller.enqueue(new TextEncoder().encode(`piece ${i} `));
    controller.close();
  },
});
const piped = await fetch(base + "/echo", {method: "POST", body: pieces, duplex: "half"});
assert.match(await piped.text(), /^piece 0 .* piece 99 $/);

const lines = await fetch(base + "/lines");
let text = "";
for await (const part of lines.body) text += Buffer.from(part).toString();
assert.equal(text.trim().split("\\n").length, 50);

assert.equal(await (await fetch(base + "/", {method: "HEAD"})).text(), "");
assert.equal((await fetch(base + "/nothing")).status, 204);

const late = fetch(base + "/late", {signal: AbortSignal.timeout(200)});
await assert.rejects(late, {name: "TimeoutError"});

for (let i = 0; i < 20; i++) await (await fetch(base + "/")).json();
"""


@needs_program("node")
async def test_nodes_fetch() -> None:
    """Rows Z4 and Z5: bodies, streams both ways, an abort, and connections that are kept."""
    async with serving_http(answer) as server:
        url = f"http://127.0.0.1:{server.port}"
        await run("node", "--input-type=module", "-e", NODE, url)
        # It takes turns among a few, and leaves those that it has aborted, or sent a HEAD on.
        assert opened(server) < 10


# httpx


async def use_httpx(client: httpx.AsyncClient) -> list[Any]:
    """Ask for all that the server answers, one after the other."""
    told: list[Any] = []
    told.append((await client.get("/path", params={"a": "1 2"})).json()["target"])
    told.append((await client.post("/echo", json={"a": [1]})).json())
    told.append((await client.post("/echo", content=BODY)).content == BODY)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(BODY), 10_000):
            yield BODY[start : start + 10_000]

    told.append((await client.post("/echo", content=pieces())).content == BODY)
    async with client.stream("GET", "/lines") as response:
        told.append("".join([part async for part in response.aiter_text()]) == LINES)
    told.append((await client.head("/")).content)
    told.append((await client.get("/nothing")).status_code)
    return told


EXPECTED = ["/path?a=1+2", {"a": [1]}, True, True, True, b"", 204]


async def on_trio(url: str) -> list[Any]:
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        return await use_httpx(client)


async def on_asyncio(url: str) -> list[Any]:
    return await trio.to_thread.run_sync(lambda: asyncio.run(on_trio(url)))


@pytest.mark.parametrize("way", [on_trio, on_asyncio])
async def test_httpx(way: Callable[[str], Awaitable[list[Any]]]) -> None:
    """Rows Z4 and Z5: on both event loops, all over one connection."""
    async with serving_http(answer) as server:
        assert await way(f"http://127.0.0.1:{server.port}") == EXPECTED
        assert opened(server) == 1


async def test_httpx_leaves_a_response_in_the_middle() -> None:
    """Row Z5: its connection ends, the next request is served on another one."""
    async with (
        serving_http(answer) as server,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", trust_env=False) as client,
    ):
        with trio.move_on_after(0.3) as scope:
            await client.get("/forever")
        assert scope.cancelled_caught
        assert (await client.get("/")).status_code == 200
        assert opened(server) == 2
        await until(lambda: len(server.statistics().server.pool.ended) == 1)


async def test_httpx_meets_a_server_that_closes_connections() -> None:
    """Row Z5: ``max_requests`` says so beforehand, and httpx sees no error."""
    async with (
        serving_http(answer, limits=HTTPLimits(max_requests=3)) as server,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", trust_env=False) as client,
    ):
        with trio.fail_after(LIMIT):
            for _ in range(9):
                assert (await client.get("/")).status_code == 200
        assert opened(server) == 3


@needs_program("node")
async def test_nodes_agent_over_closed_connections() -> None:
    """Row Z5: connections that the server closes while idle are no error of Node's."""
    script = """
        const base = process.argv[process.argv.length - 1];
        for (let i = 0; i < 5; i++) {
          await (await fetch(base)).json();
          await new Promise(resolve => setTimeout(resolve, 500));
        }
    """
    async with serving_http(limits=HTTPLimits(keep_alive_timeout=0.1)) as server:
        url = f"http://127.0.0.1:{server.port}/"
        done = await run_program("node", "--input-type=module", "-e", script, url)
        assert done.returncode == 0, done.stderr.decode()
        assert opened(server) == 5
