"""Typed JSON in requests, through a server."""

from __future__ import annotations

import json

import attrs
import pytest

from snowtrio.http import BadJSONError, Request, Response

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
