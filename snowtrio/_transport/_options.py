"""What users say about sockets: values alone, for any platform and any kind of socket.

``_option_table`` knows what each of them is to a kernel, and ``_option_setting`` sets and reads.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, cast

import attrs

WhenUnsupported: TypeAlias = Literal["raise", "ignore"]

RawOption: TypeAlias = tuple[int, int, int | bytes]
"""A level, a number and a value, as `socket.socket.setsockopt` takes them."""

# What the integers of a kernel hold.
_INT = 2**31 - 1

# What Linux takes.
_KEEP_ALIVE_SECONDS, _KEEP_ALIVE_COUNT = 32767, 127
_DEVICE_NAME_SIZE = _CONGESTION_NAME_SIZE = 15


def _whole(least: int, most: int = _INT) -> Any:
    """Return a validator: None, or a whole number within bounds."""

    def check(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if value is None:
            return
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"{attribute.name} is a whole number, not {value!r}")
        if not least <= value <= most:
            raise ValueError(f"{attribute.name} is from {least} to {most}, not {value}")

    return check


def _flag(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is not None and not isinstance(value, bool):
        raise TypeError(f"{attribute.name} is True, False or None, not {value!r}")


def _seconds(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is None:
        return
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"{attribute.name} is a number of seconds, not {value!r}")
    if not 0.001 <= value <= _INT / 1000:
        raise ValueError(f"{attribute.name} is at least 0.001 seconds, not {value:g}")


def _name(longest: int) -> Any:
    """Return a validator: None, or a short text."""

    def check(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if value is None:
            return
        if not isinstance(value, str):
            raise TypeError(f"{attribute.name} is a name, not {value!r}")
        if not 0 < len(value.encode()) <= longest or "\0" in value:
            raise ValueError(f"{attribute.name} has 1 to {longest} bytes, not {value!r}")

    return check


@attrs.frozen(kw_only=True)
class KeepAlive:
    """When TCP asks a silent peer whether it is still there. None leaves what the system has.

    Parameters:
        idle: whole seconds of silence before the first question.
        interval: whole seconds between questions.
        count: questions without an answer after which the connection is lost.
    """

    idle: int | None = attrs.field(default=None, validator=_whole(1, _KEEP_ALIVE_SECONDS))
    interval: int | None = attrs.field(default=None, validator=_whole(1, _KEEP_ALIVE_SECONDS))
    count: int | None = attrs.field(default=None, validator=_whole(1, _KEEP_ALIVE_COUNT))


def _check_keep_alive(_: object, __: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, bool | KeepAlive | None):
        raise TypeError(f"keep_alive is True, False or a KeepAlive, not {value!r}")


def _check_unsupported(_: object, __: attrs.Attribute[Any], value: object) -> None:
    if value not in ("raise", "ignore"):
        raise ValueError(f"unsupported is 'raise' or 'ignore', not {value!r}")


def _check_extra(_: object, __: attrs.Attribute[Any], value: object) -> None:
    message = "extra is a tuple of triples: a level, a number, an int or bytes"
    if not isinstance(value, tuple):
        raise TypeError(f"{message}, not {value!r}")
    for each in cast("tuple[object, ...]", value):
        match each:
            case (int(), int(), int() | bytes()):
                if any(not -_INT <= number <= _INT for number in each if isinstance(number, int)):
                    raise ValueError(f"extra has numbers from {-_INT} to {_INT}, not {each}")
            case other:
                raise TypeError(f"{message}, not {other!r}")


@attrs.frozen(kw_only=True)
class SocketOptions:
    """How the sockets of a listener, of a client or of UDP are to behave.

    Given as ``options=`` to whatever opens sockets, and set before they are bound or connected.
    What a listener is given holds for the connections that it accepts. None leaves a thing as it
    is without options: as the system has it, except that listeners reuse addresses and keep IPv6
    to itself, and that TCP connections send without delay.

    What a platform does not have, or the kind of socket at hand, is an `UnsupportedOptionError` of
    whatever is given the options, before anything is opened; and a value that the system refuses is
    a `SocketOptionError`, after which nothing is left open. `read_socket_options` tells what became
    of them.

    Parameters:
        reuse_address: bind to a port on which closed connections linger (``SO_REUSEADDR``); True
            for listeners where nothing is said. Windows does that anyway, and there True lets
            others steal the port. TCP and UDP.
        reuse_port: let several sockets have one port (``SO_REUSEPORT``), if all of them say so.
            Linux spreads connections and datagrams over them, other systems may not. Connections
            that wait in the backlog of one that closes are reset. TCP and UDP; not on Windows.
        ipv6_only: keep a socket that is bound to ``::`` from IPv4; True for listeners where nothing
            is said. Skipped on IPv4 sockets. TCP listeners and UDP.
        keep_alive: ask silent peers whether they are there: True as the system does, or when a
            `KeepAlive` says. TCP.
        no_delay: send what is there without waiting for more (``TCP_NODELAY``); True where nothing
            is said. TCP.
        linger: whole seconds that the kernel goes on sending after a close, before it resets; 0
            resets at once, and throws away what was not sent. Before that, a close in order says
            the end to the peer, and waits for the peer's, for the ``linger_timeout`` of the limits.
            Threads wait for the kernel, 64 at most, so that nothing else does. TCP.
        receive_buffer_size: bytes that the kernel keeps for us. Set, it is not adapted to the
            connection any more.
        send_buffer_size: bytes that the kernel keeps on the way to the peer; likewise.
        unsent_low_water: bytes not yet sent below which more are taken (``TCP_NOTSENT_LOWAT``):
            16 KiB for clients where nothing is said. The fewer, the less is left in the kernel when
            a connection is lost, and the more often tasks wake. TCP on Linux and macOS.
        user_timeout: seconds that what was sent may stay without acknowledgement, or what is to be
            sent without room, before the connection is lost (``TCP_USER_TIMEOUT``); it bounds
            keep-alive and connecting too. The kernel counts in milliseconds. TCP on Linux.
        defer_accept: whole seconds that a connection may wait for the client's first bytes before
            the server hears of it; rounded up to the times at which TCP repeats itself. Not for
            protocols in which the server speaks first. TCP listeners on Linux.
        fast_open: connections that may wait with data in their first packet (``TCP_FASTOPEN``); 0
            for none. The network may repeat such data: only for requests that bear it. TCP
            listeners.
        congestion_control: the algorithm's name, such as ``"bbr"``. TCP on Linux and FreeBSD.
        dscp: the class of service that packets carry, 0 to 63. TCP and UDP; not on Windows.
        hop_limit: routers that packets may pass, 1 to 255. TCP and UDP.
        mark: the number by which routing and the firewall know the packets (``SO_MARK``); needs
            CAP_NET_ADMIN. TCP and UDP on Linux.
        bind_to_device: the only network interface that packets use. TCP and UDP on Linux.
        broadcast: allow sending to broadcast addresses. UDP.
        extra: options that are not here, as triples for `socket.socket.setsockopt`; set with the
            others before anything is bound or connected. Not read back.
        unsupported: what happens to options that the platform or the kind of socket does not have:
            ``"raise"``, or ``"ignore"`` so that one set of options can serve several.

    Raises:
        TypeError: a value of another type.
        ValueError: a value that no system takes.
    """

    reuse_address: bool | None = attrs.field(default=None, validator=_flag)
    reuse_port: bool | None = attrs.field(default=None, validator=_flag)
    ipv6_only: bool | None = attrs.field(default=None, validator=_flag)
    keep_alive: bool | KeepAlive | None = attrs.field(default=None, validator=_check_keep_alive)
    no_delay: bool | None = attrs.field(default=None, validator=_flag)
    linger: int | None = attrs.field(default=None, validator=_whole(0, 32767))
    receive_buffer_size: int | None = attrs.field(default=None, validator=_whole(1))
    send_buffer_size: int | None = attrs.field(default=None, validator=_whole(1))
    unsent_low_water: int | None = attrs.field(default=None, validator=_whole(1))
    user_timeout: float | None = attrs.field(default=None, validator=_seconds)
    defer_accept: int | None = attrs.field(default=None, validator=_whole(0))
    fast_open: int | None = attrs.field(default=None, validator=_whole(0))
    congestion_control: str | None = attrs.field(
        default=None, validator=_name(_CONGESTION_NAME_SIZE)
    )
    dscp: int | None = attrs.field(default=None, validator=_whole(0, 63))
    hop_limit: int | None = attrs.field(default=None, validator=_whole(1, 255))
    mark: int | None = attrs.field(default=None, validator=_whole(0, 2**32 - 1))
    bind_to_device: str | None = attrs.field(default=None, validator=_name(_DEVICE_NAME_SIZE))
    broadcast: bool | None = attrs.field(default=None, validator=_flag)
    extra: tuple[RawOption, ...] = attrs.field(default=(), validator=_check_extra)
    unsupported: WhenUnsupported = attrs.field(default="raise", validator=_check_unsupported)
