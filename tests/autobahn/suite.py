"""Autobahn's test suite against our WebSocket server and client.

    nox -s autobahn
    nox -s autobahn -- --role server --cases '1.*' '9.1.*'

Runs ``examples/websocket_echo_server.py`` and ``examples/autobahn_client.py``, a process of each
for each group of cases, and as many groups at once as there are processors. Prints a table for the
documentation. Exits with 1 and a list if any case is not OK (or informational, for those that can
be nothing else), and with 77 if there is no ``wstest``. All cases take half an hour.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import attrs
import trio
from environment import find_wstest
from testees import CLIENT, SERVER, run_client, running_server
from verdicts import Verdict, table, tally
from wstest import AGENT, fuzz_server, fuzzing_server, read_results

ROLES = ("server", "client")
NO_WSTEST = 77
COMPRESSION = [*(f"12.{part}.*" for part in range(1, 6)), *(f"13.{part}.*" for part in range(1, 8))]
# Each is a job; those that take long come first, so that the processors end together.
CASES = [*COMPRESSION, "9.*", "6.*", "5.*", "1.*", "2.*", "3.*", "4.*", "7.*", "10.*"]


@attrs.frozen
class Suite:
    """What is run, and against whom.

    Parameters:
        program: wstest.
        folder: where reports go.
        server: the command of a server.
        client: the command of a client.
        timeout: seconds for a job; what it has not reported by then is missing.
    """

    program: str
    folder: Path
    server: str
    client: str
    timeout: float

    async def run(self, role: str, patterns: Sequence[str]) -> list[Verdict]:
        """Run the cases of some patterns, one after the other."""
        name = patterns[0] if len(patterns) == 1 else f"{patterns[0]} to {patterns[-1]}"
        folder = self.folder / role / name.replace("*", "all")
        folder.mkdir(parents=True)
        with trio.move_on_after(self.timeout):
            if role == "server":
                async with running_server(self.server, folder / "server") as address:
                    await fuzz_server(self.program, address, patterns, folder)
            else:
                async with fuzzing_server(self.program, patterns, folder) as url:
                    await run_client(self.client, url, AGENT, folder / "client")
        return read_results(folder)

    async def run_all(
        self, roles: Sequence[str], cases: Sequence[Sequence[str]], jobs: int
    ) -> dict[str, list[Verdict]]:
        """Run jobs side by side, and return what became of them, for each role."""
        found: dict[str, list[Verdict]] = {role: [] for role in roles}
        places = trio.CapacityLimiter(jobs)

        async def run(role: str, patterns: Sequence[str]) -> None:
            async with places:
                begun = time.monotonic()
                verdicts = await self.run(role, patterns)
            found[role] += verdicts
            seconds = time.monotonic() - begun
            print(f"{role} {' '.join(patterns)}: {tally(verdicts)} ({seconds:.0f} s)", flush=True)

        async with trio.open_nursery() as nursery:
            for patterns in cases:
                for role in roles:
                    nursery.start_soon(run, role, patterns)
        for verdicts in found.values():
            verdicts.sort(key=lambda verdict: verdict.number)
        return found


def show(found: dict[str, list[Verdict]]) -> bool:
    """Print the table, and what is wrong; return whether nothing is."""
    print(f"\n{table(found)}\n")
    for role, verdicts in found.items():
        for verdict in verdicts:
            if not verdict.is_good:
                print(f"{role} {verdict.case}: {verdict.word}. {verdict.reason}")
    return all(verdict.is_good for verdicts in found.values() for verdict in verdicts)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run Autobahn's test suite.")
    parser.add_argument("--role", nargs="+", choices=ROLES, default=ROLES, help="whose")
    parser.add_argument("--cases", nargs="+", metavar="PATTERN", help="all that we support")
    parser.add_argument("--one-job", action="store_true", help="all cases one after the other")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes at a time")
    parser.add_argument("--timeout", type=float, default=1800.0, help="seconds for each of them")
    parser.add_argument("--reports", type=Path, metavar="FOLDER", help="keep the reports there")
    parser.add_argument("--server", default=SERVER, metavar="COMMAND", help="another server")
    parser.add_argument("--client", default=CLIENT, metavar="COMMAND", help="another client")
    return parser.parse_args()


def main(arguments: argparse.Namespace) -> int:
    program = find_wstest()
    if program is None:
        print("autobahn: there is no wstest; `nox -s wstest` installs it where Python 2.7 is")
        return NO_WSTEST
    cases = [[pattern] for pattern in arguments.cases or CASES]
    if arguments.one_job:
        cases = [[pattern for (pattern,) in cases]]
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.reports or Path(temporary)
        suite = Suite(program, folder, arguments.server, arguments.client, arguments.timeout)
        found = trio.run(suite.run_all, arguments.role, cases, arguments.jobs)
    return 0 if show(found) else 1


if __name__ == "__main__":
    # Whatever ends it ends the programs that it has started; a shell has those in the background
    # ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    status = 0
    try:
        status = main(parse_arguments())
    except* KeyboardInterrupt:
        status = 130
    sys.exit(status)
