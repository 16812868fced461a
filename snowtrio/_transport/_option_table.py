"""What each socket option is to a kernel: a table, and what it makes of a user's options. No I/O.

Constants are names here, for which of them there are depends on the platform: a lookup gives their
numbers, None for one that is not there.
"""

from __future__ import annotations

import enum
import math
import struct
import sys
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import attrs

from .._errors import UnsupportedOptionError
from ._options import KeepAlive, SocketOptions

Lookup: TypeAlias = Callable[[str], int | None]
"""Gives the number of a constant of the ``socket`` module, None where this platform has none."""


class Kind(enum.Enum):
    """The kinds of sockets, by what they are called in errors."""

    TCP_LISTENER = "a TCP listener"
    TCP_CONNECTION = "a TCP connection"
    UNIX_LISTENER = "a Unix listener"
    UNIX_CONNECTION = "a Unix connection"
    UDP = "a UDP socket"


class Stage(enum.Enum):
    """From when an option can be set."""

    BIND = "before the socket is bound"
    """And not later."""
    OPEN = "any time"
    """Before it is bound or connected, so that the first packet has it; or later as well."""
    LISTEN = "when it listens"


_LISTENER = frozenset({Kind.TCP_LISTENER})
_TCP = _LISTENER | {Kind.TCP_CONNECTION}
_UDP = frozenset({Kind.UDP})
_IP = _TCP | _UDP
_UNIX = frozenset({Kind.UNIX_LISTENER, Kind.UNIX_CONNECTION})


@attrs.frozen
class Form:
    """How a value is written for the kernel, and read.

    Parameters:
        encode: returns what ``setsockopt`` is given.
        decode: turns what ``getsockopt`` gave into a value.
        size: of what ``getsockopt`` is to give in bytes; 0 for an int.
    """

    encode: Callable[[Any], int | bytes]
    decode: Callable[[Any], Any]
    size: int = 0


# A struct linger: on or off, and whole seconds.
_LINGER = struct.Struct("hh" if sys.platform == "win32" else "ii")

LINGER_SIZE = _LINGER.size
"""What ``SO_LINGER`` takes, in bytes."""
RESET = _LINGER.pack(1, 0)
"""What it is given so that a close resets."""
NO_LINGER = _LINGER.pack(0, 0)
"""What it is at first."""


def read_linger(data: bytes) -> int | None:
    """Return the seconds of a ``SO_LINGER``, None for one that is off."""
    on, seconds = _LINGER.unpack(data)
    return int(seconds) if on else None


def _read_text(data: bytes) -> str | None:
    return data.partition(b"\0")[0].decode(errors="replace") or None


def _read_bound(value: int) -> int | None:
    return value or None  # A kernel's 0 is none.


def _write_milliseconds(seconds: float) -> int:
    return math.ceil(seconds * 1000)


def _read_milliseconds(value: int) -> float | None:
    return value / 1000 if value else None


def _read_unsigned(data: bytes) -> int:
    return int.from_bytes(data, sys.byteorder)


_NUMBER = Form(int, int)
_UNSIGNED = Form(lambda value: int(value).to_bytes(4, sys.byteorder), _read_unsigned, 4)
_BOUND = Form(int, _read_bound)
_FLAG = Form(int, bool)
_OPPOSITE = Form(lambda on: int(not on), lambda value: not value)
_MILLISECONDS = Form(_write_milliseconds, _read_milliseconds)
# The two bits below are of ECN.
_DSCP = Form(lambda value: int(value) << 2, lambda value: int(value) >> 2)
_LINGERING = Form(lambda seconds: _LINGER.pack(1, seconds), read_linger, LINGER_SIZE)
_TEXT = Form(str.encode, _read_text, 16)


@attrs.frozen
class Row:
    """One option.

    Parameters:
        name: the field of `SocketOptions`, and behind a dot that of `KeepAlive`.
        level: the constant of its level.
        numbers: the constants of the option; the first that the platform has is it.
        kinds: the sockets that it is for.
        form: how values are written.
        stage: when it is set.
        ipv6: True for IPv6 sockets alone, False for the others alone, None for all.
        beside: goes along with another row of this name, where the system has it and lets it be.
    """

    name: str
    level: str
    numbers: tuple[str, ...]
    kinds: frozenset[Kind]
    form: Form = _NUMBER
    stage: Stage = Stage.OPEN
    ipv6: bool | None = None
    beside: bool = False

    def find(self, lookup: Lookup) -> tuple[int, int] | None:
        """Return the numbers of level and option here, None where this is not there."""
        level = lookup(self.level)
        found = [number for name in self.numbers if (number := lookup(name)) is not None]
        return None if level is None or not found else (level, found[0])


_SOL, _V4, _V6, _T = "SOL_SOCKET", "IPPROTO_IP", "IPPROTO_IPV6", "IPPROTO_TCP"

