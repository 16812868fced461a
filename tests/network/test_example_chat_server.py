"""``examples/chat_server.py``, run as its docstring says, with rooms full of members."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
from collections.abc import AsyncIterator

import pytest
import trio

from .examples import RunningExample, needs_program, run_program, running_example
from .peers import Peer, connected

FAREWELL = b"* the server is closing, farewell\n"


async def enter(peer: Peer, name: str) -> None:
    """Give a name, and see oneself join."""
    assert await peer.line() == "name?"
    await peer.send(name.encode() + b"\n")
    assert await peer.line() == f"* {name} has joined"


@contextlib.asynccontextmanager
async def joined(example: RunningExample, name: str) -> AsyncIterator[Peer]:
    """Be a member for the time of a block."""
    async with connected(example) as peer:
        await enter(peer, name)
        yield peer


# Names


@needs_program("nc")
async def test_nc_can_talk() -> None:
    """Row S7: the bytes that came with the name are said as lines."""
    async with running_example("chat_server") as example:
        typed = b"ann\nhello\nall\n"
        done = await run_program("nc", "-N", example.host, str(example.port), stdin=typed)
        assert done.stdout == b"name?\n* ann has joined\nann: hello\nann: all\n"
        assert example.read_errors() == ""


REFUSED = [
    (b"ann", b"that name is taken"),
    (b" ann ", b"that name is taken"),
    (b"", b"that is not a name"),
    (b"  ", b"that is not a name"),
    (b"a\x1b[2Jb", b"that is not a name"),
    (b"\xff\xfe", b"that is not a name"),
    (b"x" * 33, b"message of 33 bytes is above"),
    (b"x" * 100_000, b"bytes is above"),
]


async def test_a_name_is_refused_in_words_and_nobody_notices() -> None:
    """Rows S8 and B9: the words arrive though the peer has sent more than was read."""
    async with running_example("chat_server") as example, joined(example, "ann") as ann:
        for name, reason in REFUSED:
            async with connected(example) as other, trio.open_nursery() as nursery:
                nursery.start_soon(other.send, name + b"\n" + b"more\n" * 10_000)
                said = await other.rest()
                assert said.startswith(b"name?\nno: ")
                assert reason in said
        await ann.send(b"alone\n")
        assert await ann.line() == "ann: alone"
        assert example.read_errors() == ""


async def test_a_name_can_be_taken_again_after_its_owner_has_left() -> None:
    """Row S10: however it has left."""
    async with running_example("chat_server") as example, joined(example, "ann") as ann:
        for way in ("end", "reset", "half-close"):
            async with joined(example, "bob") as bob:
                assert await ann.line() == "* bob has joined"
                if way == "reset":
                    reset(bob)
                elif way == "half-close":
                    await bob.send_eof()
                    assert await bob.rest() == b""
                else:
                    await bob.stream.aclose()
                assert await ann.line() == "* bob has left"
        async with connected(example) as nobody:
            await nobody.send(b"cay")  # Leaves before it has a name.
        async with joined(example, "cay"):
            assert await ann.line() == "* cay has joined"


def reset(peer: Peer) -> None:
    assert isinstance(peer.stream, trio.SocketStream)
    peer.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    peer.stream.socket.close()


# Talk


async def test_everybody_hears_everybody_in_one_order() -> None:
    """One conversation, the same for all who are in."""
    async with (
        running_example("chat_server") as example,
        joined(example, "ann") as ann,
        joined(example, "bob") as bob,
    ):
        assert await ann.line() == "* bob has joined"
        await ann.send(b"hello\n")
        assert await bob.line() == "ann: hello"
        await bob.send("grüß dich\r\n".encode())
        assert await ann.line() == "ann: hello"
        assert await ann.line() == await bob.line() == "bob: grüß dich"
        await bob.send_eof()
        assert await ann.line() == "* bob has left"


async def test_what_a_terminal_cannot_show_is_left_out_and_no_line_is_too_long() -> None:
    async with running_example("chat_server") as example, joined(example, "ann" * 10) as ann:
        await ann.send(b"a\x1b[2J\x00\rb\r\r\n" + b"\xff" * 4096 + b"\n")
        assert await ann.line() == "ann" * 10 + ": a[2Jb"
        assert await ann.line() == "ann" * 10 + ": " + "\ufffd" * 1000


async def test_a_line_above_the_limit_ends_its_member_alone() -> None:
    """Row S22."""
    async with (
        running_example("chat_server") as example,
        joined(example, "ann") as ann,
        joined(example, "bob") as bob,
    ):
        assert await ann.line() == "* bob has joined"
        await bob.send(b"x" * 4097 + b"\n")
        assert await bob.rest() == b""
        await bob.stream.aclose()
        assert await ann.line() == "* bob has left"


async def test_a_full_room_says_so() -> None:
    """Row S20."""
    async with (
        running_example("chat_server", "--max-connections", "1") as example,
        joined(example, "ann"),
        connected(example) as second,
    ):
        assert await second.rest() == b"* the room is full\n"


# A slow member

TALK = 8_000
"""Lines of a thousand bytes: more than the kernel keeps between the two, whatever it is set to."""


async def open_slowly(example: RunningExample) -> Peer:
    """Connect with a small window, so that little fits between the two."""
    sock = trio.socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    await sock.connect((example.host, example.port))
    return Peer(trio.SocketStream(sock))


def said(number: int) -> str:
    return f"{number} ".ljust(1000, ".")


async def say_all(peer: Peer, numbers: range) -> None:
    for number in numbers:
        await peer.send(said(number).encode() + b"\n")


async def test_a_slow_member_holds_up_nobody_and_is_told_what_it_missed() -> None:
    """Rows S13 and B8: what it got and what it is told that it missed are all that was said."""
    async with (
        running_example("chat_server") as example,
        joined(example, "ann") as ann,
        (await open_slowly(example)).stream as stream,
    ):
        slow = Peer(stream)
        await enter(slow, "slow")
        assert await ann.line() == "* slow has joined"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(say_all, ann, range(TALK))
            for number in range(TALK):
                assert await ann.line() == f"ann: {said(number)}"
        assert await hear_all(ann, slow) > 0
        assert example.read_errors() == ""


async def hear_all(ann: Peer, slow: Peer) -> int:
    """Read what the slow one was sent while ann goes on; return how many lines it has missed."""
    expected, missed, more = 0, 0, TALK
    while expected < TALK or not missed:
        if not slow.received:
            # It is told before the next line that finds room.
            await ann.send(said(more).encode() + b"\n")
            assert await ann.line() == f"ann: {said(more)}"
            more += 1
        line = await slow.line()
        if told := re.fullmatch(r"\* you missed (\d+) messages", line):
            missed += int(told[1])
            expected += int(told[1])
        else:
            assert line == f"ann: {said(expected)}"
            expected += 1
    return missed


# The end


async def chatter(peer: Peer) -> None:
    """Talk without a pause until the end, which is a farewell and no reset."""
    async with peer.stream, trio.open_nursery() as nursery:
        nursery.start_soon(peer.pump, b"and then I said\n" * 100)
        assert (await peer.rest()).endswith(b"\n" + FAREWELL)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_everybody_gets_a_farewell(number: signal.Signals) -> None:
    """Rows P11, Z3, B3 and B9: the silent, those who talk, and one who has given no name."""
    async with (
        running_example("chat_server") as example,
        joined(example, "ann") as ann,
        connected(example) as nameless,
        trio.open_nursery() as nursery,
    ):
        assert await nameless.line() == "name?"
        for each in range(5):
            talker = Peer(await example.connect())
            await enter(talker, f"talker{each}")
            nursery.start_soon(chatter, talker)
        example.process.send_signal(number)
        assert (await ann.rest()).endswith(FAREWELL)
        await ann.stream.aclose()
        await nameless.stream.aclose()
        await example.wait_stopped()
        assert example.read_errors() == ""


async def test_the_end_does_not_wait_for_a_member_that_never_reads() -> None:
    """Rows P11 and B3: it is cut when its time is over."""
    async with (
        running_example("chat_server") as example,
        joined(example, "ann") as ann,
        (await open_slowly(example)).stream as stream,
    ):
        slow = Peer(stream)
        await enter(slow, "slow")
        assert await ann.line() == "* slow has joined"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(say_all, ann, range(TALK))
            for number in range(TALK):
                assert await ann.line() == f"ann: {said(number)}"
        example.process.send_signal(signal.SIGINT)
        assert (await ann.rest()) == FAREWELL
        await ann.stream.aclose()
        await example.wait_stopped()
