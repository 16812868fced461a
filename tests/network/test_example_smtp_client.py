"""``examples/smtp_client.py``: as a program, and as a client, against aiosmtpd and worse."""

from __future__ import annotations

import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import trio
import trustme

from snowtrio import HandshakeError, RequestInDoubtError, RequestLimits, StreamEndpoint
from snowtrio.testing import FaultyStream

from .examples import EXAMPLES, run_program
from .smtp_peers import Script, running_mail_server, running_script

sys.path.insert(0, str(EXAMPLES))

from smtp_client import Smtp, SmtpClient, SmtpError

COMMAND = (sys.executable, "-W", "error", str(EXAMPLES / "smtp_client.py"))
TEXT = b"Subject: greetings\n\nHello\n"
ARRIVED = TEXT.decode().replace("\n", "\r\n")
ONE = RequestLimits(max_connections=1)
LOGIN = ("--user", "ann", "--password", "gehäim")


@pytest.fixture(scope="session")
def certificates(
    tmp_path_factory: pytest.TempPathFactory, ca: trustme.CA, server_cert: trustme.LeafCert
) -> Path:
    """A folder with what both sides need to know."""
    folder = tmp_path_factory.mktemp("certificates")
    server_cert.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    trustme.CA().cert_pem.write_to_path(str(folder / "another_ca.pem"))
    named = ca.issue_cert("localhost")
    named.private_key_and_cert_chain_pem.write_to_path(str(folder / "by_name_alone.pem"))
    return folder


async def send(
    port: int,
    *options: str,
    to: tuple[str, ...] = ("bob@example.org",),
    sender: str = "ann@example.org",
    text: bytes = TEXT,
) -> subprocess.CompletedProcess[bytes]:
    """Run the program."""
    arguments = ("--port", str(port), "--from", sender, "--to", *to, *options)
    return await run_program(*COMMAND, *arguments, stdin=text)


def failed(done: subprocess.CompletedProcess[bytes], *reasons: str) -> bool:
    """Whether it says so, in a line for each reason, and delivered nothing."""
    lines = done.stderr.decode().splitlines()
    return (
        (done.returncode, done.stdout, len(lines)) == (1, b"", len(reasons))
        and all(line.startswith("smtp_client: ") for line in lines)
        and all(reason in line for reason, line in zip(reasons, lines, strict=True))
    )


# What goes well


@pytest.mark.parametrize("pipelining", [True, False])
async def test_a_message_arrives(pipelining: bool) -> None:
    """Row S7: with its envelope, and the conversation ends as it should."""
    offers = ("--offer", "PIPELINING") if pipelining else ()
    async with running_mail_server(*offers) as server:
        done = await send(server.port, to=("bob@example.org", "eve@example.org"))
        events = await server.stop()
    assert (done.returncode, done.stdout, done.stderr) == (0, b"250 2.0.0 Queued as 7\n", b"")
    assert events == [
        {"event": "connection"},
        {"event": "hello", "name": "[127.0.0.1]", "tls": False},
        {
            "event": "message",
            "sender": "ann@example.org",
            "options": [f"SIZE={len(ARRIVED)}"],
            "to": ["bob@example.org", "eve@example.org"],
            "text": ARRIVED,
            "tls": False,
            "login": "",
        },
        {"event": "quit"},
    ]


@pytest.mark.on_one_python
@pytest.mark.parametrize(
    ("offer", "silent", "commands"),
    [
        (b"250-hello\r\n250 PIPELINING\r\n", "RSET", ["RSET", "MAIL", "RCPT", "RCPT", "DATA"]),
        (b"250 hello\r\n", "RSET", ["RSET"]),
        (b"250 hello\r\n", "RCPT", ["RSET", "MAIL", "RCPT"]),
    ],
)
async def test_commands_wait_for_replies_unless_they_need_not(
    offer: bytes, silent: str, commands: list[str]
) -> None:
    """RFC 2920: a server that does not answer is told everything, or nothing more."""
    script = Script({"EHLO": offer, silent: b""})
    async with running_script(script) as server:
        done = await send(server.port, "--timeout", "0.3", to=("bob@x", "eve@x"))
    assert failed(done, "no reply came within 0.3 seconds")
    assert [command.partition(" ")[0] for command in script.commands] == ["EHLO", *commands]


