"""``examples/dns_server.py``, asked by ``dig``, by dnspython, and by those who ask nonsense."""

from __future__ import annotations

import random
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from .examples import (
    EXAMPLES,
    SharedExample,
    needs_program,
    run_program,
    running_example,
    shared_example,
)

dns_message = pytest.importorskip("dns.message")
dns_query = pytest.importorskip("dns.query")

MASTER_FILE = """\
$ORIGIN example.org.
$TTL 3600
@        IN SOA   ns.example.org. host\\.master.example.org. 7 7200 900 1209600 300
         IN NS    ns
         IN NS    ns.elsewhere.test.
         IN MX    10 mail
         IN MX    20 mail.elsewhere.test.
         IN TXT   "v=spf1 -all" "second string"
ns       IN A     192.0.2.53
         IN AAAA  2001:db8::53
www  60  IN A     192.0.2.80
         IN A     192.0.2.81
mail     IN A     192.0.2.25
alias    IN CNAME www
away     IN CNAME www.elsewhere.test.
gone     IN CNAME no.example.org.
ping     IN CNAME pong
pong     IN CNAME ping
a.deep   IN A     192.0.2.1
*.wild   IN TXT   "wild"
here.wild IN A    192.0.2.2
sub      IN NS    ns.sub
         IN DS    1 8 2 0000000000000000000000000000000000000000000000000000000000000000
ns.sub   IN A     192.0.2.99
bare     IN NS    ns.sub
signed   IN MX    10 signed
         IN A     192.0.2.7
         IN RRSIG A 8 3 3600 20300101000000 20200101000000 1 example.org. AAAA
         IN RRSIG MX 8 3 3600 20300101000000 20200101000000 1 example.org. AAAA
_sip._tcp IN SRV  1 2 5060 www
""" + "".join(f'big IN TXT "{number:03} {"x" * 90}"\n' for number in range(30))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedExample]:
    path = tmp_path_factory.mktemp("zone") / "example.org.zone"
    path.write_text(MASTER_FILE)
    with shared_example("dns_server", "--zone", str(path)) as example:
        yield example
        assert example.read_errors() == ""


