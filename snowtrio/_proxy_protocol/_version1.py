"""Version 1: one line of text."""

from __future__ import annotations

from .._errors import RemoteProtocolError
from ._addresses import parse_text, split_pair
from ._header import ProxyHeader

SIGNATURE = b"PROXY"
MAX_LINE = 107
"""Bytes of the longest line, its end included."""

_END = b"\r\n"


def parse(data: bytes) -> tuple[ProxyHeader, int] | None:
    """Return a header and how many bytes it has, None if more have to come."""
    line, end, _ = data[:MAX_LINE].partition(_END)
    # The last byte may be half of the end.
    if b"\n" in line or b"\r" in (line if end else line[:-1]):
        raise RemoteProtocolError("a PROXY line does not end with CRLF")
    if not end:
        if len(data) >= MAX_LINE:
            raise RemoteProtocolError(f"a PROXY line is longer than {MAX_LINE} bytes")
        return None
    return _parse_line(line), len(line) + len(_END)


def _parse_line(line: bytes) -> ProxyHeader:
    # What stands behind UNKNOWN may be anything.
    if line == b"PROXY UNKNOWN" or line.startswith(b"PROXY UNKNOWN "):
        return ProxyHeader(version=1)
    fields = line.decode("ascii", "replace").split(" ")
    if len(fields) != 6 or fields[1] not in ("TCP4", "TCP6"):
        raise RemoteProtocolError(f"this is no PROXY line: {line!r}")
    _, family, source, destination, source_port, destination_port = fields
    return ProxyHeader(
        version=1,
        source=parse_text(family, source, source_port),
        destination=parse_text(family, destination, destination_port),
    )


def encode(header: ProxyHeader) -> bytes:
    """Return the line."""
    pair = None if header.local else split_pair(header.source, header.destination)
    if pair is None:
        return b"PROXY UNKNOWN\r\n"
    (source, source_port), (destination, destination_port) = pair
    line = f"PROXY TCP{source.version} {source} {destination} {source_port} {destination_port}\r\n"
    return line.encode()
