"""Signals received by tasks: real ones, sent by this process to itself."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from types import FrameType

import pytest
import trio
import trio.testing

from snowtrio import SignalReceiver

if os.name == "nt":
    pytest.skip("there is nothing to send here", allow_module_level=True)

USR1, USR2 = signal.SIGUSR1, signal.SIGUSR2
KINDS = (USR1, USR2, signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


def noted(number: int, frame: FrameType | None) -> None:
    """Note a signal that reached the handler which was there before."""
    lost.append(number)


lost: list[int] = []


@pytest.fixture(autouse=True)
def handlers_before() -> Iterator[None]:
    """Handlers that note what they get; each must be there again at the end."""
    lost.clear()
    before = {number: signal.signal(number, noted) for number in (USR1, USR2)}
    expected = {number: signal.getsignal(number) for number in KINDS}
    yield
    after = {number: signal.getsignal(number) for number in KINDS}
    for number, handler in before.items():
        signal.signal(number, handler)
    assert after == expected


async def test_one_that_arrives_before_the_wait_is_kept() -> None:
    """Row P8."""
    with SignalReceiver(USR1) as signals:
        signal.raise_signal(USR1)
        assert await signals.receive() is USR1
    assert lost == []


async def test_one_that_arrives_during_the_wait_ends_it() -> None:
    """Row P8: from a task, and from another process."""
    with SignalReceiver(USR1, USR2) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.run_process, ["kill", "-USR2", str(os.getpid())])
            assert await signals.receive() is USR2


async def test_only_the_kinds_that_were_asked_for() -> None:
    """Row P8: the others do what they did."""
    with SignalReceiver(USR1) as signals:
        signal.raise_signal(USR2)
        assert lost == [USR2]
        with pytest.raises(trio.WouldBlock):
            signals.receive_nowait()


async def test_several_of_one_kind_are_one_and_kinds_keep_their_order() -> None:
    """Row P8."""
    with SignalReceiver(USR1, USR2) as signals:
        for number in (USR2, USR1, USR2, USR1):
            signal.raise_signal(number)
        assert [await signals.receive() for _ in range(2)] == [USR2, USR1]
        with pytest.raises(trio.WouldBlock):
            signals.receive_nowait()


async def test_every_receiver_gets_it_and_none_takes_it_from_another() -> None:
    """Row P8: several waiters, opened and closed in any order."""
    first, second, third = SignalReceiver(USR1), SignalReceiver(USR1, USR2), SignalReceiver(USR1)
    got: list[SignalReceiver] = []

    async def take(receiver: SignalReceiver) -> None:
        await receiver.receive()
        got.append(receiver)

    with first, second:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(take, first)
            nursery.start_soon(take, second)
            await trio.testing.wait_all_tasks_blocked()
            signal.raise_signal(USR1)
        assert set(got) == {first, second}
        with third:
            first.close()
            signal.raise_signal(USR1)
            assert third.receive_nowait() is second.receive_nowait() is USR1
        signal.raise_signal(USR1)
        assert second.receive_nowait() is USR1
    assert lost == []


async def test_what_nobody_was_told_of_reaches_the_handler_that_was_there() -> None:
    """Row P8: nothing is lost at the end, and nothing is told twice."""
    with SignalReceiver(USR1) as idle:
        with SignalReceiver(USR1, USR2) as signals:
            signal.raise_signal(USR1)
            signal.raise_signal(USR2)
            assert signals.receive_nowait() is USR1
        assert lost == [USR2]
        assert idle.receive_nowait() is USR1
        signal.raise_signal(USR1)
    assert lost == [USR2, USR1]
    with SignalReceiver(USR1), SignalReceiver(USR1) as signals:
        signal.raise_signal(USR1)
        signals.receive_nowait()
    assert lost == [USR2, USR1]


async def test_the_handlers_come_back_when_the_block_raises() -> None:
    """Row P8."""
    with pytest.raises(ZeroDivisionError), SignalReceiver(USR1, USR2, signal.SIGINT):
        raise ZeroDivisionError
    signal.raise_signal(USR1)
    assert lost == [USR1]


async def test_all_handlers_come_back_though_one_raises() -> None:
    """Row P8: a signal that was not received raises in its old handler."""
    with pytest.raises(KeyboardInterrupt), SignalReceiver(USR1, signal.SIGINT, USR2):
        signal.raise_signal(signal.SIGINT)


async def test_one_that_cannot_be_received_takes_nothing_away() -> None:
    """Row P8: SIGKILL has no handler; those before it have theirs again."""
    with pytest.raises(OSError), SignalReceiver(USR1, signal.SIGKILL):  # noqa: PT011
        pass
    with pytest.raises(ValueError, match="999"):
        SignalReceiver(999)
    with pytest.raises(TypeError, match="needs a signal"):
        SignalReceiver()


async def test_trios_receiver_may_be_opened_over_it() -> None:
    """Row P8: whoever came last gets the signal, as with any handler."""
    with SignalReceiver(USR1) as signals:
        with trio.open_signal_receiver(USR1) as trios:
            signal.raise_signal(USR1)
            assert await anext(trios) == USR1
        signal.raise_signal(USR1)
        assert signals.receive_nowait() is USR1


async def test_one_that_is_closed_under_another_handler_hands_on() -> None:
    """Row P8: what comes later, by a handler that was restored too late, is not swallowed."""
    signals = SignalReceiver(USR1)
    with trio.open_signal_receiver(USR2), signals:
        stale = signal.signal(USR1, signal.SIG_IGN)
    assert signal.getsignal(USR1) is signal.SIG_IGN
    signal.signal(USR1, stale)
    signal.raise_signal(USR1)
    assert lost == [USR1]


async def test_a_wait_that_is_cancelled_takes_nothing() -> None:
    """Rows P8 and B6."""
    with SignalReceiver(USR1) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(signals.receive)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
            signal.raise_signal(USR1)
        assert await signals.receive() is USR1
        signal.raise_signal(USR1)
        with trio.move_on_after(0) as scope:
            await signals.receive()
        assert scope.cancelled_caught
        assert signals.receive_nowait() is USR1


async def test_a_second_task_on_one_receiver_is_told() -> None:
    """Rows P7 and P8."""
    with SignalReceiver(USR1) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(signals.receive)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(trio.BusyResourceError):
                await signals.receive()
            nursery.cancel_scope.cancel()


async def test_closing_ends_the_wait_and_the_iteration() -> None:
    """Rows P6 and P8."""
    got: list[signal.Signals] = []

    async def iterate(signals: SignalReceiver) -> None:
        async for number in signals:
            got.append(number)

    with SignalReceiver(USR1) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(iterate, signals)
            signal.raise_signal(USR1)
            await trio.testing.wait_all_tasks_blocked()
            signals.close()
            signals.close()
        assert got == [USR1]
        with pytest.raises(trio.ClosedResourceError):
            await signals.receive()
    with pytest.raises(RuntimeError, match="once"):
        signals.__enter__()


async def test_another_thread_is_told_what_it_cannot_do() -> None:
    """Row P8."""

    def elsewhere() -> None:
        with SignalReceiver(USR1):
            raise AssertionError

    with pytest.raises(RuntimeError, match="main thread"):
        await trio.to_thread.run_sync(elsewhere)


def test_without_trio_it_says_so() -> None:
    """Row P8."""
    with pytest.raises(RuntimeError, match="async context"), SignalReceiver(USR1):
        pass
