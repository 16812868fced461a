"""Node.js, and its package ``ws``, wherever that is."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ..examples import run_program

# Where Debian's package node-ws puts it, which only Debian's own Node.js looks into.
DEBIAN = "/usr/share/nodejs"
# Where `npm install --prefix .nox/_node ws` does.
CACHE = Path(__file__).parents[3] / ".nox" / "_node" / "node_modules"


def environment() -> dict[str, str]:
    """Return the environment in which Node.js finds what is installed."""
    places = [os.environ.get("NODE_PATH", ""), str(CACHE), DEBIAN]
    return {**os.environ, "NODE_PATH": os.pathsep.join(filter(None, places))}


@functools.cache
def works(script: str, *options: str) -> bool:
    """Whether Node.js is here and runs a script to a good end."""
    node = shutil.which("node")
    if node is None:
        return False
    command = [node, *options, "-e", script]
    done = subprocess.run(command, env=environment(), capture_output=True, check=False, timeout=30)
    return done.returncode == 0


needs_ws = pytest.mark.skipif(
    not works("require('ws')"),
    reason="Node.js or its package ws is not installed: apt-get install nodejs node-ws",
)

BUILT_IN = "process.exit(typeof WebSocket === 'function' ? 0 : 1)"
# Node.js 22 has it, 20.10 and later do where they are asked to.
OPTIONS = () if works(BUILT_IN) else ("--experimental-websocket", "--no-warnings")

needs_built_in = pytest.mark.skipif(
    not works(BUILT_IN, *OPTIONS), reason="this Node.js has no WebSocket of its own"
)


async def run_node(script: str, *arguments: str, options: tuple[str, ...] = ()) -> str:
    """Run a script that has to end well, and return what it prints.

    Parameters:
        script: JavaScript, which finds its arguments in ``process.argv`` from 1 on.
        arguments: of it.
        options: of Node.js.
    """
    done = await run_program(
        "node", *options, "-e", script, "--", *arguments, environment=environment()
    )
    assert done.returncode == 0, done.stderr.decode() + done.stdout.decode()
    return done.stdout.decode()
