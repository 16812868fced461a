"""The program of the page on workers, run as it stands."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from .documented import HOW_TO, read_blocks
from .examples import running_program
from .peers import connected


@pytest.mark.skipif(not HOW_TO.exists(), reason="the documentation is not here")
async def test_the_page_on_workers(tmp_path: Path) -> None:
    """W33."""
    main, *others = read_blocks(HOW_TO / "workers.md", "python")
    script = tmp_path / "lines.py"
    script.write_text(main)
    for other in others:
        compile(other, "workers.md", "exec")
    async with running_program("lines", [sys.executable, "-W", "error", str(script), "0"]) as lines:
        async with connected(lines) as peer:
            await peer.send(b"hello\n")
            assert await peer.line() == "HELLO"
        assert lines.read_errors().count("is ready") == 2
