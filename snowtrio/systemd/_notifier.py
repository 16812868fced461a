"""What a service tells its manager: that it is ready, how it is, that it lives, that it ends."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio

from .._supervisor import open_plain_nursery
from ._environment import NOTIFY_VARIABLES, read_notify_address, read_watchdog_timeout
from ._notification import write_notification, write_status, write_time
from ._sender import Sender

# The last words may take so long to leave, in seconds.
_PARTING = 1.0


class Notifier:
    """Tells systemd about this service; where there is no systemd, nobody. See `open_notifier`.

    None of its methods waits: what the manager has no room for leaves later, in order, and of
    several that say the same kind of thing the last. A manager that cannot be reached is a line in
    the log of ``snowtrio.systemd``. For `run_service`, ``ready=notifier.ready`` and
    ``stopping=notifier.stopping``.

    Parameters:
        sender: where notifications go; None is nowhere.
        watchdog_timeout: within how many seconds the manager wants to hear of us.
    """

    def __init__(self, sender: Sender | None, watchdog_timeout: float | None) -> None:
        self.watchdog_timeout = watchdog_timeout
        """``WatchdogSec=`` of the unit, in seconds; None without, and without systemd."""
        self._sender = sender
        self._stopping = False

    @property
    def listened(self) -> bool:
        """Whether there is anybody to tell."""
        return self._sender is not None

    @property
    def is_stopping(self) -> bool:
        """Whether it was said that the service ends."""
        return self._stopping

    def ready(self, *servers: object, status: str | None = None) -> None:
        """Say that the service has started (``READY=1``), as ``Type=notify`` waits for.

        Parameters:
            servers: not looked at.
            status: see `status`.
        """
        self._tell({"READY": 1}, status)

    def stopping(
        self, *servers: object, within: float | None = None, status: str | None = None
    ) -> None:
        """Say that the service has begun to end (``STOPPING=1``), by a drain for example.

        Parameters:
            servers: not looked at.
            within: seconds that it may take, where that may be more than ``TimeoutStopSec=``.
            status: see `status`.
        """
        self._stopping = True
        extended = {} if within is None else {"EXTEND_TIMEOUT_USEC": write_time(within)}
        self._tell({"STOPPING": 1, **extended}, status)

    @asynccontextmanager
    async def reloading(self) -> AsyncGenerator[None, None]:
        """Say that the service reloads its settings, for the time of a block.

        As ``Type=notify-reload`` wants it, ``RELOADING=1`` with the time, and ``READY=1`` behind
        the block, also where that raises: the service goes on with the settings that it has. Where
        it has begun to end meanwhile, nothing more is said.
        """
        self._tell({"RELOADING": 1, "MONOTONIC_USEC": time.monotonic_ns() // 1000})
        try:
            yield
        finally:
            if not self._stopping:
                self.ready()

    def status(self, text: str) -> None:
        """Say how the service is, in a line that ``systemctl status`` shows (``STATUS=``).

        Parameters:
            text: line breaks become blanks.
        """
        self._tell({}, text)

    def extend_timeout(self, seconds: float) -> None:
        """Ask for time, from now on, to start, to run or to end (``EXTEND_TIMEOUT_USEC=``)."""
        self._tell({"EXTEND_TIMEOUT_USEC": write_time(seconds)})

    def notify(self, **fields: str | int) -> None:
        """Say anything else that systemd documents for ``sd_notify``: ``notify(MAINPID=pid)``.

        Raises:
            ValueError: there is none; a name is no field's; or a value has a line break, by which
                text that comes from outside could be another field.
        """
        self._tell(fields)

    def _tell(self, fields: dict[str, str | int], status: str | None = None) -> None:
        if status is not None:
            fields = {**fields, "STATUS": write_status(status)}
        data = write_notification(fields)
        if self._sender is not None:
            self._sender.send(tuple(fields), data)


async def _watch(notifier: Notifier) -> None:
    """Tell the watchdog that we live, twice in the time that it gives us."""
    while notifier.watchdog_timeout is not None:
        notifier.notify(WATCHDOG=1)
        await trio.sleep(notifier.watchdog_timeout / 2)


@asynccontextmanager
async def open_notifier(*, unset_environment: bool = True) -> AsyncGenerator[Notifier, None]:
    """Give a `Notifier`, and tell the watchdog for the time of a block that we live.

    The block is the service: when it is left, the manager is told that the service ends, unless it
    was, and has a second to hear of it. Until then the watchdog (``WatchdogSec=``) hears of us
    twice in its time, during a drain too. That it does shows that Trio's loop comes round, so a
    handler that blocks the loop is found out; nothing else is.

    Parameters:
        unset_environment: remove ``NOTIFY_SOCKET``, ``WATCHDOG_USEC`` and ``WATCHDOG_PID`` from
            ``os.environ``, so that a child does not speak for this service.

    Raises:
        ValueError: the environment is not what systemd writes.
    """
    address = read_notify_address(os.environ)
    watchdog_timeout = read_watchdog_timeout(os.environ, os.getpid())
    if unset_environment:
        for name in NOTIFY_VARIABLES:
            os.environ.pop(name, None)
    if address is None:
        yield Notifier(None, None)
        return
    sender = Sender(address)
    notifier = Notifier(sender, watchdog_timeout)
    try:
        async with open_plain_nursery() as nursery:
            nursery.start_soon(sender.run)
            nursery.start_soon(_watch, notifier)
            try:
                yield notifier
            finally:
                if not notifier.is_stopping:
                    notifier.stopping()
                with trio.move_on_after(_PARTING, shield=True):
                    await sender.flush()
            nursery.cancel_scope.cancel(reason="the service has ended")
    finally:
        sender.close()