class Reply:
    """What ``dig`` shows of a response."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.status = text.partition("status: ")[2].partition(",")[0]
        self.flags = set(text.partition("flags: ")[2].partition(";")[0].split())
        self.sections: dict[str, list[str]] = {"ANSWER": [], "AUTHORITY": [], "ADDITIONAL": []}
        section = ""
        for line in text.splitlines():
            if line.startswith(";; ") and "SECTION" in line:
                section = line.split()[1]
            elif line and not line.startswith(";") and section in self.sections:
                self.sections[section].append(" ".join(line.split()))

    @property
    def answer(self) -> list[str]:
        return sorted(self.sections["ANSWER"])


async def dig(server: SharedExample, *question: str) -> Reply:
    """Ask, over UDP and without coming back over TCP unless the question says so."""
    done = await run_program(
        *("dig", "@127.0.0.1", "-p", str(server.port), "+time=5", "+tries=1", "+norec"),
        *("+ignore", *question),
    )
    assert done.returncode == 0, done.stdout.decode()
    return Reply(done.stdout.decode())


SOA = "example.org. 300 IN SOA ns.example.org. host\\.master.example.org. 7 7200 900 1209600 300"

ANSWERS = {
    "A": ("www.example.org A", [f"www.example.org. 60 IN A 192.0.2.{last}" for last in (80, 81)]),
    "in any case": ("WWW.Example.ORG A", ["WWW.Example.ORG. 60 IN A 192.0.2.80"]),
    "AAAA": ("ns.example.org AAAA", ["ns.example.org. 3600 IN AAAA 2001:db8::53"]),
    "MX": ("example.org MX", [
        "example.org. 3600 IN MX 10 mail.example.org.",
        "example.org. 3600 IN MX 20 mail.elsewhere.test.",
    ]),
    "TXT": ("example.org TXT", ['example.org. 3600 IN TXT "v=spf1 -all" "second string"']),
    "NS": ("example.org NS", [
        "example.org. 3600 IN NS ns.elsewhere.test.",
        "example.org. 3600 IN NS ns.example.org.",
    ]),
    "SOA": ("example.org SOA", [SOA.replace(" 300 IN", " 3600 IN")]),
    "SRV": ("_sip._tcp.example.org SRV", [
        "_sip._tcp.example.org. 3600 IN SRV 1 2 5060 www.example.org.",
    ]),
    "alias": ("alias.example.org A", [
        "alias.example.org. 3600 IN CNAME www.example.org.",
        "www.example.org. 60 IN A 192.0.2.80",
        "www.example.org. 60 IN A 192.0.2.81",
    ]),
    "the alias itself": ("alias.example.org CNAME", [
        "alias.example.org. 3600 IN CNAME www.example.org.",
    ]),
    "alias of another zone": ("away.example.org A", [
        "away.example.org. 3600 IN CNAME www.elsewhere.test.",
    ]),
    "alias of itself": ("ping.example.org A", [
        "ping.example.org. 3600 IN CNAME pong.example.org.",
        "pong.example.org. 3600 IN CNAME ping.example.org.",
    ]),
    "wildcard": ("any.wild.example.org TXT", ['any.wild.example.org. 3600 IN TXT "wild"']),
    "wildcard, deep": ("a.b.wild.example.org TXT", ['a.b.wild.example.org. 3600 IN TXT "wild"']),
}  # fmt: skip


@needs_program("dig")
@pytest.mark.parametrize("case", ANSWERS)
async def test_dig_gets_the_records(server: SharedExample, case: str) -> None:
    """Row P2: over UDP, and the same over TCP."""
    question, expected = ANSWERS[case]
    for way in ("+notcp", "+tcp"):
        reply = await dig(server, way, *question.split())
        assert reply.status == "NOERROR"
        assert reply.flags == {"qr", "aa"}
        if case == "in any case":
            assert [line.lower() for line in reply.answer] == [
                f"www.example.org. 60 in a 192.0.2.{last}" for last in (80, 81)
            ]
        else:
            assert reply.answer == expected


NOTHING = {
    "no such name": ("no.example.org A", "NXDOMAIN"),
    "no such type": ("www.example.org AAAA", "NOERROR"),
    "only names below it": ("deep.example.org A", "NOERROR"),
    "no wildcard beside a name": ("x.here.wild.example.org TXT", "NXDOMAIN"),
    "a wildcard without that type": ("any.wild.example.org A", "NOERROR"),
    "no wildcard for a name that is there": ("here.wild.example.org TXT", "NOERROR"),
}


@needs_program("dig")
@pytest.mark.parametrize("case", NOTHING)
async def test_dig_is_told_that_there_is_nothing(server: SharedExample, case: str) -> None:
    """Row P2: with the zone's SOA, so that it can be remembered."""
    question, status = NOTHING[case]
    reply = await dig(server, *question.split())
    assert (reply.status, reply.answer) == (status, [])
    assert reply.sections["AUTHORITY"] == [SOA]
    assert "aa" in reply.flags


@needs_program("dig")
async def test_an_alias_of_nothing(server: SharedExample) -> None:
    """Row P2."""
    reply = await dig(server, "gone.example.org", "A")
    assert reply.status == "NXDOMAIN"
    assert reply.answer == ["gone.example.org. 3600 IN CNAME no.example.org."]
    assert reply.sections["AUTHORITY"] == [SOA]


@needs_program("dig")
async def test_a_zone_below_is_referred_to(server: SharedExample) -> None:
    """Row P2: its name servers, with their addresses, and not as our own word."""
    for name in ("sub.example.org", "www.sub.example.org", "ns.sub.example.org"):
        reply = await dig(server, name, "A")
        assert (reply.status, reply.answer) == ("NOERROR", [])
        assert "aa" not in reply.flags
        assert reply.sections["AUTHORITY"] == ["sub.example.org. 3600 IN NS ns.sub.example.org."]
        assert reply.sections["ADDITIONAL"] == ["ns.sub.example.org. 3600 IN A 192.0.2.99"]


