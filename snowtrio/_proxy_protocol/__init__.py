"""What a proxy says of the client that it speaks for, in bytes: the PROXY protocol, without I/O.

The specification is HAProxy's (``proxy-protocol.txt``). ``_header`` is what both versions say;
``_version1`` reads and writes the line of text, ``_version2`` the binary block, with ``_values``
for what stands behind its addresses (types, lengths and values) and ``_checksum`` for one of those.
``_addresses`` turns the addresses into those that sockets have. ``_parse`` tells the versions
apart, and knows from the first byte that something is neither.

Who is believed, and when it is read, is not decided here: see ``_transport/_proxied.py``.
"""

from ._header import ProxyHeader, ProxyInfo, ProxyTLS
from ._parse import MAX_SIZE, encode_proxy_header, may_begin_header, parse_proxy_header

__all__ = [
    "MAX_SIZE",
    "ProxyHeader",
    "ProxyInfo",
    "ProxyTLS",
    "encode_proxy_header",
    "may_begin_header",
    "parse_proxy_header",
]
