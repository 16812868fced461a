"""Requests to handlers, by path and method."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar

import attrs

from .._errors import HTTPError
from .._server import Request, Response
from ._path_tree import PathTree

Answer: TypeAlias = "Awaitable[Response | None] | Response | None"
HandlerT = TypeVar("HandlerT", bound=Callable[[Request], "Answer"])


@attrs.frozen
class Route:
    """Whom a request is given to.

    Parameters:
        handler: whom.
        names: of the parameters in the path.
        reads_first: whether the handler is a plain function, which gets the whole body.
    """

    handler: Callable[[Request], Answer]
    names: tuple[str, ...]
    reads_first: bool


class Router:
    """A handler that gives each request to the handler of its path and method.

    ::

        router = Router()

        @router.get("/books/{id}")
        async def show(request: Request) -> Response:
            return Response.json(books[request.params["id"]])

        trio.run(serve_http, router, 8000)

    A pattern is a path. ``{name}`` stands for one segment that is not empty, ``{name...}``, at the
    end, for all the rest, which may be empty; what stood there is in ``request.params``, decoded. A
    slash at the end counts. A name goes before ``{name}``, and that before ``{name...}``, whatever
    the method.

    HEAD is answered by the handler of GET, and OPTIONS with what else there is, unless they have
    handlers of their own. What has none gets 404, or 405 with ``Allow``.

    Routes are added before requests come; handlers are as those of `serve_http`.
    """

    def __init__(self) -> None:
        self._tree: PathTree[Route] = PathTree()
        self._methods: set[str] = set()

    def get(self, pattern: str) -> Callable[[HandlerT], HandlerT]:
        """Return a decorator that makes a handler answer GET, and HEAD; see `route`."""
        return self.route(pattern, "GET")

    def post(self, pattern: str) -> Callable[[HandlerT], HandlerT]:
        """Return a decorator that makes a handler answer POST; see `route`."""
        return self.route(pattern, "POST")

    def put(self, pattern: str) -> Callable[[HandlerT], HandlerT]:
        """Return a decorator that makes a handler answer PUT; see `route`."""
        return self.route(pattern, "PUT")

    def patch(self, pattern: str) -> Callable[[HandlerT], HandlerT]:
        """Return a decorator that makes a handler answer PATCH; see `route`."""
        return self.route(pattern, "PATCH")

    def delete(self, pattern: str) -> Callable[[HandlerT], HandlerT]:
        """Return a decorator that makes a handler answer DELETE; see `route`."""
        return self.route(pattern, "DELETE")

    def route(self, pattern: str, *methods: str) -> Callable[[HandlerT], HandlerT]:
        """Return a decorator that adds a handler and returns it as it is.

        Parameters:
            pattern: of paths.
            methods: that it answers, in upper case; none are all.

        Raises:
            ValueError: the pattern is none, or has a handler for the method already.
        """

        def add(handler: HandlerT) -> HandlerT:
            self.add(handler, pattern, *methods)
            return handler

        return add

    def add(self, handler: Callable[[Request], Answer], pattern: str, *methods: str) -> None:
        """Add a handler; parameters and what is raised as `route`."""
        place, names = self._tree.make(pattern)
        for method in methods or ("*",):
            if method in place.routes:
                raise ValueError(f"{method} {pattern} has a handler already")
            place.routes[method] = Route(handler, names, not _is_async(handler))
            self._methods.add(method)

    async def __call__(self, request: Request) -> Response | None:
        """Answer a request.

        Raises:
            HTTPError: 404 or 405; 400, the path's encoding is not that of a text.
            Exception: what a handler raises.
        """
        if request.target == "*":
            return _say_what_is_allowed(self._methods)
        place, values = self._tree.find(request.raw_path)
        routes, method = place.routes, request.method
        route = routes.get(method) or (routes.get("GET") if method == "HEAD" else None)
        route = route or routes.get("*")
        if route is None:
            if method == "OPTIONS":
                return _say_what_is_allowed(routes)
            raise HTTPError(405, headers={"allow": _allowed(routes)})
        if values:
            request.params = dict(zip(route.names, values, strict=True))
        if route.reads_first and request.content != b"":
            await request.body()
        made = route.handler(request)
        return made if isinstance(made, Response) or made is None else await made


def _say_what_is_allowed(methods: set[str] | dict[str, Route]) -> Response:
    return Response(b"", 204, {"allow": _allowed(methods)})


def _allowed(methods: set[str] | dict[str, Route]) -> str:
    return ", ".join(sorted({*methods, "OPTIONS", *(["HEAD"] if "GET" in methods else [])} - {"*"}))


def _is_async(handler: Callable[[Request], Answer]) -> bool:
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(
        getattr(handler, "__call__", None)  # noqa: B004 - an object whose __call__ is async
    )
