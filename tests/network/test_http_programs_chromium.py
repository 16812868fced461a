"""A page in headless Chromium talks to our HTTP server."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from snowtrio.http import Request, Response

from .examples import needs_program
from .http_peers import serving_http

pytestmark = [needs_program("chromium"), pytest.mark.on_one_python]

TIMEOUT = 45.0
"""Seconds: a browser takes a while to start."""
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic"),
    *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--disable-default-apps", "--disable-extensions", "--no-proxy-server"),
)
BYTES = bytes(range(256)) * 1000

PAGE = """<!doctype html>
<title>A page</title>
<script src="/script.js" defer></script>
<p id="here">not yet</p>
"""
SCRIPT = """
async function readLines(count) {
  const stopped = new AbortController();
  const response = await fetch("/lines", {signal: stopped.signal});
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (text.split("\\n").length <= count) text += (await reader.read()).value;
  stopped.abort();
  return text.split("\\n").slice(0, count);
}

async function post(path, value) {
  const headers = {"Content-Type": "application/json"};
  return await fetch(path, {method: "POST", headers, body: JSON.stringify(value)});
}

async function ask() {
  const told = {};
  const facts = await fetch("/facts?who=%C3%BC");
  told.facts = await facts.json();
  told.type = facts.headers.get("content-type");
  told.echoed = await (await post("/echo", {"a": [1, "\u00fc", null]})).json();
  told.lines = await readLines(3);
  told.missing = (await fetch("/missing")).status;
  const bytes = new Uint8Array(await (await fetch("/bytes")).arrayBuffer());
  told.bytes = bytes.reduce((sum, byte) => sum + byte, 0);
  const form = new FormData();
  form.append("name", "value");
  told.form = await (await fetch("/size", {method: "PUT", body: form})).json();
  const many = Array.from({length: 30}, () => fetch("/facts").then(r => r.json()));
  told.many = (await Promise.all(many)).length;
  return told;
}

ask().catch(error => ({error: String(error)})).then(told => post("/result", told));
"""


@attrs.define
class Site:
    """What the page asks for, and what it has seen."""

    told: dict[str, Any] = attrs.field(factory=dict)
    done: trio.Event = attrs.field(factory=trio.Event)
    lines_closed: trio.Event = attrs.field(factory=trio.Event)

    async def answer(self, request: Request) -> Response:
        match request.method, request.path:
            case "GET", "/":
                return Response(PAGE, content_type="text/html; charset=utf-8")
            case "GET", "/script.js":
                return Response(SCRIPT, content_type="text/javascript; charset=utf-8")
            case "GET", "/facts":
                facts = {"method": request.method, "who": request.query.get("who")}
                return Response.json(facts)
            case "GET", "/bytes":
                return Response(BYTES)
            case "GET", "/lines":
                return Response(self.lines(), content_type="text/plain")
            case "POST", "/echo":
                return Response.json(await request.json())
            case "PUT", "/size":
                body = await request.body()
                return Response.json({"named": b'name="name"' in body, "size": len(body) > 0})
            case "POST", "/result":
                self.told = await request.json()
                self.done.set()
                return Response(status=204)
        return Response("missing", 404)

    async def lines(self) -> AsyncIterator[str]:
        try:
            number = 0
            while True:
                yield f"line {number}\n"
                number += 1
                await trio.sleep(0.05)
        finally:
            self.lines_closed.set()


async def browse(url: str, profile: Path, done: trio.Event) -> None:
    """Show a page in a browser that has seen nothing before, until all is done."""
    process = await trio.lowlevel.open_process(
        ["chromium", *OPTIONS, f"--user-data-dir={profile}", url],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with trio.fail_after(TIMEOUT):
            await done.wait()
    finally:
        process.terminate()
        with trio.CancelScope(shield=True):
            with trio.move_on_after(5):
                await process.wait()
            process.kill()
            await process.wait()


async def test_a_page_fetches_posts_and_reads_a_stream(tmp_path: Path) -> None:
    """Rows Z4 to Z6: and its abort of a stream ends that on our side."""
    site = Site()
    async with serving_http(site.answer) as server:
        await browse(f"http://127.0.0.1:{server.port}/", tmp_path / "profile", site.done)
        with trio.fail_after(TIMEOUT):
            await site.lines_closed.wait()
    assert site.told == {
        "facts": {"method": "GET", "who": "ü"},
        "type": "application/json",
        "echoed": {"a": [1, "ü", None]},
        "lines": ["line 0", "line 1", "line 2"],
        "missing": 404,
        "bytes": sum(BYTES),
        "form": {"named": True, "size": True},
        "many": 30,
    }
