"""Which request a reply belongs to: the decision alone (row S14)."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snowtrio import ById, InOrder, LocalProtocolError, RemoteProtocolError

BY_ID: ById[Any, Any] = ById(lambda request: request["id"], lambda reply: reply.get("id"))


@given(st.lists(st.sampled_from(["ask", "answer", "withdraw", "push"]), max_size=50))
def test_in_order_is_a_queue(steps: list[str]) -> None:
    """S14: the oldest is answered first; the one that was added last can be withdrawn."""
    outstanding = InOrder[int, str](is_push=lambda message: message == "push").start()
    model: deque[int] = deque()
    for number, step in enumerate(steps):
        if step == "ask":
            outstanding.check(number)
            outstanding.add(number, number)
            model.append(number)
        elif step == "push":
            assert outstanding.find("push") is None
        elif not model:
            with pytest.raises(RemoteProtocolError):
                outstanding.find("reply")
        elif step == "answer":
            assert outstanding.find("reply") == model[0]
            outstanding.remove("reply")
            model.popleft()
        else:
            outstanding.withdraw(model.pop())
        assert list(outstanding) == list(model)
        assert len(outstanding) == len(model)


@given(
    st.lists(
        st.tuples(st.sampled_from(["ask", "answer", "withdraw"]), st.integers(0, 5)), max_size=50
    )
)
def test_by_id_is_a_table(steps: list[tuple[str, int]]) -> None:
    """S14: any of them can be answered; an id is used by one at a time."""
    outstanding = BY_ID.start()
    model: dict[int, int] = {}
    for number, (step, known) in enumerate(steps):
        message = {"id": known}
        if step == "ask" and known in model:
            with pytest.raises(LocalProtocolError):
                outstanding.check(message)
        elif step == "ask":
            outstanding.check(message)
            outstanding.add(message, number)
            model[known] = number
        elif step == "withdraw":
            if model:
                last = list(model)[-1]
                outstanding.withdraw({"id": last})
                del model[last]
        elif known not in model:
            with pytest.raises(RemoteProtocolError):
                outstanding.find(message)
        else:
            assert outstanding.find(message) == model.pop(known)
            outstanding.remove(message)
        assert list(outstanding) == list(model.values())
        assert len(outstanding) == len(model)


def test_what_has_no_id_is_a_push() -> None:
    """S14: a message without an id answers nothing; a request without one is refused."""
    outstanding = BY_ID.start()
    assert outstanding.find({"method": "told"}) is None
    with pytest.raises(LocalProtocolError, match="notify"):
        outstanding.check({"id": None})


def test_ids_that_cannot_be_looked_up() -> None:
    """S14: an id that is a list breaks the protocol of whoever made it, and nothing else."""
    outstanding = BY_ID.start()
    with pytest.raises(LocalProtocolError):
        outstanding.check({"id": []})
    with pytest.raises(RemoteProtocolError):
        outstanding.find({"id": []})


def test_a_request_that_its_author_changes_meanwhile_can_be_withdrawn() -> None:
    """S14: what was added is what is taken out, whatever its message says by then."""
    outstanding = BY_ID.start()
    message = {"id": 1}
    outstanding.add({"id": 0}, "first")
    outstanding.add(message, "second")
    message["id"] = 7
    outstanding.withdraw(message)
    assert list(outstanding) == ["first"]


def test_connections_do_not_share_requests() -> None:
    """S14: each connection's requests are its own."""
    one, other = BY_ID.start(), BY_ID.start()
    one.add({"id": 1}, "mine")
    other.check({"id": 1})
    assert (len(one), len(other)) == (1, 0)