async def test_any_text_arrives_as_it_is() -> None:
    """Row S6: dots and line ends of all kinds; what is said in it stays in it."""
    line = b"x" * 998
    lines = [b"Subject: dots", b"", b".", b"..", b".a", b"", b"QUIT", b".", b"", line, b".", b""]
    texts = [b"\n".join(lines), b"\r\n".join(lines), b"\r".join(lines), b".", b"", b"\n\n.\n\n"]
    async with (
        running_mail_server("--offer", "PIPELINING") as server,
        SmtpClient(Smtp("127.0.0.1"), "127.0.0.1", server.port, limits=ONE) as client,
    ):
        for text in texts:
            receipt, refused = await client.deliver("a@x", ["b@x"], text, 10)
            assert (receipt.code, refused) == (250, [])
        await client.aclose()
        events = await server.stop()
    arrived = [event["text"].encode() for event in events if event["event"] == "message"]
    assert arrived[:3] == [b"\r\n".join(lines)] * 3
    assert arrived[3:] == [b".\r\n", b"", b"\r\n\r\n.\r\n\r\n"]
    assert [event["event"] for event in events].count("connection") == 1
    assert events[-1] == {"event": "quit"}


@pytest.mark.on_one_python
async def test_a_big_message_arrives() -> None:
    """Row S1: two megabytes."""
    text = b"".join(b"%d\n" % number for number in range(300_000))
    async with running_mail_server("--max-size", str(2 * len(text))) as server:
        done = await send(server.port, text=text)
        events = await server.stop()
    assert (done.returncode, done.stderr) == (0, b"")
    assert events[2]["text"].encode() == text.replace(b"\n", b"\r\n")


async def test_messages_of_many_tasks_share_two_connections() -> None:
    """Row S16: each has a connection alone while it is delivered."""
    limits = RequestLimits(max_connections=2)
    async with (
        running_mail_server("--offer", "PIPELINING") as server,
        SmtpClient(Smtp("127.0.0.1"), "127.0.0.1", server.port, limits=limits) as client,
    ):

        async def deliver(number: int) -> None:
            to = [f"bob{number}@x", "refused@x", f"eve{number}@x"]
            receipt, refused = await client.deliver(f"{number}@x", to, b"%d\n" % number, 20)
            assert receipt.code == 250
            assert [str(error) for error in refused] == ["refused@x: 550 5.1.1 Nobody of that name"]

        async with trio.open_nursery() as nursery:
            for number in range(40):
                nursery.start_soon(deliver, number)
        await client.aclose()
        events = await server.stop()
    messages = [event for event in events if event["event"] == "message"]
    assert {int(message["text"]) for message in messages} == set(range(40))
    for message in messages:
        number = int(message["text"])
        assert message["sender"] == f"{number}@x"
        assert message["to"] == [f"bob{number}@x", f"eve{number}@x"]
    kinds = [event["event"] for event in events]
    assert (kinds.count("connection"), kinds.count("quit")) == (2, 2)


@pytest.mark.on_one_python
async def test_addresses_and_texts_in_all_scripts() -> None:
    """RFC 6531 and 6152, where the server offers them."""
    people = {"sender": "grün@example.org", "to": ("μ@example.org",)}
    async with running_mail_server() as server:
        done = await send(server.port, text="Subject: ü\n\nß\n".encode(), **people)  # type: ignore[arg-type]
        assert (done.returncode, done.stderr) == (0, b"")
        done = await send(server.port, text=b"Subject: u\n\n\xdf\n")
        assert (done.returncode, done.stderr) == (0, b"")
        events = await server.stop()
    first, second = [event for event in events if event["event"] == "message"]
    assert (first["sender"], first["to"]) == ("grün@example.org", ["μ@example.org"])
    assert first["options"] == ["BODY=8BITMIME", "SMTPUTF8", "SIZE=19"]
    assert second["options"] == ["BODY=8BITMIME", "SIZE=17"]
    assert second["text"] == "Subject: u\r\n\r\n\xdf\r\n"
    async with running_mail_server("--hide", "SMTPUTF8", "--hide", "8BITMIME") as server:
        done = await send(server.port, **people)  # type: ignore[arg-type]
        assert failed(done, "SMTPUTF8")
        done = await send(server.port, text=b"Subject: u\n\n\xdf\n")
        assert failed(done, "8BITMIME")
        assert {event["event"] for event in await server.stop()} == {"connection", "hello"}


# TLS


