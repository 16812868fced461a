"""Programs that others wrote talk to a line server: nc, socat and openssl."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest
import trio
import trustme

from snowtrio import Cause, ServerLimits, serve_unix

from ..serving import LIMIT
from .examples import needs_program, run_program
from .tcp import serving_tcp, until


async def talk(*command: str, stdin: bytes) -> bytes:
    with trio.fail_after(LIMIT):
        completed = await run_program(*command, stdin=stdin)
    assert completed.returncode == 0, completed.stderr.decode()
    return completed.stdout


@needs_program("nc")
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_netcat(host: str) -> None:
    """S1, S26: it ends its direction after the last line, and gets all replies."""
    async with serving_tcp(host=host) as server:
        command = ("nc", "-N", host, str(server.port))
        assert await talk(*command, stdin=b"one\ntwo\r\nthree\n") == b"one\ntwo\nthree\n"
        await until(lambda: server.statistics().pool.ended == {Cause.PEER_CLOSED: 1})


@needs_program("socat")
async def test_socat_over_tcp_and_unix(tmp_path: Path) -> None:
    """S26: also with more than one buffer in flight."""
    lines = b"".join(b"line %d\n" % number for number in range(20_000))
    path = tmp_path / "socket"
    async with serving_tcp() as server, serving_tcp(serve=serve_unix, where=path):
        for address in (f"TCP:127.0.0.1:{server.port}", f"UNIX-CONNECT:{path}"):
            assert await talk("socat", "-t", "10", "-", address, stdin=lines) == lines


@needs_program("socat")
async def test_socat_that_is_refused() -> None:
    """S20: a program sees the farewell as text, and a clean end."""
    limits = ServerLimits(max_connections=1, linger_timeout=1)
    async with serving_tcp(limits=limits, when_full=b"full\n") as server:
        stream = await trio.open_tcp_stream("127.0.0.1", server.port)
        await until(lambda: server.connections)
        address = f"TCP:127.0.0.1:{server.port}"
        assert await talk("socat", "-", address, stdin=b"let me in\n") == b"full\n"
        await stream.aclose()


@needs_program("openssl")
async def test_openssl_client(
    ca: trustme.CA, server_ssl_context: ssl.SSLContext, tmp_path: Path
) -> None:
    """S26, B12: its verdict on the certificate and ALPN is good, and it is echoed."""
    server_ssl_context.set_alpn_protocols(["lines"])
    roots = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(str(roots))
    async with serving_tcp(ssl_context=server_ssl_context) as server:
        process = await trio.lowlevel.open_process(
            [
                *("openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-nocommands"),
                *("-servername", "localhost", "-verify_hostname", "localhost"),
                *("-verify_return_error", "-CAfile", str(roots), "-alpn", "lines"),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        output = b""
        with trio.fail_after(LIMIT):
            await process.stdin.send_all(b"hello from openssl\n")
            while b"\nhello from openssl\n" not in output:
                data = await process.stdout.receive_some()
                assert data, output
                output += data
            await process.stdin.aclose()
            await process.stdout.aclose()
            process.terminate()
            await process.wait()
    assert b"Verify return code: 0 (ok)" in output
    assert b"ALPN protocol: lines" in output
