"""Files as responses: whole or in parts, or not at all where the client has them already."""

from __future__ import annotations

import os
import secrets
import time

from .._errors import HTTPError
from .._headers import HeadersToSend, write_headers
from .._opened import OpenedFile, open_file
from .._server import FileBody, Plan, Request, Response
from ._conditions import Validators, Verdict, judge, range_is_wanted
from ._media_types import guess_content_type
from ._ranges import (
    UnsatisfiableRangeError,
    content_range,
    multipart_heads,
    read_ranges,
)

SMALL = 64 * 1024
"""What is read at once and leaves together with its head."""


def file_response(
    request: Request,
    path: str | os.PathLike[str],
    *,
    headers: HeadersToSend = (),
    content_type: str | None = None,
    max_ranges: int = 16,
) -> Response:
    """Return a response with a file's content (row Z5).

    ::

        async def handler(request: Request) -> Response:
            return file_response(request, "report.pdf")

    It answers ranges (206, 416) and conditions (304, 412) of the request, by an entity tag and a
    date made of the file's size and time of change. The path is used as it is: see `Folder` for
    paths that clients give.

    The file is opened here, which is not waited for; what is not in memory is read by a thread. On
    plain sockets of Linux a large one goes from the kernel's memory to the socket.

    A file that becomes longer is sent as long as it was, one that becomes shorter ends in a cut.
    To change one safely, write another and rename it.

    Parameters:
        request: that is answered.
        path: of a regular file; symbolic links are followed.
        headers: further fields; an ``ETag`` or ``Last-Modified`` among them is sent beside ours.
        content_type: by default after the file's name.
        max_ranges: parts in one response; a request for more gets the whole.

    Raises:
        HTTPError: 404, there is no such regular file; 403, it must not be read; 412 or 416; 503,
            no more files can be open.
        BadFieldError: a header cannot be sent.
        OSError: it cannot be opened for another reason.
    """
    return respond_with(
        request,
        open_file(path),
        headers=headers,
        content_type=content_type or guess_content_type(os.path.basename(path)),  # noqa: PTH119
        max_ranges=max_ranges,
    )


def check_conditions(
    request: Request,
    *,
    etag: str | None = None,
    modified: float | None = None,
    exists: bool = True,
    headers: HeadersToSend = (),
) -> Response | None:
    """Judge the conditions of a request for something that is no file (RFC 9110 section 13).

    ::

        if (response := check_conditions(request, etag=f'"{book.version}"')) is not None:
            return response

    Before a change, it refuses what would overwrite somebody else's: ``If-Match`` with a tag that
    is not the current one any more, ``If-None-Match: *`` for what is there already.

    Parameters:
        request: that is answered.
        etag: of the current state, quoted: ``"v1"``, or ``W/"v1"`` where bytes may differ.
        modified: seconds since the epoch when it was last changed.
        exists: whether there is anything yet.
        headers: of the response that is returned.

    Returns:
        A 304 for the handler to return, or None where it is to go on.

    Raises:
        HTTPError: 412.
        ValueError: the tag is not quoted.
    """
    current = Validators(etag, None if modified is None else int(modified)) if exists else None
    return _judge(request, current, headers)


def respond_with(
    request: Request,
    file: OpenedFile,
    *,
    headers: HeadersToSend,
    content_type: str,
    max_ranges: int,
) -> Response:
    """Return a response with an open file's content, which it closes; see `file_response`."""
    try:
        return _respond_with(request, file, headers, content_type, max_ranges)
    except BaseException:
        file.close()
        raise


def _respond_with(
    request: Request, file: OpenedFile, headers: HeadersToSend, content_type: str, max_ranges: int
) -> Response:
    current = _validators_of(file)
    unchanged = _judge(request, current, headers)
    if unchanged is not None:
        file.close()
        return unchanged
    parts = _parts_of(request, file, current, max_ranges)
    response = Response(b"", 200 if parts is None else 206, headers, content_type=content_type)
    response.fields += write_headers([*current.headers(), ("accept-ranges", "bytes")])
    plan: Plan
    if parts is None:
        plan = [range(file.size)]
    elif len(parts) == 1:
        response.fields += write_headers([("content-range", content_range(parts[0], file.size))])
        plan = parts
    else:
        plan = _multipart(response, parts, file.size, content_type)
    _fill(response, file, plan, with_body=request.method != "HEAD")
    return response


def whole_file(
    status: int, fields: list[tuple[bytes, bytes]], file: OpenedFile, *, with_body: bool
) -> Response:
    """Return a response with all of an open file, which it closes, for the room above.

    Parameters:
        status: of the response.
        fields: as they stand on the wire.
        file: becomes the response's.
        with_body: whether the response has a body, or only tells its length.
    """
    response = Response(b"", status)
    response.fields = fields
    _fill(response, file, [range(file.size)], with_body=with_body)
    return response


def _validators_of(file: OpenedFile) -> Validators:
    etag = f'"{file.modified_ns:x}-{file.size:x}"'
    modified = file.modified_ns // 1_000_000_000
    # What has just been written may be written again within what the clock can tell apart.
    fresh = modified > time.time() - 2
    return Validators(f"W/{etag}" if fresh else etag, modified)


def _judge(request: Request, current: Validators | None, headers: HeadersToSend) -> Response | None:
    verdict = judge(request.method, request.headers, current)
    if verdict is Verdict.FAILED:
        raise HTTPError(412)
    if verdict is Verdict.PROCEED or current is None:
        return None
    response = Response(b"", 304, headers)
    # Of what a 200 would have, that which caches want to know (section 15.4.5).
    response.fields = [field for field in response.fields if field[0] != b"content-type"]
    response.fields += write_headers(current.headers())
    return response


def _parts_of(
    request: Request, file: OpenedFile, current: Validators, max_ranges: int
) -> list[range] | None:
    wanted = request.headers.getall("Range", ())
    if request.method != "GET" or len(wanted) != 1:
        return None
    if not range_is_wanted(request.headers, current, time.time()):
        return None
    try:
        return read_ranges(wanted[0], file.size, max_ranges)
    except UnsatisfiableRangeError:
        raise HTTPError(416, headers={"content-range": f"bytes */{file.size}"}) from None


def _multipart(response: Response, parts: list[range], size: int, content_type: str) -> Plan:
    boundary = secrets.token_hex(16)
    heads, end = multipart_heads(parts, size, content_type, boundary)
    multipart = f"multipart/byteranges; boundary={boundary}"
    response.fields = [field for field in response.fields if field[0] != b"content-type"]
    response.fields += write_headers([("content-type", multipart)])
    return [*(each for pair in zip(heads, parts, strict=True) for each in pair), end]


def _fill(response: Response, file: OpenedFile, plan: Plan, *, with_body: bool) -> None:
    """Give a response its body: at once where it is small and in memory, or as it is sent."""
    size = sum(len(step) for step in plan)
    if not with_body:
        file.close()
    elif size <= SMALL:
        body = _read_now(file, plan)
        if body is not None:
            response.body = body
            return
    response.content_length = size
    response.body = FileBody(file, plan)


def _read_now(file: OpenedFile, plan: Plan) -> bytes | None:
    read: list[bytes] = []
    for step in plan:
        data = file.read_nowait(len(step), step.start) if isinstance(step, range) else step
        if data is None or len(data) != len(step):
            return None
        read.append(data)
    file.close()
    return b"".join(read)
