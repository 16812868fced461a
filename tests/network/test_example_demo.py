"""``examples/demo.py``, run as its docstring says."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from .examples import EXAMPLES, run_program


async def run_demo(*arguments: str) -> dict[str, str]:
    """Return the rows of its table."""
    demo = str(EXAMPLES / "demo.py")
    done = await run_program(sys.executable, "-W", "error", demo, *arguments)
    assert done.returncode == 0, done.stderr.decode()
    assert b"Traceback" not in done.stderr
    first, *rows = done.stdout.decode().splitlines()
    assert first.startswith("listening on 127.0.0.1:")
    return {row[:20].strip(): row[20:].strip() for row in rows}


async def test_the_library_goes_through_a_pool_and_nothing_is_lost() -> None:
    """Rows S14 and B5: over several connections, every reply as its line was."""
    table = await run_demo("--megabytes", "2", "--connections", "4")
    assert list(table) == [
        *("lines", "megabytes", "seconds", "lines a second", "connections opened", "peak queue"),
        *("wrong replies", "lost"),
    ]
    assert int(table["lines"].replace(",", "")) > 10_000
    assert float(table["megabytes"]) >= 2
    assert table["connections opened"] == "4"
    assert int(table["peak queue"]) > 1
    assert (table["wrong replies"], table["lost"]) == ("0", "nothing")


CONTENTS = {
    "empty": (b"", 0),
    "one newline": (b"\n", 1),
    "no newline": (b"all", 1),
    "no final newline": (b"one\ntwo", 2),
    "CRs": (b"one\r\ntwo\r\r\n\r\nthr\ree\r", 4),
    "NUL bytes": (b"\x00\n\x00\x00\n" * 100, 200),
    "long lines": (b"".join(b"%d" % digit * 60 * 1024 + b"\n" for digit in range(10)), 10),
    "a line above every limit": (b"x" * 3_000_000 + b"\ny", 2),
    "no text at all": (random.Random(5).randbytes(200_000) + b"\n", None),
}


@pytest.mark.parametrize("name", CONTENTS)
async def test_any_file_will_do(name: str, tmp_path: Path) -> None:
    content, lines = CONTENTS[name]
    path = tmp_path / "file"
    path.write_bytes(content)
    table = await run_demo("--file", str(path))
    assert int(table["lines"].replace(",", "")) == (
        lines if lines is not None else content.count(b"\n")
    )
    assert (table["wrong replies"], table["lost"]) == ("0", "nothing")


async def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    demo, path = str(EXAMPLES / "demo.py"), str(tmp_path / "no-such-file")
    done = await run_program(sys.executable, demo, "--file", path)
    assert done.returncode == 1
    assert done.stderr.decode().splitlines() == [
        f"demo: [Errno 2] No such file or directory: '{path}'"
    ]