@needs_program("dig")
async def test_what_secures_a_zone_below_its_parent_says(server: SharedExample) -> None:
    """Row P2: its records, or with authority that there are none (RFC 4035, section 3.1.4.1)."""
    reply = await dig(server, "sub.example.org", "DS")
    assert (len(reply.answer), "aa" in reply.flags) == (1, True)
    reply = await dig(server, "bare.example.org", "DS")
    assert (reply.answer, reply.sections["AUTHORITY"]) == ([], [SOA])
    assert "aa" in reply.flags
    reply = await dig(server, "a.bare.example.org", "DS")
    assert reply.sections["AUTHORITY"] == ["bare.example.org. 3600 IN NS ns.sub.example.org."]


@needs_program("dig")
async def test_signatures_are_records_like_others(server: SharedExample) -> None:
    """Row P2: there is one of each type that a name has."""
    reply = await dig(server, "signed.example.org", "RRSIG")
    assert sorted(line.split()[4] for line in reply.answer) == ["A", "MX"]
    reply = await dig(server, "+tcp", "signed.example.org", "ANY")
    assert len(reply.answer) == 4
    assert reply.sections["ADDITIONAL"] == []  # What is in the answer is not said again.


@needs_program("dig")
@pytest.mark.parametrize("option", ["+dnssec", "+nodnssec"])
async def test_the_bit_of_dnssec_is_copied(server: SharedExample, option: str) -> None:
    """Row P2: RFC 3225, section 3."""
    reply = await dig(server, option, "+edns", "www.example.org", "A")
    flags = reply.text.partition("EDNS: version: 0, flags:")[2].partition(";")[0]
    assert flags.strip() == ("do" if option == "+dnssec" else "")


@needs_program("dig")
async def test_padding_is_not_given(server: SharedExample) -> None:
    """Row P2: whoever wants more sent to another's address does not get it so."""
    reply = await dig(server, "+ednsopt=12", "mail.example.org", "A")
    assert len(reply.answer) == 1
    assert int(reply.text.rpartition("rcvd: ")[2].split()[0]) < 100


@needs_program("dig")
async def test_addresses_of_hosts_come_along(server: SharedExample) -> None:
    """Row P2."""
    reply = await dig(server, "example.org", "MX")
    assert reply.sections["ADDITIONAL"] == ["mail.example.org. 3600 IN A 192.0.2.25"]


@needs_program("dig")
@pytest.mark.parametrize(
    ("question", "status"),
    [
        ("www.elsewhere.test A", "REFUSED"),
        ("org A", "REFUSED"),
        ("www.example.org CH A", "REFUSED"),
        ("+opcode=notify example.org SOA", "NOTIMP"),
        ("+edns=1 +noednsnegotiation www.example.org A", "BADVERS"),
        ("+header-only", "FORMERR"),
    ],
)
async def test_what_is_refused(server: SharedExample, question: str, status: str) -> None:
    """Row P2."""
    reply = await dig(server, *question.split())
    assert (reply.status, reply.answer) == (status, [])


@needs_program("dig")
async def test_a_transfer_is_refused(server: SharedExample) -> None:
    """Row P2."""
    done = await run_program(
        "dig", "@127.0.0.1", "-p", str(server.port), "+tries=1", "example.org", "AXFR"
    )
    assert b"Transfer failed" in done.stdout


@needs_program("dig")
async def test_what_does_not_fit_is_asked_for_over_tcp(server: SharedExample) -> None:
    """Row P2: by the client's size or ours; ``dig`` comes back over TCP by itself."""
    question = ("big.example.org", "TXT")
    for size in ("+noedns", "+bufsize=1000", "+bufsize=65535"):
        reply = await dig(server, size, *question)
        assert "tc" in reply.flags
        assert len(reply.answer) < 30
        received = int(reply.text.rpartition("rcvd: ")[2].split()[0])
        assert received <= {"+noedns": 512, "+bufsize=1000": 1000, "+bufsize=65535": 1232}[size]
    whole = await dig(server, "+noignore", *question)
    assert "(TCP)" in whole.text
    assert len(whole.answer) == 30
    assert "tc" not in whole.flags


