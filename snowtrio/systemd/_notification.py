"""What a service manager is told, as bytes. No I/O."""

from __future__ import annotations

import re

_NAME = re.compile(r"[A-Z][A-Z0-9_]*")


def write_notification(fields: dict[str, str | int]) -> bytes:
    """Return the datagram of a notification: a line for each field.

    Parameters:
        fields: by name, as systemd documents them for ``sd_notify``.

    Raises:
        ValueError: there are none; a name is none; or a value has a line break, by which text that
            comes from outside could be another field.
    """
    if not fields:
        raise ValueError("a notification needs a field")
    for name, value in fields.items():
        if _NAME.fullmatch(name) is None:
            raise ValueError(f"{name!r} is no name of a field")
        if "\n" in str(value) or "\0" in str(value):
            raise ValueError(f"{name} has a line break: {value!r}")
    return "\n".join(f"{name}={value}" for name, value in fields.items()).encode(
        errors="surrogateescape"
    )


def write_status(text: str) -> str:
    """Return a text as the one line that a status is."""
    return " ".join(text.replace("\0", " ").split())


def write_time(seconds: float) -> int:
    """Return a time as systemd takes it."""
    return round(seconds * 1_000_000)