@pytest.mark.on_one_python
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_message_under_tls(certificates: Path, host: str) -> None:
    """Rows S7 and S12: the server is greeted again, and everything behind that is protected."""
    tls = ("--starttls", "--cafile", str(certificates / "ca.pem"))
    async with running_mail_server("--certificate", str(certificates / "server.pem")) as server:
        done = await send(server.port, *tls, "--host", host)
        events = await server.stop()
    assert (done.returncode, done.stdout, done.stderr) == (0, b"250 2.0.0 Queued as 7\n", b"")
    assert [event.get("tls") for event in events] == [None, False, True, True, None]
    assert events[3]["text"] == ARRIVED
    assert events[-1] == {"event": "quit"}


@pytest.mark.on_one_python
@pytest.mark.parametrize(
    ("authority", "certificate"),
    [("another_ca.pem", "server.pem"), ("ca.pem", "by_name_alone.pem")],
)
async def test_a_server_that_is_another(
    certificates: Path, authority: str, certificate: str
) -> None:
    """Row S12: is told nothing."""
    tls = ("--starttls", "--cafile", str(certificates / authority))
    async with running_mail_server("--certificate", str(certificates / certificate)) as server:
        done = await send(server.port, *tls, *LOGIN)
        assert failed(done, "certificate verify failed")
        kinds = [event["event"] for event in server.events]
    assert set(kinds) <= {"connection", "hello"}


@pytest.mark.on_one_python
async def test_a_server_without_tls(certificates: Path) -> None:
    """Is told nothing: whoever asks for TLS gets it or nothing."""
    async with running_mail_server() as server:
        done = await send(server.port, "--starttls", *LOGIN)
        assert failed(done, "454 TLS not available")
        events = await server.stop()
    assert [event["event"] for event in events] == ["connection", "hello"]


@pytest.mark.on_one_python
@pytest.mark.parametrize("behind", [b"250 injected\r\n", b"2", b"\r\n"])
async def test_plain_text_behind_the_reply_to_starttls(certificates: Path, behind: bytes) -> None:
    """Row S12: somebody in between has put it there, to be taken for the server's own words."""
    script = Script({"EHLO": b"250-hello\r\n250 STARTTLS\r\n", "STARTTLS": b"220 go\r\n" + behind})
    tls = ("--starttls", "--cafile", str(certificates / "ca.pem"))
    async with running_script(script) as server:
        done = await send(server.port, *tls, *LOGIN)
    assert failed(done, "plain text where TLS had to begin")
    assert {command.partition(" ")[0] for command in script.commands} == {"EHLO", "STARTTLS"}


# Logins


@pytest.mark.on_one_python
@pytest.mark.parametrize(("way", "exclude"), [("PLAIN", []), ("LOGIN", ["--exclude", "PLAIN"])])
async def test_a_login(certificates: Path, way: str, exclude: list[str]) -> None:
    """Row S7: in whatever way the server offers, under TLS."""
    tls = ("--starttls", "--cafile", str(certificates / "ca.pem"))
    certificate = ("--certificate", str(certificates / "server.pem"))
    async with running_mail_server("--login", *certificate, *exclude) as server:
        done = await send(server.port, *tls, *LOGIN)
        events = await server.stop()
    assert (done.returncode, done.stdout, done.stderr) == (0, b"250 2.0.0 Queued as 7\n", b"")
    assert {"event": "login", "mechanism": way, "good": True} in events
    (message,) = [event for event in events if event["event"] == "message"]
    assert (message["login"], message["tls"]) == ("ann", True)


@pytest.mark.on_one_python
@pytest.mark.parametrize(("way", "exclude"), [("PLAIN", []), ("LOGIN", ["--exclude", "PLAIN"])])
async def test_a_login_that_is_refused(way: str, exclude: list[str]) -> None:
    """Row S8: once, with the server's words, and without ours."""
    async with running_mail_server(*exclude) as server:
        done = await send(server.port, "--user", "ann", "--password", "secret")
        events = await server.stop()
    assert failed(done, "535 5.7.8 Authentication credentials invalid")
    assert b"secret" not in done.stderr
    assert [event["event"] for event in events] == ["connection", "hello", "login"]
    assert events[2] == {"event": "login", "mechanism": way, "good": False}


@pytest.mark.on_one_python
async def test_a_server_that_wants_a_login() -> None:
    """Says so to the first command of a message."""
    async with running_mail_server("--login") as server:
        done = await send(server.port)
        assert failed(done, "530 5.7.0 Authentication required")


# What is refused


