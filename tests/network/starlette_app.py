"""A Starlette application with some of everything."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import trio
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.endpoints import WebSocketEndpoint
from starlette.exceptions import HTTPException, WebSocketException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    JSONResponse,
    PlainTextResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[dict[str, str]]:
    app.state.events.append("startup")
    yield {"database": "open"}
    app.state.events.append("shutdown")


async def count(request: Request) -> Response:
    async def numbers() -> AsyncIterator[str]:
        for number in range(int(request.path_params["to"])):
            yield f"{number}\n"
            await trio.lowlevel.checkpoint()

    return StreamingResponse(numbers())


async def upload(request: Request) -> Response:
    size = 0
    async for piece in request.stream():
        size += len(piece)
    return JSONResponse({"size": size})


async def echo(request: Request) -> Response:
    return JSONResponse(await request.json())


async def show_state(request: Request) -> Response:
    return PlainTextResponse(request.state.database)


async def do_later(request: Request) -> Response:
    async def work() -> None:
        await trio.lowlevel.checkpoint()
        request.app.state.events.append("worked")

    return PlainTextResponse("soon", background=BackgroundTask(work))


def in_thread(request: Request) -> Response:
    return PlainTextResponse("from a thread")


def fail(request: Request) -> Response:
    raise LookupError("lost")


async def where(request: Request) -> Response:
    return PlainTextResponse(str(request.url_for("mounted:where").path))


def file(request: Request) -> Response:
    return FileResponse(__file__)


async def add_field(
    request: Request, call_next: Callable[[Request], Awaitable[Response]]
) -> Response:
    response = await call_next(request)
    response.headers["x-added"] = "yes"
    return response


async def echo_messages(websocket: WebSocket) -> None:
    if "secret" in websocket.query_params:
        raise HTTPException(401, "who are you?", {"x-why": "stranger"})
    await websocket.accept(subprotocol=next(iter(websocket.scope["subprotocols"]), None))
    try:
        while True:
            message = await websocket.receive_json()
            if message == "state":
                message = websocket.state.database
            await websocket.send_json({websocket.path_params["name"]: message})
    except WebSocketDisconnect as end:
        websocket.app.state.events.append(f"{end.code} {end.reason}")


async def end_websocket(websocket: WebSocket) -> None:
    how = websocket.path_params["how"]
    if how == "refuse":
        await websocket.close()
        return
    await websocket.accept()
    if how == "fail":
        raise LookupError("lost")
    if how == "policy":
        raise WebSocketException(1008, "not you")
    await websocket.close(4000, "enough")


class Repeat(WebSocketEndpoint):
    """Says everything twice."""

    encoding = "bytes"

    async def on_receive(self, websocket: WebSocket, data: bytes) -> None:
        await websocket.send_bytes(data * 2)


def make_starlette(events: list[str]) -> Starlette:
    """Return an application.

    Parameters:
        events: where it notes what happens beside its responses.
    """
    app = Starlette(
        lifespan=lifespan,
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=add_field)],
        routes=[
            Route("/count/{to:int}", count),
            Route("/upload", upload, methods=["POST"]),
            Route("/echo", echo, methods=["POST"]),
            Route("/state", show_state),
            Route("/later", do_later),
            Route("/thread", in_thread),
            Route("/fail", fail),
            Route("/file", file),
            WebSocketRoute("/ws/echo/{name}", echo_messages),
            WebSocketRoute("/ws/end/{how}", end_websocket),
            WebSocketRoute("/ws/repeat", Repeat),
            Mount("/mounted", routes=[Route("/where", where, name="where")], name="mounted"),
        ],
    )
    app.state.events = events
    return app
