"""Send a message by SMTP.

    python examples/smtp_client.py --port 25 --from ann@example.org --to bob@example.org <message
    python examples/smtp_client.py --starttls --cafile FILE --user NAME --password PASSWORD ...

Prints the server's receipt. Exits with 1 and a line on standard error for each recipient that was
refused, or one that says why nobody got it.
"""

from __future__ import annotations

import argparse
import base64
import logging
import re
import ssl
import sys
from collections.abc import Iterator
from typing import Final, TypeAlias

import attrs
import trio

from snowtrio import (
    BufferedStream,
    Codec,
    Connection,
    IncompleteFrameError,
    LineCodec,
    LocalProtocolError,
    Protocol,
    ReceiveBuffer,
    RemoteProtocolError,
    RequestClient,
    RequestLimits,
    SendTooLargeError,
    Side,
    SnowtrioError,
)

LINES: Final = LineCodec("either", send_newline="crlf", max_message_size=2048)
MAX_TEXT_LINE_SIZE: Final = 998  # RFC 5321
# What holds none of these is one address, and remains it on the wire.
ADDRESS: Final = re.compile(r"[^\x00-\x20<>\x7f\ud800-\udfff]{,254}")
REPLY_LINE: Final = re.compile(rb"([2-5]\d\d)(?![^ -])([ -]?)(.*)")
ENHANCED_CODE: Final = re.compile(r"^[245]\.\d{1,3}\.\d{1,3}\b")

Request: TypeAlias = str | bytes  # A command line, or the text of a message.
Extensions: TypeAlias = dict[str, str]  # What the server offers: {"SIZE": "1000000"}.


@attrs.frozen
class Reply:
    """What the server said, in all its lines."""

    code: int
    lines: tuple[str, ...]

    def expect(self, kind: int) -> Reply:
        """Return it if its code begins with `kind`; raise `SmtpError` otherwise."""
        if self.code // 100 != kind:
            raise SmtpError(self)
        return self


class SmtpError(Exception):
    """The server refused something; ``code`` and ``enhanced_code`` say what, such as 5.1.1."""

    def __init__(self, reply: Reply, about: str = "the server") -> None:
        super().__init__(f"{about}: {reply.code} {' '.join(reply.lines)}")
        self.code = reply.code
        self.enhanced_code = next(iter(ENHANCED_CODE.findall(reply.lines[0])), None)


Receipt: TypeAlias = tuple[Reply, list[SmtpError]]


class SmtpCodec(Codec[Request, Reply]):
    """The client's side. All lines of a reply are one message."""

    def __init__(self) -> None:
        self._begun: list[re.Match[bytes]] = []

    def start(self, side: Side, context: object) -> SmtpCodec:
        """Return a coder for one connection; it remembers the first lines of a reply."""
        return SmtpCodec()

    def encode(self, message: Request) -> bytes:
        """Return a command line, or a text with its dots doubled and the one that ends it."""
        if isinstance(message, str):
            return LINES.encode(message.replace("\r", "\n").encode())  # Neither is taken.
        text = re.sub(rb"\r\n|\r|\n", b"\r\n", b"\n" + message)
        if (longest := max(map(len, text.split(b"\r\n")))) > MAX_TEXT_LINE_SIZE:
            raise SendTooLargeError(longest, MAX_TEXT_LINE_SIZE)
        text += b"" if text.endswith(b"\r\n") else b"\r\n"
        return text.replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"

    def decode(self, buffer: ReceiveBuffer) -> Iterator[Reply]:
        """Take every whole reply, and the first lines of the next."""
        for line in LINES.decode(buffer):
            match = REPLY_LINE.fullmatch(line)
            if match is None or (self._begun and self._begun[0][1] != match[1]):
                raise RemoteProtocolError(f"not a reply of SMTP: {line[:300]!r}")
            self._begun.append(match)
            if match[2] != b"-":
                lines, self._begun = self._begun, []
                yield Reply(int(match[1]), tuple(m[3].decode("utf-8", "replace") for m in lines))
            elif len(self._begun) == 100:
                raise RemoteProtocolError("the server says 100 lines, and goes on")

    def decode_eof(self, buffer: ReceiveBuffer) -> tuple[()]:
        """Refuse an end within a reply."""
        if buffer or self._begun:
            raise IncompleteFrameError(buffer.take_all())
        return ()


@attrs.define(eq=False)
class Smtp(Protocol[Request, Reply, Extensions]):
    """Greets, changes to TLS and logs in; says goodbye."""

    codec = SmtpCodec()
    hostname: str
    tls: ssl.SSLContext | None = None
    login: tuple[str, str] | None = None

    async def handshake(self, side: Side, stream: BufferedStream) -> Extensions:
        """Return what the server offers, now that it knows who we are."""
        coder = self.codec.start(side, None)
        host = str((stream.local_address or "?")[0])
        hello = f"EHLO [{'IPv6:' * (':' in host)}{host}]"

        async def ask(line: str, kind: int = 2) -> Reply:
            await stream.send_message(coder, line)
            return (await stream.receive_message(coder)).expect(kind)

        (await stream.receive_message(coder)).expect(2)
        reply = await ask(hello)
        if self.tls is not None:
            await ask("STARTTLS")
            await stream.start_tls(self.tls, server_side=False, server_hostname=self.hostname)
            reply = await ask(hello)  # Nobody knows who answered before.
        offers = {line.split(" ")[0].upper(): line.partition(" ")[2] for line in reply.lines[1:]}
        if self.login is not None and self.tls is None and host not in ("127.0.0.1", "::1"):
            raise LocalProtocolError("a password goes to another machine under TLS alone")
        ways = offers.get("AUTH", "").upper().split()
        if self.login is not None and "LOGIN" in ways and "PLAIN" not in ways:
            await ask("AUTH LOGIN", 3)
            await ask(encode64(self.login[0]), 3)
            await ask(encode64(self.login[1]))
        elif self.login is not None:
            await ask("AUTH PLAIN " + encode64("\0" + "\0".join(self.login)))
        return offers

    async def goodbye(self, connection: Connection[Request, Reply, Extensions]) -> None:
        """Say QUIT; then the server closes."""
        await connection.send("QUIT")


