"""What a developer and the continuous integration run: ``nox``, or ``nox -s tests lint``."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import nox

PROJECT = nox.project.load_toml("pyproject.toml")
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
# With all extras: tests, types and docs look at everything. What names another of our own extras is
# in that one, and would be looked for on PyPI.
DEPENDENCIES: list[str] = [
    *PROJECT["project"]["dependencies"],
    *(each for extra in EXTRAS.values() for each in extra if not each.startswith("snowtrio[")),
]
WHEELS = Path(".nox", "_wheels").absolute()
COVERAGE = Path(".nox", "_coverage").absolute()
# For a whole run: a worker for each processor and one more, for tests also wait.
WORKERS = (f"--numprocesses={(os.cpu_count() or 1) + 1}", "--dist=worksteal")
# What does not depend on the version of Python is tested in full on one.
ONCE_MORE = ("-m", "not on_one_python", "--hypothesis-profile=quick")
RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"

nox.needs_version = ">=2025.5.1"
nox.options.sessions = ["tests", "lint", "typing", "docs"]
nox.options.default_venv_backend = "virtualenv"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False
nox.options.reuse_venv = "yes"


def classified_pythons() -> list[str]:
    """Return the versions that the project's classifiers name, oldest first."""
    numbers = (line.split(" :: ")[-1] for line in PROJECT["project"]["classifiers"])
    versions = [number for number in numbers if number.startswith("3.")]
    return sorted(versions, key=lambda version: int(version.partition(".")[2]))


def pythons_to_test() -> list[str]:
    """Return the versions to test on; nox skips, and says so, those that are not here.

    The one that runs nox is always among them, so that at least one is tested.
    """
    versions = classified_pythons()
    return versions if RUNNING in versions else [*versions, RUNNING]


def show_pyenv_pythons() -> None:
    """Put the releases that pyenv has installed on the path, the newest first.

    pyenv's shims stand on the path for every version and fail for those that are not active.
    """
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    releases = [path for path in root.glob("versions/3.*") if re.fullmatch(r"[\d.]+", path.name)]
    releases.sort(key=lambda path: [int(part) for part in path.name.split(".")], reverse=True)
    folders = [str(path / "bin") for path in releases]
    os.environ["PATH"] = os.pathsep.join([*folders, os.environ["PATH"]])


show_pyenv_pythons()
# Tests and examples must find the wheel, not what somebody's variable points to.
os.environ.pop("PYTHONPATH", None)
# Tests start hundreds of programs: without its cache each would compile what it imports anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def groups(*names: str) -> tuple[str, ...]:
    """Return the requirements of the project's dependency groups."""
    return nox.project.dependency_groups(PROJECT, *names)


def install_wheel(session: nox.Session, *requirements: str) -> None:
    """Install `requirements`, and the wheel that the `wheel` session has just built."""
    session.install(*requirements)
    (built,) = WHEELS.glob("*.whl")
    # The version number stands still between two builds, and pip compares nothing else.
    session.install("--force-reinstall", "--no-deps", str(built))


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the wheel that the other sessions install."""
    shutil.rmtree(WHEELS, ignore_errors=True)
    session.install(*PROJECT["build-system"]["requires"])
    session.run("hatchling", "build", "--target", "wheel", "--directory", str(WHEELS))


@nox.session
def wstest(session: nox.Session) -> None:
    """Install Autobahn's test suite for the tests, if there is the Python 2.7 that it needs."""
    session.install(*groups("autobahn"))
    session.run("python", "tests/autobahn/environment.py")


