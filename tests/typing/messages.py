"""Types of messages and contexts, as mypy and pyright see them (row S25). Checked, never run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import assert_type

import attrs
import trio

from snowtrio import (
    BufferedStream,
    Client,
    Codec,
    Connection,
    Ending,
    Gap,
    JSONLinesCodec,
    LineCodec,
    Protocol,
    ReceiveBuffer,
    RequestClient,
    RequestHandler,
    Server,
    Side,
    Subscriber,
    open_tcp_connection,
    serve_tcp,
)
from snowtrio.blocking import BlockingRequestClient
from snowtrio.testing import open_memory_pair


@attrs.frozen
class Question:
    """What a client sends."""

    text: str


@attrs.frozen
class Answer:
    """What a server sends."""

    number: int


class Questions(Codec[Question, Answer]):
    """Two types of messages: one a direction, as the client sees them."""

    def encode(self, message: Question) -> bytes:
        return message.text.encode() + b"\n"

    def decode(self, buffer: ReceiveBuffer) -> list[Answer]:
        return [Answer(int(buffer.take_all()))]


class Named(Protocol[Question, Answer, str]):
    """A context of a type of its own."""

    codec = Questions()

    async def handshake(self, side: Side, stream: BufferedStream) -> str:
        return (await stream.receive_line()).decode()

    async def close(self, connection: Connection[Question, Answer, str]) -> None:
        assert_type(connection.context, str)
        assert_type(connection.ending, Ending[Question] | None)


async def one_type_of_message(connection: Connection[bytes]) -> None:
    """A connection of bytes sends bytes, receives bytes and has no context."""
    assert_type(await connection.receive(), bytes)
    assert_type(await connection.receive_batch(), list[bytes])
    assert_type(connection.context, None)
    async for message in connection:
        assert_type(message, bytes)
    async for batch in connection.batches():
        assert_type(batch, list[bytes])


async def two_types_and_a_context(connection: Connection[Question, Answer, str]) -> None:
    """Each direction has its type."""
    await connection.send(Question("how many?"))
    await connection.send_batch([Question("a"), Question("b")])
    await connection.send(Answer(1))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert_type(await connection.receive(), Answer)
    assert_type(connection.context, str)
    if connection.ending is not None:
        assert_type(connection.ending.unsent, tuple[Question, ...])
        assert_type(connection.ending.in_doubt, tuple[Question, ...])


async def channels(connection: Connection[Question, Answer, str]) -> None:
    """A connection goes where Trio's channels are wanted."""
    sending: trio.abc.SendChannel[Question] = connection
    receiving: trio.abc.ReceiveChannel[Answer] = connection
    assert_type(await receiving.receive(), Answer)
    await sending.send(Question("x"))


async def opened() -> None:
    """What is opened with a codec or a protocol has its types."""
    async with open_tcp_connection(LineCodec(), "127.0.0.1", 7000) as lines:
        assert_type(lines, Connection[bytes, bytes, None])
    async with open_tcp_connection(Named(), "127.0.0.1", 7000) as named:
        assert_type(named, Connection[Question, Answer, str])
    async with open_memory_pair(Named()) as (client, server):
        assert_type(client, Connection[Question, Answer, str])
        assert_type(server, Connection[Answer, Question, str])


async def pooled() -> None:
    """A client has the types of what it speaks."""
    async with Client(Named(), "127.0.0.1", 7000) as client:
        await client.send(Question("x"))
        received = await client.receive()
        assert_type(received.message, Answer)


async def subscribed() -> None:
    """A subscriber gives messages of its protocol, and gaps."""

    async def subscribe(connection: Connection[Question, Answer, str]) -> None:
        await connection.send(Question("x"))

    async with Subscriber(Named(), "127.0.0.1", 7000, subscribe=subscribe) as messages:
        assert_type(await messages.receive(), Answer | Gap)
        async for message in messages:
            if not isinstance(message, Gap):
                assert_type(message, Answer)


async def shaking_hands(stream: BufferedStream) -> None:
    """A handshake's messages have their codec's types."""
    assert_type(await stream.receive_message(Questions()), Answer)
    await stream.send_message(Questions(), Question("x"))
    await stream.send_message(Questions(), Answer(1))  # type: ignore[misc]  # pyright: ignore[reportArgumentType]


def blocking() -> None:
    """A blocking client has the types of the client that it wraps."""
    with BlockingRequestClient(RequestClient(Named(), "127.0.0.1", 7000)) as client:
        assert_type(client, BlockingRequestClient[Question, Answer, str])
        assert_type(client.request(Question("x"), timeout=2.0), Answer)
        assert_type(client.request_batch([Question("x")]), list[Answer])
        client.notify(Answer(1))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        for push in client.pushes:
            assert_type(push, Answer)
        with client.session() as session:
            assert_type(session.context, str)
            assert_type(session.request(Question("x")), Answer)
        with client.stream(Question("x"), ends=lambda answer: answer.number == 0) as replies:
            for reply in replies:
                assert_type(reply, Answer)


async def served(nursery: trio.Nursery) -> None:
    """A handler must fit the codec."""

    async def wants_bytes(connection: Connection[bytes]) -> None:
        assert_type(connection.side, Side)

    def answers(connection: Connection[bytes], message: bytes) -> bytes | None:
        return message or None

    await serve_tcp(wants_bytes, LineCodec(), 0)
    await serve_tcp(answers, LineCodec(), 0)
    await serve_tcp(wants_bytes, Questions(), 0)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    server = Server(wants_bytes, LineCodec())
    assert_type(server, Server[bytes, bytes, None])


async def answered() -> None:
    """A function for requests decides what its handler fits."""

    async def reply(connection: Connection[bytes], request: bytes) -> bytes | None:
        return request or None

    async def replies(
        connection: Connection[Answer, Question, str], request: Question
    ) -> AsyncIterator[Answer]:
        assert_type(connection.context, str)
        yield Answer(len(request.text))

    def plain(connection: Connection[bytes], request: bytes) -> bytes:
        return request

    assert_type(RequestHandler(reply), RequestHandler[bytes, bytes, None])
    assert_type(RequestHandler(replies), RequestHandler[Answer, Question, str])
    await serve_tcp(RequestHandler(reply, in_order=False), LineCodec(), 0)
    await serve_tcp(RequestHandler(reply), Questions(), 0)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    RequestHandler(plain)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def codecs() -> None:
    """Messages can be of any type."""
    assert_type(LineCodec().encode(b"x"), bytes)
    json: Codec[object, object] = JSONLinesCodec()
    assert json is not None
