"""Telling an application that the server begins and ends."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from enum import Enum
from typing import Any

import trio

from .._errors import LocalProtocolError
from .._supervisor import open_plain_nursery
from ._errors import LifespanError
from ._types import ASGIApplication, LifespanMode, Message

logger = logging.getLogger("snowtrio.asgi")


class Stage(Enum):
    """Where an application stands."""

    STARTUP = "startup"
    SERVING = "serving"
    SHUTDOWN = "shutdown"
    OVER = "over"


class Lifespan:
    """One application, from its startup to its shutdown.

    Parameters:
        app: the application.
        state: what it leaves for its requests.
        mode: whether it has to know of this.
    """

    def __init__(self, app: ASGIApplication, state: dict[str, Any], mode: LifespanMode) -> None:
        self._app = app
        self._state = state
        self._mode = mode
        self._stage = Stage.STARTUP
        self._told = trio.Event()
        """Set when the stage is over, by whatever ended it."""
        self._asked = trio.Event()
        self._heard = False
        self._failure: str | None = None
        self._error: Exception | None = None

    async def run(self) -> None:
        """Call the application."""
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self._state,
        }
        try:
            await self._app(scope, self._receive, self._send)
        except Exception as error:
            self._error = error
            if self._stage is Stage.SERVING:
                logger.exception("the application's lifespan failed while it serves")
        self._stage = Stage.OVER
        self._told.set()

    # The application's side

    async def _receive(self) -> Message:
        if self._stage is Stage.STARTUP and not self._heard:
            self._heard = True
            await trio.lowlevel.checkpoint()
            return {"type": "lifespan.startup"}
        await self._asked.wait()
        if self._heard:
            self._heard = False
            return {"type": "lifespan.shutdown"}
        return await trio.sleep_forever()

    async def _send(self, message: Message) -> None:
        kind, stage = message["type"], self._stage
        if stage is Stage.SERVING and kind == "lifespan.shutdown.failed":
            return  # Frameworks say so when they are cancelled; an error follows in any case.
        done = kind == f"lifespan.{stage.value}.complete"
        failed = kind == f"lifespan.{stage.value}.failed"
        if stage in (Stage.SERVING, Stage.OVER) or not (done or failed):
            raise LocalProtocolError(f"the application sent {kind!r} at its {stage.value}")
        if failed:
            self._failure = str(message.get("message") or "without a reason")
        self._stage = Stage.SERVING if stage is Stage.STARTUP and done else Stage.OVER
        self._told.set()

    # The server's side

    async def start(self) -> None:
        """Have the application start up.

        Raises:
            LifespanError: it failed, or knows nothing of this where it has to.
        """
        await self._told.wait()
        if self._failure is not None:
            raise LifespanError(f"the application did not start: {self._failure}") from self._error
        if self._stage is Stage.SERVING:
            return
        if self._mode == "on":
            raise LifespanError("the application ended its lifespan at startup") from self._error
        level = logging.INFO if self._error is not None else logging.DEBUG
        logger.log(level, "the application has no lifespan: %r", self._error)

    async def stop(self) -> None:
        """Have the application shut down.

        Raises:
            LifespanError: it failed.
        """
        if self._stage is not Stage.SERVING:
            return
        self._stage, self._told = Stage.SHUTDOWN, trio.Event()
        self._asked.set()
        await self._told.wait()
        if self._failure is not None or self._error is not None:
            reason = self._failure or repr(self._error)
            raise LifespanError(f"the application did not shut down: {reason}") from self._error


@asynccontextmanager
async def open_lifespan(
    app: ASGIApplication, state: dict[str, Any], mode: LifespanMode
) -> AsyncGenerator[None, None]:
    """Start an application up, and shut it down behind the block.

    Cancelled, it cancels the application, and tells it nothing.
    """
    if mode == "off":
        yield
        return
    async with open_plain_nursery() as nursery:
        lifespan = Lifespan(app, state, mode)
        nursery.start_soon(lifespan.run)
        await lifespan.start()
        try:
            yield
        except Exception:
            await lifespan.stop()
            raise
        await lifespan.stop()
        nursery.cancel_scope.cancel(reason="the application has shut down")
