"""Where Autobahn's ``wstest`` is, and how it gets there: it needs Python 2.7, and only that.

    python tests/autobahn/environment.py

makes an environment in ``.nox/_wstest`` where there is a Python 2.7 and in ours a virtualenv that
can still make one (``virtualenv<20.22``). It compiles one package, so it wants a C compiler. Where
there is no Python 2.7 it says so and ends with 0: then the tests that need it are skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).parent / "requirements.txt"
FOLDER = Path(__file__).parents[2] / ".nox" / "_wstest"
# What was installed: beside it when all of it was.
STAMP = FOLDER / "requirements.txt"


def find_wstest() -> str | None:
    """Return the program: what the variable ``WSTEST`` names, our own, or one on the path."""
    if named := os.environ.get("WSTEST"):
        return named
    own = FOLDER / "bin" / "wstest"
    return str(own) if STAMP.exists() and own.exists() else shutil.which("wstest")


def find_python() -> str | None:
    """Return a Python 2.7, pyenv's or one on the path."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found = [str(path) for path in root.glob("versions/2.7*/bin/python2.7")]
    found += [path for name in ("python2.7", "python2") if (path := shutil.which(name))]
    return next((path for path in found if _is_two_seven(path)), None)


def _is_two_seven(python: str) -> bool:
    # pyenv's shims stand on the path for versions that are not active, and fail.
    question = "import sys; sys.exit(sys.version_info[:2] != (2, 7))"
    return subprocess.run([python, "-c", question], capture_output=True).returncode == 0


def is_up_to_date() -> bool:
    """Say whether what is wanted has been installed."""
    return STAMP.exists() and STAMP.read_bytes() == REQUIREMENTS.read_bytes()


def install(python: str) -> None:
    """Make the environment anew; a failure leaves none that would be taken for one."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    make = [sys.executable, "-m", "virtualenv", "--quiet", "--python", python, str(FOLDER)]
    subprocess.run(make, check=True)
    pip = [str(FOLDER / "bin" / "python"), "-W", "ignore", "-m", "pip", "install", "--quiet"]
    # Built without isolation: that would fetch the newest tools, which know nothing of 2.7.
    options = ["--disable-pip-version-check", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, *options, "--requirement", str(REQUIREMENTS)], check=True)
    shutil.copy(REQUIREMENTS, STAMP)


def main() -> None:
    if is_up_to_date():
        return
    python = find_python()
    if python is None:
        print("autobahn: there is no Python 2.7, which its test suite needs")
        return
    install(python)


if __name__ == "__main__":
    main()
