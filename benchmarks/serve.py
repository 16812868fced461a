"""Run one server under test until it is killed.

python benchmarks/serve.py snowtrio lines
"""

from __future__ import annotations

import argparse
import importlib
import ssl
from pathlib import Path

import profiles
import roster

WORKLOADS = (
    *("lines", "prefixed", "broadcast", "http", "datagrams"),
    *("websocket", "websocket-deflate", "websocket-broadcast"),
)


def main() -> None:
    """Start the server; it prints its port."""
    parser = argparse.ArgumentParser(description=__doc__)
    servers = {
        *(*roster.SERVERS, *roster.HTTP_SERVERS),
        *(*roster.WEBSOCKET_SERVERS, *roster.UDP_SERVERS),
    }
    parser.add_argument("server", choices=sorted(servers))
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("--certificate", type=Path, help="speak TLS with this one and its key")
    options = parser.parse_args()
    entry = roster.server(options.server, options.workload)
    tls = None
    if options.certificate is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(options.certificate)
    profiles.listen()
    # Only the library under test: its process has nothing of the others.
    importlib.import_module(f"peers.{entry.module}").run(entry.variant, options.workload, tls)


if __name__ == "__main__":
    main()
