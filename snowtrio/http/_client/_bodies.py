"""What a request's body is made of, and whether it can be sent again."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterable
from pathlib import Path
from typing import Any, TypeAlias, cast

import attrs
import trio

from .._json import write_json

BodyToSend: TypeAlias = bytes | bytearray | memoryview | str | Path | AsyncIterable[bytes | str]
"""What `HTTPClient.fetch` takes for a body: bytes; text, sent in UTF-8; a path, whose file is sent;
or an async iterator of bytes or text, each item of which is sent as it is made."""

PIECE = 64 * 1024


class Missing:
    """What stands for a JSON value that was not given: None is one."""

    def __repr__(self) -> str:
        return "<not given>"


NOTHING = Missing()


@attrs.define(eq=False)
class RequestBody:
    """The body of a request.

    Parameters:
        data: all of it; None where it is sent in pieces.
        source: gives the pieces: a path or an async iterator.
        length: bytes of it, where that is known.
        content_type: of what it is made of; None where that says nothing.
        given: whether there is one, if only an empty one.
    """

    data: bytes | None = b""
    source: Path | AsyncIterable[bytes | str] | None = None
    length: int | None = None
    content_type: str | None = None
    given: bool = False
    begun: bool = False
    """Whether an iterator has been asked for a piece."""

    @property
    def repeatable(self) -> bool:
        """Whether it can be sent any number of times."""
        return self.data is not None or isinstance(self.source, Path)

    @property
    def sendable(self) -> bool:
        """Whether it can be sent now, maybe once more."""
        return self.repeatable or not self.begun

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Give it piece by piece. An async generator that it is made of is closed at the end."""
        self.begun = True
        if self.data is not None:
            view = memoryview(self.data)
            for start in range(0, len(view), PIECE):
                yield bytes(view[start : start + PIECE])
        elif isinstance(self.source, Path):
            async with await trio.open_file(self.source, "rb") as file:
                while piece := await file.read(PIECE):
                    yield piece
        else:
            source = self.source
            assert source is not None
            try:
                async for item in source:
                    yield item.encode() if isinstance(item, str) else bytes(item)
            finally:
                if isinstance(source, AsyncGenerator):
                    await cast("AsyncGenerator[Any, None]", source).aclose()


_NO_BODY = RequestBody()


def make_body(body: BodyToSend | None, json: Any, content_length: int | None) -> RequestBody:
    """Return the body for what a caller gives.

    Raises:
        TypeError: both a body and a JSON value are given, or it is none of what can be sent; or a
            length is given for what has its own.
        OSError: a path names no file that can be sent.
    """
    if content_length is not None and not isinstance(body, AsyncIterable):
        raise TypeError("content_length is for async iterators alone: other bodies have their own")
    if json is not NOTHING:
        if body is not None:
            raise TypeError("give a body or a JSON value, not both")
        return RequestBody(write_json(json), content_type="application/json", given=True)
    if body is None:
        return _NO_BODY
    if isinstance(body, str):
        return RequestBody(body.encode(), content_type="text/plain; charset=utf-8", given=True)
    if isinstance(body, bytes | bytearray | memoryview):
        return RequestBody(bytes(body), content_type="application/octet-stream", given=True)
    if isinstance(body, Path):
        length = os.stat(body).st_size  # noqa: PTH116 - the errors of both are the same
        return RequestBody(None, body, length, "application/octet-stream", given=True)
    if not isinstance(body, AsyncIterable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"{body!r} cannot be a body: give bytes, str, a Path or an async iterator")
    return RequestBody(None, body, content_length, "application/octet-stream", given=True)
