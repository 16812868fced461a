"""Run Autobahn's WebSocket test cases as a client.

    wstest --mode fuzzingserver --spec fuzzingserver.json
    python examples/autobahn_client.py --url ws://127.0.0.1:9001 --agent snowtrio

Asks the fuzzing server how many cases there are, echoes what comes in each, and has it write its
report. Many cases break the protocol on purpose: that the WebSocket ends with an error is right
there, and the report says whether it was the right one. ``nox -s autobahn`` does all of this.
"""

from __future__ import annotations

import argparse
import json
import sys

import trio

from snowtrio import ConnectError, SnowtrioError
from snowtrio.websocket import Deflate, WebSocketLimits, open_websocket

# Cases of group 9 send messages of 16 MiB.
LIMITS = WebSocketLimits(max_message_size=16 * 1024 * 1024)
# In group 13 the server wants to forbid context takeover, which it does only where that is offered.
NO_TAKEOVER = "13."
# Seconds. The server answers a handshake when it has made all that the case sends behind it.
TIMEOUT = 100.0


async def ask(url: str) -> str:
    """Return the answer to a question: the one message that comes."""
    async with open_websocket(url) as websocket:
        answer = await websocket.receive()
        return str(answer)


async def run_case(url: str, number: int, agent: str) -> None:
    """Echo what comes in a case until it ends."""
    info = json.loads(await ask(f"{url}/getCaseInfo?case={number}"))
    compression = Deflate(context_takeover=not info["id"].startswith(NO_TAKEOVER))
    print(f"case {info['id']}", flush=True)
    try:
        async with open_websocket(
            f"{url}/runCase?case={number}&agent={agent}",
            compression=compression,
            limits=LIMITS,
            timeout=TIMEOUT,
        ) as websocket:
            async for message in websocket:
                await websocket.send(message)
    except SnowtrioError as error:
        print(f"case {info['id']} ended: {error}", flush=True)


async def main(url: str, agent: str) -> None:
    """Run all cases, one after the other."""
    count = int(await ask(f"{url}/getCaseCount"))
    for number in range(1, count + 1):
        await run_case(url, number, agent)
    async with open_websocket(f"{url}/updateReports?agent={agent}") as websocket:
        # It closes when it has written them.
        async for _ in websocket:
            pass


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run Autobahn's WebSocket test cases.")
    parser.add_argument("--url", default="ws://127.0.0.1:9001", help="of the fuzzing server")
    parser.add_argument("--agent", default="snowtrio", metavar="NAME", help="to report under")
    return parser.parse_args()


if __name__ == "__main__":
    arguments = parse_arguments()
    status: int | str = 0
    try:
        trio.run(main, arguments.url, arguments.agent)
    except ConnectError as error:
        status = f"autobahn_client: {error}"
    except KeyboardInterrupt:
        status = 130
    sys.exit(status)
