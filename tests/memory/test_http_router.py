"""Requests go to the handler of their path and method."""

from __future__ import annotations

from functools import partial

import pytest

from snowtrio.http import HeadersToSend, HTTPError, Request, Response, Router

from .http_served import serving_http


def named(name: str, request: Request) -> Response:
    params = ",".join(f"{key}={value}" for key, value in request.params.items())
    return Response(f"{name} {params}".strip())


def make_router(*patterns: str) -> Router:
    router = Router()
    for pattern in patterns:
        router.add(partial(named, pattern), pattern, "GET")
    return router


ROUTER = make_router(
    "/",
    "/books",
    "/books/new",
    "/books/{id}",
    "/books/{id}/pages/{page}",
    "/books/new/cover",
    "/files/{path...}",
    "/café",
    "/a/{x}/c",
    "/a/b/{y...}",
)


@pytest.mark.parametrize(
    ("target", "answer"),
    [
        ("/", "/"),
        ("/?a=b", "/"),
        ("http://test/books", "/books"),
        ("/books", "/books"),
        ("/books/new", "/books/new"),
        ("/books/%6eew", "/books/new"),
        ("/books/7", "/books/{id} id=7"),
        ("/books/a%2Fb%20c", "/books/{id} id=a/b c"),
        ("/books/caf%C3%A9", "/books/{id} id=café"),
        ("/books/new/pages/3", "/books/{id}/pages/{page} id=new,page=3"),
        ("/books/new/cover", "/books/new/cover"),
        ("/files/", "/files/{path...} path="),
        ("/files/a/b", "/files/{path...} path=a/b"),
        ("/files//../a", "/files/{path...} path=/../a"),
        ("/caf%C3%A9", "/café"),
        ("/a/b/c", "/a/b/{y...} y=c"),
        ("/a/x/c", "/a/{x}/c x=x"),
    ],
)
async def test_paths(target: str, answer: str) -> None:
    """Z4."""
    async with serving_http(ROUTER) as server:
        came = await server.ask(target)
    assert (came.status, came.body.decode()) == (200, answer)


@pytest.mark.parametrize(
    "target",
    ["/x", "/books/", "/books//", "/books/7/pages", "//books", "/files", "/a", "/books/7/pages/"],
)
async def test_paths_that_lead_nowhere(target: str) -> None:
    """Z4."""
    async with serving_http(ROUTER) as server:
        assert (await server.ask(target)).status == 404


async def test_a_path_that_is_no_text_is_a_bad_request() -> None:
    """Z4."""
    async with serving_http(ROUTER) as server:
        assert (await server.ask("/books/%ff")).status == 400


def make_methods() -> Router:
    router = Router()

    @router.get("/book")
    async def read(request: Request) -> Response:
        return Response(f"{request.method} book")

    @router.put("/book")
    @router.delete("/book")
    def change(request: Request) -> Response:
        return Response(f"{request.method} {request.content!r}")

    @router.post("/books")
    @router.patch("/books")
    async def add(request: Request) -> Response:
        return Response(f"{request.method} {await request.body()!r}")

    @router.route("/any")
    async def take(request: Request) -> Response:
        return Response(request.method)

    assert [each.__name__ for each in (read, change, add, take)] == [
        "read",
        "change",
        "add",
        "take",
    ]
    return router


@pytest.mark.parametrize(
    ("method", "target", "status", "body"),
    [
        ("GET", "/book", 200, b"GET book"),
        ("HEAD", "/book", 200, b""),
        ("PUT", "/book", 200, b"PUT b'xyz'"),
        ("DELETE", "/book", 200, b"DELETE b'xyz'"),
        ("POST", "/books", 200, b"POST b'xyz'"),
        ("PATCH", "/books", 200, b"PATCH b'xyz'"),
        ("OPTIONS", "/any", 200, b"OPTIONS"),
        ("PURGE", "/any", 200, b"PURGE"),
    ],
)
async def test_methods(method: str, target: str, status: int, body: bytes) -> None:
    """Z4: handlers are coroutine functions, or plain ones that get the whole body."""
    sent = b"" if method in ("GET", "HEAD") else b"xyz"
    async with serving_http(make_methods()) as server:
        answer = await server.ask(target, method=method, body=sent)
    assert (answer.status, answer.body) == (status, body)


@pytest.mark.parametrize(
    ("method", "target", "status", "allow"),
    [
        ("POST", "/book", 405, "DELETE, GET, HEAD, OPTIONS, PUT"),
        ("GET", "/books", 405, "OPTIONS, PATCH, POST"),
        ("OPTIONS", "/books", 204, "OPTIONS, PATCH, POST"),
        ("OPTIONS", "*", 204, "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"),
    ],
)
async def test_what_else_there_is(method: str, target: str, status: int, allow: str) -> None:
    """Z4."""
    async with serving_http(make_methods()) as server:
        answer = await server.ask(target, method=method)
    assert (answer.status, answer.headers["allow"]) == (status, allow)


@pytest.mark.parametrize(
    "pattern", ["", "books", "/a{b}", "/{a...}/b", "/{a}/{a}", "/{1}", "/{}", "/}", "/{a.b}"]
)
def test_what_is_no_pattern(pattern: str) -> None:
    """Z4."""
    with pytest.raises(ValueError, match=r"pattern|parameter|twice|end"):
        Router().add(partial(named, ""), pattern)


def test_two_handlers_for_one_route_are_a_mistake() -> None:
    """Z4."""
    router = make_router("/books/{id}")
    with pytest.raises(ValueError, match=r"GET /books/\{name\} has"):
        router.get("/books/{name}")(partial(named, ""))


@pytest.mark.parametrize("headers", [{"X-A": "1"}, [("X-A", "1")]])
@pytest.mark.parametrize("fails", [False, True])
async def test_what_wraps_a_handler_adds_fields(headers: HeadersToSend, fails: bool) -> None:
    """Z5: to a response, and to an error that becomes one."""

    def handler(request: Request) -> Response:
        if fails:
            error = HTTPError(404, headers=headers)
            error.add_header("X-B", "2")
            raise error
        response = Response("hello", headers=headers)
        response.add_header("X-B", "2")
        return response

    async with serving_http(handler) as server:
        answer = await server.ask()
    assert (answer.headers["x-a"], answer.headers["x-b"]) == ("1", "2")
