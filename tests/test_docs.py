"""The programs in the documentation run."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

import attrs
import pytest

from snowtrio import SocketOptions
from snowtrio._transport._option_table import ROWS, Kind
from snowtrio.websocket import WebSocketLimits

DOCS = Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = [
    "tutorial/index.md",
    "tutorial/redis.md",
    "how-to/index.md",
    "how-to/service.md",
    "how-to/http.md",
    "how-to/http-client.md",
    "how-to/asgi.md",
    "how-to/websocket.md",
    "how-to/systemd.md",
    "how-to/udp.md",
]


def read_programs(page: str) -> list[str]:
    return BLOCK.findall((DOCS / page).read_text())


@pytest.mark.skipif(not DOCS.exists(), reason="the documentation is not here")
@pytest.mark.parametrize("page", PAGES)
async def test_programs_run(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each block runs after those before it, and what it calls a test passes."""
    module = types.ModuleType("docs")
    # Whoever looks up the types of a class's fields asks for its module.
    monkeypatch.setitem(sys.modules, "docs", module)
    namespace = vars(module)
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


SIZES = {"MiB": 2**20, "KiB": 2**10, "s": 1}
WORDS = {"yes": True, "no": False}


def read_default(cell: str) -> object:
    """Return what a cell of a table says that a limit is: ``1 MiB``, ``20 s``, ``16``, ``yes``."""
    if cell in WORDS:
        return WORDS[cell]
    number, _, unit = cell.partition(" ")
    return float(number.replace(",", "")) * SIZES.get(unit, 1)


@pytest.mark.skipif(not DOCS.exists(), reason="the documentation is not here")
def test_the_table_of_socket_options_is_complete_and_true() -> None:
    page = (DOCS / "reference/options.md").read_text()
    told = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \| [^|]+ \|$", page, re.MULTILINE)
    names = [field.name for field in attrs.fields(SocketOptions)]
    assert [name for name, _, _ in told] == names[:-2]
    assert names[-2:] == ["extra", "unsupported"]
    for name, constants, kinds in told:
        rows = [row for row in ROWS if row.name.partition(".")[0] == name]
        numbers = {number for row in rows for number in row.numbers}
        assert set(re.findall(r"`(\w+)`", constants)) == numbers
        assert {row.kinds for row in rows} == {KINDS[kinds]}


TCP = frozenset({Kind.TCP_LISTENER, Kind.TCP_CONNECTION})
KINDS = {
    "all": frozenset(Kind),
    "TCP": TCP,
    "TCP, UDP": TCP | {Kind.UDP},
    "TCP listeners": frozenset({Kind.TCP_LISTENER}),
    "TCP listeners, UDP": frozenset({Kind.TCP_LISTENER, Kind.UDP}),
    "UDP": frozenset({Kind.UDP}),
}


@pytest.mark.skipif(not DOCS.exists(), reason="the documentation is not here")
def test_the_table_of_websocket_limits_is_complete_and_true() -> None:
    page = (DOCS / "how-to/websocket.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| [^|]+ \|[^|]*\|$", page, re.MULTILINE)
    told = {name: read_default(cell) for name, cell in rows}
    assert told == attrs.asdict(WebSocketLimits())
