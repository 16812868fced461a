"""Without the packages of the ``http`` extra: what works, and what the rest says."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from snowtrio.http._needed import NEEDED

PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"

# One process for all: None in sys.modules is a package that is not there.
PROGRAM = f"""
import sys

import snowtrio, snowtrio.blocking, snowtrio.codecs, snowtrio.interop, snowtrio.testing

assert not set({NEEDED}) & set(sys.modules), "imported without need"
for name in {NEEDED}:
    sys.modules[name] = None
    for importing in ("snowtrio.http", "snowtrio.asgi"):
        try:
            __import__(importing)
        except ImportError as error:
            print(error.name, error, sep=": ")
    del sys.modules[name]
import snowtrio.http, snowtrio.asgi
print("there")
"""


def test_who_has_not_installed_it_is_told_how() -> None:
    """Z4: and all that is not HTTP works without."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    *told, last = done.stdout.splitlines()
    assert told == [
        f"{name}: snowtrio.http needs {name}, which is not installed: pip install 'snowtrio[http]'"
        for name in NEEDED
        for _ in ("snowtrio.http", "snowtrio.asgi")
    ]
    assert last == "there"


def test_the_extra_brings_what_is_checked_for() -> None:
    """Z4."""
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    extra = project["optional-dependencies"]["http"]
    assert sorted(re.split(r"[^\w-]", line)[0] for line in extra) == sorted(NEEDED)
