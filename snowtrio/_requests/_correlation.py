"""How replies find their requests: by their order, or by an id.

A correlation is a description, like a codec: `Correlation.start` is called once a connection and
returns what keeps the requests that wait for replies there. Nothing here waits or does I/O.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from typing import Any, Generic, TypeVar

from .._errors import LocalProtocolError, RemoteProtocolError

SendT = TypeVar("SendT")
ReceiveT = TypeVar("ReceiveT")
CallT = TypeVar("CallT")


class Outstanding(ABC, Generic[CallT]):
    """The requests of one connection that wait for replies, the oldest first."""

    __slots__ = ()

    @abstractmethod
    def __len__(self) -> int:
        """How many there are."""

    @abstractmethod
    def __iter__(self) -> Iterator[CallT]:
        """All of them."""

    @abstractmethod
    def check(self, message: Any) -> None:
        """See that a request can be told from the others; called before it is encoded.

        Raises:
            LocalProtocolError: it cannot.
        """

    @abstractmethod
    def add(self, message: Any, call: CallT) -> None:
        """Take a request that has been encoded; its bytes leave after those of all before it."""

    @abstractmethod
    def find(self, message: Any) -> CallT | None:
        """Return the request that a message answers, None if it answers none (a push).

        Raises:
            RemoteProtocolError: it claims to be a reply, and no request waits for it.
        """

    @abstractmethod
    def remove(self, message: Any) -> None:
        """Take out the request that a message answers: it was its last reply."""

    @abstractmethod
    def withdraw(self, message: Any) -> None:
        """Take out the request that was added last, for which `message` was."""


class Correlation(ABC, Generic[SendT, ReceiveT]):
    """Says which request a message from the server answers."""

    @abstractmethod
    def start(self) -> Outstanding[Any]:
        """Return what keeps the requests of one connection."""


def _never(_: object) -> bool:
    return False


class InOrder(Correlation[SendT, ReceiveT]):
    """Replies come in the order of the requests: RESP, SMTP, memcached's text protocol.

    Parameters:
        is_push: tells messages that answer nothing from replies; by default each one is a reply.
    """

    def __init__(self, *, is_push: Callable[[ReceiveT], bool] = _never) -> None:
        self._is_push = is_push

    def start(self) -> Outstanding[Any]:
        """Return an empty queue."""
        return _Queue(self._is_push)


class _Queue(Outstanding[CallT]):
    __slots__ = ("_calls", "_is_push")

    def __init__(self, is_push: Callable[[Any], bool]) -> None:
        self._calls: deque[CallT] = deque()
        self._is_push = is_push

    def __len__(self) -> int:
        return len(self._calls)

    def __iter__(self) -> Iterator[CallT]:
        return iter(self._calls)

    def check(self, message: Any) -> None:
        """Any request will do."""

    def add(self, message: Any, call: CallT) -> None:
        self._calls.append(call)

    def find(self, message: Any) -> CallT | None:
        if self._is_push(message):
            return None
        if not self._calls:
            raise RemoteProtocolError("the peer sent a reply, and no request waits for one")
        return self._calls[0]

    def remove(self, message: Any) -> None:
        self._calls.popleft()

    def withdraw(self, message: Any) -> None:
        self._calls.pop()


class ById(Correlation[SendT, ReceiveT]):
    """Each request has an id, which its reply repeats: JSON-RPC, and most RPC protocols.

    Parameters:
        request_id: returns the id of a request. Two that wait on one connection must not have the
            same; who makes requests makes their ids, with an `itertools.count` for instance.
        reply_id: returns the id of the request that a message answers, None for a message that
            answers nothing.
    """

    def __init__(
        self,
        request_id: Callable[[SendT], Hashable],
        reply_id: Callable[[ReceiveT], Hashable | None],
    ) -> None:
        self._request_id = request_id
        self._reply_id = reply_id

    def start(self) -> Outstanding[Any]:
        """Return an empty table."""
        return _Table(self._request_id, self._reply_id)


class _Table(Outstanding[CallT]):
    __slots__ = ("_calls", "_reply_id", "_request_id")

    def __init__(
        self,
        request_id: Callable[[Any], Hashable],
        reply_id: Callable[[Any], Hashable | None],
    ) -> None:
        self._calls: dict[Hashable, CallT] = {}
        self._request_id = request_id
        self._reply_id = reply_id

    def __len__(self) -> int:
        return len(self._calls)

    def __iter__(self) -> Iterator[CallT]:
        return iter(self._calls.values())

    def check(self, message: Any) -> None:
        known = self._request_id(message)
        if known is None:
            raise LocalProtocolError("this request has no id: send it with notify")
        try:
            used = known in self._calls
        except TypeError as error:
            raise LocalProtocolError(f"{known!r} cannot be the id of a request: {error}") from error
        if used:
            raise LocalProtocolError(f"a request with the id {known!r} waits for its reply already")

    def add(self, message: Any, call: CallT) -> None:
        self._calls[self._request_id(message)] = call

    def find(self, message: Any) -> CallT | None:
        known = self._reply_id(message)
        if known is None:
            return None
        try:
            return self._calls[known]
        except (KeyError, TypeError):  # a list, say, which is nobody's id
            raise RemoteProtocolError(f"no request waits for a reply to {known!r}") from None

    def remove(self, message: Any) -> None:
        del self._calls[self._reply_id(message)]

    def withdraw(self, message: Any) -> None:
        self._calls.popitem()  # Its author may have changed the message meanwhile.
