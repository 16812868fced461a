"""``examples/autobahn_client.py`` beside a server that asks what Autobahn's does."""

from __future__ import annotations

import json
import sys

import attrs

from snowtrio.websocket import Deflate, WebSocket, WebSocketProtocolError

from ..examples import EXAMPLES, run_program
from .serving import serving_websocket_on

CLIENT = [sys.executable, "-W", "error", str(EXAMPLES / "autobahn_client.py")]
CASES = ["1.1.1", "12.1.1", "13.2.1"]


@attrs.define
class FuzzingServer:
    """Counts the cases that are run, and notes what is offered for each."""

    offered: dict[str, str] = attrs.Factory(dict)
    echoed: list[str] = attrs.Factory(list)
    reported: list[str] = attrs.Factory(list)

    async def __call__(self, websocket: WebSocket) -> None:
        query = websocket.query
        if websocket.path == "/getCaseCount":
            await websocket.send(str(len(CASES)))
        elif websocket.path == "/getCaseInfo":
            await websocket.send(json.dumps({"id": CASES[int(query["case"]) - 1]}))
        elif websocket.path == "/runCase":
            await self.run(CASES[int(query["case"]) - 1], websocket)
        elif websocket.path == "/updateReports":
            self.reported.append(query["agent"])

    async def run(self, case: str, websocket: WebSocket) -> None:
        self.offered[case] = websocket.request_headers["sec-websocket-extensions"]
        await websocket.send(case)
        assert await websocket.receive() == case
        self.echoed.append(case)
        await websocket.send(bytes(2**24 + 1))  # More than it takes: it goes on all the same.
        try:
            await websocket.receive()
        except WebSocketProtocolError:
            raise AssertionError("it is the client that has to object") from None


async def test_every_case_is_run_and_the_report_asked_for() -> None:
    """Row W37: group 13 wants to be offered that the client forgets, and the others do not."""
    fuzzing = FuzzingServer()
    async with serving_websocket_on(fuzzing, compression=Deflate(threshold=1)) as server:
        url = f"ws://127.0.0.1:{server.port}"
        done = await run_program(*CLIENT, "--url", url, "--agent", "me")
    assert done.returncode == 0, done.stderr.decode()
    assert fuzzing.echoed == CASES
    assert fuzzing.reported == ["me"]
    assert [case for case in CASES if "client_no_context" in fuzzing.offered[case]] == ["13.2.1"]
    lines = done.stdout.decode().splitlines()
    assert [line for line in lines if "ended" not in line] == [f"case {case}" for case in CASES]


async def test_no_server_is_one_line_and_status_1() -> None:
    """Row W37: and no report is asked for."""
    done = await run_program(*CLIENT, "--url", "ws://127.0.0.1:1")
    assert done.returncode == 1
    assert len(done.stderr.decode().splitlines()) == 1
    assert b"autobahn_client: " in done.stderr
