"""Answer DNS queries from a master file, over UDP and TCP on one port.

    python examples/dns_server.py --port 5353 --zone example.org.zone
    dig @127.0.0.1 -p 5353 www.example.org

An authoritative server for one zone: records, aliases, wildcards, referrals, and that there is
nothing (NXDOMAIN, or no records of that kind) with the zone's SOA. Responses over UDP have 1,232
bytes at most, fewer where the client says so; one in which something did not fit tells the client
to ask over TCP. Names outside of the zone are refused, as are transfers of it.

Both handlers are plain functions, so nothing is remembered of whoever asks over UDP. Needs
``dnspython``.
"""

from __future__ import annotations

import argparse
import errno
import functools
import logging
import sys
from pathlib import Path

import dns.exception
import trio
from _dns_answers import respond
from _dns_zone import Zone, load_zone

from snowtrio import (
    Connection,
    LengthPrefixCodec,
    Listener,
    ServerLimits,
    open_tcp_listeners,
    run_service,
    serve_listeners,
)
from snowtrio.udp import Datagram, UDPEndpoint, open_udp_endpoints, serve_udp_endpoints

# A port that is free for UDP may be in use for TCP.
ATTEMPTS = 16


def over_udp(zone: Zone, datagram: Datagram) -> bytes | None:
    """Answer one datagram."""
    return respond(zone, datagram.data, udp=True)


def over_tcp(zone: Zone, connection: Connection[bytes], query: bytes) -> bytes | None:  # noqa: ARG001
    """Answer one message of a connection."""
    return respond(zone, query, udp=False)


async def open_both(host: str, port: int) -> tuple[list[UDPEndpoint], list[Listener]]:
    """Open one port for UDP and TCP; 0 chooses one that is free for both."""
    for attempt in range(ATTEMPTS):
        endpoints = await open_udp_endpoints(port, host=host)
        try:
            return endpoints, await open_tcp_listeners(endpoints[0].port, host=host)
        except OSError as error:
            for endpoint in endpoints:
                endpoint.close()
            if port or error.errno != errno.EADDRINUSE or attempt + 1 == ATTEMPTS:
                raise
    raise AssertionError


async def main(zone: Zone, host: str, port: int) -> int:
    """Serve until SIGINT or SIGTERM, then drain; return the exit status."""
    endpoints, listeners = await open_both(host, port)
    udp = functools.partial(serve_udp_endpoints, functools.partial(over_udp, zone), endpoints)
    tcp = functools.partial(
        serve_listeners,
        functools.partial(over_tcp, zone),
        LengthPrefixCodec(2, max_message_size=65535),
        listeners,
        limits=ServerLimits(idle_timeout=10),
    )

    def ready(*_: object) -> None:
        print(f"listening on {host}:{endpoints[0].port}", flush=True)

    return (await run_service(udp, tcp, ready=ready)).status


def read_zone(arguments: argparse.Namespace) -> Zone:
    """Return the zone of the command line, or end with a line that says what is wrong with it."""
    try:
        return load_zone(arguments.zone, arguments.origin)
    except (OSError, dns.exception.DNSException) as error:
        sys.exit(f"dns_server: {arguments.zone}: {error}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Answer DNS queries from a master file.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=5353, help="port to listen on; 0 chooses one")
    parser.add_argument("--zone", type=Path, required=True, metavar="FILE", help="the master file")
    parser.add_argument("--origin", help="the zone's name, where the file has no $ORIGIN")
    return parser.parse_args()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    arguments = parse_arguments()
    try:
        sys.exit(trio.run(main, read_zone(arguments), arguments.host, arguments.port))
    except OSError as error:  # The port is in use, say.
        sys.exit(f"dns_server: {error}")
