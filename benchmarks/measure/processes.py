"""Processes under test and their loads: started on a core each, and ended."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import attrs
import machine
from measure.settings import Figures

HERE = Path(__file__).parents[1]

# Far above what anything takes, so that only a hang meets it.
PATIENCE = 60.0


class MeasurementError(Exception):
    """A server, or its load, did not do what it should."""


@attrs.frozen
class Running:
    """A server that listens."""

    pid: int
    port: int


def last_words(errors: str) -> str:
    """Return the last line of a traceback that has words in it."""
    lines = [line.strip(" |") for line in errors.splitlines()]
    return next((line for line in reversed(lines) if re.search(r"\w", line)), "")


def python(module: str, *arguments: object) -> list[str]:
    """Return the command that runs a file of the benchmarks."""
    return [sys.executable, "-m", module, *map(str, arguments)]


@contextlib.contextmanager
def process(command: list[str], core: int) -> Iterator[subprocess.Popen[str]]:
    """Run a program for the time of a block, on one core.

    What goes wrong in the block gets the last line that the program had to say.
    """
    with tempfile.TemporaryFile("w+") as errors:
        with machine.on_core(core):
            child = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=HERE
            )
        try:
            yield child
        except MeasurementError as error:
            errors.seek(0)
            said = last_words(errors.read())
            raise MeasurementError("; ".join(filter(None, [str(error), said]))) from None
        finally:
            child.kill()
            child.communicate()


@contextlib.contextmanager
def serving(server: str, workload: str, *arguments: object, core: int) -> Iterator[Running]:
    """Run one of the servers under test for the time of a block."""
    with process(python("serve", server, workload, *arguments), core) as child:
        assert child.stdout is not None
        port = child.stdout.readline()
        if not port:
            child.wait()
            raise MeasurementError(f"{server} did not start")
        yield Running(child.pid, int(port))


def run_load(command: list[str], core: int, patience: float = PATIENCE) -> str:
    """Run a program on its core, to its end; return what it printed."""
    with machine.on_core(core):
        child = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=HERE
        )
    with child:
        try:
            printed, errors = child.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            raise MeasurementError("the load hangs") from None
        finally:
            child.kill()
    if child.returncode:
        raise MeasurementError(last_words(errors) or "the load failed")
    return printed


def run_reporting(command: list[str], core: int, patience: float = PATIENCE) -> Figures:
    """Run a program that prints its figures as its last line."""
    figures: Figures = json.loads(run_load(command, core, patience).splitlines()[-1])
    return figures
