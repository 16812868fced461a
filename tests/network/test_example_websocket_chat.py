"""``examples/websocket_chat.py``, run as its docstring says: in a browser, and without one."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from snowtrio.http import UpgradeRefusedError
from snowtrio.testing.websocket import expect_close
from snowtrio.websocket import WebSocket, open_websocket

from .browser import Page, running_browser
from .examples import (
    RunningExample,
    SharedExample,
    needs_program,
    run_program,
    running_example,
    shared_example,
)

LIMIT = 20.0
"""Seconds, far above what it takes."""

ROOMS = count()


@pytest.fixture(scope="module")
def example() -> Iterator[SharedExample]:
    """One that tests share."""
    with shared_example("websocket_chat", "--history", "2") as example:
        yield example
        assert example.read_errors() == ""


@pytest.fixture
def room() -> str:
    """A room where nobody has been."""
    return f"room{next(ROOMS)}"


@attrs.frozen(eq=False)
class Guest:
    """A member that is no browser."""

    websocket: WebSocket

    async def next(self, kind: str) -> Any:
        """Return what happens next, which has to be of a kind."""
        with trio.fail_after(LIMIT):
            event = json.loads(await self.websocket.receive())
        assert event["type"] == kind, event
        return event

    async def say(self, text: str) -> None:
        await self.websocket.send(json.dumps({"text": text}, ensure_ascii=False))

    async def expect_said(self, name: str, text: str) -> None:
        said = await self.next("said")
        assert (said["name"], said["text"]) == (name, text)


def at(
    example: RunningExample | SharedExample, query: str, **options: Any
) -> AbstractAsyncContextManager[Any]:
    return open_websocket(f"ws://{example.host}:{example.port}/ws?{query}", **options)


@asynccontextmanager
async def guest(
    example: RunningExample | SharedExample, name: str, room: str = "lobby"
) -> AsyncIterator[Guest]:
    """Be a member for the time of a block."""
    async with at(example, f"name={name}&room={room}") as websocket:
        yield Guest(websocket)


async def test_who_talks_is_heard_in_the_room(example: SharedExample, room: str) -> None:
    """W20, W6: in this one and no other; who comes later is told what was said."""
    async with guest(example, "ann", room) as ann:
        welcome = await ann.next("welcome")
        assert (welcome["name"], welcome["room"]) == ("ann", room)
        assert (welcome["members"], welcome["history"]) == (["ann"], [])
        elsewhere = guest(example, "eve", f"{room}b")
        async with elsewhere as eve, guest(example, "ann", room) as second:
            assert (await eve.next("welcome"))["members"] == ["eve"]
            assert (await ann.next("joined"))["name"] == "ann 2"
            assert (await second.next("welcome"))["members"] == ["ann", "ann 2"]
            await ann.websocket.send(r'{"text": "grüß\u001b\ud800 dich"}')
            await ann.say("  ")
            for each in (ann, second):
                await each.expect_said("ann", "grüß dich")
        assert (await ann.next("left"))["name"] == "ann 2"
        async with guest(example, "bob", room) as bob:
            assert (await ann.next("joined"))["name"] == "bob"
            history = (await bob.next("welcome"))["history"]
            assert [(said["name"], said["text"]) for said in history] == [("ann", "grüß dich")]


async def test_history_is_bounded(example: SharedExample, room: str) -> None:
    """W20: who comes later is told the last of it."""
    async with guest(example, "ann", room) as ann:
        await ann.next("welcome")
        for number in range(4):
            await ann.say(f"{number}")
            await ann.expect_said("ann", f"{number}")
        async with guest(example, "bob", room) as bob:
            history = (await bob.next("welcome"))["history"]
            assert [said["text"] for said in history] == ["2", "3"]


async def test_who_talks_too_fast_is_not_heard(example: SharedExample, room: str) -> None:
    """W20: and is told so."""
    async with guest(example, "ann", room) as ann:
        await ann.next("welcome")
        for number in range(30):
            await ann.say(f"{number}")
        for number in range(10):
            await ann.expect_said("ann", f"{number}")
        await ann.next("slower")


@pytest.mark.parametrize("said", ["", "no JSON", "[]", "{}", '{"text": 1}', "[" * 9000, b"\xff"])
async def test_what_makes_no_sense_ends_its_member_alone(
    example: SharedExample, room: str, said: str | bytes
) -> None:
    """W11: with 1008."""
    async with guest(example, "ann", room) as ann, guest(example, "bob", room) as bob:
        await ann.next("welcome")
        await ann.next("joined")
        await bob.next("welcome")
        await bob.websocket.send(said)
        await expect_close(bob.websocket, 1008, timeout=LIMIT)
        await ann.next("left")
        assert example.read_errors() == ""


async def test_pages_of_others_may_not_connect(example: SharedExample) -> None:
    """W5: and our own may."""
    own = f"http://{example.host}:{example.port}"
    async with at(example, "", origin=own) as websocket:
        await Guest(websocket).next("welcome")
    with pytest.raises(UpgradeRefusedError):
        async with at(example, "", origin="http://evil.example"):
            pass


@needs_program("curl")
async def test_the_page_needs_nothing_else(example: SharedExample) -> None:
    """W35: HTTP and WebSockets on one port."""
    url = f"http://{example.host}:{example.port}"
    page = await run_program("curl", "-si", f"{url}/")
    head, _, body = page.stdout.partition(b"\r\n\r\n")
    assert b"200 OK" in head
    assert b"default-src 'none'" in head
    assert b"<!doctype html>" in body
    assert b"http://" not in body
    assert b"https://" not in body
    missing = await run_program("curl", "-si", f"{url}/missing")
    assert b"404" in missing.stdout


async def test_one_that_does_not_read_is_closed_and_holds_up_nobody(
    example: SharedExample, room: str
) -> None:
    """W20: what the kernel keeps between the two is far less than is said."""
    sock = trio.socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    await sock.connect((example.host, example.port))
    async with trio.SocketStream(sock) as slow, guest(example, "ann", room) as ann:
        await ann.next("welcome")
        await slow.send_all(
            f"GET /ws?name=slow&room={room} HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\n"
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        assert (await ann.next("joined"))["name"] == "slow"
        assert await talk_until_left(example, ann, room) == "slow"


async def talk_until_left(example: SharedExample, ann: Guest, room: str) -> str:
    """Have many talk, as much as each may at once, until somebody is gone; return who.

    Who does not read is given some seconds to answer the close, in which the others talk on.
    """
    with trio.fail_after(LIMIT):
        while True:
            async with guest(example, "talker", room) as talker:
                await talker.next("welcome")
                for _ in range(10):
                    await talker.say("👋" * 2000)
                heard = 0
                while heard < 10:
                    event = json.loads(await ann.websocket.receive())
                    heard += event["type"] == "said"
                    if event["type"] == "left" and event["name"] != "talker":
                        return str(event["name"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_everybody_is_told_of_the_end(number: signal.Signals) -> None:
    """W26: with 1001."""
    async with running_example("websocket_chat") as example, guest(example, "ann") as ann:
        await ann.next("welcome")
        example.process.send_signal(number)
        await expect_close(ann.websocket, 1001, timeout=LIMIT)
        await example.wait_stopped()
        assert example.read_errors() == ""


# In a browser


async def say(page: Page, text: str) -> None:
    await page.evaluate(
        f"document.getElementById('text').value = {json.dumps(text)};"
        "document.getElementById('say').requestSubmit()"
    )


STATE = "document.getElementById('state')?.textContent"
MEMBERS = "[...document.querySelectorAll('#members li')].map(each => each.textContent).join('|')"
TALK = "[...document.querySelectorAll('#talk .text')].map(each => each.textContent).join('|')"


@pytest.mark.on_one_python
@needs_program("chromium")
async def test_two_pages_and_a_client_talk_to_each_other(tmp_path: Path) -> None:
    """W35, W20: and the browser is driven by our client (W15: its messages are large)."""
    async with (
        running_example("websocket_chat") as example,
        running_browser(tmp_path / "profile") as browser,
        guest(example, "ann") as ann,
    ):
        await ann.next("welcome")
        url = f"http://{example.host}:{example.port}/?room=lobby&name="
        bob = await browser.open(f"{url}bob")
        await bob.wait_for(STATE, "connected as bob")
        eve = await browser.open(f"{url}eve")
        await eve.wait_for(MEMBERS, "ann|bob|eve")
        await bob.wait_for(MEMBERS, "ann|bob|eve")
        for name in ("bob", "eve"):
            assert (await ann.next("joined"))["name"] == name
        await say(bob, "<b>hello</b> all")
        await ann.expect_said("bob", "<b>hello</b> all")
        await say(eve, "grüß dich 👋")
        await ann.expect_said("eve", "grüß dich 👋")
        await ann.say("and you")
        await ann.expect_said("ann", "and you")
        for page in (bob, eve):
            await page.wait_for(TALK, "<b>hello</b> all|grüß dich 👋|and you")
        await eve.evaluate("location.href = 'about:blank'")
        assert (await ann.next("left"))["name"] == "eve"
        await bob.wait_for(MEMBERS, "ann|bob")
        await eve.evaluate("history.back()")
        assert (await ann.next("joined"))["name"] == "eve"
        await eve.wait_for(TALK, "<b>hello</b> all|grüß dich 👋|and you")
        await eve.close()
        assert (await ann.next("left"))["name"] == "eve"
        example.process.send_signal(signal.SIGINT)
        await bob.wait_for(f"{STATE}.startsWith('the server ends; again in')")
        await example.wait_stopped()
        assert example.read_errors() == ""
