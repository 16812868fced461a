"""Headers of the PROXY protocol: what is said comes through, and nothing else is taken for one."""

from __future__ import annotations

import struct
from ipaddress import IPv6Address
from typing import Any, Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from snowtrio import (
    LocalProtocolError,
    ProxyHeader,
    ProxyTLS,
    RemoteProtocolError,
    encode_proxy_header,
    parse_proxy_header,
)

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
INET = bytes([192, 0, 2, 1, 198, 51, 100, 2]) + struct.pack("!HH", 40000, 443)


def version_2(family: int, rest: bytes, *, command: int = 0x21) -> bytes:
    return SIGNATURE + bytes([command, family]) + struct.pack("!H", len(rest)) + rest


def value(kind: int, content: bytes) -> bytes:
    return struct.pack("!BH", kind, len(content)) + content


def read_in_steps(data: bytes) -> tuple[ProxyHeader, int]:
    """Parse byte by byte; nothing may come of it before the last byte is there."""
    for size in range(len(data)):
        assert parse_proxy_header(data[:size]) is None, size
    read = parse_proxy_header(data)
    assert read is not None
    return read


# What others send

KNOWN: list[tuple[bytes, ProxyHeader]] = [
    (
        b"PROXY TCP4 192.0.2.1 198.51.100.2 40000 443\r\n",
        ProxyHeader(version=1, source=("192.0.2.1", 40000), destination=("198.51.100.2", 443)),
    ),
    (
        b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
        ProxyHeader(
            version=1, source=("255.255.255.255", 65535), destination=("255.255.255.255", 65535)
        ),
    ),
    (
        b"PROXY TCP6 2001:DB8::1 ::1 0 1\r\n",
        ProxyHeader(version=1, source=("2001:db8::1", 0, 0, 0), destination=("::1", 1, 0, 0)),
    ),
    (
        b"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:102:304 1 2\r\n",
        ProxyHeader(
            version=1, source=("::ffff:192.0.2.1", 1, 0, 0), destination=("::ffff:1.2.3.4", 2, 0, 0)
        ),
    ),
    (b"PROXY UNKNOWN\r\n", ProxyHeader(version=1)),
    (b"PROXY UNKNOWN \r\n", ProxyHeader(version=1)),
    (b"PROXY UNKNOWN \xff anything   at all\0\r\n", ProxyHeader(version=1)),
    (
        b"PROXY UNKNOWN " + b" ".join([b"ffff:" * 7 + b"ffff"] * 2 + [b"65535"] * 2) + b"\r\n",
        ProxyHeader(version=1),
    ),
    (
        version_2(0x11, INET),
        ProxyHeader(source=("192.0.2.1", 40000), destination=("198.51.100.2", 443)),
    ),
    (
        version_2(0x12, INET),
        ProxyHeader(source=("192.0.2.1", 40000), destination=("198.51.100.2", 443), datagram=True),
    ),
    (
        version_2(0x21, bytes(15) + b"\1" + bytes(15) + b"\2" + b"\0\1\0\2"),
        ProxyHeader(source=("::1", 1, 0, 0), destination=("::2", 2, 0, 0)),
    ),
    (
        version_2(0x31, b"/tmp/a".ljust(108, b"\0") + b"\0abstract".ljust(108, b"\0")),
        ProxyHeader(source="/tmp/a", destination="\0abstract"),
    ),
    (version_2(0x00, b""), ProxyHeader()),
    (version_2(0x00, value(0x05, b"id")), ProxyHeader(unique_id=b"id")),
    (version_2(0x00, b"", command=0x20), ProxyHeader(local=True)),
    # A load balancer's health checks: addresses, values that are none, and an unknown family.
    (version_2(0x11, INET, command=0x20), ProxyHeader(local=True)),
    (version_2(0xF7, b"\1\2\3", command=0x20), ProxyHeader(local=True)),
    (
        version_2(0x11, INET + value(0x04, b"") + value(0x04, b"\0\0") + value(0xEA, b"\1vpce")),
        ProxyHeader(
            source=("192.0.2.1", 40000),
            destination=("198.51.100.2", 443),
            others=((0xEA, b"\1vpce"),),
        ),
    ),
]


