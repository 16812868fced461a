r"""Ask the JSON server how it is, and print what was asked for.

    python examples/http_json_server.py --port 8000 &
    python examples/status_client.py --port 8000
    python examples/status_client.py --port 8000 --filter service,sequence --timeout 0.5

A field a line, in the order of the filter; all five without one. Where no answer comes within the
timeout, or none that can be used, a line says so instead, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import logging
import sys

import attrs
import trio

from snowtrio import ConnectError, SnowtrioError
from snowtrio.http import FetchTimeoutError, fetch


@attrs.frozen
class Stats:
    """What ``/stats`` answers: see ``http_json_server.py``."""

    service: str
    message: str
    method: str
    path: str
    sequence: int


FIELDS = [field.name for field in attrs.fields(Stats)]


async def ask(host: str, port: int, timeout: float) -> Stats | str:
    """Return the server's answer, or in words why there is none.

    Parameters:
        host: where the server is.
        port: its port.
        timeout: seconds for all of it.
    """
    name = f"[{host}]" if ":" in host else host
    where = f"{name}:{port}"
    try:
        response = await fetch(f"http://{where}/stats", timeout=timeout)
        return response.raise_for_status().json(Stats)
    except (FetchTimeoutError, TimeoutError):
        return f"{where} has not answered within {timeout:g} seconds"
    except ConnectError as error:
        return f"{where} cannot be reached: {error}"
    except (SnowtrioError, ValueError) as error:
        return f"{where} gives no status: {error}"


def read_filter(text: str) -> list[str]:
    """Return the names of a filter, such as ``service,sequence``."""
    names = [name.strip() for name in text.split(",")]
    if unknown := [name for name in names if name not in FIELDS]:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: not among {', '.join(FIELDS)}")
    return names


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Ask the JSON server how it is.")
    parser.add_argument("--host", default="127.0.0.1", help="where the server is")
    parser.add_argument("--port", type=int, default=8000, help="its port")
    parser.add_argument(
        "--filter", type=read_filter, default=FIELDS, metavar="NAMES", help="which fields to print"
    )
    parser.add_argument("--timeout", type=float, default=2.0, help="seconds to wait for an answer")
    return parser.parse_args()


async def main(arguments: argparse.Namespace) -> int:
    """Ask, print, and return the exit status."""
    answer = await ask(arguments.host, arguments.port, arguments.timeout)
    if isinstance(answer, str):
        print(f"no status: {answer}")
        return 1
    for name in arguments.filter:
        print(f"{name}: {getattr(answer, name)}")
    return 0


if __name__ == "__main__":
    # What goes wrong is said once, above.
    logging.getLogger("snowtrio").addHandler(logging.NullHandler())
    sys.exit(trio.run(main, parse_arguments()))
