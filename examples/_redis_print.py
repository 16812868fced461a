"""Replies as redis-cli prints them: raw, as a pipe gets them, and formatted, as a terminal does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

from _redis_values import Attributed, Double, Push, RedisError, Reply, SetReply, Verbatim

_ESCAPES: Final = {
    ord("\\"): "\\\\",
    ord('"'): '\\"',
    ord("\n"): "\\n",
    ord("\r"): "\\r",
    ord("\t"): "\\t",
    ord("\a"): "\\a",
    ord("\b"): "\\b",
}
# What people are to read is shown as it is, also on a terminal.
_REPORTS: Final = (
    *("info", "lolwut", "memory doctor", "memory malloc-stats", "latency doctor", "latency graph"),
    *("client list", "client info", "cluster nodes", "cluster info", "debug htstats"),
)


def printed(reply: Reply, words: Sequence[str], *, on_terminal: bool) -> bytes:
    """Return what is printed for the reply to a command."""
    if _is_report(words):
        return raw(reply)
    return (formatted(reply) if on_terminal else raw(reply)) + b"\n"


def _is_report(words: Sequence[str]) -> bool:
    """Whether a command's reply is shown as it is."""
    lowered = [word.lower() for word in words[:2]]
    return " ".join(lowered) in _REPORTS or lowered[0] in _REPORTS


def raw(reply: Reply) -> bytes:
    """Return a reply as a pipe gets it, without the last line end."""
    if isinstance(reply, RedisError):
        return _bytes(str(reply)) + b"\n"
    if isinstance(reply, dict):
        pairs = reply.items()
        return b"\n".join(raw(cast("Reply", key)) + b" " + raw(value) for key, value in pairs)
    if isinstance(reply, (list, tuple)):
        return b"\n".join(map(raw, cast("Sequence[Reply]", reply)))
    if isinstance(reply, Attributed):
        return raw(reply.reply)
    if isinstance(reply, bytes):
        return reply
    return b"" if reply is None else _bytes(_plain(reply))


def formatted(reply: Reply, indent: str = "") -> bytes:
    """Return a reply as a terminal gets it, without the last line end.

    Parameters:
        reply: what came.
        indent: what stands before its second line and those after it.
    """
    if isinstance(reply, Attributed):
        return formatted(reply.reply, indent)
    if isinstance(reply, dict):
        return _table(reply, indent)
    if isinstance(reply, (list, tuple)):
        return _numbered(cast("Sequence[Reply]", reply), indent)
    if isinstance(reply, Verbatim):
        return bytes(reply)
    if isinstance(reply, bytes):
        return _quoted(reply)
    return _bytes(_labelled(reply))


def _labelled(reply: object) -> str:
    if reply is None:
        return "(nil)"
    if isinstance(reply, RedisError):
        return f"(error) {reply}"
    if isinstance(reply, Double):
        return f"(double) {reply.text}"
    if isinstance(reply, int) and not isinstance(reply, bool):
        return f"(integer) {reply}"
    return _plain(reply)


def _plain(reply: object) -> str:
    if isinstance(reply, bool):
        return "(true)" if reply else "(false)"
    return reply.text if isinstance(reply, Double) else str(reply)


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


def _quoted(data: bytes) -> bytes:
    shown = (
        _ESCAPES.get(byte) or (chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}") for byte in data
    )
    return f'"{"".join(shown)}"'.encode()


def _numbered(items: Sequence[Reply], indent: str) -> bytes:
    kind = "set" if isinstance(items, SetReply) else "push" if isinstance(items, Push) else "array"
    if not items:
        return f"(empty {kind})".encode()
    width = len(str(len(items)))
    sign = "~" if kind == "set" else ")"
    inner = indent + " " * (width + 2)
    lines = [
        f"{number:{width}}{sign} ".encode() + formatted(item, inner)
        for number, item in enumerate(items, 1)
    ]
    return f"\n{indent}".encode().join(lines)


def _table(pairs: dict[object, Reply], indent: str) -> bytes:
    if not pairs:
        return b"(empty hash)"
    width = len(str(len(pairs)))
    inner = indent + " " * (width + 2)
    lines: list[bytes] = []
    for number, (key, value) in enumerate(pairs.items(), 1):
        shown = formatted(value, inner)
        if b"\n" in shown:
            shown = f"\n{inner}".encode() + shown
        lines.append(
            f"{number:{width}}# ".encode() + formatted(cast("Reply", key), inner) + b" => " + shown
        )
    return f"\n{indent}".encode().join(lines)
