r"""Fetch a URL and print what comes.

    python examples/http_fetch.py http://127.0.0.1:8000/stats
    python examples/http_fetch.py --head http://127.0.0.1:8000/stats
    python examples/http_fetch.py --json --data '{"hello": [1, 2]}' http://127.0.0.1:8000/echo

The body goes to the standard output as it comes, whatever the status is; with ``--head`` the status
and the fields do, and no body is asked for. Up to three redirects are followed.

What goes wrong is told in one line, and the exit status is the one that curl has for it:

====  ====================================================
   0  there was a response
   3  the URL is none
   7  no connection could be opened
   8  what came is no response
  22  with ``--fail``: the response's status is 400 or above
  28  it took longer than ``--timeout``
  35  TLS could not be agreed on, or its certificate not be trusted
  47  a redirect is not followed
  56  the connection ended before the response did
  61  the body is not what its coding says
  65  with ``--json``: the body is no JSON
====  ====================================================
"""

from __future__ import annotations

import argparse
import json
import logging
import ssl
import sys
from typing import cast

import trio

from snowtrio import ConnectError, HandshakeError, SnowtrioError
from snowtrio.http import (
    BadResponseError,
    ContentCodingError,
    FetchTimeoutError,
    HTTPClient,
    InvalidURLError,
    NoResponseError,
    RedirectError,
    ResponseStatusError,
    ResponseStream,
)

STATUSES: list[tuple[type[BaseException], int]] = [
    (InvalidURLError, 3),
    (FetchTimeoutError, 28),
    (trio.TooSlowError, 28),
    (HandshakeError, 35),
    (ConnectError, 7),
    (BadResponseError, 8),
    (ResponseStatusError, 22),
    (RedirectError, 47),
    (NoResponseError, 56),
    (ContentCodingError, 61),
    (ValueError, 65),
]
"""What can go wrong, the more particular first."""


def exit_status(error: BaseException) -> int:
    """Return the status that a program ends with for an error."""
    return next((status for kind, status in STATUSES if isinstance(error, kind)), 1)


def print_head(response: ResponseStream) -> None:
    print(f"HTTP/{response.http_version} {response.status}")
    for name, value in response.headers.items():
        print(f"{name}: {value}")


async def print_body(response: ResponseStream) -> None:
    """Print each piece when it is there."""
    async for piece in response:
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()


async def print_json(response: ResponseStream) -> None:
    """Print JSON for people to read."""
    value = json.loads(await response.read())
    print(json.dumps(value, indent=2, ensure_ascii=False))


async def fetch(client: HTTPClient, arguments: argparse.Namespace) -> None:
    """Ask, and print the answer."""
    headers = [("Content-Type", "application/json")] if arguments.data is not None else []
    method = "HEAD" if arguments.head else "GET" if arguments.data is None else "POST"
    async with client.stream(
        method, arguments.url, headers=headers, body=arguments.data
    ) as response:
        if arguments.head:
            print_head(response)
        if arguments.fail:
            response.raise_for_status()
        if arguments.json:
            await print_json(response)
        else:
            await print_body(response)


async def main(arguments: argparse.Namespace) -> None:
    """Fetch within the time that there is."""
    context = ssl.create_default_context(cafile=arguments.cacert) if arguments.cacert else None
    with trio.fail_after(arguments.timeout):
        async with HTTPClient(ssl_context=context) as client:
            await fetch(client, arguments)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Fetch a URL and print what comes.")
    parser.add_argument("url", help="what to fetch: http or https")
    parser.add_argument("--head", action="store_true", help="ask for the head, and print that")
    parser.add_argument("--json", action="store_true", help="print the JSON that comes, indented")
    parser.add_argument("--data", metavar="JSON", help="POST this rather than GET")
    parser.add_argument("--fail", action="store_true", help="print no body of a failure; status 22")
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds for all of it")
    parser.add_argument("--cacert", metavar="FILE", help="trust these authorities alone")
    arguments = parser.parse_args()
    if arguments.head and (arguments.json or arguments.data is not None):
        parser.error("--head asks for no body")
    return arguments


def first_error(error: BaseException) -> BaseException:
    """Return the error that a person should read: a nursery reports several in a group."""
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return error


if __name__ == "__main__":
    given = parse_arguments()
    # What goes wrong is said once, below.
    logging.getLogger("snowtrio").addHandler(logging.NullHandler())
    status = 0
    try:
        trio.run(main, given)
    except* trio.TooSlowError:
        print(f"http_fetch: not done within {given.timeout:g} seconds", file=sys.stderr)
        status = 28
    except* (SnowtrioError, OSError, ValueError) as group:
        problem = first_error(group)
        print(f"http_fetch: {problem}", file=sys.stderr)
        status = exit_status(problem)
    except* KeyboardInterrupt:
        status = 130
    sys.exit(status)
