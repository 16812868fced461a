"""WebSockets of Node.js: npm's ``ws``, and the one that is built in, as browsers have it."""

from __future__ import annotations

import json
import ssl
from typing import Any

import pytest
import trustme

from snowtrio.websocket import Deflate, WebSocket

from ...websocket_serving import echo
from ..tcp import until
from .node import OPTIONS, needs_built_in, needs_ws, run_node
from .serving import serving_websocket_on

TELL = """
const url = process.argv[1];
const told = {};
const tell = () => { console.log(JSON.stringify(told)); };
"""

ECHO = (
    TELL
    + """
const WebSocket = require('ws');
const socket = new WebSocket(url, JSON.parse(process.argv[2]), JSON.parse(process.argv[3]));
const large = Buffer.alloc(300000, 'abcdefghij');
const sent = ['hello', '', 'äöü 🐉', Buffer.from([0, 255, 128]), large, large.toString()];
const received = [];
socket.on('upgrade', (response) => {
  told.status = response.statusCode;
  told.extensions = response.headers['sec-websocket-extensions'] || '';
});
socket.on('open', () => {
  told.protocol = socket.protocol;
  for (const each of sent) socket.send(each);
  socket.send('frag', { fin: false });
  socket.ping('between');
  socket.send('men', { fin: false });
  socket.send('ted', { fin: true });
});
socket.on('pong', (data) => { told.pong = data.toString(); });
socket.on('message', (data, binary) => {
  received.push(binary ? data : data.toString());
  if (received.length === sent.length + 1) {
    told.last = received.pop();
    told.same = received.every((each, i) => Buffer.compare(
      Buffer.from(each), Buffer.from(sent[i])) === 0 && typeof each === typeof sent[i]);
    socket.close(4001, 'enough');
  }
});
socket.on('close', (code, reason) => {
  told.code = code; told.reason = reason.toString(); tell();
});
"""
)


async def tell(script: str, *arguments: object, options: tuple[str, ...] = ()) -> Any:
    words = [each if isinstance(each, str) else json.dumps(each) for each in arguments]
    return json.loads(await run_node(script, *words, options=options))


@needs_ws
@pytest.mark.parametrize("compression", [None, Deflate()], ids=["plain", "deflate"])
async def test_ws(compression: Deflate | None) -> None:
    """W8, W10, W15, W22: echoes, fragments with a ping between them, and an orderly end."""
    serving = serving_websocket_on(compression=compression, subprotocols=["v2", "v1"])
    async with serving as server:
        url = f"ws://127.0.0.1:{server.port}/"
        told = await tell(ECHO, url, ["v1", "v2"], {"perMessageDeflate": {"threshold": 0}})
        extensions = told.pop("extensions")
        assert extensions.startswith("permessage-deflate") is (compression is not None)
        assert told == {
            "status": 101,
            "protocol": "v2",
            "pong": "between",
            "last": "fragmented",
            "same": True,
            "code": 4001,
            "reason": "",
        }
        await until(lambda: server.statistics().closed == {4001: 1})


@needs_ws
async def test_ws_over_tls(
    ca: trustme.CA,
    server_ssl_context: ssl.SSLContext,
) -> None:
    """W30."""
    async with serving_websocket_on(ssl_context=server_ssl_context) as server:
        options = {"ca": ca.cert_pem.bytes().decode()}
        told = await tell(ECHO, f"wss://localhost:{server.port}/", [], options)
        assert (told["same"], told["last"], told["code"]) == (True, "fragmented", 4001)


CLOSED = (
    TELL
    + """
const WebSocket = require('ws');
const socket = new WebSocket(url);
socket.on('error', (error) => { told.error = error.message; });
socket.on('close', (code, reason) => {
  told.code = code; told.reason = reason.toString(); tell();
});
"""
)


@needs_ws
async def test_ws_is_closed_by_the_server() -> None:
    """W12: with code and reason, which come back."""
    answers: list[object] = []

    async def handler(websocket: WebSocket) -> None:
        await websocket.close(4321, "go away")
        answers.append(websocket.close_received)

    async with serving_websocket_on(handler) as server:
        told = await tell(CLOSED, f"ws://127.0.0.1:{server.port}/")
        assert told == {"code": 4321, "reason": "go away"}
    assert [str(each) for each in answers] == ["4321 go away"]


@needs_ws
async def test_ws_is_refused() -> None:
    """W5: a page that may not."""
    async with serving_websocket_on(origins=["https://a.example"]) as server:
        told = await tell(CLOSED, f"ws://127.0.0.1:{server.port}/")
        assert told["error"] == "Unexpected server response: 403"


BUILT_IN_ECHO = (
    TELL
    + """
const socket = new WebSocket(url, ['v1']);
socket.binaryType = 'arraybuffer';
const large = 'abcdefghij'.repeat(20000);
const sent = ['hello', '', 'äöü 🐉', new Uint8Array([0, 255, 128]).buffer, large];
const received = [];
const same = (a, b) => typeof a === 'string' ? a === b
  : Buffer.compare(Buffer.from(a), Buffer.from(b)) === 0;
socket.onopen = () => { for (const each of sent) socket.send(each); };
socket.onmessage = (event) => {
  received.push(event.data);
  if (received.length === sent.length) {
    told.same = received.every((each, i) => same(each, sent[i]));
    told.protocol = socket.protocol;
    told.extensions = socket.extensions;
    socket.close(4002, 'enough');
  }
};
socket.onerror = () => { told.error = true; };
socket.onclose = (event) => {
  told.code = event.code; told.clean = event.wasClean; tell();
};
"""
)


@needs_built_in
@pytest.mark.parametrize("compression", [None, Deflate()], ids=["plain", "deflate"])
async def test_the_one_built_in(compression: Deflate | None) -> None:
    """W8, W22: as browsers have it."""
    serving = serving_websocket_on(echo, compression=compression, subprotocols=["v1"])
    async with serving as server:
        url = f"ws://127.0.0.1:{server.port}/"
        told = await tell(BUILT_IN_ECHO, url, options=OPTIONS)
        told.pop("extensions")
        assert told == {"same": True, "protocol": "v1", "code": 4002, "clean": True}
        await until(lambda: server.statistics().closed == {4002: 1})
