"""WebSocket servers that are not ours, for the client: each echoes, and closes when it is told to.

Told "close me", a server closes with 4001 and the reason "as you like"; told "ping me", it pings
and says so when that is answered; told "who", it says the path and the subprotocol.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import attrs
import pytest

from ..http_client_servers import LIMIT, free_port
from ..http_peers import CertificateFiles
from .node import environment, works

WEBSOCKETS = """
import asyncio, ssl, sys
from websockets.asyncio.server import serve

async def echo(websocket):
    async for message in websocket:
        if message == "close me":
            await websocket.close(4001, "as you like")
        elif message == "ping me":
            await (await websocket.ping(b"payload"))
            await websocket.send("pong")
        elif message == "who":
            await websocket.send(f"{websocket.request.path} {websocket.subprotocol}")
        elif message == "fragments":
            await websocket.send(["a", "b", "", "c"])
        else:
            await websocket.send(message)

async def main(port, chain=None, key=None):
    context = None
    if chain:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain, key)
    def choose(connection, offered):
        return "chat" if "chat" in offered else None

    options = dict(select_subprotocol=choose, max_size=None, ssl=context)
    async with serve(echo, "127.0.0.1", int(port), **options) as server:
        await server.serve_forever()

asyncio.run(main(*sys.argv[1:]))
"""

TRIO_WEBSOCKET = """
import ssl, sys
import trio
from trio_websocket import ConnectionClosed, serve_websocket

async def echo(request):
    chosen = "chat" if "chat" in request.proposed_subprotocols else None
    websocket = await request.accept(subprotocol=chosen)
    try:
        while True:
            message = await websocket.get_message()
            if message == "close me":
                await websocket.aclose(4001, "as you like")
            elif message == "ping me":
                await websocket.ping(b"payload")
                await websocket.send_message("pong")
            elif message == "who":
                await websocket.send_message(f"{request.path} {websocket.subprotocol}")
            else:
                await websocket.send_message(message)
    except ConnectionClosed:
        pass

async def main(port, chain=None, key=None):
    context = None
    if chain:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain, key)
    await serve_websocket(echo, "127.0.0.1", int(port), context, max_message_size=2**24)

trio.run(main, *sys.argv[1:])
"""

AIOHTTP = """
import ssl, sys
from aiohttp import WSMsgType, web

async def echo(request):
    websocket = web.WebSocketResponse(protocols=("chat",), max_msg_size=0)
    await websocket.prepare(request)
    async for message in websocket:
        if message.data == "close me":
            await websocket.close(code=4001, message=b"as you like")
        elif message.data == "ping me":
            await websocket.ping(b"payload")
            await websocket.send_str("pong")
        elif message.data == "who":
            await websocket.send_str(f"{request.path_qs} {websocket.ws_protocol}")
        elif message.type is WSMsgType.TEXT:
            await websocket.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await websocket.send_bytes(message.data)
    return websocket

port, *files = sys.argv[1:]
context = None
if files:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
application = web.Application()
application.router.add_get("/{path:.*}", echo)
web.run_app(application, host="127.0.0.1", port=int(port), ssl_context=context, print=None)
"""

UVICORN = """
import sys
import uvicorn

async def app(scope, receive, send):
    if scope["type"] != "websocket":
        return
    await receive()
    chosen = "chat" if "chat" in scope["subprotocols"] else None
    await send({"type": "websocket.accept", "subprotocol": chosen})
    while (event := await receive())["type"] == "websocket.receive":
        text = event.get("text")
        if text == "close me":
            await send({"type": "websocket.close", "code": 4001, "reason": "as you like"})
            return
        if text == "ping me":
            text = "pong"
        elif text == "who":
            query = scope["query_string"].decode()
            text = f"{scope['path']}{'?' if query else ''}{query} {chosen}"
        if text is not None:
            await send({"type": "websocket.send", "text": text})
        else:
            await send({"type": "websocket.send", "bytes": event["bytes"]})

port, ws, *files = sys.argv[1:]
tls = dict(ssl_certfile=files[0], ssl_keyfile=files[1]) if files else {}
uvicorn.run(app, port=int(port), ws=ws, ws_max_size=2**24, lifespan="off", **tls)
"""

NODE = """
const { WebSocketServer } = require('ws');
const [port, chain, key] = process.argv.slice(1);
const options = {
  handleProtocols: (offered) => offered.has('chat') ? 'chat' : false,
  perMessageDeflate: { threshold: 10 },
  maxPayload: 0,
};
const serve = (server) => server.on('connection', (socket, request) => {
  socket.on('message', (data, isBinary) => {
    const text = isBinary ? null : data.toString();
    if (text === 'close me') socket.close(4001, 'as you like');
    else if (text === 'ping me') {
      socket.once('pong', (payload) => socket.send('pong'));
      socket.ping('payload');
    } else if (text === 'who') socket.send(`${request.url} ${socket.protocol || 'None'}`);
    else if (text === 'fragments') {
      for (const part of ['a', 'b', '']) socket.send(part, { fin: false });
      socket.send('c', { fin: true });
    } else socket.send(data, { binary: isBinary });
  });
});
if (chain) {
  const fs = require('fs');
  const https = require('https');
  const files = { cert: fs.readFileSync(chain), key: fs.readFileSync(key) };
  const server = https.createServer(files);
  serve(new WebSocketServer({ server, ...options }));
  server.listen(Number(port), '127.0.0.1');
} else serve(new WebSocketServer({ port: Number(port), host: '127.0.0.1', ...options }));
"""


@attrs.frozen
class Kind:
    """A server.

    Parameters:
        name: of it.
        module: what has to be installed.
        script: what is run.
        arguments: behind the port.
        compresses: whether it agrees to permessage-deflate.
        fragments: whether it sends fragments when it is told to.
    """

    name: str
    module: str
    script: str
    arguments: tuple[str, ...] = ()
    compresses: bool = True
    fragments: bool = False

    def __str__(self) -> str:
        return self.name


KINDS = [
    Kind("websockets", "websockets", WEBSOCKETS, fragments=True),
    Kind("trio-websocket", "trio_websocket", TRIO_WEBSOCKET, compresses=False),
    Kind("aiohttp", "aiohttp", AIOHTTP),
    Kind("uvicorn-websockets", "uvicorn", UVICORN, ("websockets-sansio",)),
    Kind("uvicorn-wsproto", "uvicorn", UVICORN, ("wsproto",)),
    Kind("ws", "node", NODE, fragments=True),
]


@contextlib.contextmanager
def echoing(kind: Kind, folder: Path, files: CertificateFiles | None = None) -> Iterator[int]:
    """Run a server; gives its port.

    Parameters:
        kind: which one.
        folder: for its script.
        files: of its certificate, for TLS.
    """
    port = free_port()
    more = (str(port), *kind.arguments, *((files.chain, files.key) if files else ()))
    if kind.module == "node":
        if not works("require('ws')"):
            pytest.skip("Node.js or its package ws is not installed")
        command = ["node", "-e", kind.script, "--", *more]
    else:
        if find_spec(kind.module) is None:
            pytest.skip(f"{kind.module} is not installed")
        path = folder / "server.py"
        path.write_text(kind.script)
        command = [sys.executable, str(path), *more]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, stdout=quiet, stderr=quiet, env=environment())
    try:
        _wait_for(process, port)
        yield port
    finally:
        process.terminate()
        process.wait()


def _wait_for(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        assert process.poll() is None, "the server has ended"
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port)).close()
            return
        time.sleep(0.02)
    raise AssertionError("the server does not listen")
