"""A folder of files, for paths that clients give."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

from .._errors import HTTPError
from .._headers import HeadersToSend
from .._opened import OPEN_FLAGS, OpenedFile, open_descriptor, open_file
from .._server import Request, Response
from ._file_response import respond_with
from ._media_types import guess_content_type

# What Windows takes for devices, in whatever folder and with whatever extension.
_DEVICES = {
    *("con", "prn", "aux", "nul", "conin$", "conout$"),
    *(f"{name}{number}" for name in ("com", "lpt") for number in "0123456789¹²³"),
}
_DIRECTORY_FLAGS = OPEN_FLAGS | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)


def split_path(path: str, *, hidden: bool = False) -> list[str] | None:
    """Return the names in a path that a client has given, None where one must not be used.

    Pure. Refused are empty names, ``.`` and ``..``, control characters, backslashes and colons,
    what Windows would take for another name or for a device, and, unless `hidden`, names that begin
    with a dot, but for ``.well-known``.
    """
    names = path.split("/")
    return names if all(_is_plain(name, hidden=hidden) for name in names) else None


def _is_plain(name: str, *, hidden: bool) -> bool:
    if not name or name in (".", "..") or name[-1] in ". ":
        return False
    if name.startswith(".") and not (hidden or name == ".well-known"):
        return False
    if any(char < " " or char in '\\:*?"<>|\x7f' for char in name):
        return False
    return name.partition(".")[0].rstrip(" ").lower() not in _DEVICES


class Folder:
    """A handler that answers with the files of a folder.

    ::

        router.get("/static/{path...}")(Folder("public"))

    Nothing outside the folder is ever sent, whatever a path says, and whatever symbolic links are
    in it: none is followed. `file_response` says what else there is to know.

    Parameters:
        root: the folder; it has to be there when a request comes.
        index: the file that is sent for a folder in it, such as ``"index.html"``; None has
            none.
        headers: further fields of each response.
        hidden: whether files and folders are sent whose names begin with a dot.
        max_ranges: parts in one response.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        index: str | None = None,
        headers: HeadersToSend = (),
        hidden: bool = False,
        max_ranges: int = 16,
    ) -> None:
        self._root = Path(root).absolute()
        self._index = index
        self._headers = headers
        self._hidden = hidden
        self._max_ranges = max_ranges

    def __repr__(self) -> str:
        return f"<Folder {self._root}>"

    def __call__(self, request: Request) -> Response:
        """Answer with the file that ``request.params["path"]`` names, or, without, the path.

        Raises:
            HTTPError: 404, there is none; 403, it must not be read; 405, this is neither a GET nor
                a HEAD; 412 or 416; 503, no more files can be open.
        """
        if request.method not in ("GET", "HEAD"):
            raise HTTPError(405, headers={"allow": "GET, HEAD"})
        path = request.params.get("path", request.path.removeprefix("/"))
        wants_folder = path == "" or path.endswith("/")
        if wants_folder:
            path += self._index or ""
        names = split_path(path, hidden=self._hidden)
        if names is None:
            raise HTTPError(404)
        try:
            file = self._open(names)
        except HTTPError:
            if wants_folder or not self._is_folder_with_index(names):
                raise
            return Response(b"", 308, {"location": f"./{quote(names[-1])}/{_query(request)}"})
        return respond_with(
            request,
            file,
            headers=self._headers,
            content_type=guess_content_type(names[-1]),
            max_ranges=self._max_ranges,
        )

    def _open(self, names: list[str]) -> OpenedFile:
        """Open a file by going from folder to folder, so that no link can lead away in between."""
        directory = open_descriptor(self._root, OPEN_FLAGS, None)
        try:
            for name in names[:-1]:
                inner = open_descriptor(name, _DIRECTORY_FLAGS, directory)
                os.close(directory)
                directory = inner
            return open_file(names[-1], directory)
        finally:
            os.close(directory)

    def _is_folder_with_index(self, names: list[str]) -> bool:
        if self._index is None:
            return False
        try:
            self._open([*names, self._index]).close()
        except HTTPError:
            return False
        return True


def _query(request: Request) -> str:
    return f"?{request.query_string}" if request.query_string else ""
