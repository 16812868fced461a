"""What stands behind the addresses of version 2: types, lengths and values."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Any, Final

from .._errors import LocalProtocolError, RemoteProtocolError
from ._header import ProxyHeader, ProxyTLS

CHECKSUM: Final = 0x03
_NOOP: Final = 0x04
_UNIQUE_ID: Final = 0x05
_TLS: Final = 0x20

_START = struct.Struct("!BH")
_TLS_START = struct.Struct("!BI")
_USED, _CERTIFICATE_NOW, _CERTIFICATE_BEFORE = 0x01, 0x02, 0x04
_MAX_UNIQUE_ID = 128

# What is kept under a name: the field, and what its text is encoded in, None for bytes.
_FIELDS: dict[int, tuple[str, str | None]] = {
    0x01: ("alpn", None),
    0x02: ("authority", "utf-8"),
    _UNIQUE_ID: ("unique_id", None),
    0x30: ("network_namespace", "ascii"),
}
_TLS_FIELDS: dict[int, tuple[str, str | None]] = {
    0x21: ("version", "ascii"),
    0x22: ("common_name", "utf-8"),
    0x23: ("cipher", "ascii"),
    0x24: ("signature_algorithm", "ascii"),
    0x25: ("key_algorithm", "ascii"),
}


def split(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, bytes]]:
    """Take values apart: the type, where the value begins, and the value.

    Raises:
        RemoteProtocolError: the last one is not whole.
    """
    while start < end:
        value_start = start + _START.size
        if value_start > end:
            raise RemoteProtocolError("a value of a PROXY header is cut off")
        kind, size = _START.unpack_from(data, start)
        start = value_start + size
        if start > end:
            raise RemoteProtocolError("a value of a PROXY header is longer than the header")
        yield kind, value_start, data[value_start:start]


def read(values: Iterable[tuple[int, bytes]]) -> dict[str, Any]:
    """Return the fields of a `ProxyHeader` that values make.

    Raises:
        RemoteProtocolError: one stands there twice, or is not what it has to be.
    """
    return _read([(kind, value) for kind, value in values if kind != _NOOP], _FIELDS)


def _read(
    values: Iterable[tuple[int, bytes]], named: dict[int, tuple[str, str | None]]
) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    others: list[tuple[int, bytes]] = []
    for kind, value in values:
        is_tls = kind == _TLS and named is _FIELDS
        if not (is_tls or kind in named):
            others.append((kind, value))
            continue
        name, encoding = ("tls", None) if is_tls else named[kind]
        if name in fields:  # One reader would take the first, and another the last.
            raise RemoteProtocolError(f"a PROXY header has two values of type {kind:#04x}")
        fields[name] = _read_tls(value) if is_tls else _decode(kind, value, encoding)
    return {**fields, "others": tuple(others)}


def _decode(kind: int, value: bytes, encoding: str | None) -> bytes | str:
    if kind == _UNIQUE_ID and len(value) > _MAX_UNIQUE_ID:
        raise RemoteProtocolError(f"the unique id of a PROXY header has {len(value)} bytes")
    try:
        return value if encoding is None else value.decode(encoding)
    except UnicodeDecodeError as error:
        raise RemoteProtocolError(f"value {kind:#04x} of a PROXY header: {error}") from error


def _read_tls(value: bytes) -> ProxyTLS:
    if len(value) < _TLS_START.size:
        raise RemoteProtocolError("what a PROXY header says of TLS is cut off")
    client, verify = _TLS_START.unpack_from(value)
    inner = ((kind, each) for kind, _, each in split(value, _TLS_START.size, len(value)))
    return ProxyTLS(
        used=bool(client & _USED),
        certificate_now=bool(client & _CERTIFICATE_NOW),
        certificate_before=bool(client & _CERTIFICATE_BEFORE),
        verify=verify,
        **_read(inner, _TLS_FIELDS),
    )


def write(header: ProxyHeader) -> bytes:
    """Return the values of a header, but for its checksum.

    Raises:
        LocalProtocolError: one cannot be sent.
    """
    parts = _write(header, _FIELDS)
    if header.tls is not None:
        parts.append(_pack(_TLS, _write_tls(header.tls)))
    return b"".join([*parts, *_write_others(header.others, _FIELDS)])


def _write_tls(tls: ProxyTLS) -> bytes:
    client = (
        _USED * tls.used
        | _CERTIFICATE_NOW * tls.certificate_now
        | _CERTIFICATE_BEFORE * tls.certificate_before
    )
    start = _TLS_START.pack(client, tls.verify)
    return b"".join([start, *_write(tls, _TLS_FIELDS), *_write_others(tls.others, _TLS_FIELDS)])


def _write(source: ProxyHeader | ProxyTLS, named: dict[int, tuple[str, str | None]]) -> list[bytes]:
    return [
        _pack(kind, value if encoding is None else _encode(value, encoding))
        for kind, (name, encoding) in named.items()
        if (value := getattr(source, name)) is not None
    ]


def _encode(text: str, encoding: str) -> bytes:
    try:
        return text.encode(encoding)
    except UnicodeEncodeError as error:
        raise LocalProtocolError(f"{text!r} cannot stand in a PROXY header: {error}") from error


def _write_others(
    others: Iterable[tuple[int, bytes]], named: dict[int, tuple[str, str | None]]
) -> Iterator[bytes]:
    for kind, value in others:
        if kind in named or (named is _FIELDS and kind in (CHECKSUM, _NOOP, _TLS)):
            raise LocalProtocolError(f"values of type {kind:#04x} have a field of their own")
        yield _pack(kind, value)


def _pack(kind: int, value: bytes) -> bytes:
    if kind == _UNIQUE_ID and len(value) > _MAX_UNIQUE_ID:
        raise LocalProtocolError(f"a unique id of {len(value)} bytes is too long")
    try:
        return _START.pack(kind, len(value)) + value
    except struct.error as error:
        raise LocalProtocolError(f"a value of {len(value)} bytes: {error}") from error
