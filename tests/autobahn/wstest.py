"""Run Autobahn's ``wstest`` against a server or a client, and read what it reports."""

from __future__ import annotations

import ast
import json
import os
import re
import socket
import subprocess
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio
from verdicts import Verdict, read_verdicts

AGENT = "peer"
HOST = "127.0.0.1"
CASES = re.compile(r"^Cases = (\[.*\])$", re.MULTILINE)


async def fuzz_server(program: str, address: str, patterns: Sequence[str], folder: Path) -> None:
    """Run cases against a server; `read_results` afterwards.

    Parameters:
        program: wstest.
        address: the server's host and port.
        patterns: the cases, such as ``9.*``.
        folder: where its report and its output go.
    """
    server = {"url": f"ws://{address}", "agent": AGENT}
    command = _command(program, "fuzzingclient", folder, patterns, servers=[server])
    with (folder / "output").open("wb") as output:
        await trio.run_process(
            command, stdout=output, stderr=subprocess.STDOUT, check=False, env=_environment()
        )


@asynccontextmanager
async def fuzzing_server(
    program: str, patterns: Sequence[str], folder: Path
) -> AsyncGenerator[str, None]:
    """Run the server that fuzzes clients, and give its URL; `read_results` afterwards.

    Parameters:
        program: wstest.
        patterns: the cases.
        folder: where its report and its output go.
    """
    port = _free_port()
    url = f"ws://{HOST}:{port}"
    command = _command(program, "fuzzingserver", folder, patterns, url=url)
    with (folder / "output").open("wb") as output:
        process = await trio.lowlevel.open_process(
            # It would serve its own web page as well.
            [*command, "--webport", "0"],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=_environment(),
        )
        try:
            await _listening(port, process)
            yield url
        finally:
            process.terminate()
            with trio.CancelScope(shield=True):
                await process.wait()


def read_results(folder: Path) -> list[Verdict]:
    """Return the verdict on each case that was to be run."""
    return read_verdicts(folder / "report", AGENT, read_cases(folder))


def read_cases(folder: Path) -> list[str]:
    """Return the cases that were to be run, as wstest has read its patterns.

    Raises:
        RuntimeError: it has not said so.
    """
    output = (folder / "output").read_text(errors="replace")
    found = CASES.search(output)
    if found is None:
        raise RuntimeError(f"wstest has not begun: {output[-2000:]}")
    return [str(case) for case in ast.literal_eval(found[1])]


def _command(
    program: str, mode: str, folder: Path, patterns: Sequence[str], **about: Any
) -> list[str]:
    specification = {
        **about,
        "outdir": str(folder / "report"),
        "cases": list(patterns),
        "exclude-cases": [],
        "exclude-agent-cases": {},
    }
    file = folder / "specification.json"
    file.write_text(json.dumps(specification))
    return [program, "--mode", mode, "--spec", str(file)]


def _environment() -> dict[str, str]:
    # Its Python is another one, and must print at once what is read while it runs.
    others = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return {**others, "PYTHONUNBUFFERED": "1"}


def _free_port() -> int:
    """Return a port that is free now: wstest cannot be told to choose one."""
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        port: int = sock.getsockname()[1]
        return port


async def _listening(port: int, process: trio.Process) -> None:
    """Wait until it listens: what it prints comes before."""
    while process.poll() is None:
        with socket.socket() as sock:
            if sock.connect_ex((HOST, port)) == 0:
                return
        await trio.sleep(0.02)
    raise RuntimeError(f"wstest has ended with status {process.returncode}")
