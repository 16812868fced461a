"""``examples/line_server.py``, run as its docstring says and talked to by programs and by hand."""

from __future__ import annotations

import contextlib
import signal
import ssl
import subprocess
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import trio
import trustme

from .examples import RunningExample, needs_program, run_program, running_example
from .peers import TIMEOUT, Peer, connected, line_of
from .tcp import until

LIMIT = 64 * 1024
TYPED = b"hello\n\nwith a CR\r\n\x00\xff\n"


@pytest.fixture
def tls_files(server_cert: trustme.LeafCert, tmp_path: Path) -> Sequence[str]:
    """The arguments that name a certificate and its key."""
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    for each in server_cert.cert_chain_pems:
        each.write_to_path(certificate, append=True)
    server_cert.private_key_pem.write_to_path(key)
    return ("--tls-cert", str(certificate), "--tls-key", str(key))


@pytest.fixture
def trusted(ca: trustme.CA, tmp_path: Path) -> str:
    """The file of the authority that a client has to trust."""
    path = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(path)
    return str(path)


async def connect_tls(example: RunningExample, context: ssl.SSLContext) -> Peer:
    stream = await example.connect()
    return Peer(trio.SSLStream(stream, context, server_hostname="localhost"))


@contextlib.asynccontextmanager
async def talking_program(*command: str) -> AsyncIterator[Peer]:
    """Run a program that is typed to and read from; it must end well when its input does."""
    process = await trio.lowlevel.open_process(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with process.stdout:
            async with process.stdin:
                yield Peer(trio.StapledStream(process.stdin, process.stdout))
            with trio.fail_after(TIMEOUT):
                assert await process.wait() == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()


# Talked to by programs


@needs_program("nc")
async def test_nc_gets_its_lines_back() -> None:
    """Rows Z1 and S26: IPv4, and replies that follow the end of its input."""
    async with running_example("line_server") as example:
        done = await run_program("nc", "-N", example.host, str(example.port), stdin=TYPED)
        assert done.stdout == TYPED
        assert example.read_errors() == ""


@needs_program("nc")
async def test_nc_over_ipv6() -> None:
    """Row S26."""
    async with running_example("line_server", "--host", "::1") as example:
        done = await run_program("nc", "-6", "-N", "::1", str(example.port), stdin=TYPED)
        assert done.stdout == TYPED


@needs_program("socat")
async def test_socat_over_a_unix_socket(tmp_path: Path) -> None:
    """Row S26: the socket's file is gone at the end."""
    path = tmp_path / "lines.sock"
    async with running_example("line_server", "--unix", str(path)) as example:
        assert example.address == str(path)
        # -t: how long it waits for replies once its input has ended.
        done = await run_program("socat", "-t", "20", "-", f"UNIX-CONNECT:{path}", stdin=TYPED)
        assert done.stdout == TYPED
    assert not path.exists()


@needs_program("openssl")
@pytest.mark.parametrize("unix", [False, True])
async def test_openssl_gets_its_lines_back(
    unix: bool, tls_files: Sequence[str], trusted: str, tmp_path: Path
) -> None:
    """Row S26: TLS over both, checked against the authority."""
    path = str(tmp_path / "lines.sock")
    arguments = (*tls_files, *(("--unix", path) if unix else ()))
    async with running_example("line_server", *arguments) as example:
        where = ("-unix", path) if unix else ("-connect", f"localhost:{example.port}")
        command = ("s_client", "-quiet", "-no_ign_eof", "-verify_return_error", *where)
        async with talking_program("openssl", *command, "-CAfile", trusted) as peer:
            await peer.send(TYPED)
            assert await peer.exactly(len(TYPED)) == TYPED
        assert example.read_errors() == ""


@needs_program("openssl")
async def test_a_client_that_does_not_trust_it_is_logged_and_nothing_more(
    tls_files: Sequence[str],
) -> None:
    """Row S8: a certificate that the client refuses fails its handshake alone."""
    async with running_example("line_server", *tls_files) as example:
        done = await run_program(
            *("openssl", "s_client", "-quiet", "-verify_return_error"),
            *("-connect", f"localhost:{example.port}"),
        )
        assert done.returncode != 0
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        peer = await connect_tls(example, context)
        async with peer.stream:
            await peer.send(b"still there\n")
            assert await peer.line() == "still there"
        assert "Traceback" not in example.read_errors()
        assert "handshake" in example.read_errors()


async def test_behind_a_proxy_headers_are_asked_for() -> None:
    """W33: and of others than those that are named nothing is taken."""
    trusting = ("--behind-proxy", "192.0.2.0/24", "--behind-proxy", "127.0.0.1")
    async with running_example("line_server", *trusting) as example:
        async with connected(example) as peer:
            await peer.send(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nhello\n")
            assert await peer.line() == "hello"
        async with connected(example) as peer:
            await peer.send(b"hello\n")
            assert not await is_answered(peer)
        await until(lambda: "there is no PROXY header" in example.read_errors())


async def is_answered(peer: Peer) -> bool:
    try:
        return await peer.fill()
    except trio.BrokenResourceError:
        return False


# Its limits


async def test_a_line_of_exactly_the_limit_passes_and_one_byte_more_is_told() -> None:
    """Rows S3 and B9: the error reaches a peer that has more to say, after the replies."""
    async with running_example("line_server") as example, connected(example) as peer:
        await peer.send(line_of(LIMIT))
        assert await peer.exactly(LIMIT + 1) == line_of(LIMIT)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.send, b"before\n" + line_of(LIMIT + 1) + line_of(300) * 20_000)
            assert await peer.line() == "before"
            said = await peer.rest()
        assert said == (b"error: message of 65537 bytes is above max_message_size (65536 bytes)\n")
        assert example.read_errors() == ""


async def test_half_a_line_at_the_end_is_told() -> None:
    """Rows S4 and Z2."""
    async with running_example("line_server") as example, connected(example) as peer:
        await peer.send(b"whole\nhalf")
        await peer.send_eof()
        assert await peer.line() == "whole"
        assert await peer.rest() == (b"error: end of input after 4 bytes of an unfinished frame\n")


async def test_places_are_refused_above_the_number_and_given_again() -> None:
    """Row S20."""
    async with (
        running_example("line_server", "--max-connections", "2") as example,
        connected(example) as first,
        connected(example) as second,
    ):
        for peer in (first, second):
            await peer.send(b"in\n")
            assert await peer.line() == "in"
        async with connected(example) as third:
            assert await third.rest() == b""
        await first.send_eof()
        assert await first.rest() == b""
        with trio.fail_after(TIMEOUT):
            # Its place is free a moment after it has seen the end.
            while not await is_served(example):
                pass
        await second.send(b"still in\n")
        assert await second.line() == "still in"


async def is_served(example: RunningExample) -> bool:
    async with connected(example) as peer:
        try:
            await peer.send(b"in\n")
            return await peer.fill()
        except trio.BrokenResourceError:
            return False


async def test_a_peer_that_does_not_shake_hands_is_cut_and_the_others_are_served(
    tls_files: Sequence[str], client_ssl_context: ssl.SSLContext
) -> None:
    """Row S9: four places make one for handshakes; whoever sits on it loses it in time."""
    limits = ("--max-connections", "4", "--handshake-timeout", "0.5")
    async with (
        running_example("line_server", *tls_files, *limits) as example,
        connected(example) as silent,
    ):
        peer = await connect_tls(example, client_ssl_context)
        async with peer.stream:
            await peer.send(b"hello\n")
            assert await peer.line() == "hello"
        assert await silent.rest() == b""
        assert "handshake" in example.read_errors()


# Its end


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_it_when_all_is_answered(
    number: signal.Signals, tls_files: Sequence[str], client_ssl_context: ssl.SSLContext
) -> None:
    """Rows P11, S23 and Z3: a TLS client sees a closing alert, not a truncation."""
    async with running_example("line_server", *tls_files) as example:
        peer = await connect_tls(example, client_ssl_context)
        await peer.send(b"hello\n")
        assert await peer.line() == "hello"
        example.process.send_signal(number)
        assert await peer.rest() == b""
        await peer.stream.aclose()
        await example.wait_stopped()
        assert example.read_errors() == ""


async def talk_until_the_end(peer: Peer, started: trio.Event) -> None:
    """Send without a pause; what comes back must be whole lines, each answered once."""
    lines = b"".join(b"%d of many\n" % number for number in range(1000))
    async with peer.stream, trio.open_nursery() as nursery:
        nursery.start_soon(peer.pump, lines)
        data = await peer.exactly(len(lines))
        started.set()
        data += await peer.rest()
        nursery.cancel_scope.cancel()
    assert data.endswith(b"\n")
    assert (lines * (len(data) // len(lines) + 1)).startswith(data)


@pytest.mark.parametrize("unix", [False, True])
async def test_clients_that_are_still_sending_get_whole_replies_and_no_reset(
    unix: bool, tmp_path: Path
) -> None:
    """Rows B9, P11 and Z3: all see the end of input, then all are joined."""
    arguments = ("--unix", str(tmp_path / "lines.sock")) if unix else ()
    async with (
        running_example("line_server", *arguments) as example,
        trio.open_nursery() as nursery,
    ):
        for _ in range(5):
            started = trio.Event()
            nursery.start_soon(talk_until_the_end, Peer(await example.connect()), started)
            await started.wait()
        await example.stop()
        assert example.read_errors() == ""
