"""An SMTP server to send to: aiosmtpd, as a program of its own.

It says where it listens, and then what comes to it, each in a line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import signal
import ssl
import sys
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


def tell(event: str, **details: object) -> None:
    print(json.dumps({"event": event, **details}), flush=True)


class Handler:
    """Takes every message; addresses say what is refused."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options

    async def handle_EHLO(  # noqa: N802 - the names are aiosmtpd's
        self, server: SMTP, session: Session, envelope: Envelope, name: str, responses: list[str]
    ) -> list[str]:
        session.host_name = name
        tell("hello", name=name, tls=session.ssl is not None)
        hidden = [f"250-{each}" for each in self.options.hide]
        shown = [line for line in responses if not line.startswith(tuple(hidden))]
        return [shown[0], *(f"250-{each}" for each in self.options.offer), *shown[1:]]

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("refused"):
            return "550 5.7.1 We do not talk to you"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 Sender taken"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("refused"):
            return "550 5.1.1 Nobody of that name"
        if address.startswith("later"):
            return "450 4.2.1 Not now"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Recipient taken"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content
        assert isinstance(content, bytes)
        login = getattr(session.auth_data, "login", b"")
        tell(
            "message",
            sender=envelope.mail_from,
            options=envelope.mail_options,
            to=envelope.rcpt_tos,
            text=content.decode("latin-1"),
            tls=session.ssl is not None,
            login=login.decode(),
        )
        return "554 5.6.0 Not such words" if b"refused" in content else "250 2.0.0 Queued as 7"

    async def handle_QUIT(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        tell("quit")
        return "221 2.0.0 Bye"


def authenticate(
    server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
) -> AuthResult:
    good = isinstance(data, LoginPassword) and data == LoginPassword(b"ann", "gehäim".encode())
    tell("login", mechanism=mechanism, good=good)
    return AuthResult(success=good, handled=False, auth_data=data)


def make_server(options: argparse.Namespace) -> SMTP:
    """Return what serves one connection."""
    tls = None
    if options.certificate:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(options.certificate)
    tell("connection")
    return SMTP(
        Handler(options),
        hostname="mail.example.org",
        data_size_limit=options.max_size,
        enable_SMTPUTF8="SMTPUTF8" not in options.hide,
        tls_context=tls,
        require_starttls=tls is not None,
        auth_required=options.login,
        auth_require_tls=tls is not None,
        auth_exclude_mechanism=options.exclude,
        authenticator=authenticate,
        loop=asyncio.get_running_loop(),
    )


async def main(options: argparse.Namespace) -> None:
    """Serve until SIGTERM."""
    # It logs that it uses what it calls deprecated itself.
    logging.getLogger("mail").setLevel(logging.ERROR)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: make_server(options), "127.0.0.1", options.port)
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    print(f"listening on 127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await ended.wait()
    server.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--certificate", help="a file with a chain and its key, for STARTTLS")
    parser.add_argument("--login", action="store_true", help="take mail of those who log in alone")
    parser.add_argument("--exclude", action="append", help="a way to log in that is not offered")
    parser.add_argument("--max-size", type=int, default=1_000_000)
    parser.add_argument("--hide", action="append", default=[], help="an extension not to offer")
    parser.add_argument("--offer", action="append", default=[], help="another one to offer")
    asyncio.run(main(parser.parse_args()))
    sys.exit(0)
