"""How a server under test tells where it listens."""

from __future__ import annotations


def ready(port: int) -> None:
    """Print the port, which is what the benchmark waits for."""
    print(port, flush=True)
