"""What a client knows of commands: which need a connection alone, and what subscriptions bring."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from typing import Any, Final

import attrs
from _redis_values import Push, RedisError, Reply

LASTING: Final = ("SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "MONITOR")
"""Commands whose replies go on for ever."""

_ALONE: Final = """
    MULTI EXEC DISCARD WATCH UNWATCH SELECT AUTH HELLO RESET QUIT MONITOR SUBSCRIBE PSUBSCRIBE
    SSUBSCRIBE UNSUBSCRIBE PUNSUBSCRIBE SUNSUBSCRIBE BLPOP BRPOP BLMOVE BRPOPLPUSH BLMPOP BZPOPMIN
    BZPOPMAX BZMPOP WAIT WAITAOF
"""
ALONE: Final[frozenset[object]] = frozenset(
    word for name in (_ALONE.split() + _ALONE.lower().split()) for word in (name, name.encode())
)
"""Commands that others on the same connection would wait for, or whose traces they would find."""

# In RESP3 what a subscription brings is a push like others. It counts as a reply to SUBSCRIBE.
_KINDS: Final = frozenset(
    b"message pmessage smessage subscribe psubscribe ssubscribe unsubscribe punsubscribe "
    b"sunsubscribe".split()
)


def check(reply: Reply) -> Any:
    """Return a reply, or raise the error that it is."""
    if isinstance(reply, RedisError):
        raise reply
    return reply


def is_error(reply: Reply) -> bool:
    """Whether replies that go on for ever are over."""
    return isinstance(reply, RedisError)


def always(_: Reply) -> bool:
    """Whether the only reply is the last one."""
    return True


def answers_nothing(reply: Reply) -> bool:
    """Whether a message answers no command: in RESP3, what tells that a key has changed."""
    return type(reply) is Push and not (reply and reply[0] in _KINDS)


@attrs.frozen
class Message:
    """What was published on a channel, and the pattern that made it come here, if one did."""

    channel: bytes
    data: bytes
    pattern: bytes | None = None


def as_message(reply: Reply) -> Message | None:
    """Return the message that came for a subscription, None if it is word of the subscription."""
    match check(reply):
        case [b"message" | b"smessage", channel, data]:
            return Message(channel, data)
        case [b"pmessage", pattern, channel, data]:
            return Message(channel, data, pattern)
        case _:
            return None


async def as_messages(
    early: Iterable[Message], replies: AsyncIterator[Reply]
) -> AsyncGenerator[Message, None]:
    """Give the messages that are there already, and those that come."""
    for message in early:
        yield message
    async for reply in replies:
        if came := as_message(reply):
            yield came