@needs_program("dig")
async def test_everything_goes_over_tcp_alone(server: SharedExample) -> None:
    """Row P2: a large answer to a small question is what attackers look for."""
    reply = await dig(server, "+notcp", "ns.example.org", "ANY")
    assert reply.answer == []
    assert "tc" in reply.flags
    reply = await dig(server, "+tcp", "ns.example.org", "ANY")
    assert len(reply.answer) == 2


def exchange(server: SharedExample, data: bytes) -> bytes | None:
    """Send one datagram, and return what comes before the answer to a good query behind it."""
    query = dns_message.make_query("mail.example.org", "A", id=4711).to_wire()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.connect(("127.0.0.1", server.port))
        sock.send(data)
        sock.send(query)
        first = sock.recv(65535)
        if first[:2] == query[:2]:
            return None
        assert sock.recv(65535)[:2] == query[:2]
        return first


def test_junk_gets_a_format_error_or_nothing(server: SharedExample) -> None:
    """Row P2: nothing where there is no number to answer with, or where it is an answer itself."""
    assert exchange(server, b"") is None
    assert exchange(server, b"\x00" * 11) is None
    response = dns_message.make_response(dns_message.make_query("example.org", "A", id=1))
    assert exchange(server, response.to_wire()) is None
    query = dns_message.make_query("www.example.org", "A", id=0x1234).to_wire()
    for data in (query[:-1], query + b"x", query[:12] + b"\xc0\x0c\x00\x01\x00\x01"):
        reply = exchange(server, data)
        assert reply is not None
        assert reply[:2] == b"\x12\x34"
        assert reply[2] & 0x80
        assert reply[3] & 0x0F == 1  # FORMERR


def test_random_changes_of_a_query_kill_nothing(server: SharedExample) -> None:
    """Row P2."""
    choose = random.Random(5)
    query = dns_message.make_query("www.example.org", "A", id=1, use_edns=0).to_wire()
    for _ in range(300):
        data = bytearray(query)
        for _ in range(choose.randrange(1, 6)):
            data[choose.randrange(2, len(data))] = choose.randrange(256)
        exchange(server, bytes(data[: choose.randrange(12, len(data) + 1)]))


def test_many_queries_on_one_tcp_connection(server: SharedExample) -> None:
    """Row P2: in one write, byte by byte; each gets its answer."""
    queries = [
        dns_message.make_query("www.example.org", "A", id=number).to_wire() for number in range(9)
    ]
    data = b"".join(len(query).to_bytes(2, "big") + query for query in queries)
    for pieces in ([data], [data[each : each + 1] for each in range(len(data))]):
        with socket.create_connection(("127.0.0.1", server.port)) as sock:
            sock.settimeout(10)
            for piece in pieces:
                sock.sendall(piece)
            for number in range(9):
                assert int(dns_query.receive_tcp(sock)[0].id) == number


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_ends_well(tmp_path: Path, number: signal.Signals) -> None:
    """Row P2: without a name in the file it is given on the command line."""
    path = tmp_path / "zone"
    path.write_text(MASTER_FILE.replace("$ORIGIN example.org.\n", ""))
    async with running_example("dns_server", "--zone", str(path), "--origin", "a.test") as example:
        with trio.socket.socket(type=socket.SOCK_DGRAM) as sock:
            query = dns_message.make_query("www.a.test", "A").to_wire()
            await sock.sendto(query, ("127.0.0.1", example.port))
            with trio.fail_after(10):
                response = dns_message.from_wire(await sock.recv(1000))
            assert len(response.answer) == 1
        await example.stop(number)
        assert example.read_errors() == ""


async def test_a_file_that_is_no_zone_is_one_line(tmp_path: Path) -> None:
    """Row P2."""
    path = tmp_path / "zone"
    for text in (None, "$ORIGIN example.org.\n@ IN A not-an-address\n", "@ IN A 192.0.2.1\n"):
        if text is not None:
            path.write_text(text)
        done = await run_program(
            sys.executable, str(EXAMPLES / "dns_server.py"), "--port", "0", "--zone", str(path)
        )
        assert done.returncode == 1
        assert done.stderr.decode().startswith(f"dns_server: {path}: ")
        assert len(done.stderr.splitlines()) == 1
