"""A request's target, taken apart (RFC 9112 section 3.2)."""

from __future__ import annotations


def split_target(target: str) -> tuple[str, str]:
    """Return the path and the query of a target, as they stand in it.

    Of the absolute form the origin is left away; a path that is empty then is ``/``. The target of
    a CONNECT is the path, and so is the ``*`` of an OPTIONS.
    """
    if not target.startswith(("/", "*")) and "://" in target:
        rest = target.split("://", 1)[1]
        begins = min((i for i in (rest.find("/"), rest.find("?")) if i >= 0), default=len(rest))
        target = rest[begins:]
        if not target.startswith("/"):
            target = f"/{target}"
    path, _, query = target.partition("?")
    return path, query
