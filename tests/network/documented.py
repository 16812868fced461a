"""Services that a page of the documentation makes, deployed as the page says: behind nginx."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from .nginx import nginx
from .tcp import until

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"


def read_blocks(page: Path, language: str) -> list[str]:
    """Return what a page has in a language."""
    pattern = rf"^```{language}\n(.*?)^```$"
    return re.findall(pattern, page.read_text(), re.MULTILINE | re.DOTALL)


def read_nginx(page: Path, path: Path) -> tuple[str, str]:
    """Return what a page has inside of nginx's server, and around it, with a service at a path."""
    (block,) = read_blocks(page, "nginx")
    there = re.sub(r"unix:[^;]+", f"unix:{path}", block)
    outside, _, server = there.partition("server {\n")
    return server.replace("listen 80;", "").rstrip().removesuffix("}"), outside


@asynccontextmanager
async def deployed(
    page: Path, folder: Path, added: str = ""
) -> AsyncGenerator[tuple[trio.Process, str], None]:
    """Run a page's program and nginx before it; give the program, and nginx's socket.

    Parameters:
        page: its blocks together make the program, with ``main``, which takes its socket's path.
        folder: where both work.
        added: more of the program.
    """
    path, program = folder / "service.sock", folder / "service.py"
    run = "import sys\ntrio.run(main, sys.argv[1])\n"
    program.write_text("\n".join([*read_blocks(page, "python"), added, run]))
    process = await trio.lowlevel.open_process(
        [sys.executable, "-W", "error", str(program), str(path)],
        cwd=folder,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        await until(lambda: path.exists() or process.poll() is not None)
        async with nginx(folder, *read_nginx(page, path)) as front:
            yield process, front
    finally:
        process.kill()
        await process.stdout.aclose()
        with trio.CancelScope(shield=True):
            await process.wait()
