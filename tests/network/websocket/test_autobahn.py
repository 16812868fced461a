"""Autobahn's test suite against our WebSocket server and client: the core, and some of the rest.

All of its cases are ``nox -s autobahn``.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import trio

SUITE = str(Path(__file__).parents[2] / "autobahn" / "suite.py")
NO_WSTEST = 77
# Far above what they take, so that only a hang meets it.
TIMEOUT = 240.0

CORE = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*"]
# Messages of 1 MiB, fragments and chops of several sizes, a thousand messages; compressed ones,
# whole and in fragments, with memory of earlier ones and without.
LARGE = ["9.1.3", "9.2.3", "9.3.2", "9.3.7", "9.5.4", "9.6.4", "9.7.3", "9.8.3"]
DEFLATE = ["12.1.11", "13.3.1"]

pytestmark = [pytest.mark.timeout(TIMEOUT + 20), pytest.mark.on_one_python]


async def run_suite(role: str, cases: list[str]) -> subprocess.CompletedProcess[bytes]:
    """Run cases to their end; what was started ends with it."""
    command = [sys.executable, SUITE, "--role", role, "--one-job", "--cases", *cases]
    with trio.fail_after(TIMEOUT):
        return await trio.run_process(
            command, capture_stdout=True, stderr=subprocess.STDOUT, check=False
        )


@pytest.mark.parametrize("role", ["server", "client"])
@pytest.mark.parametrize("cases", [CORE, LARGE + DEFLATE], ids=["core", "large"])
def test_autobahn_finds_every_case_strictly_right(role: str, cases: list[str]) -> None:
    """Row W37: neither NON-STRICT nor FAILED, UNCLEAN, a wrong code or a case that is missing."""
    done = trio.run(run_suite, role, cases)
    told = done.stdout.decode()
    if done.returncode == NO_WSTEST:
        pytest.skip(told.strip())
    assert done.returncode == 0, told