@pytest.mark.parametrize(("data", "header"), KNOWN)
def test_headers_as_others_send_them(data: bytes, header: ProxyHeader) -> None:
    """W33: whole, byte by byte, and with what comes behind it left alone."""
    assert read_in_steps(data) == (header, len(data))
    for behind in (b"\r\n", b"PROXY UNKNOWN\r\n", bytes(range(256))):
        assert parse_proxy_header(data + behind) == (header, len(data))


# What is no header

WRONG_LINES = [
    b"PROXY\r\n",
    b"PROXY \r\n",
    b"PROXY  TCP4 1.2.3.4 1.2.3.4 1 1\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1 \r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1 1\r\n",
    b"PROXY TCP4  1.2.3.4 1.2.3.4 1 1\r\n",
    b"PROXY\tTCP4 1.2.3.4 1.2.3.4 1 1\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1\r",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1\n\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1\r\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1 01\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1 -1\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1 +1\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1_0\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1 \r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 65536 1\r\n",
    b"PROXY TCP4 1.2.3.04 1.2.3.4 1 1\r\n",
    b"PROXY TCP4 1.2.3 1.2.3.4 1 1\r\n",
    b"PROXY TCP4 1.2.3.256 1.2.3.4 1 1\r\n",
    b"PROXY TCP4 ::1 ::1 1 1\r\n",
    b"PROXY TCP6 1.2.3.4 1.2.3.4 1 1\r\n",
    b"PROXY TCP6 ::1 :: 1 : 1\r\n",
    b"PROXY TCP6 fe80::1%eth0 ::1 1 1\r\n",
    b"PROXY TCP6 1::2::3 ::1 1 1\r\n",
    b"PROXY tcp4 1.2.3.4 1.2.3.4 1 1\r\n",
    b"PROXY UDP4 1.2.3.4 1.2.3.4 1 1\r\n",
    b"PROXY UNKNOWNS\r\n",
    b"PROXY unknown\r\n",
    "PROXY TCP4 1.2.3.4 1.2.3.4 1 \N{ARABIC-INDIC DIGIT ONE}\r\n".encode(),
    b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n",
]


@pytest.mark.parametrize("line", WRONG_LINES)
def test_lines_that_are_nearly_one(line: bytes) -> None:
    """W33: at the latest when the end is there; more bytes make it no better."""
    with pytest.raises(RemoteProtocolError):
        parse_proxy_header(line + b"x")
    with pytest.raises(RemoteProtocolError):
        parse_proxy_header(line + b"GET / HTTP/1.1\r\n")