ROWS = (
    Row("reuse_address", _SOL, ("SO_REUSEADDR",), _IP, _FLAG, Stage.BIND),
    # Windows: whoever does not ask for the port alone may have it stolen.
    Row("reuse_address", _SOL, ("SO_EXCLUSIVEADDRUSE",), _IP, _OPPOSITE, Stage.BIND, beside=True),
    Row("reuse_port", _SOL, ("SO_REUSEPORT",), _IP, _FLAG, Stage.BIND),
    Row("ipv6_only", _V6, ("IPV6_V6ONLY",), _LISTENER | _UDP, _FLAG, Stage.BIND, ipv6=True),
    Row("keep_alive", _SOL, ("SO_KEEPALIVE",), _TCP, _FLAG),
    # The second name is what macOS has.
    Row("keep_alive.idle", _T, ("TCP_KEEPIDLE", "TCP_KEEPALIVE"), _TCP),
    Row("keep_alive.interval", _T, ("TCP_KEEPINTVL",), _TCP),
    Row("keep_alive.count", _T, ("TCP_KEEPCNT",), _TCP),
    Row("no_delay", _T, ("TCP_NODELAY",), _TCP, _FLAG),
    # macOS has its SO_LINGER in ticks.
    Row("linger", _SOL, ("SO_LINGER_SEC", "SO_LINGER"), _TCP, _LINGERING),
    Row("receive_buffer_size", _SOL, ("SO_RCVBUF",), _IP | _UNIX),
    Row("send_buffer_size", _SOL, ("SO_SNDBUF",), _IP | _UNIX),
    Row("unsent_low_water", _T, ("TCP_NOTSENT_LOWAT",), _TCP, _BOUND),
    Row("user_timeout", _T, ("TCP_USER_TIMEOUT",), _TCP, _MILLISECONDS),
    Row("defer_accept", _T, ("TCP_DEFER_ACCEPT",), _LISTENER),
    # macOS wants a socket that listens already.
    Row("fast_open", _T, ("TCP_FASTOPEN",), _LISTENER, stage=Stage.LISTEN),
    Row("congestion_control", _T, ("TCP_CONGESTION",), _TCP, _TEXT),
    Row("dscp", _V4, ("IP_TOS",), _IP, _DSCP, ipv6=False),
    Row("dscp", _V6, ("IPV6_TCLASS",), _IP, _DSCP, ipv6=True),
    # An IPv6 socket may carry IPv4 too, whose packets have a field of their own.
    Row("dscp", _V4, ("IP_TOS",), _IP, _DSCP, ipv6=True, beside=True),
    Row("hop_limit", _V4, ("IP_TTL",), _IP, ipv6=False),
    Row("hop_limit", _V6, ("IPV6_UNICAST_HOPS",), _IP, ipv6=True),
    Row("hop_limit", _V4, ("IP_TTL",), _IP, ipv6=True, beside=True),
    Row("mark", _SOL, ("SO_MARK",), _IP, _UNSIGNED),
    Row("bind_to_device", _SOL, ("SO_BINDTODEVICE",), _IP, _TEXT),
    Row("broadcast", _SOL, ("SO_BROADCAST",), _UDP, _FLAG),
)

DEFAULTS = {
    Kind.TCP_LISTENER: SocketOptions(
        reuse_address=sys.platform != "win32", ipv6_only=True, no_delay=True
    ),
    # Frames leave joined already: waiting for more only adds delay. The bound is Trio's, for the
    # connections that it opens.
    Kind.TCP_CONNECTION: SocketOptions(no_delay=True, unsent_low_water=16 * 1024),
}
"""What holds where the user says nothing, and the system lets it be."""


@attrs.frozen
class Setting:
    """One call of ``setsockopt``.

    Parameters:
        name: what the user calls it.
        level: the number of the level.
        number: that of the option.
        value: as the kernel takes it.
        stage: when to do it.
        said: what the user said, None for a default: only what was asked for can fail.
    """

    name: str
    level: int
    number: int
    value: int | bytes
    stage: Stage
    said: object = None


def plan_settings(
    options: SocketOptions | None, kind: Kind, *, ipv6: bool, lookup: Lookup
) -> list[Setting]:
    """Return what to set on a socket, the defaults for its kind first.

    Parameters:
        options: the user's.
        kind: what the socket is, or will be.
        ipv6: whether it is of that family.
        lookup: gives numbers for names.

    Raises:
        UnsupportedOptionError: one of them is not for such a socket, or not on this platform.
    """
    asked = {} if options is None else _values(options)
    quiet = options is not None and options.unsupported == "ignore"
    others = _values(DEFAULTS.get(kind, SocketOptions()))
    plan: list[Setting] = []
    for name, value in (others | asked).items():
        silent = quiet or name not in asked
        rows = _rows(name, kind, ipv6=ipv6, silent=silent)
        plan.extend(_settle(rows, value, lookup, asked=name in asked, silent=silent))
    if options is not None:
        plan.extend(Setting("extra", *each, Stage.OPEN, each) for each in options.extra)
    return plan


def _values(options: SocketOptions) -> dict[str, Any]:
    """Return what is said, by the names of rows."""
    values = {
        field.name: value
        for field in attrs.fields(SocketOptions)
        if field.name not in ("extra", "unsupported")
        if (value := getattr(options, field.name)) is not None
    }
    if isinstance(keep := values.get("keep_alive"), KeepAlive):
        values["keep_alive"] = True
        each = attrs.asdict(keep).items()
        values |= {f"keep_alive.{name}": value for name, value in each if value is not None}
    return values


def _rows(name: str, kind: Kind, *, ipv6: bool, silent: bool) -> list[Row]:
    rows = [row for row in ROWS if row.name == name]
    if kind in rows[0].kinds:
        return [row for row in rows if row.ipv6 in (None, ipv6)]
    if silent:
        return []
    kinds = " or ".join(each.value for each in Kind if each in rows[0].kinds)
    raise UnsupportedOptionError(name, f"it is for {kinds}, and this is {kind.value}")


def _settle(
    rows: list[Row], value: Any, lookup: Lookup, *, asked: bool, silent: bool
) -> Iterator[Setting]:
    for row in rows:
        found = row.find(lookup)
        if found is not None:
            said = value if asked and not row.beside else None
            yield Setting(row.name, *found, row.form.encode(value), row.stage, said)
        elif not (silent or row.beside):
            raise UnsupportedOptionError(row.name, f"this system has no {row.numbers[0]}")
