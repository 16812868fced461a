"""The campaign of ``tests/campaign``, in small: all kinds of abuser, a few of each."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from .examples import run_program

pytestmark = [
    pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="reads /proc"),
    pytest.mark.on_one_python,
]

CAMPAIGN = Path(__file__).parents[1] / "campaign" / "abuse.py"
WEBSOCKET_CAMPAIGN = CAMPAIGN.with_name("abuse_websocket.py")

KINDS = [
    *("never send", "never shake hands", "drip", "never read", "too long lines"),
    *("reset in mid-frame", "connect and vanish", "send garbage"),
]


async def test_who_behaves_gets_every_answer_among_all_kinds_of_abuser() -> None:
    """Rows P5, S9, S13, S22, S23 and B9; the whole of it is ``nox -s abuse``."""
    command = [sys.executable, str(CAMPAIGN), "--well-behaved", "30", "--each", "6"]
    done = await run_program(*command, "--seconds", "3")
    assert done.returncode == 0, done.stderr.decode()
    table = {row[:40].strip(): row[40:].strip() for row in done.stdout.decode().splitlines()}
    assert table["well-behaved clients"] == "30"
    assert int(table["lines checked"].replace(",", "")) > 50
    for kind in KINDS:
        assert re.fullmatch(r"6 \([1-9]\d* times\)", table[f"abuse: {kind}"]), kind
    assert table["violations"] == "0"


async def test_websockets_among_all_kinds_of_abuser() -> None:
    """Rows W3, W7, W10, W11, W16 and W22: likewise, with every violation's code looked at."""
    command = [sys.executable, str(WEBSOCKET_CAMPAIGN), "--well-behaved", "8", "--each", "2"]
    done = await run_program(*command, "--seconds", "2")
    assert done.returncode == 0, done.stderr.decode()
    table = {row[:40].strip(): row[40:].strip() for row in done.stdout.decode().splitlines()}
    assert int(table["answers checked"].replace(",", "")) > 10
    kinds = [row for row in table if row.startswith("abuse: ")]
    assert len(kinds) == 13
    for kind in kinds:
        assert re.fullmatch(r"2 \([1-9]\d* times\)", table[kind]), kind
    assert table["violations"] == "0"