def test_a_line_without_an_end_is_not_waited_for() -> None:
    """W33: 107 bytes are all that it may have."""
    assert parse_proxy_header(b"PROXY " + b"x" * 100) is None
    with pytest.raises(RemoteProtocolError, match="longer than 107"):
        parse_proxy_header(b"PROXY " + b"x" * 101)
    # One byte more than the longest, though it has an end.
    assert parse_proxy_header(b"PROXY UNKNOWN " + b"x" * 91 + b"\r\n") is not None
    with pytest.raises(RemoteProtocolError, match="longer than 107"):
        parse_proxy_header(b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n")


WRONG_BLOCKS: dict[str, bytes] = {
    "version 1": version_2(0x11, INET, command=0x11),
    "version 3": version_2(0x11, INET, command=0x31),
    "command 2": version_2(0x11, INET, command=0x22),
    "family 4": version_2(0x41, INET),
    "protocol 3": version_2(0x13, INET),
    "a family without a protocol": version_2(0x10, INET),
    "a protocol without a family": version_2(0x01, INET),
    "addresses cut off": version_2(0x11, INET[:-1]),
    "no addresses": version_2(0x21, b""),
    "addresses of the other family": version_2(0x21, INET),
    "half a value": version_2(0x11, INET + b"\1\0"),
    "a value that is longer than the header": version_2(0x11, INET + b"\1\0\3ab"),
    "a value behind a value, cut off": version_2(0x11, INET + value(1, b"h2") + b"\2"),
    "two of a kind": version_2(0x11, INET + value(2, b"a") + value(2, b"b")),
    "two of TLS": version_2(0x11, INET + value(0x20, bytes(5)) * 2),
    "TLS cut off": version_2(0x11, INET + value(0x20, bytes(4))),
    "a value in TLS cut off": version_2(0x11, INET + value(0x20, bytes(5) + b"\x21\0\1")),
    "two of a kind in TLS": version_2(0x11, INET + value(0x20, bytes(5) + value(0x21, b"a") * 2)),
    "no text": version_2(0x11, INET + value(2, b"\xff")),
    "no ASCII": version_2(0x11, INET + value(0x30, "ä".encode())),
    "a unique id that is too long": version_2(0x11, INET + value(5, bytes(129))),
    "a checksum that is wrong": version_2(0x11, INET + value(3, b"\0\0\0\0")),
    "a checksum that is too short": version_2(0x11, INET + value(3, b"\0\0\0")),
    "a checksum that is too long": version_2(0x11, INET + value(3, b"\0\0\0\0\0")),
    "a family that is none, with what is no value": version_2(0x00, b"\1"),
}


@pytest.mark.parametrize("block", WRONG_BLOCKS.values(), ids=WRONG_BLOCKS.keys())
def test_blocks_that_are_nearly_one(block: bytes) -> None:
    """W33."""
    with pytest.raises(RemoteProtocolError):
        parse_proxy_header(block)


@pytest.mark.parametrize("name", ["version 1", "version 3", "command 2"])
def test_a_command_that_is_unknown_is_known_at_once(name: str) -> None:
    """W33: the rest may never come."""
    with pytest.raises(RemoteProtocolError, match="command"):
        parse_proxy_header(WRONG_BLOCKS[name][:13])


def test_a_block_that_is_too_long_is_not_waited_for() -> None:
    """W33: its size is known from its first 16 bytes."""
    block = version_2(0x11, INET + value(0x04, bytes(4000)))
    assert parse_proxy_header(block, max_size=len(block)) is not None
    with pytest.raises(RemoteProtocolError, match="above"):
        parse_proxy_header(block[:16], max_size=len(block) - 1)
    with pytest.raises(RemoteProtocolError, match="above 4096"):
        parse_proxy_header(SIGNATURE + b"\x21\x11\xff\xff")
    longest = version_2(0x11, (INET + value(0x04, bytes(0xFFFF - 15))))
    assert parse_proxy_header(longest, max_size=16 + 0xFFFF) is not None


@pytest.mark.parametrize(
    "begin",
    [b"G", b"\x16\x03\x01", b"PROPFIND", b"PRO\r", b"\r\n\r\n\r", b"\r\n\r\n\0\r\nQUIT\r", b"\0"],
)
def test_what_begins_as_no_header_does_is_known_at_its_first_wrong_byte(begin: bytes) -> None:
    """W33."""
    with pytest.raises(RemoteProtocolError, match="there is no"):
        parse_proxy_header(begin)


def test_every_byte_of_a_checked_header_counts() -> None:
    """W33: a bit that changes anywhere is an error, or a header that is not complete."""
    data = encode_proxy_header(
        ProxyHeader(
            source=("192.0.2.1", 1), destination=("192.0.2.2", 2), unique_id=b"x", checksum=True
        )
    )
    for place in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[place] ^= 1 << bit
            try:
                read = parse_proxy_header(bytes(changed))
            except RemoteProtocolError:
                continue
            # Cleared, the bit of the command makes it a LOCAL one, in which nothing is looked at; a
            # checksum that became another value is one that is not there.
            assert read is None or read[0].local or not read[0].checksum


# There and back

ports = st.integers(0, 65535)
addresses_4 = st.builds(lambda host, port: (str(host), port), st.ip_addresses(v=4), ports)
hosts_6 = st.integers(2**64, 2**128 - 1).map(IPv6Address)  # none that stands for one of IPv4
addresses_6 = st.builds(lambda host, port: (str(host), port, 0, 0), hosts_6, ports)
paths = st.text(st.characters(min_codepoint=1, max_codepoint=0x7E), max_size=108)
pairs = st.one_of(
    st.just((None, None)),
    st.tuples(addresses_4, addresses_4),
    st.tuples(addresses_6, addresses_6),
    st.tuples(paths, paths),
)
ascii_text = st.text(st.characters(max_codepoint=0x7E), max_size=20)
own = {0x01, 0x02, 0x03, 0x04, 0x05, 0x20, 0x30}
others = st.lists(
    st.tuples(st.integers(0, 255).filter(lambda kind: kind not in own), st.binary(max_size=20)),
    max_size=3,
).map(tuple)
inner_others = st.lists(st.tuples(st.integers(0x26, 0xFF), st.binary(max_size=20)), max_size=2).map(
    tuple
)


def maybe(strategy: Any) -> Any:
    return st.none() | strategy


tls = st.builds(
    ProxyTLS,
    used=st.booleans(),
    certificate_now=st.booleans(),
    certificate_before=st.booleans(),
    verify=st.integers(0, 2**32 - 1),
    version=maybe(ascii_text),
    common_name=maybe(st.text(max_size=20)),
    cipher=maybe(ascii_text),
    signature_algorithm=maybe(ascii_text),
    key_algorithm=maybe(ascii_text),
    others=inner_others,
)


@st.composite
def headers(draw: st.DrawFn) -> ProxyHeader:
    source, destination = draw(pairs)
    return ProxyHeader(
        source=source,
        destination=destination,
        datagram=source is not None and draw(st.booleans()),
        alpn=draw(maybe(st.binary(max_size=20))),
        authority=draw(maybe(st.text(max_size=20))),
        unique_id=draw(maybe(st.binary(max_size=128))),
        tls=draw(maybe(tls)),
        network_namespace=draw(maybe(ascii_text)),
        others=draw(others),
        checksum=draw(st.booleans()),
    )


@given(headers(), st.binary(max_size=40))
def test_what_is_said_in_version_2_comes_through(header: ProxyHeader, behind: bytes) -> None:
    """W33: byte by byte, and with bytes behind it."""
    data = encode_proxy_header(header)
    assert read_in_steps(data) == (header, len(data))
    assert parse_proxy_header(data + behind) == (header, len(data))


@given(st.one_of(st.tuples(addresses_4, addresses_4), st.tuples(addresses_6, addresses_6)))
def test_what_is_said_in_version_1_comes_through(pair: Any) -> None:
    """W33."""
    header = ProxyHeader(version=1, source=pair[0], destination=pair[1])
    data = encode_proxy_header(header)
    assert len(data) <= 107
    assert read_in_steps(data) == (header, len(data))


@given(st.binary(max_size=80), st.sampled_from([b"", b"PROXY", b"PROXY TCP4 ", SIGNATURE]))
@example(b"\x21\x11\0\x0c" + INET, SIGNATURE)
def test_anything_is_a_header_or_an_error_or_not_complete(data: bytes, begin: bytes) -> None:
    """W33: no byte of what comes behind is taken, and an answer that was given stays the same."""
    told: Any = None
    for size in range(len(begin + data) + 1):
        try:
            now: Any = parse_proxy_header((begin + data)[:size])
        except RemoteProtocolError:
            now = "error"
        assert told is None or now == told
        told = now
    if isinstance(told, tuple):
        assert told[1] <= len(begin + data)


@given(headers(), st.data())
def test_a_changed_header_is_no_crash(header: ProxyHeader, data: st.DataObject) -> None:
    """W33: one byte is another one, or is missing."""
    changed = bytearray(encode_proxy_header(header))
    place = data.draw(st.integers(0, len(changed) - 1))
    if data.draw(st.booleans()):
        changed[place] = data.draw(st.integers(0, 255))
    else:
        del changed[place]
    try:
        read = parse_proxy_header(bytes(changed))
    except RemoteProtocolError:
        return
    assert read is None or read[1] <= len(changed)


# What is sent


def test_addresses_of_two_families_are_sent_as_one() -> None:
    """W33: as HAProxy does."""
    mixed: Any = {"source": ("192.0.2.1", 1), "destination": ("2001:db8::1%eth0", 2, 0, 3)}
    expected = (("::ffff:192.0.2.1", 1, 0, 0), ("2001:db8::1", 2, 0, 0))
    versions: tuple[Literal[1, 2], ...] = (1, 2)
    for version in versions:
        read = parse_proxy_header(encode_proxy_header(ProxyHeader(version=version, **mixed)))
        assert read is not None
        assert (read[0].source, read[0].destination) == expected


@pytest.mark.parametrize(
    "header",
    [
        ProxyHeader(version=1),
        ProxyHeader(version=1, source="/a", destination="/b"),
        ProxyHeader(version=1, source=("192.0.2.1", 1)),
        ProxyHeader(version=1, local=True, source=("192.0.2.1", 1), destination=("192.0.2.1", 1)),
    ],
)
def test_what_version_1_cannot_say_is_unknown(header: ProxyHeader) -> None:
    """W33."""
    assert encode_proxy_header(header) == b"PROXY UNKNOWN\r\n"


def test_what_version_2_cannot_say_is_left_out() -> None:
    """W33: an address and a path, and a proxy that speaks for itself."""
    header = ProxyHeader(source=("192.0.2.1", 1), destination="/b", unique_id=b"x")
    assert parse_proxy_header(encode_proxy_header(header)) == (ProxyHeader(unique_id=b"x"), 20)
    alone = ProxyHeader(local=True, unique_id=b"x", checksum=True)
    assert parse_proxy_header(encode_proxy_header(alone)) == (ProxyHeader(local=True), 16)


INTERNET: dict[str, Any] = {"source": ("192.0.2.1", 1), "destination": ("192.0.2.2", 2)}


@pytest.mark.parametrize(
    "wrong",
    [
        {"source": ("localhost", 1), "destination": ("192.0.2.2", 2)},
        {"source": ("192.0.2.1", 65536), "destination": ("192.0.2.2", 2)},
        {"source": "/" * 109, "destination": ""},
        {**INTERNET, "unique_id": bytes(129)},
        {**INTERNET, "network_namespace": "ä"},
        {**INTERNET, "others": ((0x05, b"x"),)},
        {**INTERNET, "others": ((0x03, b"1234"),)},
        {**INTERNET, "others": ((256, b""),)},
        {**INTERNET, "others": ((0xE0, bytes(65536)),)},
        {**INTERNET, "others": ((0xE0, bytes(65535)),)},
        {**INTERNET, "tls": ProxyTLS(others=((0x21, b"x"),))},
    ],
)
def test_what_cannot_be_said_is_the_senders_error(wrong: dict[str, Any]) -> None:
    """W33."""
    with pytest.raises(LocalProtocolError):
        encode_proxy_header(ProxyHeader(**wrong))


def test_the_longest_path_fills_its_place() -> None:
    """W33: with nothing behind it that would end it."""
    header = ProxyHeader(source="/" + "a" * 107, destination="\0" + "b" * 107)
    assert parse_proxy_header(encode_proxy_header(header)) == (header, 232)


def test_a_certificate_is_verified_only_where_there_is_one() -> None:
    """W33: without a certificate nothing was found wrong with it either."""
    assert ProxyTLS(certificate_now=True).verified
    assert ProxyTLS(certificate_before=True).verified
    assert not ProxyTLS().verified
    assert not ProxyTLS(certificate_now=True, verify=18).verified


@pytest.mark.parametrize(
    ("host", "name"),
    [
        (b"0:0:0:0:0:0:0:1", "::1"),
        (b"2001:DB8:0:0::1", "2001:db8::1"),
        (b"::FFFF:c000:201", "::ffff:192.0.2.1"),
    ],
)
def test_addresses_are_written_as_sockets_have_them(host: bytes, name: str) -> None:
    """W33: one peer has one name, whatever its proxy calls it."""
    read = parse_proxy_header(b"PROXY TCP6 %b %b 1 2\r\n" % (host, host))
    assert read is not None
    assert read[0].source == (name, 1, 0, 0)
