"""A FastAPI application, asked by httpx."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import pytest

from .asgi import client_of

# FastAPI finds what annotations name among the names of this module.
fastapi = pytest.importorskip("fastapi")
from fastapi import BackgroundTasks, Depends, FastAPI  # noqa: E402
from pydantic import BaseModel  # noqa: E402

closed: list[str] = []


class Item(BaseModel):
    """What is sent."""

    name: str
    price: float


def get_session() -> Iterator[str]:
    yield "session"
    closed.append("session")


def make_app() -> FastAPI:
    app = FastAPI()

    @app.get("/items/{number}")
    def read_item(
        number: int, session: Annotated[str, Depends(get_session)]
    ) -> dict[str, int | str]:
        return {"number": number, "session": session}

    @app.post("/items")
    async def make_item(item: Item, background: BackgroundTasks) -> Item:
        background.add_task(closed.append, item.name)
        return item

    return app


async def test_fastapi() -> None:
    """Z4: it runs: typed bodies, plain functions in threads, dependencies, background tasks."""
    closed.clear()
    async with client_of(make_app(), lifespan="on") as client:
        answer = await client.get("/items/3")
        assert answer.json() == {"number": 3, "session": "session"}
        assert (await client.get("/items/x")).status_code == 422
        answer = await client.post("/items", json={"name": "a", "price": 1.5})
        assert answer.json() == {"name": "a", "price": 1.5}
        assert (await client.post("/items", content=b"{")).status_code == 422
        assert "/items" in (await client.get("/openapi.json")).json()["paths"]
    assert {closed[0], closed[-1]} == {"session", "a"}
