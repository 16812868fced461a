"""What systemd has put into the environment: read, never changed. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

FIRST_DESCRIPTOR = 3
"""The first descriptor behind standard input, output and error."""

UNNAMED = "unknown"
"""What systemd calls a socket to which nobody gave a name."""

SOCKET_VARIABLES = ("LISTEN_FDS", "LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDNAMES")
NOTIFY_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")

_MOST_DESCRIPTORS = 2**16


@attrs.frozen
class Descriptor:
    """An inherited descriptor.

    Parameters:
        number: of the file descriptor.
        name: as the socket unit has it.
    """

    number: int
    name: str


def read_descriptors(environment: Mapping[str, str], pid: int) -> Sequence[Descriptor]:
    """Return the descriptors that were passed to a process: none where they are not for it.

    Parameters:
        environment: of the process.
        pid: its own id. A child of the process that they are for has another one.

    Raises:
        ValueError: a variable is not what systemd writes.
    """
    if "LISTEN_PID" not in environment or "LISTEN_FDS" not in environment:
        return []
    if _read_number(environment, "LISTEN_PID") != pid:
        return []
    count = _read_number(environment, "LISTEN_FDS")
    if count > _MOST_DESCRIPTORS:
        raise ValueError(f"LISTEN_FDS is {count}, which no process can have")
    names = [UNNAMED] * count
    if "LISTEN_FDNAMES" in environment:
        names = environment["LISTEN_FDNAMES"].split(":") if count else []
        if len(names) != count:
            raise ValueError(f"LISTEN_FDNAMES has {len(names)} names for {count} descriptors")
    return [Descriptor(number, name) for number, name in enumerate(names, FIRST_DESCRIPTOR)]


def read_notify_address(environment: Mapping[str, str]) -> str | None:
    """Return the address of the socket to notify, as `socket.connect` takes it; None without.

    Raises:
        ValueError: it is neither a path nor the name of an abstract socket.
    """
    address = environment.get("NOTIFY_SOCKET")
    if not address:
        return None
    if address.startswith("@") and len(address) > 1:
        return "\0" + address[1:]
    if not address.startswith("/"):
        raise ValueError(f"NOTIFY_SOCKET is neither a path nor an abstract socket: {address!r}")
    return address


def read_watchdog_timeout(environment: Mapping[str, str], pid: int) -> float | None:
    """Return within how many seconds the watchdog has to hear of a process; None for never.

    Raises:
        ValueError: a variable is not what systemd writes.
    """
    if not environment.get("WATCHDOG_USEC"):
        return None
    if environment.get("WATCHDOG_PID") and _read_number(environment, "WATCHDOG_PID") != pid:
        return None
    timeout = _read_number(environment, "WATCHDOG_USEC")
    if not timeout:
        raise ValueError("WATCHDOG_USEC is 0")
    return timeout / 1_000_000


def _read_number(environment: Mapping[str, str], name: str) -> int:
    value = environment[name]
    if not (value.isascii() and value.isdigit()):
        raise ValueError(f"{name} is no number: {value!r}")
    return int(value)
