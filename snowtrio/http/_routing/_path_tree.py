"""Path patterns, and which of them a path fits."""

from __future__ import annotations

import re
from typing import Generic, TypeVar
from urllib.parse import unquote

import attrs

from .._errors import HTTPError

RouteT = TypeVar("RouteT")

_PARAMETER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(\.\.\.)?\}")


@attrs.define
class Place(Generic[RouteT]):
    """What stands at a place in the tree: routes by method, and where paths go on.

    Parameters:
        routes: by method.
        names: by the next segment.
        parameter: whatever the next segment is.
        tail: whatever is left of the path.
    """

    routes: dict[str, RouteT] = attrs.field(factory=lambda: dict[str, RouteT]())
    names: dict[str, Place[RouteT]] = attrs.field(factory=lambda: dict[str, "Place[RouteT]"]())
    parameter: Place[RouteT] | None = None
    tail: Place[RouteT] | None = None


class PathTree(Generic[RouteT]):
    """Routes by path."""

    def __init__(self) -> None:
        self._root: Place[RouteT] = Place()
        self._literals: dict[str, Place[RouteT]] = {}

    def make(self, pattern: str) -> tuple[Place[RouteT], tuple[str, ...]]:
        """Return the place of a pattern, and the names of its parameters.

        Raises:
            ValueError: it is none.
        """
        if not pattern.startswith("/"):
            raise ValueError(f"a pattern begins with a slash, not as {pattern!r}")
        place, names = self._root, list[str]()
        segments = pattern[1:].split("/")
        for number, segment in enumerate(segments, 1):
            match = _PARAMETER.fullmatch(segment)
            if match is None:
                if "{" in segment or "}" in segment:
                    raise ValueError(f"a parameter is a whole segment, not as in {pattern!r}")
                place = place.names.setdefault(segment, Place())
                continue
            if match[2] and number < len(segments):
                raise ValueError(f"{segment} is not at the end of {pattern!r}")
            if match[1] in names:
                raise ValueError(f"{match[1]} is twice in {pattern!r}")
            names.append(match[1])
            place = _tail_of(place) if match[2] else _parameter_of(place)
        if not names:
            self._literals[pattern] = place
        return place, tuple(names)

    def find(self, path: str) -> tuple[Place[RouteT], tuple[str, ...]]:
        """Return the place that a path leads to, and what stands where its parameters are.

        Parameters:
            path: as in the target of a request.

        Raises:
            HTTPError: 404, there is none; 400, the path's encoding is not that of a text.
        """
        place = self._literals.get(path)
        if place is not None:
            return place, ()
        start, *segments = path.split("/")
        try:
            decoded = [unquote(each, errors="strict") for each in segments]
        except UnicodeDecodeError:
            raise HTTPError(400, "the path is no text") from None
        found = _descend(self._root, decoded, 0) if segments and not start else None
        if found is None:
            raise HTTPError(404)
        return found


def _descend(
    place: Place[RouteT], segments: list[str], at: int
) -> tuple[Place[RouteT], tuple[str, ...]] | None:
    """Return where a path leads from its segment `at` on, and the parameters on the way."""
    if at == len(segments):
        return (place, ()) if place.routes else None
    segment = segments[at]
    named = place.names.get(segment)
    if named is not None and (found := _descend(named, segments, at + 1)) is not None:
        return found
    if place.parameter is not None and segment:
        found = _descend(place.parameter, segments, at + 1)
        if found is not None:
            return found[0], (segment, *found[1])
    return (place.tail, ("/".join(segments[at:]),)) if place.tail is not None else None


def _parameter_of(place: Place[RouteT]) -> Place[RouteT]:
    if place.parameter is None:
        place.parameter = Place()
    return place.parameter


def _tail_of(place: Place[RouteT]) -> Place[RouteT]:
    if place.tail is None:
        place.tail = Place()
    return place.tail