@pytest.mark.on_one_python
@pytest.mark.parametrize("offers", [("--offer", "PIPELINING"), ()], ids=["together", "each"])
async def test_who_is_refused_is_told(offers: tuple[str, ...]) -> None:
    """With the server's words; the others get it, if there are others."""
    async with running_mail_server(*offers) as server:
        done = await send(server.port, to=("refused@x", "bob@x", "later@x", "eve@x"))
        assert done.returncode == 1
        assert done.stdout == b"250 2.0.0 Queued as 7\n"
        nobody = "smtp_client: refused@x: 550 5.1.1 Nobody of that name\n"
        later = "smtp_client: later@x: 450 4.2.1 Not now\n"
        assert done.stderr.decode() == nobody + later
        done = await send(server.port, to=("refused@x", "later@x"))
        assert failed(done, "refused@x: 550 5.1.1 Nobody of", "later@x: 450 4.2.1 Not now")
        done = await send(server.port, sender="refused@x", to=("bob@x", "refused@x"))
        assert failed(done, "550 5.7.1 We do not talk to you")
        done = await send(server.port, text=b"Subject: refused\n\n")
        assert failed(done, "554 5.6.0 Not such words")
        events = await server.stop()
    first, second = [event for event in events if event["event"] == "message"]
    assert (first["to"], second["to"]) == (["bob@x", "eve@x"], ["bob@example.org"])
    assert [event["event"] for event in events].count("quit") == 4


async def test_a_message_behind_one_that_was_refused() -> None:
    """Over the same connection, and nothing of the one before is in it."""
    async with (
        running_mail_server("--offer", "PIPELINING") as server,
        SmtpClient(Smtp("127.0.0.1"), "127.0.0.1", server.port, limits=ONE) as client,
    ):
        for _ in range(2):
            with pytest.raises(SmtpError) as caught:
                await client.deliver("refused@x", ["bob@x"], TEXT, 10)
            assert (caught.value.code, caught.value.enhanced_code) == (550, "5.7.1")
            with pytest.raises(ExceptionGroup) as group:
                await client.deliver("ann@x", ["refused@x", "later@x"], TEXT, 10)
            assert group.group_contains(SmtpError, match=r"later@x: 450 4\.2\.1 Not now")
            with pytest.raises(SmtpError, match=r"554 5\.6\.0 Not such words"):
                await client.deliver("ann@x", ["bob@x"], b"refused", 10)
            _, refused = await client.deliver("ann@x", ["eve@x"], TEXT, 10)
            assert refused == []
        await client.aclose()
        events = await server.stop()
    assert [event["to"] for event in events if event.get("text") == ARRIVED] == [["eve@x"]] * 2
    assert [event["event"] for event in events].count("connection") == 1


@pytest.mark.on_one_python
@pytest.mark.parametrize("hide", [(), ("--hide", "SIZE")], ids=["announced", "unknown"])
async def test_a_message_that_is_too_large(hide: tuple[str, ...]) -> None:
    """Row S3: is not sent where the limit is known, and refused where it is not."""
    text = b"x" * 90 + b"\n"
    async with running_mail_server("--max-size", "920", *hide) as server:
        assert (await send(server.port, text=text * 10)).returncode == 0
        done = await send(server.port, text=text * 11)
        assert failed(done, "552" if hide else "1012 bytes is above max_message_size (920 bytes)")
        events = await server.stop()
    assert [event["event"] for event in events].count("message") == 1


@pytest.mark.on_one_python
async def test_a_line_that_is_too_long() -> None:
    """Row S3: no server has to take it, so it is not sent."""
    async with running_mail_server() as server:
        done = await send(server.port, text=b"Subject: long\n\n" + b"x" * 999)
        assert failed(done, "999 bytes is above max_message_size (998 bytes)")
        assert {event["event"] for event in await server.stop()} == {"connection", "hello"}


@pytest.mark.on_one_python
@pytest.mark.parametrize("address", ["bob@x>\r\nRCPT TO:<eve@x", "bob@x\n", "bob <b@x>"])
async def test_an_address_that_is_more_than_one(address: str) -> None:
    """Row S6: is refused before anything is sent, to anybody."""
    for done in (await send(1, to=("good@x", address)), await send(1, sender=address)):
        assert failed(done, f"not an address: {address!r}")


class Elsewhere(FaultyStream):
    """Says that it begins at some address."""

    local_address: tuple[str, int]


def endpoint_from(address: str, port: int) -> StreamEndpoint:
    """Return a way to a port of this machine, from another one by its own account."""

    async def connect() -> trio.abc.Stream:
        stream = Elsewhere(await trio.open_tcp_stream("127.0.0.1", port))
        stream.local_address = (address, 25)
        return stream

    return StreamEndpoint(connect)


