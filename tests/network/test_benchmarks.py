"""``benchmarks/run.py``, with slices so short that its figures mean nothing: that it works."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from .examples import needs_program, run_program

RUN = str(Path(__file__).parents[2] / "benchmarks" / "run.py")
SCENARIOS = ["tls-64x64", "pool-100"]
SERVERS = ["asyncio-streams", "snowtrio"]

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="reads /proc, or asks psutil"),
    pytest.mark.on_one_python,
]


async def test_a_tiny_run_gives_tables_and_a_file(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    command = [sys.executable, RUN, "--rounds", "1", "--seconds", "0.3", "--json", str(file)]
    command += [word for name in SCENARIOS for word in ("--only", name)]
    done = await run_program(*command, "--servers", *SERVERS)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()

    scenarios = json.loads(file.read_text())["scenarios"]
    assert sorted(scenarios) == sorted(SCENARIOS)
    for scenario in scenarios.values():
        assert sorted(scenario["servers"]) == SERVERS
        for result in scenario["servers"].values():
            (figures,) = result["rounds"]
            assert figures["units"] >= 64  # A burst on each connection at least.
            assert min(figures["cost"], figures["rate"], figures["p50_ms"]) > 0
            assert figures["p50_ms"] <= figures["p99_ms"]
    check_tables(done.stdout.decode())


def check_tables(shown: str) -> None:
    """Each scenario has a table with its servers, and the goals come last."""
    tables, _, goals = shown.partition("the goals")
    for name in SCENARIOS:
        assert f"{name}: " in tables
    for server in SERVERS:
        assert tables.count(f"  {server} ") == len(SCENARIOS)
    assert "tls-64x64" in goals
    assert "asyncio-streams" in goals


@needs_program("redis-server")
async def test_a_client_of_redis_is_measured(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    command = [sys.executable, RUN, "--only", "requests-1000", "--servers", "snowtrio"]
    command += ["--rounds", "1", "--seconds", "0.03", "--json", str(file)]
    done = await run_program(*command)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    (scenario,) = json.loads(file.read_text())["scenarios"].values()
    (figures,) = scenario["servers"]["snowtrio"]["rounds"]
    assert figures["units"] == 4000  # Each task's.


@needs_program("wrk")
async def test_an_http_server_is_measured(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    command = [sys.executable, RUN, "--only", "http-pipelined", "--rounds", "1"]
    command += ["--servers", "snowtrio", "snowtrio-unpipelined", "--seconds", "0.1"]
    done = await run_program(*command, "--json", str(file))
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    (scenario,) = json.loads(file.read_text())["scenarios"].values()
    assert sorted(scenario["servers"]) == ["snowtrio", "snowtrio-unpipelined"]
    for result in scenario["servers"].values():
        (figures,) = result["rounds"]
        assert figures["units"] >= 64
        assert min(figures["cost"], figures["rate"]) > 0
    assert "http-pipelined" in done.stdout.decode().partition("the goals")[2]


async def test_an_http_client_is_measured(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    command = [sys.executable, RUN, "--only", "http-fetch", "--servers", "httpx"]
    command += ["--rounds", "1", "--seconds", "0.1", "--json", str(file)]
    done = await run_program(*command)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    (scenario,) = json.loads(file.read_text())["scenarios"].values()
    (figures,) = scenario["servers"]["httpx"]["rounds"]
    assert figures["units"] == 1000  # Ten of each task.


@pytest.mark.parametrize("scenario", ["ws-64x32", "ws-deflate", "ws-connect"])
async def test_servers_of_websockets_are_measured(scenario: str, tmp_path: Path) -> None:
    figures = await measure_websockets(tmp_path, scenario, "snowtrio", "websockets")
    assert all(each["units"] >= 32 for each in figures)


async def test_a_broadcast_to_websockets_is_measured(tmp_path: Path) -> None:
    (figures,) = await measure_websockets(tmp_path, "ws-broadcast", "snowtrio")
    assert figures["units"] >= 1000


@pytest.mark.parametrize("scenario", ["ws-memory", "ws-memory-deflate"])
async def test_the_memory_of_websockets_is_measured(scenario: str, tmp_path: Path) -> None:
    (figures,) = await measure_websockets(tmp_path, scenario, "snowtrio", "--quick")
    assert figures["cost"] > 0


async def measure_websockets(folder: Path, scenario: str, *servers: str) -> list[dict[str, float]]:
    """Return the figures of one short round of each server that is installed."""
    pytest.importorskip("websockets")
    file = folder / "figures.json"
    command = [sys.executable, RUN, "--only", scenario, "--servers", *servers]
    command += ["--rounds", "1", "--seconds", "0.1", "--json", str(file)]
    done = await run_program(*command)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    (found,) = json.loads(file.read_text())["scenarios"].values()
    names = [name for name in servers if not name.startswith("-")]
    assert sorted(found["servers"]) == sorted(names)
    return [each["rounds"][0] for each in found["servers"].values()]


async def test_servers_of_datagrams_are_measured(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    servers = ["asyncio-protocol", "snowtrio", "snowtrio-endpoint", "snowtrio-function", "trio"]
    command = [sys.executable, RUN, "--only", "udp-64", "--servers", *servers]
    command += ["--rounds", "1", "--seconds", "0.1", "--json", str(file)]
    done = await run_program(*command)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    (found,) = json.loads(file.read_text())["scenarios"].values()
    assert sorted(found["servers"]) == servers
    for result in found["servers"].values():
        assert result["rounds"][0]["units"] >= 64


async def test_a_scenario_that_is_not_there_is_one_line() -> None:
    done = await run_program(sys.executable, RUN, "--only", "nonsense")
    assert done.returncode == 1
    assert done.stderr.decode().splitlines() == ["run: no scenario or family is called nonsense"]
