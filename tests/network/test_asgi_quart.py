"""A Quart-Trio application, where that is installed."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from .asgi import client_of

quart = pytest.importorskip("quart")
quart_trio = pytest.importorskip("quart_trio")


async def test_quart_trio() -> None:
    """Z4: a Quart-Trio application runs."""
    app = quart_trio.QuartTrio(__name__)

    async def echo() -> dict[str, str]:
        await trio.lowlevel.checkpoint()
        data: Any = await quart.request.get_data()
        return {"got": data.decode()}

    app.add_url_rule("/", view_func=echo, methods=["POST"])
    async with client_of(app, lifespan="on") as client:
        assert (await client.post("/", content=b"abc")).json() == {"got": "abc"}
        assert (await client.get("/")).status_code == 405
