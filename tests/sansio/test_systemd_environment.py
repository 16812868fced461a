"""What systemd writes into the environment, and what it is told (row W33's surroundings)."""

from __future__ import annotations

import pytest

from snowtrio.systemd._environment import (
    Descriptor,
    read_descriptors,
    read_notify_address,
    read_watchdog_timeout,
)
from snowtrio.systemd._notification import write_notification, write_status

PID = 77


def passed(count: str, names: str | None = None, pid: str = str(PID)) -> dict[str, str]:
    environment = {"LISTEN_FDS": count, "LISTEN_PID": pid}
    return environment if names is None else {**environment, "LISTEN_FDNAMES": names}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, []),
        ({"LISTEN_FDS": "2"}, []),
        ({"LISTEN_PID": "77"}, []),
        (passed("2", pid="78"), []),
        (passed("0"), []),
        (passed("0", ""), []),
        (passed("1"), [Descriptor(3, "unknown")]),
        (passed("2", "web:admin"), [Descriptor(3, "web"), Descriptor(4, "admin")]),
        (passed("2", ":"), [Descriptor(3, ""), Descriptor(4, "")]),
    ],
)
def test_descriptors(environment: dict[str, str], expected: list[Descriptor]) -> None:
    """Row W33: none unless they are for this process; names as they come."""
    assert list(read_descriptors(environment, PID)) == expected


@pytest.mark.parametrize(
    "environment",
    [
        passed("x"),
        passed("-1"),
        passed(""),
        passed("²"),
        passed("99999999999"),
        passed("1", pid="x"),
        passed("2", "one"),
        passed("1", "one:two"),
    ],
)
def test_descriptors_that_make_no_sense(environment: dict[str, str]) -> None:
    """Row W33."""
    with pytest.raises(ValueError, match="LISTEN_"):
        read_descriptors(environment, PID)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("", None),
        ("/run/notify", "/run/notify"),
        ("@abstract/notify", "\0abstract/notify"),
    ],
)
def test_the_address_to_notify(value: str | None, expected: str | None) -> None:
    """Row W33: a path, or an abstract socket."""
    environment = {} if value is None else {"NOTIFY_SOCKET": value}
    assert read_notify_address(environment) == expected


@pytest.mark.parametrize("value", ["notify", "@", "vsock:2:1"])
def test_an_address_that_is_none(value: str) -> None:
    """Row W33."""
    with pytest.raises(ValueError, match="NOTIFY_SOCKET"):
        read_notify_address({"NOTIFY_SOCKET": value})


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": ""}, None),
        ({"WATCHDOG_USEC": "2500000"}, 2.5),
        ({"WATCHDOG_USEC": "2500000", "WATCHDOG_PID": "77"}, 2.5),
        ({"WATCHDOG_USEC": "2500000", "WATCHDOG_PID": "78"}, None),
    ],
)
def test_the_watchdogs_timeout(environment: dict[str, str], expected: float | None) -> None:
    """Row W33: for this process, or none."""
    assert read_watchdog_timeout(environment, PID) == expected


@pytest.mark.parametrize("value", ["0", "1.5", "-1", "soon"])
def test_a_timeout_that_is_none(value: str) -> None:
    """Row W33."""
    with pytest.raises(ValueError, match="WATCHDOG_USEC"):
        read_watchdog_timeout({"WATCHDOG_USEC": value}, PID)


def test_a_notification() -> None:
    """Row W33: a line for each field."""
    written = write_notification({"READY": 1, "STATUS": "it is ü"})
    assert written == "READY=1\nSTATUS=it is ü".encode()


@pytest.mark.parametrize(
    "fields", [{}, {"": 1}, {"ready": 1}, {"A=B": 1}, {"STATUS": "a\nMAINPID=1"}, {"STATUS": "\0"}]
)
def test_a_notification_that_is_none(fields: dict[str, str | int]) -> None:
    """Row W33: no text that comes from outside becomes a field."""
    with pytest.raises(ValueError, match=r"field|line break"):
        write_notification(fields)


def test_a_status_is_one_line() -> None:
    """Row W33."""
    assert write_status("a\nMAINPID=1\r\n\0b") == "a MAINPID=1 b"
