"""``examples/websocket_client.py``, as its users start it."""

from __future__ import annotations

import shlex
import signal
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import trio
import trustme

from snowtrio.http import HTTPError
from snowtrio.websocket import WebSocket

from ..examples import EXAMPLES, run_program
from ..peers import TIMEOUT
from ..tcp import until
from .serving import serving_websocket_on

PROGRAM = (sys.executable, "-W", "error", str(EXAMPLES / "websocket_client.py"))


async def run(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run it to its end; what it says of a problem is one line."""
    done = await run_program(*PROGRAM, *arguments, stdin=stdin)
    assert len(done.stderr.splitlines()) == (1 if done.returncode else 0), done.stderr.decode()
    return done


async def test_lines_are_messages() -> None:
    """Rows W8, W28: in order, the last without its line end; all is printed that was echoed."""
    async with serving_websocket_on() as server:
        lines = "".join(f"line {number} äö\n" for number in range(100)) + "\r\nlast"
        done = await run(f"ws://127.0.0.1:{server.port}/", stdin=lines.encode())
        assert done.returncode == 0
        assert done.stdout.decode() == lines.replace("\r", "") + "\n"


async def test_bytes(ca: trustme.CA, server_ssl_context: ssl.SSLContext, tmp_path: Path) -> None:
    """Rows W8, W22, W30: as they are, over TLS and compressed, with a trusted authority or any."""
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    data = bytes(range(256)) * 2000
    async with serving_websocket_on(ssl_context=server_ssl_context) as server:
        url = f"wss://localhost:{server.port}/"
        for trust in (("--ca", str(tmp_path / "ca.pem")), ("--insecure",)):
            done = await run("--binary", "--compression", *trust, url, stdin=data)
            assert (done.returncode, done.stdout) == (0, data)
        done = await run(url)
        assert done.returncode == 3
        assert b"CERTIFICATE_VERIFY_FAILED" in done.stderr


async def test_what_the_server_is_told() -> None:
    """Row W5: headers, origin and subprotocols."""

    async def tell(websocket: WebSocket) -> None:
        headers = websocket.request_headers
        await websocket.send(f"{headers['x-own']} {headers['origin']} {websocket.subprotocol}")

    async with serving_websocket_on(tell, subprotocols=["b"]) as server:
        options = ("--header", "X-Own: 1", "--origin", "https://books.example")
        names = ("--subprotocol", "a", "--subprotocol", "b")
        process = await trio.lowlevel.open_process(
            [*PROGRAM, *options, *names, f"ws://127.0.0.1:{server.port}/"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        async with process.stdin, process.stdout:
            with trio.fail_after(TIMEOUT):
                assert await process.stdout.receive_some() == b"1 https://books.example b\n"
                assert await process.wait() == 0  # The server has closed.


async def test_no_websocket() -> None:
    """Row W27: each reason in one line."""

    async def refuse(request: object) -> None:
        raise HTTPError(403, "not for you")

    async with serving_websocket_on(process_request=refuse) as server:
        for url, reason in {
            f"ws://127.0.0.1:{server.port}/": b"not for you",
            "ws://127.0.0.1:9/": b"refused",
            "http://127.0.0.1/": b"ws: or wss:",
        }.items():
            done = await run(url)
            assert done.returncode == 3
            assert reason in done.stderr


async def test_a_close_with_a_code() -> None:
    """Row W13: the exit status and a line say so."""

    async def close(websocket: WebSocket) -> None:
        await websocket.close(4001, "as you like")

    async with serving_websocket_on(close) as server:
        process = await trio.lowlevel.open_process(
            [*PROGRAM, f"ws://127.0.0.1:{server.port}/"],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stderr is not None
        async with process.stdin, process.stderr:
            with trio.fail_after(TIMEOUT):
                assert await process.wait() == 1
                assert b"4001 as you like" in await process.stderr.receive_some()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to be sent")
async def test_interrupted() -> None:
    """Row W12: Ctrl-C closes with 1001."""
    codes: list[int] = []
    heard = trio.Event()

    async def listen(websocket: WebSocket) -> None:
        async for _ in websocket:
            heard.set()
        assert websocket.close_received is not None
        codes.append(websocket.close_received.code)

    async with serving_websocket_on(listen) as server:
        process = await trio.lowlevel.open_process(
            [*PROGRAM, f"ws://127.0.0.1:{server.port}/"], stdin=subprocess.PIPE
        )
        assert process.stdin is not None
        async with process.stdin:
            with trio.fail_after(TIMEOUT):
                await process.stdin.send_all(b"hello\n")
                await heard.wait()
                process.send_signal(signal.SIGINT)
                assert await process.wait() == 130
        await until(lambda: codes == [1001])


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such shell")
@pytest.mark.parametrize("closed", ["<&-", ">&-"])
async def test_without_input_or_output(closed: str) -> None:
    """Row W27: those descriptors would be somebody else's; it is told in a line."""
    command = f"{shlex.join(PROGRAM)} ws://127.0.0.1:9/ {closed}"
    result = await trio.run_process(["sh", "-c", command], check=False, capture_stderr=True)
    assert result.returncode == 1
    assert result.stderr.count(b"\n") == 1
