"""The programs in the documentation run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = ["tutorial/index.md", "tutorial/redis.md", "how-to/index.md", "how-to/asgi.md"]


def read_programs(page: str) -> list[str]:
    return BLOCK.findall((DOCS / page).read_text())


@pytest.mark.skipif(not DOCS.exists(), reason="the documentation is not here")
@pytest.mark.parametrize("page", PAGES)
async def test_programs_run(page: str) -> None:
    """Each block runs after those before it, and what it calls a test passes."""
    namespace: dict[str, object] = {"__name__": "docs"}
    programs = read_programs(page)
    assert programs
    for program in programs:
        exec(compile(program, page, "exec"), namespace)
    tests = [value for name, value in namespace.items() if name.startswith("test_")]
    assert tests
    for test in tests:
        assert callable(test)
        result = test()
        if result is not None:
            await result
