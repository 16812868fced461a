"""A plain function as a handler: called where messages are decoded, with no task in between."""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import CoroutineType
from typing import Any, Generic, TypeVar

import trio

from .._errors import SkippedMessageError
from ._writer import Writer

SendT = TypeVar("SendT")
ReceiveT = TypeVar("ReceiveT")

logger = logging.getLogger("snowtrio.connection")

# Of so many messages the answers are made before the outbox is asked for room: few enough for a
# peer that asks for large ones, enough to be encoded together.
AT_A_TIME = 64


class Answering(Generic[SendT, ReceiveT]):
    """Takes the place of a receiver: what would be handed to it is answered.

    The function runs in the context variables of the task that made this object.

    Parameters:
        function: called with the connection and each message; what it returns is sent, unless it
            is None.
        connection: given to it.
        writer: the connection's.
        on_failure: called with what the function or the writer raised. No message is answered then.
    """

    __slots__ = (
        "_answers",
        "_connection",
        "_context",
        "_error",
        "_failure",
        "_function",
        "_item",
        "_on_failure",
        "_rest",
        "_stopped",
        "_writer",
    )

    def __init__(
        self,
        function: Callable[[Any, ReceiveT], SendT | None],
        connection: object,
        writer: Writer[SendT],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self._function = function
        self._connection = connection
        self._writer = writer
        self._on_failure = on_failure
        self._context = trio.lowlevel.current_task().context
        self._failure: BaseException | None = None
        self._error: BaseException | None = None
        self._item: list[ReceiveT] | None = None
        self._rest: list[ReceiveT] = []
        self._answers: list[SendT] = []
        self._stopped = False

    def put_nowait(self, item: list[ReceiveT] | SkippedMessageError) -> bool:
        """Answer a batch as far as there is room for the answers; say whether that was all.

        If not, what is left is done by `finish`, or by putting the same batch again.
        """
        return self._context.run(self._work, item)

    async def finish(self, item: list[ReceiveT] | SkippedMessageError) -> None:
        """Wait for room until all of a batch is answered."""
        try:
            while not self.put_nowait(item):
                await self._writer.wait_for_room()
        except Exception as error:  # from the wait: the connection is at its end
            self._fail(error)

    async def answer_here(self, item: list[ReceiveT] | SkippedMessageError) -> None:
        """Answer a batch in the task that made this object, whose context is its own already."""
        while not self._work(item):
            await self._writer.wait_for_room()
        self.check()

    async def answer_rest(self) -> None:
        """Answer what a reader that was stopped has left, in the task that made this object."""
        if self._item is not None:
            await self.answer_here(self._item)
        self.check()

    def check(self) -> None:
        """Raise what ended the answering, if anything did."""
        if self._failure is not None:
            raise self._failure

    def stop(self) -> tuple[list[ReceiveT] | None, list[ReceiveT]]:
        """Call the function no more; return the batch in work, and what of it was not answered."""
        item, rest = self._item, self._rest
        self._stopped = True
        self._item, self._rest, self._answers = None, [], []
        return item, rest

    def _work(self, item: list[ReceiveT] | SkippedMessageError) -> bool:
        """Answer a batch, or what is left of it."""
        if self._stopped:
            return True
        alone: list[ReceiveT] | None = None
        if item is not self._item:
            if isinstance(item, SkippedMessageError):
                logger.debug("skipped a message: %s", item)
                return True
            self._item = item
            if self._failure is not None:
                self._rest = []
            elif len(item) == 1:
                alone = item
                self._rest = []
            else:
                self._rest = item
        try:
            if not (self._answer_one(alone[0]) if alone else self._answer_all()):
                return False
        except BaseException as error:  # whoever runs the handler decides what it means
            self._fail(error)
        self._item = None
        return True

    def _answer_all(self) -> bool:
        writer = self._writer
        while self._rest or self._answers:
            if not self._answers:
                self._make_answers()
            if self._answers:
                accepted = writer.accept_many(self._answers)
                self._answers = self._answers[accepted:]
                if self._answers:
                    return False
        if self._error is not None:
            raise self._error
        return True

    def _make_answers(self) -> None:
        messages, self._rest = self._rest[:AT_A_TIME], self._rest[AT_A_TIME:]
        function, connection = self._function, self._connection
        self._writer.new_turn()
        # The writer knows of them, since the function may send on its own in between.
        answers: list[SendT] = []
        self._answers = self._writer.ahead = answers
        try:
            for message in messages:
                answer = function(connection, message)
                if answer is not None:
                    answers.append(answer)
        except BaseException as error:  # raised once the answers before it are accepted
            self._error, self._rest = error, []
        self._writer.ahead = None
        if answers and isinstance(answers[0], CoroutineType):
            for answer in answers:
                if isinstance(answer, CoroutineType):
                    answer.close()
            raise self._returned_a_coroutine()

    def _answer_one(self, message: ReceiveT) -> bool:
        """Answer a message that came alone: as the others, but for the lists."""
        writer = self._writer
        writer.new_turn()
        answer = self._function(self._connection, message)
        if answer is None:
            return True
        if isinstance(answer, CoroutineType):
            answer.close()
            raise self._returned_a_coroutine()
        if writer.accept(answer, answering=False):
            return True
        self._answers = [answer]
        return False

    def _returned_a_coroutine(self) -> TypeError:
        return TypeError(f"{self._function!r} returned a coroutine: declare the handler async def")

    def _fail(self, error: BaseException) -> None:
        self._failure = error
        self._rest, self._answers, self._error = [], [], None
        self._on_failure(error)
