"""Those who do not behave towards an HTTP server, one function a kind; see `abusers`."""

from __future__ import annotations

import trio
from abusers import Abuse, Abuser, never_send, vanish
from sockets import GONE, read_to_end, reset_on_close

GET = b"GET /stats HTTP/1.1\r\nHost: test\r\n\r\n"
POST = b"POST /echo HTTP/1.1\r\nHost: test\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
SECRET = b"GET /smuggled HTTP/1.1\r\nHost: test\r\n\r\n"

REFUSED = {
    "both lengths": (POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    "two lengths": (POST + b"Content-Length: 0\r\nContent-Length: 37\r\n\r\n", 400),
    "a coding": (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
    "a bare LF": (b"GET /stats HTTP/1.1\nHost: test\r\n\r\n", 400),
    "a chunk size": (CHUNKED + b"0x0\r\n\r\n", 400),
    "two hosts": (b"GET /stats HTTP/1.1\r\nHost: test\r\nHost: other\r\n\r\n", 400),
    "another host": (b"GET http://other/ HTTP/1.1\r\nHost: test\r\n\r\n", 400),
    "a long target": (b"GET /%b HTTP/1.1\r\nHost: test\r\n\r\n" % (b"x" * 9_000), 414),
    "a tunnel": (b"CONNECT test:80 HTTP/1.1\r\nHost: test\r\n\r\n", 404),
}
"""What is refused, and with which status; what stands behind it is no request."""


async def drip_head(abuser: Abuser) -> None:
    """Send a byte a second of a head that never ends."""
    async with abuser.connected() as stream:
        await stream.send_all(b"GET /stats HTTP/1.1\r\nX: ")
        while True:
            await stream.send_all(b"x")
            await trio.sleep(1)


async def drip_body(abuser: Abuser) -> None:
    """Send a body a chunk of one byte a second."""
    async with abuser.connected() as stream:
        await stream.send_all(CHUNKED)
        while True:
            await stream.send_all(b"1\r\n \r\n")
            await trio.sleep(1)


async def never_read(abuser: Abuser) -> None:
    """Send requests without a pause and read no response."""
    async with abuser.connected(receive_buffer=4096) as stream:
        while True:
            await stream.send_all(GET * 100)


async def sip(abuser: Abuser) -> None:
    """Ask for much, and read a byte now and then."""
    body = b'"%b"' % (b"x" * 900_000)
    async with abuser.connected(receive_buffer=4096) as stream:
        await stream.send_all(POST + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        while await stream.receive_some(1):
            await trio.sleep(0.5)


async def leave_a_stream(abuser: Abuser) -> None:
    """Ask for lines that never end, and leave in the middle."""
    async with abuser.connected() as stream:
        await stream.send_all(
            b"GET /time HTTP/1.%d\r\nHost: test\r\n\r\n" % abuser.chance.choice([0, 1])
        )
        await stream.receive_some(1000)
        await abuser.pause()
        reset_on_close(stream)


async def smuggle(abuser: Abuser) -> None:
    """Hide a request behind one that can be read in two ways; only the first may be answered."""
    kind = abuser.chance.choice(list(REFUSED))
    sent, status = REFUSED[kind]
    said: bytes | Exception
    async with abuser.connected() as stream:
        try:
            await stream.send_all(sent + SECRET)
            said = await read_to_end(stream)
        except GONE as error:
            said = error
    expected = b"HTTP/1.1 %d " % status
    if not (isinstance(said, bytes) and said.startswith(expected) and said.count(b"HTTP/1.") == 1):
        abuser.tally.violations.append(f"{kind} was answered with {said!r}")


async def send_bombs(abuser: Abuser) -> None:
    """Send JSON that is nested without end, or a body that is nearly all framing."""
    async with abuser.connected() as stream:
        if abuser.chance.random() < 0.5:
            body = b"[" * 500_000
            await stream.send_all(POST + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        else:
            await stream.send_all(CHUNKED + b"1;x=%b\r\n \r\n" % (b"y" * 1000) * 500)
        said = await stream.receive_some(1000)
        if not said.startswith(b"HTTP/1.1 4"):
            abuser.tally.violations.append(f"a bomb was answered with {said!r}")


async def expect_and_wait(abuser: Abuser) -> None:
    """Have the server wait for a body that never comes."""
    async with abuser.connected() as stream:
        await stream.send_all(POST + b"Content-Length: 10\r\nExpect: 100-continue\r\n\r\n")
        await read_to_end(stream)


async def offer_and_flood(abuser: Abuser) -> None:
    """Offer another protocol and speak it at once."""
    offer = b"GET /time HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
    async with abuser.connected() as stream:
        await stream.send_all(offer)
        with trio.move_on_after(abuser.mean_pause):
            while True:
                await stream.send_all(bytes(65_536))


async def reset_in_mid_request(abuser: Abuser) -> None:
    """Send a request, half of another, and reset."""
    async with abuser.connected() as stream:
        await stream.send_all(GET + POST + b"Content-Length: 100\r\n\r\nhalf")
        await abuser.pause()
        reset_on_close(stream)


async def send_garbage(abuser: Abuser) -> None:
    """Send a request with some bytes of it changed by chance."""
    request = bytearray(CHUNKED + b"4\r\n[12]\r\n0\r\n\r\n" + GET)
    for _ in range(abuser.chance.randrange(1, 6)):
        request[abuser.chance.randrange(len(request))] = abuser.chance.randrange(256)
    async with abuser.connected() as stream:
        await stream.send_all(request)
        with trio.move_on_after(1):
            await stream.receive_some(2000)


HTTP_ABUSES: dict[str, Abuse] = {
    "never send": never_send,
    "drip a head": drip_head,
    "drip a body": drip_body,
    "never read": never_read,
    "sip": sip,
    "leave a stream": leave_a_stream,
    "smuggle": smuggle,
    "bombs": send_bombs,
    "expect and wait": expect_and_wait,
    "offer and flood": offer_and_flood,
    "reset in mid-request": reset_in_mid_request,
    "connect and vanish": vanish,
    "changed bytes": send_garbage,
}