@pytest.mark.parametrize(
    ("address", "commands"),
    [
        ("::1", ["EHLO [IPv6:::1]", "AUTH PLAIN AGFubgBzZWNyZXQ="]),
        ("192.0.2.1", ["EHLO [192.0.2.1]"]),
        ("2001:db8::1", ["EHLO [IPv6:2001:db8::1]"]),
    ],
)
async def test_a_login_in_the_clear_is_for_this_machine_alone(
    address: str, commands: list[str]
) -> None:
    """No password leaves it without TLS."""
    script = Script({"EHLO": b"250-hello\r\n250 AUTH PLAIN\r\n", "AUTH": b"535 no\r\n"})
    async with running_script(script) as server:
        endpoint = endpoint_from(address, server.port)
        async with SmtpClient(Smtp("x", None, ("ann", "secret")), endpoint) as client:
            with pytest.raises(HandshakeError):
                await client.bootstrap()
    assert script.commands == commands


async def test_a_login_from_elsewhere(
    certificates: Path, client_ssl_context: ssl.SSLContext
) -> None:
    """Row S7: under TLS, from anywhere."""
    certificate = ("--certificate", str(certificates / "server.pem"))
    async with running_mail_server("--login", *certificate) as server:
        protocol = Smtp("localhost", client_ssl_context, ("ann", "gehäim"))
        async with SmtpClient(protocol, endpoint_from("192.0.2.1", server.port)) as client:
            receipt, _ = await client.deliver("ann@x", ["bob@x"], TEXT, 10)
            assert receipt.code == 250


# Servers that go away, or never were there


@pytest.mark.on_one_python
@pytest.mark.parametrize(
    ("greeting", "reason"),
    [
        (b"554 5.3.2 Go away\r\n", "554 5.3.2 Go away"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "not a reply of SMTP"),
        (b"220-" + b"x" * 3000, "max_message_size"),
        (b"220-x\r\n" * 200, "goes on"),
    ],
)
async def test_a_server_that_does_not_want_to(greeting: bytes, reason: str) -> None:
    """Row S8: nothing is said to it."""
    script = Script(greeting=greeting)
    async with running_script(script) as server:
        done = await send(server.port)
    assert failed(done, reason)
    assert script.commands == []


@pytest.mark.on_one_python
@pytest.mark.parametrize("last", ["EHLO", "RSET", "MAIL", "RCPT", "DATA", "Subject:", "."])
async def test_a_server_that_leaves_in_the_middle(last: str) -> None:
    """Row B5: a message without its end was not delivered; with it, it may have been."""
    script = Script({"DATA": b"354 go\r\n", **dict.fromkeys(("Hello", "Subject:", ""), b"")})
    script.replies[last] = None
    async with running_script(script) as server:
        done = await send(server.port)
    assert failed(done, "")
    assert ("no reply came" in done.stderr.decode()) is (last != "EHLO")


@pytest.mark.on_one_python
async def test_a_silent_server_is_not_waited_for_for_ever() -> None:
    """Row S17: and the client can tell what may have happened."""
    script = Script({"DATA": b"354 go\r\n", **dict.fromkeys(("Hello", "Subject:", "", "."), b"")})
    async with running_script(script) as server:
        done = await send(server.port, "--timeout", "0.3")
        assert failed(done, "no reply came within 0.3 seconds")
        async with SmtpClient(Smtp("127.0.0.1"), "127.0.0.1", server.port) as client:
            with pytest.raises(RequestInDoubtError):
                await client.deliver("ann@x", ["bob@x"], TEXT, 0.3)
            assert client.statistics().in_doubt + client.statistics().abandoned == 1


@pytest.mark.on_one_python
async def test_a_message_for_nobody_is_not_sent() -> None:
    """RFC 2920: to a server that goes on though it takes nobody, the empty message is sent."""
    hello = b"250-hello\r\n250 PIPELINING\r\n"
    replies = {"EHLO": hello, "RCPT": b"550 no\r\n", "DATA": b"354 go\r\n", ".": b"554 no\r\n"}
    script = Script(dict(replies))
    async with running_script(script) as server:
        assert failed(await send(server.port), "bob@example.org: 550 no")
    assert script.commands[1:] == [
        "RSET",
        "MAIL FROM:<ann@example.org>",
        "RCPT TO:<bob@example.org>",
        "DATA",
        ".",
        "QUIT",
    ]


@pytest.mark.on_one_python
async def test_nothing_listens() -> None:
    """Row P4: refused."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    await listener.aclose()
    assert failed(await send(port), "Connection refused")