@nox.session(python=pythons_to_test(), requires=["wheel", "wstest"])
def tests(session: nox.Session) -> None:
    """Test the wheel on every Python here; what follows `--` goes to pytest.

    A whole run has several workers, and each takes its tests in a row, so that most files set up
    once what their tests share. It is measured on the Python that runs nox, and fails
    below the project's threshold: measured everywhere, it would take twice the time. The others do
    not repeat what is marked as ``on_one_python``, and try fewer of hypothesis' examples.
    """
    install_wheel(session, *DEPENDENCIES, *groups("test"))
    # -P keeps the checkout off the module path, so that its snowtrio is out of reach.
    if session.posargs:
        session.run("python", "-P", "-m", "pytest", *session.posargs)
        return
    chosen = ("--cov", "--cov-report=term") if session.python == RUNNING else ONCE_MORE
    session.run(
        *("python", "-P", "-m", "pytest", *WORKERS, *chosen),
        env={"COVERAGE_FILE": str(COVERAGE)},
    )


@nox.session(name="tests-lowest", python=classified_pythons()[0], requires=["wheel"])
def tests_lowest(session: nox.Session) -> None:
    """Test on the oldest Python with the oldest dependencies that the project declares."""
    lowest = [requirement.replace(">=", "==") for requirement in DEPENDENCIES]
    install_wheel(session, *lowest, *groups("test"))
    session.run("python", "-P", "-m", "pytest", *(session.posargs or WORKERS))


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, formatting and the direction of imports."""
    session.install(*groups("lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports")


@nox.session
def typing(session: nox.Session) -> None:
    """Check types with mypy and pyright, both strict."""
    session.install(*DEPENDENCIES, *groups("typing", "bench"))
    session.run("mypy")
    python = Path(session.bin, "python")
    session.run(
        *("pyright", "--pythonpath", str(python)),
        env={"PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"},
    )


@nox.session(requires=["wheel"])
def docs(session: nox.Session) -> None:
    """Build the documentation; a warning fails it."""
    install_wheel(session, *DEPENDENCIES, *groups("docs"))
    session.run(
        *("sphinx-build", "-q", "-W", "-n", "--keep-going", "-b", "html"),
        *("docs", "docs/_build/html", *session.posargs),
    )


@nox.session(requires=["wheel"])
def bench(session: nox.Session) -> None:
    """Measure; what follows `--` goes to the benchmarks."""
    install_wheel(session, *DEPENDENCIES, *groups("bench"))
    session.run("python", "benchmarks/run.py", *session.posargs)


@nox.session(requires=["wheel"])
def profile(session: nox.Session) -> None:
    """Show where a message's time goes; what follows `--` goes to the profiler."""
    install_wheel(session, *DEPENDENCIES, *groups("bench"))
    session.run("python", "benchmarks/profile_server.py", *session.posargs)


@nox.session(requires=["wheel"])
def demo(session: nox.Session) -> None:
    """Run the demonstration; what follows `--` goes to it."""
    install_wheel(session, *DEPENDENCIES)
    session.run("python", "examples/demo.py", *session.posargs)


@nox.session(requires=["wheel"])
def abuse(session: nox.Session) -> None:
    """Serve well-behaved clients among abusers; what follows `--` goes to all campaigns."""
    install_wheel(session, *DEPENDENCIES, *groups("test"))
    session.run("python", "tests/campaign/abuse.py", *session.posargs)
    session.run("python", "tests/campaign/abuse_http.py", *session.posargs)
    session.run("python", "tests/campaign/abuse_websocket.py", *session.posargs)


@nox.session(requires=["wheel", "wstest"])
def autobahn(session: nox.Session) -> None:
    """Run all of Autobahn's cases against our WebSockets; what follows `--` goes to the suite."""
    install_wheel(session, *DEPENDENCIES)
    session.run("python", "tests/autobahn/suite.py", *session.posargs)


@nox.session(requires=["wheel"])
def fuzz(session: nox.Session) -> None:
    """Fuzz HTTP and WebSocket frames, a minute each; `-- --seconds N` is another time."""
    install_wheel(session, *DEPENDENCIES)
    try:
        session.install("--only-binary=atheris", *groups("fuzz"))
    except nox.command.CommandFailed:
        session.skip(f"there is no wheel of atheris for Python {RUNNING}")
    session.run("python", "tests/fuzz/fuzz_http.py", *session.posargs)
    session.run("python", "tests/fuzz/fuzz_websocket.py", *session.posargs)
