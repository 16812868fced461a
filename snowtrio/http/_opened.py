"""A regular file that is open, and the ways to read it without holding up the event loop."""

from __future__ import annotations

import errno
import os
import stat

import trio

from ._errors import HTTPError

# Whatever has the name is opened before it can be seen what it is: a pipe must not wait for its
# other end, a terminal must not become ours.
OPEN_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)
)

# What Linux has for reading only what needs no disk; elsewhere, and on the file systems that have
# no such thing, a thread reads.
_NOWAIT: int | None = getattr(os, "RWF_NOWAIT", None)

_NOT_THERE = {
    *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL),
    *(errno.ENXIO, errno.ENODEV, errno.EILSEQ),
}
_EXHAUSTED = {errno.EMFILE, errno.ENFILE}


class OpenedFile:
    """Reads a regular file.

    It is closed by `close`, or when nobody has it any more: a response that is never sent must not
    leave it open.

    Parameters:
        descriptor: becomes this object's own.
        name: for errors.

    Raises:
        HTTPError: 404, it is no regular file; the descriptor has been closed.
    """

    __slots__ = ("_descriptor", "_name", "_waits", "modified_ns", "size")

    def __init__(self, descriptor: int, name: str) -> None:
        self._descriptor = descriptor
        self._name = name
        self._waits = _NOWAIT is None
        status = os.fstat(descriptor)
        self.size = status.st_size
        self.modified_ns = status.st_mtime_ns
        if not stat.S_ISREG(status.st_mode):
            self.close()
            raise HTTPError(404)

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Close it; idempotent."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def read_nowait(self, size: int, offset: int) -> bytes | None:
        """Return bytes that are in memory, ``b""`` at the end, None where a disk may be needed."""
        if self._waits:
            return None
        assert _NOWAIT is not None
        space = bytearray(size)
        try:
            taken = os.preadv(self._descriptor, [space], offset, _NOWAIT)
        except BlockingIOError:
            return None
        except OSError:
            self._waits = True  # Not on this file system.
            return None
        with memoryview(space) as view:
            return bytes(view[:taken])

    @property
    def waits(self) -> bool:
        """Whether it cannot be told what is in memory, so that a thread has to read."""
        self.read_nowait(1, 0)
        return self._waits

    @property
    def descriptor(self) -> int:
        """The descriptor; it stays this object's own."""
        return self._descriptor

    async def bring_to_memory(self, size: int, offset: int) -> None:
        """Wait until bytes are in memory, as far as can be told; not a checkpoint if they are."""
        # What is read in order is brought by the kernel in order: the last byte tells of all.
        if self.read_nowait(1, offset + size - 1) is None:
            await trio.to_thread.run_sync(os.pread, self._descriptor, size, offset)

    async def read(self, size: int, offset: int) -> bytes:
        """Return bytes, at least one. Always a checkpoint.

        Raises:
            OSError: there are none: the file has become shorter; or it cannot be read.
        """
        data = self.read_nowait(size, offset)
        if data is None:
            data = await trio.to_thread.run_sync(os.pread, self._descriptor, size, offset)
        else:
            await trio.lowlevel.checkpoint()
        if not data:
            raise OSError(errno.EIO, "the file has become shorter while it was sent", self._name)
        return data


def open_file(path: str | os.PathLike[str], directory: int | None = None) -> OpenedFile:
    """Open a file for a client.

    Parameters:
        path: of it.
        directory: a folder's descriptor that `path` is a name in. Then it is not followed if it
            is a symbolic link.

    Raises:
        HTTPError: 404, there is none; 403, it must not be read; 503, no more files can be open.
        OSError: something else is the matter, such as a disk that cannot be read.
    """
    flags = OPEN_FLAGS if directory is None else OPEN_FLAGS | os.O_NOFOLLOW
    return OpenedFile(open_descriptor(path, flags, directory), os.fspath(path))


def open_descriptor(path: str | os.PathLike[str], flags: int, directory: int | None) -> int:
    """Return a descriptor; parameters but for the flags, and what is raised, as `open_file`."""
    try:
        return os.open(path, flags, dir_fd=directory)
    except PermissionError as error:
        raise HTTPError(403) from error
    except ValueError as error:  # A NUL, or what the file system's names cannot hold.
        raise HTTPError(404) from error
    except OSError as error:
        if error.errno in _NOT_THERE:
            raise HTTPError(404) from error
        if error.errno in _EXHAUSTED:
            raise HTTPError(503, headers={"Retry-After": "1"}) from error
        raise
