"""Where a client connects to, and how."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable

import attrs
import trio
from attrs.validators import and_, ge, instance_of, le

from .._errors import ConnectError
from ._base import Transport
from ._connect_errors import as_connect_error
from ._happy_eyeballs import connect_tcp
from ._option_setting import apply_options, check_options
from ._option_table import Kind
from ._options import SocketOptions
from ._socket import SocketTransport
from ._stream import as_transport

# Between two attempts to get into the full backlog of a Unix socket, in seconds.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.001, 0.05


class Endpoint(ABC):
    """One place to connect to. A client's pool can have several for the same service."""

    ssl_context: ssl.SSLContext | None

    @property
    def server_hostname(self) -> str | None:
        """The name that a TLS certificate must have."""
        return None

    @abstractmethod
    async def connect(self) -> Transport:
        """Open a transport, without TLS: that belongs to the handshake.

        Raises:
            ConnectError: with the decisive cause's errno and all causes; nothing is left open.
        """


@attrs.frozen
class TCPEndpoint(Endpoint):
    """A host and port; the name is resolved anew at each connect (row B13).

    Parameters:
        host: a name or address. Of several addresses the first that answers is used (RFC 8305).
        port: its TCP port.
        ssl_context: speak TLS with these rules.
        tls_hostname: the name that the certificate must have, if not `host`.
        local_address: the address of ours to connect from.
        options: of the socket, set before it connects.

    Raises:
        UnsupportedOptionError: an option is not for connections, or not on this platform.
    """

    host: str = attrs.field(validator=instance_of(str))
    port: int = attrs.field(validator=and_(instance_of(int), ge(0), le(65535)))
    ssl_context: ssl.SSLContext | None = attrs.field(default=None, kw_only=True)
    tls_hostname: str | None = attrs.field(default=None, kw_only=True)
    local_address: str | None = attrs.field(default=None, kw_only=True)
    options: SocketOptions | None = attrs.field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        check_options(self.options, Kind.TCP_CONNECTION)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def server_hostname(self) -> str | None:
        """The name that a TLS certificate must have."""
        return self.tls_hostname or self.host

    async def connect(self) -> Transport:
        """Resolve, connect, and take the socket over."""
        try:
            sock = await connect_tcp(
                self.host, self.port, local_address=self.local_address, prepare=self._prepare
            )
        except OSError as error:
            raise as_connect_error(str(self), error) from error
        except UnicodeError as error:  # a label that is empty, or above 63 bytes
            raise ConnectError(0, f"cannot connect to {self}: {error}", [error]) from error
        return SocketTransport(sock)

    def _prepare(self, sock: socket.socket) -> None:
        apply_options(self.options, sock, Kind.TCP_CONNECTION)


@attrs.frozen
class UnixEndpoint(Endpoint):
    """A Unix socket's path.

    Parameters:
        path: where the server listens.
        ssl_context: speak TLS with these rules.
        tls_hostname: the name that the certificate must have; needed unless the context does not
            check names.
        options: of the socket, set before it connects.

    Raises:
        UnsupportedOptionError: an option is not for Unix sockets, or not on this platform.
    """

    path: str | os.PathLike[str]
    ssl_context: ssl.SSLContext | None = attrs.field(default=None, kw_only=True)
    tls_hostname: str | None = attrs.field(default=None, kw_only=True)
    options: SocketOptions | None = attrs.field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        check_options(self.options, Kind.UNIX_CONNECTION)

    def __str__(self) -> str:
        return os.fspath(self.path)

    @property
    def server_hostname(self) -> str | None:
        """The name that a TLS certificate must have."""
        return self.tls_hostname

    async def connect(self) -> Transport:
        """Connect; a server whose backlog is full is waited for."""
        try:
            return SocketTransport(await _connect_unix(os.fspath(self.path), self.options))
        except OSError as error:
            raise as_connect_error(str(self), error) from error


async def _connect_unix(path: str, options: SocketOptions | None) -> socket.socket:
    """Return a connected Unix socket.

    A non-blocking connect that finds the backlog full has not begun anything that could be waited
    for, as it has on TCP (``trio.open_unix_socket`` takes it for done); one has to ask again.
    """
    await trio.lowlevel.checkpoint()
    if not hasattr(socket, "AF_UNIX"):
        raise OSError(errno.EAFNOSUPPORT, "no Unix sockets on this system")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        apply_options(options, sock, Kind.UNIX_CONNECTION)
        pause = _FIRST_PAUSE
        while True:
            try:
                sock.connect(path)
            except BlockingIOError:
                await trio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                return sock
    except BaseException:
        sock.close()
        raise


@attrs.frozen
class StreamEndpoint(Endpoint):
    """Anything that opens a Trio stream: a proxy, a serial line, a test's memory pair.

    Parameters:
        open_stream: called for each connection.
        name: what errors and logs call it.
        ssl_context: speak TLS over it with these rules.
        tls_hostname: the name that the certificate must have; needed unless the context does not
            check names.
    """

    open_stream: Callable[[], Awaitable[trio.abc.Stream]]
    name: str = "stream"
    ssl_context: ssl.SSLContext | None = attrs.field(default=None, kw_only=True)
    tls_hostname: str | None = attrs.field(default=None, kw_only=True)

    def __str__(self) -> str:
        return self.name

    @property
    def server_hostname(self) -> str | None:
        """The name that a TLS certificate must have."""
        return self.tls_hostname

    async def connect(self) -> Transport:
        """Open the stream and take it over."""
        try:
            stream = await self.open_stream()
        except (OSError, trio.BrokenResourceError) as error:
            raise as_connect_error(self.name, error) from error
        return as_transport(stream)
