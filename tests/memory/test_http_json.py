"""Typed JSON in requests, through a server."""

from __future__ import annotations

import json

import attrs
import pytest

from snowtrio import LocalProtocolError
from snowtrio.http import BadJSONError, BodyTooLargeError, Request, Response

from .http_served import serving_http


@attrs.frozen
class Author:
    """Who wrote it."""

    name: str
    born: int


@attrs.frozen
class Book:
    """What is shelved."""

    title: str
    authors: list[Author]


async def shelve(request: Request) -> Response:
    book = await request.json(Book)
    assert isinstance(book, Book)
    return Response.json(book, 201)


async def repeat(request: Request) -> Response:
    return Response.json(await request.json(any_content_type=True))


BOOK = b'{"title":"Emma","authors":[{"name":"Jane","born":1775}]}'


async def test_a_body_is_read_into_a_class() -> None:
    """Z13."""
    async with serving_http(shelve) as server:
        answer = await server.ask(
            method="POST", body=BOOK, content_type="Application/JSON; charset=utf-8"
        )
    assert answer.status == 201
    assert json.loads(answer.body) == json.loads(BOOK)  # The order of members is msgspec's.
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        (BOOK.replace(b"1775", b'"x"'), 422, "Expected `int`, got `str` - at `$.authors[0].born`"),
        (BOOK[:-1], 400, "Input data was truncated"),
        (b"", 400, "the text is empty"),
        (b'{"other":' * 100_000, 400, "the text is nested too deeply"),
    ],
    ids=["misfit", "cut", "empty", "bomb"],
)
async def test_what_does_not_do_is_answered_with_the_problem(
    body: bytes, status: int, detail: str
) -> None:
    """Z13."""
    async with serving_http(shelve) as server:
        answer = await server.ask(method="POST", body=body, content_type="application/json")
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert json.loads(answer.body)["detail"] == detail


async def test_a_handler_may_take_the_error_itself() -> None:
    """Z13."""

    async def handler(request: Request) -> Response:
        try:
            await request.json(Book)
        except BadJSONError as error:
            return Response(f"{error.status} {error.path}")
        raise AssertionError

    async with serving_http(handler) as server:
        body = b'{"title":1,"authors":[]}'
        answer = await server.ask(method="POST", body=body, content_type="text/x+json")
    assert answer.body == b"422 $.title"


@pytest.mark.parametrize("headers", [{}, {"content_type": "text/plain"}])
async def test_a_body_that_is_not_called_json_is_taken_only_where_asked_for(
    headers: dict[str, str],
) -> None:
    """Z13: any site's page could have sent it."""
    async with serving_http(shelve) as server:
        assert (await server.ask(method="POST", body=BOOK, **headers)).status == 415
    async with serving_http(repeat) as server:
        answer = await server.ask(method="POST", body=b'{"a": NULL}'.lower(), **headers)
    assert (answer.status, answer.body) == (200, b'{"a":null}')


def shelve_at_once(request: Request) -> Response:
    return Response.json(request.content_json(Book), 201)


async def test_plain_functions_read_json_too() -> None:
    """Z13: by the same rules as those who wait for it."""
    async with serving_http(shelve_at_once) as server:
        fits = await server.ask(method="POST", body=BOOK, content_type="application/json")
        misfits = await server.ask(method="POST", body=b"[]", content_type="application/json")
        unsaid = await server.ask(method="POST", body=BOOK)
    assert (fits.status, json.loads(fits.body)) == (201, json.loads(BOOK))
    assert (misfits.status, unsaid.status) == (422, 415)


async def test_content_that_was_not_read_has_no_json() -> None:
    """Z13: a coroutine function is told to wait for it."""
    found: list[str] = []

    async def handler(request: Request) -> Response:
        request.max_body_size = 5
        with pytest.raises(BodyTooLargeError):
            request.content_json(any_content_type=True)
        return Response()

    async def early(request: Request) -> Response:
        with pytest.raises(LocalProtocolError) as raised:
            request.content_json(any_content_type=True)
        found.append(str(raised.value))
        return Response()

    async with serving_http(handler) as server:
        assert (await server.ask(method="POST", body=BOOK)).status == 200
    async with serving_http(early) as server:
        await server.ask(method="POST", body=b"", content_length="5", expect="100-continue")
    assert found == ["the body has not been read: await request.json() instead"]