def encode64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def make_envelope(sender: str, to: list[str], text: bytes, offers: Extensions) -> list[str]:
    """Return the commands before a message; raises `LocalProtocolError`."""
    header = re.split(rb"\r?\n\r?\n", text, maxsplit=1)[0]
    ascii_only = header.isascii() and "".join((sender, *to)).isascii()
    needs = ["BODY=8BITMIME"] * (not text.isascii()) + ["SMTPUTF8"] * (not ascii_only)
    if missing := [need for need in needs if need.removeprefix("BODY=") not in offers]:
        raise LocalProtocolError(f"the message needs what the server does not offer: {missing}")
    # RFC 1870: without the dots that are added.
    size = len((b"\r\n" + Smtp.codec.encode(text)).replace(b"\r\n..", b"\r\n.")) - 5
    if offers.get("SIZE", "").isdecimal() and 0 < int(offers["SIZE"]) < size:
        raise SendTooLargeError(size, int(offers["SIZE"]))
    mail = " ".join([f"MAIL FROM:<{sender}>", *needs, *[f"SIZE={size}"] * ("SIZE" in offers)])
    return [mail, *(f"RCPT TO:<{recipient}>" for recipient in to), "DATA"]


class SmtpClient(RequestClient[Request, Reply, Extensions]):
    """Delivers messages: ``SmtpClient(Smtp(host), host, 25)``."""

    async def deliver(self, sender: str, to: list[str], text: bytes, timeout: float) -> Receipt:
        """Return the server's receipt, and what it said of recipients that it refused.

        Raises:
            SmtpError: the sender or the message was refused; all recipients, a group of them.
            RequestInDoubtError: it may have been delivered. With any other error it was not.
        """
        if bad := [address for address in (sender, *to) if not ADDRESS.fullmatch(address)]:
            raise LocalProtocolError(f"not an address: {bad[0]!r}")
        async with self.session() as session:
            # RSET ends whatever the message before this one has left.
            commands = ["RSET", *make_envelope(sender, to, text, session.context)]
            if "PIPELINING" in session.context:
                replies = await session.request_batch(commands, timeout=timeout)
            else:
                replies = [await session.request(each, timeout=timeout) for each in commands]
            answers = zip(to, replies[2:-1], strict=True)
            refused = [SmtpError(reply, who) for who, reply in answers if reply.code > 299]
            taken = replies[1].code < 300 and len(refused) < len(to)
            last = replies[-1]
            if last.code == 354:  # Where there is nobody to take the message, none is sent.
                last = await session.request(text if taken else b"", timeout=timeout)
        # What is raised within a session costs its connection.
        replies[1].expect(2)
        if not taken:
            raise ExceptionGroup("no recipient was taken", refused)
        return last.expect(2), refused


async def main(options: argparse.Namespace) -> str:
    """Deliver a message; return what there is to tell of recipients that were refused."""
    tls = ssl.create_default_context(cafile=options.cafile) if options.starttls else None
    login = (options.user, options.password) if options.user else None
    protocol, limits = Smtp(options.host, tls, login), RequestLimits(max_connections=1)
    async with SmtpClient(protocol, options.host, options.port, limits=limits) as client:
        try:
            mail = (options.sender, options.to, sys.stdin.buffer.read())
            receipt, refused = await client.deliver(*mail, timeout=options.timeout)
        finally:
            await client.aclose()  # With a QUIT after a refusal, too.
    print(receipt.code, *receipt.lines)
    return "\n".join(f"smtp_client: {error}" for error in refused)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Send a message, standard input, by SMTP.")
    parser.add_argument("--host", default="127.0.0.1", help="where the server is")
    parser.add_argument("--port", type=int, default=25, help="its port")
    parser.add_argument("--starttls", action="store_true", help="speak TLS, or nothing")
    parser.add_argument("--cafile", metavar="FILE", help="the authorities to trust")
    parser.add_argument("--user", help="a name to log in with")
    parser.add_argument("--password", default="", help="its password")
    parser.add_argument("--from", dest="sender", required=True, help="the sender's address")
    parser.add_argument("--to", nargs="+", required=True, help="the recipients' addresses")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds for each step")
    return parser.parse_args()


if __name__ == "__main__":
    logging.getLogger("snowtrio").addHandler(logging.NullHandler())
    status: int | str = 0
    try:
        status = trio.run(main, parse_options()) or 0
    except* (SnowtrioError, SmtpError, OSError) as group:
        status = "\n".join(f"smtp_client: {error}" for error in group.exceptions)
    except* KeyboardInterrupt:
        status = 130
    sys.exit(status)
