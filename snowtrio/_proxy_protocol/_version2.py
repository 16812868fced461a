"""Version 2: a binary block."""

from __future__ import annotations

import struct
from ipaddress import IPv6Address
from typing import Final

from .._errors import LocalProtocolError, RemoteProtocolError
from . import _values
from ._addresses import UNIX_SIZE, join, pack_unix, split_pair, unpack_unix
from ._checksum import crc32c
from ._header import ProxyAddress, ProxyHeader

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"

_START = struct.Struct("!12sBBH")  # signature; version and command; family and protocol; length
_COMMAND = 12  # where it stands
_LOCAL, _PROXY = 0x20, 0x21
_UNSPECIFIED: Final = 0x00
_STREAM, _DATAGRAM = 0x01, 0x02
_INET, _INET6, _UNIX = 0x10, 0x20, 0x30

_SIZES = {_INET: 12, _INET6: 36, _UNIX: 2 * UNIX_SIZE}
_KNOWN = {_UNSPECIFIED} | {family | kind for family in _SIZES for kind in (_STREAM, _DATAGRAM)}

_INET_PAIR = struct.Struct("!8B2H")
_INET6_PAIR = struct.Struct("!16s16s2H")
_PORTS = struct.Struct("!HH")
_CHECKSUM = struct.Struct("!I")


def parse(data: bytes, max_size: int) -> tuple[ProxyHeader, int] | None:
    """Return a header and how many bytes it has, None if more have to come."""
    if len(data) > _COMMAND and data[_COMMAND] not in (_LOCAL, _PROXY):
        raise RemoteProtocolError(f"a PROXY header has the unknown command {data[_COMMAND]:#04x}")
    if len(data) < _START.size:
        return None
    _, command, family, length = _START.unpack_from(data)
    size = _START.size + length
    if size > max_size:
        raise RemoteProtocolError(f"a PROXY header of {size} bytes is above {max_size} bytes")
    if command == _PROXY and family not in _KNOWN:
        raise RemoteProtocolError(f"a PROXY header is of the unknown family {family:#04x}")
    if len(data) < size:
        return None
    if command == _LOCAL:
        return ProxyHeader(version=2, local=True), size
    return _parse_block(data[:size], family), size


def _parse_block(data: bytes, family: int) -> ProxyHeader:
    start = _START.size + _SIZES.get(family & 0xF0, 0)
    if start > len(data):
        raise RemoteProtocolError("the addresses of a PROXY header are cut off")
    source, destination = _unpack_addresses(data[_START.size : start], family & 0xF0)
    datagram = family & 0x0F == _DATAGRAM
    if start == len(data):
        return ProxyHeader(source=source, destination=destination, datagram=datagram)
    values: list[tuple[int, bytes]] = []
    checked = False
    for kind, where, value in _values.split(data, start, len(data)):
        if kind != _values.CHECKSUM:
            values.append((kind, value))
            continue
        if checked:
            raise RemoteProtocolError("a PROXY header has two checksums")
        _check(data, where, value)
        checked = True
    return ProxyHeader(
        version=2,
        source=source,
        destination=destination,
        datagram=datagram,
        checksum=checked,
        **_values.read(values),
    )


def _check(data: bytes, where: int, value: bytes) -> None:
    """Raise if the checksum at an offset is wrong; it is of the header with zeros in its place."""
    blank = data[:where] + bytes(len(value)) + data[where + len(value) :]
    if value != _CHECKSUM.pack(crc32c(blank)):
        raise RemoteProtocolError("the checksum of a PROXY header is wrong")


def _unpack_addresses(
    block: bytes, family: int
) -> tuple[ProxyAddress, ProxyAddress] | tuple[None, None]:
    if family == _UNSPECIFIED:
        return None, None
    if family == _UNIX:
        return unpack_unix(block[:UNIX_SIZE]), unpack_unix(block[UNIX_SIZE:])
    if family == _INET:
        # Most are of these, and an object for each address would be the dearest part of a header.
        a, b, c, d, e, f, g, h, source_port, destination_port = _INET_PAIR.unpack(block)
        return (f"{a}.{b}.{c}.{d}", source_port), (f"{e}.{f}.{g}.{h}", destination_port)
    first, second, source_port, destination_port = _INET6_PAIR.unpack(block)
    return join(IPv6Address(first), source_port), join(IPv6Address(second), destination_port)


def encode(header: ProxyHeader) -> bytes:
    """Return the block.

    Raises:
        LocalProtocolError: something cannot be said in one.
    """
    if header.local:
        return _START.pack(SIGNATURE, _LOCAL, _UNSPECIFIED, 0)
    family, addresses = _pack_addresses(header.source, header.destination)
    if family:
        family |= _DATAGRAM if header.datagram else _STREAM
    block = addresses + _values.write(header)
    checksum = b"\x03\x00\x04" if header.checksum else b""
    size = len(block) + len(checksum) + (_CHECKSUM.size if checksum else 0)
    if size > 0xFFFF:
        raise LocalProtocolError(f"a PROXY header cannot have {size} bytes")
    data = _START.pack(SIGNATURE, _PROXY, family, size) + block + checksum
    if not checksum:
        return data
    return data + _CHECKSUM.pack(crc32c(data + bytes(_CHECKSUM.size)))


def _pack_addresses(
    source: ProxyAddress | None, destination: ProxyAddress | None
) -> tuple[int, bytes]:
    """Return the family and the addresses; nothing where there is no way to say both."""
    if isinstance(source, str) and isinstance(destination, str):
        return _UNIX, pack_unix(source) + pack_unix(destination)
    pair = split_pair(source, destination)
    if pair is None:
        return _UNSPECIFIED, b""
    (first, first_port), (second, second_port) = pair
    family = _INET if first.version == 4 else _INET6
    return family, first.packed + second.packed + _PORTS.pack(first_port, second_port)
