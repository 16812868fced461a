"""Who takes part: the name of each server, and the file in ``peers/`` that has it."""

from __future__ import annotations

import importlib.util

import attrs


@attrs.frozen
class Entry:
    """A server under test.

    Parameters:
        module: its file in ``peers/``.
        variant: which of the servers in that file.
        needs: the library without which it cannot run.
    """

    module: str
    variant: str = ""
    needs: str = "trio"


SERVERS = {
    "snowtrio": Entry("snowtrio_server", "coroutine"),
    "snowtrio-batches": Entry("snowtrio_server", "batches"),
    "snowtrio-function": Entry("snowtrio_server", "function"),
    "asyncio-streams": Entry("asyncio_streams", "asyncio"),
    "asyncio-protocol": Entry("asyncio_protocol", "asyncio plain"),
    "uvloop-streams": Entry("asyncio_streams", "uvloop", needs="uvloop"),
    "uvloop-protocol": Entry("asyncio_protocol", "uvloop plain", needs="uvloop"),
    "uvloop-joined": Entry("asyncio_protocol", "uvloop joined", needs="uvloop"),
    "trio": Entry("raw_trio"),
    "anyio": Entry("anyio_streams", needs="anyio"),
    "twisted": Entry("twisted_lines", needs="twisted"),
}


def is_installed(name: str) -> bool:
    """Whether a server's library is here."""
    entry = SERVERS.get(name)
    return entry is None or importlib.util.find_spec(entry.needs) is not None
