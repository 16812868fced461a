"""``examples/udp_throughput.py`` and ``examples/tcp_throughput.py``."""

from __future__ import annotations

import re
import signal
import subprocess
import sys

import pytest

from .examples import EXAMPLES, run_program, running_example

LINE = re.compile(r"(sent|received) +([\d,]+) (?:datagrams|messages) in [\d.]+ s: ([\d.]+) MB/s, ")


async def run(name: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return await run_program(sys.executable, "-W", "error", str(EXAMPLES / name), *arguments)


def read_lines(done: subprocess.CompletedProcess[bytes]) -> dict[str, tuple[int, float]]:
    """Return how many, and the MB/s, of what was sent and received."""
    assert done.returncode == 0, done.stderr.decode()
    return {
        match[1]: (int(match[2].replace(",", "")), float(match[3]))
        for match in LINE.finditer(done.stdout.decode())
    }


async def test_udp_at_a_rate_loses_nothing() -> None:
    """Row P12: it prints MB/s and loss, and stops by itself."""
    done = await run("udp_throughput.py", "--seconds", "0.4", "--rate", "500", "--size", "1000")
    lines = read_lines(done)
    assert lines["sent"] == lines["received"]
    assert 50 <= lines["sent"][0] <= 200
    assert lines["sent"][1] > 0
    assert done.stdout.decode().splitlines()[-1] == "lost     0.00%, 0 out of order"


async def test_udp_as_fast_as_it_can() -> None:
    """Row P12: what is lost is the difference."""
    done = await run("udp_throughput.py", "--seconds", "0.3")
    (sent, _), (received, _) = (read_lines(done)[each] for each in ("sent", "received"))
    assert 0 < received <= sent
    lost = float(done.stdout.decode().rpartition("lost")[2].partition("%")[0])
    assert lost == pytest.approx((sent - received) / sent * 100, abs=0.01)


async def test_tcp() -> None:
    """Row P12."""
    received, rate = read_lines(await run("tcp_throughput.py", "--seconds", "0.3"))["received"]
    assert received > 0
    assert rate > 0


@pytest.mark.parametrize("name", ["udp_throughput", "tcp_throughput"])
async def test_a_receiver_of_its_own_stops_on_a_signal(name: str) -> None:
    """Row P12."""
    async with running_example(name, "--receive") as example:
        done = await run(f"{name}.py", "--port", str(example.port), "--seconds", "0.1")
        assert read_lines(done)["received"][0] > 0
        await example.stop(signal.SIGTERM)
        assert example.read_errors() == ""


@pytest.mark.parametrize("name", ["udp_throughput", "tcp_throughput"])
async def test_nobody_there_is_one_line(name: str) -> None:
    """Row P12."""
    done = await run(f"{name}.py", "--port", "1", "--seconds", "0.1")
    assert done.returncode == 1
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith(f"{name}: ")


@pytest.mark.parametrize(("name", "size"), [("udp_throughput", 70_000), ("tcp_throughput", 2**25)])
async def test_byte_count_that_cannot_be_is_one_line(name: str, size: int) -> None:
    """Row P12."""
    done = await run(f"{name}.py", "--size", str(size), "--seconds", "0.1")
    assert done.returncode == 1
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith(f"{name}: ")
    assert str(size)[:4] in line
    done = await run(f"{name}.py", "--size", "-1")
    assert done.returncode == 2
    assert "invalid byte_count value" in done.stderr.decode()
